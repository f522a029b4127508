"""What the sweep itself was: its data, what it lacks, what it cost, and what words mean."""

from __future__ import annotations

from operator import itemgetter

from daenr_bench.paper.analysis import Analysis
from daenr_bench.paper.experiment import Experiment
from daenr_bench.paper.layouts import model_title, region_title
from daenr_bench.paper.metrics import CORRELATION_WITH, neurons_without_a_correlation
from daenr_bench.paper.statistics import FEWEST_PAIRS
from daenr_bench.report import words
from daenr_bench.report.blocks import Block, Cell, Column, Facts, Note, Section, Table, numbers
from daenr_train.sweep.cost import HEADS, cost_rows, memory, paper_cost
from daenr_train.sweep.plan import RecordingFacts

MOST_FAILURES = 40


def failures(experiment: Experiment) -> Section | None:
    """Runs that failed, with their errors."""
    rows: list[tuple[Cell, ...]] = [
        (str(run.cell), str(run.entry.get("error", ""))) for run in experiment.results.runs if run.status == "failed"
    ]
    if not rows:
        return None
    blocks: list[Block] = [
        Table("Failed runs", (Column("run"), Column("why", is_prose=True)), tuple(rows[:MOST_FAILURES]))
    ]
    if len(rows) > MOST_FAILURES:
        blocks.append(Note(f"And {len(rows) - MOST_FAILURES} more, which results.csv lists."))
    lead = f"{len(rows)} of {len(experiment.results.runs)} runs failed. --retry-failed runs them again."
    return Section("failed", "What failed", lead, tuple(blocks))


def cost(experiment: Experiment) -> Section | None:
    """What the runs cost, on paper and as measured, and what the whole grid of the paper would."""
    found = {run.cell: cost for run in experiment.results.runs if (cost := run.cost()) is not None}
    if not found:
        return None
    caption = "Means over runs; GFLOP counts convolutions and matrix products, forward and backward"
    table = Table(caption, (Column(HEADS[0]), *numbers(*HEADS[1:])), tuple(cost_rows(found)))
    lead = f"As measured where the sweep ran: {paper_cost(found)}; {memory(found)}."
    return Section("cost", "What it cost", lead[0].upper() + lead[1:], (table,))


def recordings(experiment: Experiment) -> Section:
    """Which recordings were fitted, with which settings, by which code."""
    rows: list[tuple[Cell, ...]] = [
        (
            region_title(region), facts.source or words.NONE, kind_of(facts), words.count(facts.n_images),
            str(facts.n_neurons), str(facts.n_test_images), str(facts.n_repeats), facts.fingerprint[:12],
        )
        for region, facts in experiment.recordings.items()
    ]  # fmt: skip
    figures = numbers("training images", "neurons", "test images", "repeats")
    columns = (Column("region"), Column("read from"), Column("what it is"), *figures, Column("fingerprint"))
    settings = tuple((name, words.listed(values, "or")) for name, values in settings_of(experiment).items())
    code = (("code", experiment.results.code[:16]),)
    lead = "A run is known by its model, settings, recording and code; the same four give the same scores."
    blocks = (Table("Recordings", columns, tuple(rows)), Facts("Settings of the fits", (*settings, *code)))
    return Section("recordings", "Recordings and settings", lead, blocks)


def kind_of(facts: RecordingFacts) -> str:
    """What a recording is, in a few words."""
    if facts.simulated:
        return "simulated V1"
    return "the paper's recording" if facts.published else "another recording"


def settings_of(experiment: Experiment) -> dict[str, list[str]]:
    """All values of each training setting but the seed."""
    found: dict[str, dict[str, None]] = {}
    for run in experiment.results.runs:
        for name, value in run.entry.get("training", {}).items():
            if name != "seed":
                found.setdefault(str(name), {})[f"{value:g}" if isinstance(value, float) else str(value)] = None
    return {name: list(values) for name, values in found.items()}


def unscored(experiment: Experiment) -> str:
    """How many neurons have no correlation where most have none; empty if all have one."""
    counts = [
        (neurons_without_a_correlation(run), run.cell)
        for run in experiment.results.runs
        if run.status == "finished" and run.cell.neurons == "all" and "responses" in run.entry
    ]
    most, cell = max(counts, key=itemgetter(0), default=(0, None))
    if cell is None or not most:
        return ""
    where = f"{model_title(cell.model)} on {region_title(cell.region)}, seed {cell.seed}"
    return (
        "A neuron that a model predicts as constant has no correlation and is left out of the mean: "
        f"at most {most} ({where})."
    )


def definitions(analysis: Analysis) -> Section:
    """What intervals, tests and scores are."""
    pairs = (
        (
            "±",
            "half the 95 % interval of the mean over seeds, by Student's t with one degree of freedom less than seeds. "
            "A seed decides split, initial weights and order of images; test images and animals stay the same, so it "
            "says nothing of other animals. One seed has none.",
        ),
        (
            "test",
            "Student's paired t-test, two-sided. The pair is two fits of one seed, region and layer; a claim averages "
            f"the pairs of a seed first. Fewer than {FEWEST_PAIRS} seeds cannot tell.",
        ),
        ("p (Holm)", "corrected by Holm for all tests of the same table, claims and cells apart."),
        ("shown", "corrected p ≤ 0.05, in the direction of the claim; “the opposite” is the other direction."),
        ("not shown", "tested, and p > 0.05: no evidence, which is not evidence that there is no effect."),
        ("PCC", f"Pearson's correlation with {CORRELATION_WITH[analysis.correlation]}, mean over neurons."),
        ("compared PCC", "over the neurons that could be scored in both models."),
        (
            "significant neuron",
            "its predicted responses correlate positively with the average of the repeats, p ≤ 0.05, two-sided, not "
            "corrected for the number of neurons.",
        ),
        ("MSE, PSNR, SSIM", "means over test images with pixels in [-1, 1], so the data range is 2."),
    )
    return Section("definitions", "What the words mean", "As computed here.", (Facts("Definitions", pairs),))

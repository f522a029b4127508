"""`daenr-train`: list models, simulate, fit, evaluate, fit many, search settings and images."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from daenr_common.cli import Group, print_table
from daenr_common.extras import require
from daenr_common.files import atomic_file, check_output_file
from daenr_train.spec import AUTOENCODERS, BASELINES, LAYERS, READOUTS, model_names

_PATH = click.Path(path_type=Path)
_REGIONS = ("1", "2", "3")


_HELP = """Fit DAE-NR models: autoencoders of images whose features also predict the responses of neurons.

\b
A first run, without any data of your own:
  daenr-train simulate --out data/insilico
  daenr-train fit --model cae-fr2 --data data/insilico --region 3 --output cae_fr2.pt
  daenr-train evaluate --checkpoint cae_fr2.pt --data data/insilico
  daenr-train sweep --grid smoke --output results

\b
Exit codes: 0 done, 1 a run of a sweep failed, 2 unusable input, 130 interrupted.
"""


@click.group(name="daenr-train", cls=Group, help=_HELP, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="daenr")
def main() -> None:
    """See _HELP."""


@main.command()
def models() -> None:
    """List the 51 models of the paper, and the baselines beside them."""
    trunks = {str(name): text for name, text in AUTOENCODERS.items()} | {"cnn": "none (neural-only baseline)"}
    rows: list[tuple[str, ...]] = []
    for trunk, description in trunks.items():
        names = [name for name in model_names() if name.partition("-")[0] == trunk]
        rows.extend((name, description, *_readout_of(name)) for name in names)
    print_table(["model", "autoencoder", "readout", "from layer"], rows)
    click.echo()
    print_table(["baseline", ""], BASELINES.items())


def _readout_of(name: str) -> tuple[str, str]:
    readout = name.partition("-")[2]
    return (READOUTS[readout[:2]], f"{readout[2]} of {len(LAYERS)}") if readout else ("none", "")  # type: ignore[index]


@main.command()
@click.option("--out", type=_PATH, required=True, help="Folder for the recordings, one file a region.")
@click.option("--region", type=click.Choice(_REGIONS), help="Only this region (default: all three).")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of neurons, stimuli and noise.")
@click.option("--force", is_flag=True, help="Replace recordings that exist.")
def simulate(out: Path, region: str | None, seed: int, force: bool) -> None:
    """Simulate recordings of mouse V1, and show how they compare with the real ones.

    Stimuli are patches of photographs that scikit-image and scikit-learn bring along; the neurons are simple and
    complex cells with noise, calibrated to the recordings of Antolík et al. 2016. Nothing is downloaded.
    """
    from daenr_train.data.insilico import calibration_table, write_insilico

    regions = (int(region),) if region else (1, 2, 3)
    for number, written in zip(regions, write_insilico(out, regions=regions, seed=seed, force=force), strict=True):
        recording = written.recording
        click.echo(f"{written.path}: {recording.n_images} images, {recording.n_neurons} neurons")
        print_table(
            ["statistic", "recorded", "simulated", "tolerance", ""],
            [
                (
                    row.statistic,
                    f"{row.target:.3f}",
                    f"{row.simulated:.3f}",
                    f"±{row.tolerance:.3f}",
                    "ok" if row.ok else "off",
                )
                for row in calibration_table(recording, number)
            ],
        )


@main.command()
@click.option("--model", "model_name", required=True, metavar="NAME", help="One of `daenr-train models`, e.g. cae-fr2.")
@click.option("--data", type=_PATH, required=True, help="A recording: in-silico, npz, Antolík's or Sensorium's layout.")
@click.option("--region", help="Which region, where the data hold several.")
@click.option("--output", type=_PATH, required=True, help="The checkpoint to write, e.g. cae_fr2.pt.")
@click.option("--alpha", type=float, help="Weight of the reconstruction (default 1).")
@click.option("--beta", type=float, help="Weight of the Poisson loss of the responses (default 1).")
@click.option("--max-steps", type=click.IntRange(min=1), help="Stop after this many steps (default 20000).")
@click.option("--batch-size", type=click.IntRange(min=1), help="Images in a step (default 64).")
@click.option("--seed", type=click.IntRange(min=0), help="Of split, weights and order (default 0).")
@click.option("--threads", type=click.IntRange(min=1), help="Processor threads (default 2, where there are two).")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any other field of TrainingConfig.")
@click.option("--resume", is_flag=True, help="Continue an interrupted fit, to the same weights bit for bit.")
@click.option("--tensorboard", type=_PATH, metavar="DIR", help="Write the loss terms for TensorBoard.")
@click.option("--force", is_flag=True, help="Replace a checkpoint that exists.")
def fit(
    model_name: str,
    data: Path,
    region: str | None,
    output: Path,
    settings: tuple[str, ...],
    resume: bool,
    tensorboard: Path | None,
    force: bool,
    **options: Any,
) -> None:
    """Fit a model to a recording by the paper's procedure, and score it on the test images.

    Adam, until the validation error has not improved for 1000 steps; then the best weights again at half the rate.
    The baselines klindt and lnp start from the settings of Klindt et al. 2017 instead of the defaults named here.
    Ctrl-C saves the state beside the output; --resume continues from it.
    """
    check_output_file(output, force=force)
    require("torch", extra="train", purpose="fitting models")
    from daenr_train.fit.command import FitRequest, run_fit

    request = FitRequest(model_name, data, region, output, resume, force, tensorboard)
    checkpoint = run_fit(request, {name: value for name, value in options.items() if value is not None}, settings)
    _print_scores(checkpoint.metrics)
    click.echo(f"wrote {output}")


@main.command()
@click.option("--checkpoint", type=_PATH, required=True, help="A checkpoint of `daenr-train fit`.")
@click.option("--data", type=_PATH, required=True, help="The recording whose test images are scored.")
@click.option("--region", help="Which region (default: the one that the model was fitted to).")
@click.option("--json", "json_path", type=_PATH, help="Write all scores, per neuron too, to this file.")
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
def evaluate(checkpoint: Path, data: Path, region: str | None, json_path: Path | None, force: bool) -> None:
    """Score a checkpoint on the test images of a recording: reconstruction, and responses per neuron."""
    require("torch", extra="train", purpose="evaluating checkpoints")
    from daenr_train.checkpoint import load_checkpoint
    from daenr_train.data import open_recording
    from daenr_train.evaluate import evaluate as score
    from daenr_train.metrics import DEFINITIONS

    if json_path is not None:
        check_output_file(json_path, force=force)
    trained = load_checkpoint(checkpoint)
    scores = score(trained, open_recording(data, region or trained.recording.region))
    _print_scores(scores.summary)
    if json_path is not None:
        with atomic_file(json_path) as temporary:
            temporary.write_text(json.dumps(scores.to_json() | {"definitions": DEFINITIONS}, indent=2) + "\n")
        click.echo(f"wrote {json_path}")


@main.command()
@click.option("--grid", required=True, metavar="NAME|FILE", help="paper, table2 … table6, smoke, or a .toml or .json.")
@click.option("--data", type=_PATH, help="Recordings (default: the simulated V1).")
@click.option("--region", "regions", multiple=True, help="Instead of the grid's; may be given several times.")
@click.option("--seeds", type=click.IntRange(min=1), help="How many seeds (default: the grid's, which is mostly 5).")
@click.option("--output", type=_PATH, required=True, help="Folder for results.csv, results.json and the runs.")
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True)
@click.option(
    "--processes", type=click.IntRange(min=1), help="Runs at the same time (default: one for each processor)."
)
@click.option("--address", metavar="HOST:PORT|auto", help="An existing Ray cluster (default: Ray on this machine).")
@click.option("--cpus-per-run", type=click.FloatRange(min=0, min_open=True), help="What Ray reserves, e.g. 0.5.")
@click.option("--max-steps", type=click.IntRange(min=1), help="Stop each fit after this many steps.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Images in a step.")
@click.option("--threads", type=click.IntRange(min=1), help="Processor threads of each fit (default 1).")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any other field of TrainingConfig.")
@click.option("--keep-checkpoints", is_flag=True, help="Keep each run's model, about 5 MB.")
@click.option("--retry-failed", is_flag=True, help="Run again what failed before.")
@click.option("--resume", is_flag=True, help="Go on with the sweep that the folder holds, or add to it.")
def sweep(
    settings: tuple[str, ...],
    max_steps: int | None,
    batch_size: int | None,
    threads: int | None,
    **options: Any,
) -> None:
    """Fit a grid of models, regions and seeds, and write one table of their scores.

    What has finished is never repeated. Ctrl-C, or a kill, loses at most ten seconds of work: --resume goes on.
    Exit code 1 if a run failed; the others are in the table all the same.
    """
    require("torch", extra="train", purpose="fitting models")
    from daenr_train.sweep.cli import sweep_from_options

    given = {"max_steps": max_steps, "batch_size": batch_size, "threads": threads}
    sys.exit(sweep_from_options({k: v for k, v in given.items() if v is not None}, settings, options))


@main.command()
@click.option("--model", "model_name", required=True, metavar="NAME", help="One of `daenr-train models`, e.g. cae-fr2.")
@click.option("--data", type=_PATH, required=True, help="A recording; its test responses are not looked at.")
@click.option("--region", help="Which region, where the data hold several.")
@click.option(
    "--trials", "n_trials", type=click.IntRange(min=1), required=True, help="How many, earlier ones included."
)
@click.option("--output", type=_PATH, required=True, help="Folder for trials.csv, best.toml and search.db.")
@click.option(
    "--objective", type=click.Choice(["responses", "images"]), help="Poisson loss or squared error [responses]."
)
@click.option("--search", "ranges", multiple=True, metavar="NAME=LOW:HIGH", help="Search this, not the usual settings.")
@click.option("--max-steps", type=click.IntRange(min=1), help="Stop each fit after this many steps.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Images in a step.")
@click.option("--seed", type=click.IntRange(min=0), help="Of the draws and of each fit (default 0).")
@click.option("--threads", type=click.IntRange(min=1), help="Processor threads (default 2, where there are two).")
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Any other field of TrainingConfig.")
@click.option("--resume", is_flag=True, help="Go on with the search that the folder holds, or add trials to it.")
def search(
    settings: tuple[str, ...],
    max_steps: int | None,
    batch_size: int | None,
    seed: int | None,
    threads: int | None,
    **options: Any,
) -> None:
    """Search α, β and the regularisers with Optuna, by the validation images alone.

    Trials that do worse than half of the others are stopped early. The best settings are written as a grid:
    `daenr-train sweep --grid DIR/best.toml`. Ctrl-C saves the trial at hand; --resume goes on with it.
    """
    require("torch", extra="train", purpose="fitting models")
    from daenr_train.search.cli import search_from_options

    given = {"max_steps": max_steps, "batch_size": batch_size, "seed": seed, "threads": threads}
    search_from_options({k: v for k, v in given.items() if v is not None}, settings, options)


@main.command()
@click.option("--checkpoint", type=_PATH, required=True, help="Of a model with a readout.")
@click.option(
    "--neuron", "neurons", type=int, multiple=True, required=True, help="Its position, from 0; several times."
)
@click.option("--output", type=_PATH, required=True, help="Folder for stimuli.npz, stimuli.json, contact_sheet.png.")
@click.option(
    "--space", "spaces", type=click.Choice(["pixel", "latent"]), multiple=True, help="Default: all there are."
)
@click.option("--contrast", type=float, default=0.1, show_default=True, help="Standard deviation of the pixels.")
@click.option("--mean", type=float, help="Mean grey, -1 to 1 (default: that of the model's held-out images).")
@click.option("--steps", type=click.IntRange(min=1), default=200, show_default=True, help="Of gradient ascent.")
@click.option("--starts", type=click.IntRange(min=1), default=4, show_default=True, help="The best one counts.")
@click.option(
    "--smoothing", type=float, default=1.0, show_default=True, help="Of the gradient, SD in pixels; 0 for none."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of the starting points.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Processor threads.")
@click.option("--force", is_flag=True, help="Replace a folder that exists.")
def stimuli(steps: int, starts: int, smoothing: float, seed: int, **options: Any) -> None:
    """Search the images that excite neurons most, as a fitted model predicts.

    All images have the same mean and contrast. They are searched among all images (pixel), and among those that the
    decoder can draw (latent); `natural` is the best of the model's held-out images, for comparison.
    """
    require("torch", extra="train", purpose="searching images")
    from daenr_train.stimuli.ascent import Climb
    from daenr_train.stimuli.cli import stimuli_from_request
    from daenr_train.stimuli.command import StimuliRequest

    stimuli_from_request(StimuliRequest(**options, climb=Climb(steps, starts, smoothing, seed)))


@main.command()
@click.option("--data", type=_PATH, required=True, help="A recording.")
@click.option("--region", help="Which region, where the data hold several.")
def ceilings(data: Path, region: str | None) -> None:
    """Show how well any model could predict a recording's test responses.

    For a simulated recording also what the true rates score, which the estimates should come close to.
    """
    from daenr_train.data import open_recording
    from daenr_train.metrics import score_ceilings, score_responses
    from daenr_train.metrics.definitions import METRICS

    recording = open_recording(data, region)
    _print_scores({"responses": score_ceilings(recording.test_responses).summary()}, "ceiling")
    if recording.true_test_rates is not None:
        click.echo()
        scores = score_responses(recording.true_test_rates, recording.test_responses).summary()
        _print_scores({"responses": {name: scores[name] for name in METRICS}}, "score of the true rates")


def _print_scores(metrics: dict[str, Any], heading: str = "metric on test images") -> None:
    """One line a metric: the mean over images or neurons, and how many of them could be scored."""
    rows: list[tuple[str, str, str, str]] = []
    for name, score in metrics.get("images", {}).items():
        if isinstance(score, float):
            rows.append((name, f"{score:.4f}", "", f"{metrics['images']['n_images']} images"))
    for name, score in metrics.get("responses", {}).items():
        mean, median = ("none" if score[of] is None else f"{score[of]:.4f}" for of in ("mean", "median"))
        over = f"{score['n_scored']} neurons, {score['n_silent']} silent, {score['n_constant']} constant"
        rows.append((name, mean, median, over))
    print_table([heading, "mean", "median", "over"], rows)


if __name__ == "__main__":
    main()

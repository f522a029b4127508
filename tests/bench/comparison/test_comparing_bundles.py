"""Two bundles through the whole comparison, on engines of known latency and a clock that no machine disturbs."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from bench_factory import make_timed_bundle
from bundle_edits import edit_manifest
from two_bundles import CRITERIA, QUICK, Latency, TwoSpeeds, constant, only, run, untouched

from daenr_bench.comparison import Criteria, Plan, compare
from daenr_bench.comparison.rounds import PacedTimer, order
from daenr_common.errors import BackendUnavailableError, BundleError, DaenrError, SpecError
from daenr_common.verdict import Verdict
from daenr_export.specs import BatchRange

Bundles = tuple[Path, Path]


@pytest.mark.parametrize(
    ("head_ns", "word", "verdict"),
    [
        (100_000, "same", Verdict.PASS),
        (104_000, "same", Verdict.PASS),
        (106_000, "slower", Verdict.FAIL),
        (96_000, "same", Verdict.PASS),
        (94_000, "faster", Verdict.PASS),
    ],
)
def test_the_margin_decides_between_constant_latencies(
    bundles: Bundles, head_ns: int, word: str, verdict: Verdict
) -> None:
    plan = Plan(criteria=CRITERIA)
    comparison = run(bundles, TwoSpeeds(bundles[0], constant(100_000), constant(head_ns)), plan)
    (pair,) = comparison.pairs
    assert (pair.word, comparison.word, comparison.verdict) == (word, word, verdict)
    p50, p99 = pair.lines
    assert (pair.rounds, pair.calls) == (10, 2000)
    assert p50.ratio == pytest.approx(head_ns / 100_000)
    assert (p50.base_ns, p50.head_ns) == (pytest.approx(100_000), pytest.approx(head_ns))
    assert p99.effect == word
    assert pair.answers_compared == 2 * 10 * 16


def test_below_the_floor_nothing_counts(bundles: Bundles) -> None:
    plan = Plan(QUICK, criteria=Criteria(0.05, 5000))
    pair = only(bundles, constant(10_000), constant(14_000), plan)
    assert pair.word == "same"
    assert pair.lines[0].margin == pytest.approx(0.5)
    assert only(bundles, constant(10_000), constant(16_000), plan).word == "slower"


def test_drift_is_no_difference(bundles: Bundles) -> None:
    """Each machine call is slower than the one before, and at the end all take twice as long."""

    def slowing(_: int, now_ns: int) -> int:
        return 100_000 + now_ns // 4000

    pair = only(bundles, slowing, slowing)
    assert pair.base_p50_ns[-1] > 1.5 * pair.base_p50_ns[0]
    assert pair.word == "same"
    assert pair.lines[0].ratio == pytest.approx(1, abs=2e-3)


def test_rounds_alternate_and_open_both_anew(bundles: Bundles) -> None:
    backend = TwoSpeeds(bundles[0], constant(100_000), constant(100_000))
    run(bundles, backend, Plan(QUICK, rounds=5, criteria=CRITERIA))
    assert backend.opened == ["base", "head"] + ["base", "head", "head", "base"] * 2 + ["base", "head"]


@pytest.mark.parametrize("turns", [4, 8, 16])
def test_the_order_cancels_drift(turns: int) -> None:
    even, odd = (np.array(order(number, turns)) for number in (0, 1))
    assert (even + odd == 1).all()
    for power in range(turns.bit_length() - 1):
        places = np.arange(turns) ** power
        assert places[even == 0].sum() == places[even == 1].sum()


def test_noise_gets_more_rounds_and_then_cannot_tell(bundles: Bundles) -> None:
    def lucky(seed: int) -> Latency:
        draws = np.random.default_rng(seed).lognormal(0, 0.5, 1000)
        return lambda number, now_ns: int(100_000 * draws[now_ns // 20_000_000 % 1000])

    pair = only(bundles, lucky(1), lucky(2))
    assert pair.word == "cannot tell"
    assert pair.rounds == 51
    assert "too noisy" in pair.lines[0].reason
    assert pair.verdict is Verdict.CANNOT_TELL


@pytest.mark.parametrize(
    ("base_ns", "head_ns", "word"),
    [
        (200_000, 200_000, "same"),
        (200_000, 300_000, "slower"),
        (200_000, 25_000_000, "slower"),
        (25_000_000, 26_000_000, "cannot tell"),
    ],
)
def test_paced_frames_that_are_never_answered_count(bundles: Bundles, base_ns: int, head_ns: int, word: str) -> None:
    pair = only(bundles, constant(base_ns), constant(head_ns), Plan(PacedTimer(), rounds=17, criteria=CRITERIA))
    assert pair.word == word
    p50, p99 = pair.lines
    if word == "cannot tell":
        assert p50.reason == p99.reason == "neither answers before the next frame is due; choose a lower rate"
    elif head_ns < 10_000_000:
        assert p50.ratio == pytest.approx(head_ns / base_ns)
        assert p99.effect == word


def test_too_few_calls_for_p99_refuse_it(bundles: Bundles) -> None:
    pair = only(bundles, constant(200_000), constant(200_000), Plan(PacedTimer(), criteria=CRITERIA))
    assert pair.word == "same"
    assert pair.lines[1].reason == "400 samples, at least 662 are needed"


def test_other_tensors_are_refused_and_other_models_allowed(
    bundles: Bundles,
) -> None:
    base, head = bundles
    renamed = edit_manifest(head, lambda manifest: manifest["model"].update(name="vae-fr2"))
    backend = TwoSpeeds(base, constant(100_000), constant(100_000))
    assert run((base, renamed), backend).notes == ("the models differ: vqvae-fr1 and vae-fr2",)
    other = edit_manifest(head, lambda manifest: manifest["graphs"]["encoder"]["outputs"][0].update(shape=[9]))
    with pytest.raises(BundleError, match=r"head.daenr: graph encoder has the tensors .*\(9,\), and BASE's has"):
        run((base, other), backend, graph="encoder")


def test_without_a_name_the_graph_of_a_rig_is_compared(bundles: Bundles, tmp_path: Path) -> None:
    backend = TwoSpeeds(bundles[0], constant(100_000), constant(100_000))
    assert run(bundles, backend, graph=None).pairs[0].graph == "responses"
    for name, graph in (("a", "encoder"), ("b", "readout")):
        make_timed_bundle(tmp_path / name / "base.daenr", graphs=[graph])
    encoder, readout = tmp_path / "a" / "base.daenr", tmp_path / "b" / "base.daenr"
    encoders = (encoder, shutil.copytree(encoder, tmp_path / "a" / "head.daenr"))
    assert run(encoders, TwoSpeeds(encoder, constant(1000), constant(1000)), graph=None).pairs[0].graph == "encoder"
    with pytest.raises(BundleError, match=r"has no graph that BASE has \(encoder\)"):
        compare(encoder, readout)


def test_a_bundle_beside_a_result_is_refused(bundles: Bundles, tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text("{}")
    with pytest.raises(DaenrError, match=r"results\.json: is a result and .*base\.daenr is a bundle; give two bundles"):
        compare(bundles[0], tmp_path / "results.json")
    with pytest.raises(DaenrError, match=r"absent\.daenr: does not exist"):
        compare(bundles[0], tmp_path / "absent.daenr")


def test_fewer_than_five_rounds_are_refused() -> None:
    with pytest.raises(SpecError, match="rounds: is 4; take at least 5"):
        Plan(rounds=4)


def test_a_bundle_that_takes_no_single_images_cannot_be_compared(tmp_path: Path) -> None:
    base = make_timed_bundle(tmp_path / "base.daenr", graphs=["responses"], batch=BatchRange(2, 4, 8))
    head = shutil.copytree(base, tmp_path / "head.daenr")
    with pytest.raises(BackendUnavailableError, match="takes batches of 2 to 8"):
        run((base, head), TwoSpeeds(base, constant(1000), constant(1000), spoil_base=untouched))

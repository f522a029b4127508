"""The gate on a real engine: how often is it right, twenty times each? Measures time, so nothing may run beside it."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from bench_subject import make_subject
from slowed import SlowedBackend

from daenr_bench.comparison import Effect, Pair, Plan, compare
from daenr_bench.comparison.rounds import PacedTimer
from daenr_export.runtime import registry

pytestmark = [pytest.mark.alone, pytest.mark.slow]

RUNS = 20


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A cae-fr2 with random weights, twice."""
    pytest.importorskip("onnxruntime")
    folder = tmp_path_factory.mktemp("gate")
    base = make_subject(folder).bundle
    return base, shutil.copytree(base, folder / "head.daenr")


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, Effect.SAME), (0.15, Effect.SLOWER)], ids=["identical", "15 % slower"]
)
def test_at_least_nineteen_of_twenty_verdicts_are_right(
    bundles: tuple[Path, Path], share: float, expected: Effect, record_property: Callable[[str, object], None]
) -> None:
    base, head = bundles
    backend = SlowedBackend(registry.pick("onnxruntime"), head.name, share)
    pairs: list[Pair] = []
    for _ in range(RUNS):
        pairs += compare(base, head, graph="responses", backends=[backend]).pairs
    found = Counter(pair.word for pair in pairs)
    record_property("verdicts", dict(found))
    record_property("rounds", sorted(pair.rounds for pair in pairs))
    record_property("ratios", sorted(round(pair.lines[0].ratio or 0, 3) for pair in pairs))
    assert found[expected.value] >= RUNS - 1


def test_a_paced_loop_finds_the_slower_engine_too(bundles: tuple[Path, Path]) -> None:
    base, head = bundles
    backend = SlowedBackend(registry.pick("onnxruntime"), head.name, 0.5)
    (pair,) = compare(base, head, graph="responses", backends=[backend], plan=Plan(PacedTimer())).pairs
    assert pair.word == Effect.SLOWER.value

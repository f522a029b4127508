"""Two bundles that are equal, and an engine whose latency and answers in each of them a test decides."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from bench_factory import FakeBackend, FakeClock
from jsonschema import Draft202012Validator

from daenr_bench.comparison import Comparison, Criteria, Pair, Plan, compare
from daenr_bench.comparison.document import schema
from daenr_bench.comparison.rounds import BurstTimer
from daenr_common.errors import BackendUnavailableError
from daenr_export.runtime.protocol import GraphSource
from daenr_export.runtime.session import CallSession
from daenr_export.specs import Array

Latency = Callable[[int, int], int]
Spoil = Callable[[int, Array], Array]

CRITERIA = Criteria(margin=0.05, floor_ns=1000)
QUICK = BurstTimer(turns=4, calls=20, lead_in=1)


def constant(latency_ns: int) -> Latency:
    return lambda number, now_ns: latency_ns


def untouched(number: int, answer: Array) -> Array:
    return answer


class TwoSpeeds:
    """A backend that is one engine for `base.daenr` and another for `head.daenr`, on one clock.

    Args:
        bundle: whose golden answers both give.
        base: latency in nanoseconds of BASE's calls, from their number and the time.
        head: the same of HEAD.
        spoil_base: makes other answers of BASE's right ones.
        spoil_head: the same of HEAD.
        lacks: names of the bundles that hold nothing for it.
    """

    def __init__(
        self,
        bundle: Path,
        base: Latency,
        head: Latency,
        *,
        spoil_base: Spoil = untouched,
        spoil_head: Spoil = untouched,
        lacks: tuple[str, ...] = (),
        name: str = "fake",
    ) -> None:
        self.name = name
        self.clock = FakeClock()
        self.opened: list[str] = []
        self._lacks = lacks
        self.engines = {
            "base.daenr.cache": FakeBackend(bundle, self.clock, base, spoil=spoil_base),
            "head.daenr.cache": FakeBackend(bundle, self.clock, head, spoil=spoil_head),
        }

    def why_unavailable(self) -> str | None:
        return None

    def open(self, graph: GraphSource) -> CallSession:
        assert graph.cache_folder is not None
        key = graph.cache_folder.name
        if key.removesuffix(".cache") in self._lacks:
            raise BackendUnavailableError(key.removesuffix(".cache"), "holds no engine", "export one")
        self.opened.append(key[:4])
        return self.engines[key].open(graph)


def run(bundles: tuple[Path, Path], backend: TwoSpeeds, plan: Plan | None = None, **options: object) -> Comparison:
    plan = plan or Plan(QUICK, criteria=CRITERIA)
    given = {"backends": [backend], "graph": "responses", **options}
    return checked(compare(*bundles, plan=plan, clock=backend.clock, **given))  # type: ignore[arg-type]


def only(bundles: tuple[Path, Path], base: Latency, head: Latency, plan: Plan | None = None, **options: Spoil) -> Pair:
    """The one pair of two engines."""
    (pair,) = run(bundles, TwoSpeeds(bundles[0], base, head, **options), plan).pairs  # type: ignore[arg-type]
    return pair


def checked(comparison: Comparison) -> Comparison:
    """A comparison whose JSON fits the schema."""
    document = json.loads(comparison.json_text())
    assert [error.message for error in Draft202012Validator(schema()).iter_errors(document)] == []
    return comparison

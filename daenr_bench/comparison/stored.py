"""BASE and HEAD as results that were measured before: only what they hold, and only if it was measured alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from daenr_bench.comparison.document import Comparison, Pair, Side, State
from daenr_bench.comparison.effect import Criteria
from daenr_bench.comparison.looks import MAY_BE_WRONG
from daenr_bench.comparison.race import SIDES
from daenr_bench.comparison.stored_samples import samples_of
from daenr_bench.machine import differences
from daenr_bench.measurement import Measurement
from daenr_bench.measurement import State as Measured
from daenr_bench.result import Result, Skip
from daenr_bench.run import RIG_GRAPH
from daenr_common.errors import DaenrError
from daenr_common.files import read_text
from daenr_common.verdict import Verdict

_DECIDE_NO_LATENCY = {"rounds", "calls_per_round", "frames_per_round", "deadline_ns"}

APART = (
    "measured at different times: what the machine itself was doing is in the difference, and may be far more than the "
    "interval says; to be sure, compare the bundles, which are then measured together"
)


def read_result(path: Path) -> Result:
    """A result from its file.

    Raises:
        DaenrError: it cannot be read, or is no result.
    """
    return Result.from_json(read_text(path, "give a file that daenr-bench run wrote"), source=path)


def compare_results(
    base: Path, head: Path, *, graph: str | None, backends: Sequence[str] | None, scenario: str, criteria: Criteria
) -> Comparison:
    """Compare what two results hold. Raises as `daenr_bench.comparison.compare` does."""
    paths, results = (base, head), (read_result(base), read_result(head))
    graph = graph or _rig_graph(results)
    known = [_backends(result, graph, scenario, with_peers=backends is not None) for result in results]
    wanted = list(dict.fromkeys(backends)) if backends is not None else known[0]
    for path, has in zip(paths, known, strict=True):
        missing = next((name for name in wanted if name not in has), None) if backends is not None else None
        if missing is not None or not has:
            on = f" on {missing}" if missing else ""
            problem = f"holds no {scenario} of the graph {graph}{on}, but on {', '.join(has) or 'no backend'}"
            raise DaenrError(path, problem, "choose what both hold, or run it again")
    differences = tuple(_differences(*results, scenario))
    confidence = 1 - MAY_BE_WRONG / max(len(wanted), 1)
    pairs = [
        Pair(graph, name, State.NOT_COMPARED.value, problems=(f"HEAD holds no {scenario} of it",))
        if name not in known[1]
        else _Stored(paths, results, graph, name, scenario).pair(differences, criteria, confidence)
        for name in wanted
    ]
    return Comparison(
        base=_side(results[0], base),
        head=_side(results[1], head),
        measured="apart",
        scenario=scenario,
        timing_boundary=_boundary(results[1], scenario),
        settings={"margin": criteria.margin, "floor_ns": criteria.floor_ns, "confidence": confidence},
        complete=all(result.complete for result in results),
        pairs=tuple(pairs),
        skipped=tuple(Skip(name, graph, "BASE: holds nothing of it") for name in known[1] if name not in known[0]),
        notes=tuple(_notes(*results)),
        machine=results[1].machine,
        packages=results[1].packages,
    )


class _Stored:
    """A graph on a backend in two results."""

    def __init__(
        self, paths: tuple[Path, Path], results: tuple[Result, Result], graph: str, backend: str, scenario: str
    ) -> None:
        self._paths, self._results = paths, results
        self._key = (graph, backend, scenario)

    def pair(self, differences: tuple[str, ...], criteria: Criteria, confidence: float) -> Pair:
        """Accuracy first; then what stands against comparing; then speed."""
        graph, backend, _ = self._key
        wrong = tuple(self._wrong())
        if wrong:
            return Pair(graph, backend, State.WRONG.value, problems=wrong)
        base, head = (_find(result, *self._key) for result in self._results)
        died = self._died(head, 1) or self._died(base, 0)
        if died is not None:
            return died
        if base is None or head is None or base.latency is None or head.latency is None:
            return Pair(graph, backend, State.NOT_COMPARED.value, problems=("one of them has no figure",))
        if differences or base.timing_boundary != head.timing_boundary:
            found = differences or ("what is timed is not the same: the results are of different versions of daenr",)
            return Pair(graph, backend, State.NOT_COMPARED.value, problems=found)
        samples, tail = samples_of(self._paths, self._results, (base, head))
        base_ns, head_ns = samples.medians()
        return Pair(
            graph,
            backend,
            State.COMPARED.value,
            complete=base.complete and head.complete,
            rounds=samples.rounds,
            calls=min(base.latency.n, head.latency.n),
            answers_compared=base.timed_answers_compared + head.timed_answers_compared,
            lines=samples.lines(criteria, confidence, tail=tail),
            base_p50_ns=tuple(base_ns.tolist()),
            head_p50_ns=tuple(head_ns.tolist()),
        )

    def _wrong(self) -> Iterator[str]:
        graph, backend, _ = self._key
        for side, result in zip(SIDES, self._results, strict=True):
            for accuracy in result.accuracy:
                if (accuracy.graph, accuracy.backend) == (graph, backend) and Verdict(accuracy.verdict) is Verdict.FAIL:
                    yield from (f"{side}: {problem}" for problem in accuracy.problems)
            measurement = _find(result, *self._key)
            if measurement is not None and Measured(measurement.state) is Measured.FAIL:
                yield from (f"{side}: {problem}" for problem in measurement.problems)

    def _died(self, measurement: Measurement | None, side: int) -> Pair | None:
        if measurement is None or Measured(measurement.state) is not Measured.FAULT:
            return None
        state = (State.BASE_FAULT, State.HEAD_FAULT)[side]
        problems = tuple(f"{SIDES[side]}: {problem}" for problem in measurement.problems)
        return Pair(measurement.graph, measurement.backend, state.value, complete=False, problems=problems)


def _rig_graph(results: tuple[Result, Result]) -> str:
    graphs = [accuracy.graph for accuracy in results[0].accuracy]
    common = [name for name in graphs if name in {accuracy.graph for accuracy in results[1].accuracy}]
    return RIG_GRAPH if RIG_GRAPH in common or not common else common[0]


def _backends(result: Result, graph: str, scenario: str, *, with_peers: bool) -> list[str]:
    """Those that were measured, or were not because they answer wrongly. A peer's speed is not the bundle's."""
    measured = [m.backend for m in result.measurements if (m.graph, m.scenario) == (graph, scenario)]
    wrong = [a.backend for a in result.accuracy if a.graph == graph and Verdict(a.verdict) is Verdict.FAIL]
    left_out = frozenset() if with_peers else result.peers
    return [name for name in dict.fromkeys([*measured, *wrong]) if name not in left_out]


def _find(result: Result, graph: str, backend: str, scenario: str) -> Measurement | None:
    wanted = (graph, backend, scenario)
    return next((m for m in result.measurements if (m.graph, m.backend, m.scenario) == wanted), None)


def _boundary(result: Result, scenario: str) -> str:
    return next((m.timing_boundary for m in result.measurements if m.scenario == scenario), "")


def _differences(base: Result, head: Result, scenario: str) -> Iterator[str]:
    """What makes figures of two results incomparable."""
    yield from differences(base.machine, head.machine, ("in BASE", "in HEAD"))
    settings = [result.settings.scenarios.get(scenario, {}) for result in (base, head)]
    for name in sorted({*settings[0], *settings[1]} - _DECIDE_NO_LATENCY):
        if settings[0].get(name) != settings[1].get(name):
            yield f"other settings: {name} is {settings[0].get(name)} in BASE and {settings[1].get(name)} in HEAD"


def _notes(base: Result, head: Result) -> Iterator[str]:
    yield APART
    if base.bundle.model != head.bundle.model:
        yield f"the models differ: {base.bundle.model} and {head.bundle.model}"
    if base.machine.python != head.machine.python:
        yield f"Python differs: {base.machine.python} and {head.machine.python}"
    for name in sorted({*base.packages, *head.packages}):
        versions = [result.packages.get(name, "not installed") for result in (base, head)]
        if versions[0] != versions[1]:
            yield f"{name} differs: {versions[0]} and {versions[1]}"


def _side(result: Result, path: Path) -> Side:
    bundle = result.bundle
    return Side(path.name, bundle.model, bundle.manifest_sha256, bundle.checkpoint_sha256, result.started_at)

"""Does a bundle still do what its checkpoint did? Every graph, on every backend that runs here. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from daenr_common.errors import BackendUnavailableError
from daenr_common.verdict import Check, Verdict
from daenr_export.bundle import Bundle
from daenr_export.bundle.golden import Golden
from daenr_export.graphs.names import cuts_of, in_order
from daenr_export.native.targets import native_target
from daenr_export.runtime import registry
from daenr_export.runtime.backends import native
from daenr_export.runtime.protocol import Backend
from daenr_export.runtime.registry import BackendStatus
from daenr_export.tensorrt.inspection import inspect_engine
from daenr_export.verification import reference_backend
from daenr_export.verification.parity import from_manifest, widened
from daenr_export.verification.reference_backend import ReferenceBackend
from daenr_export.verification.runs import ALL, FEW, OnnxGraph, Run, Witness, run_graph
from daenr_train.spec import ModelSpec

SCHEMA_VERSION = 1

Progress = Callable[[str], None]


@dataclass(frozen=True)
class VerifyReport:
    """What was found out about a bundle.

    Attributes:
        bundle: its path.
        manifest_sha256: which bundle that was.
        model: name of the model.
        graphs: what the bundle holds.
        runs: every graph that was run, with what was measured.
        checks: what was checked beside that: the files, the set of graphs, the engines, backends that cannot run.
    """

    bundle: str
    manifest_sha256: str
    model: str
    graphs: tuple[str, ...]
    runs: tuple[Run, ...]
    checks: tuple[Check, ...]

    @property
    def verdict(self) -> Verdict:
        """FAIL if anything failed, PASS if every graph was run, else CANNOT_TELL.

        Whole files and well-formed engines prove nothing about answers, so they alone are never a pass.
        """
        verdicts = {*(check.verdict for check in self.checks), *(run.verdict for run in self.runs)}
        if Verdict.FAIL in verdicts:
            return Verdict.FAIL
        was_run = {run.graph for run in self.runs}
        return Verdict.PASS if self.graphs and was_run.issuperset(self.graphs) else Verdict.CANNOT_TELL

    def to_json(self) -> dict[str, Any]:
        """Plain values; `schema_version` tells their layout."""
        return {
            "schema_version": SCHEMA_VERSION,
            "bundle": self.bundle,
            "manifest_sha256": self.manifest_sha256,
            "model": self.model,
            "graphs": list(self.graphs),
            "verdict": self.verdict.value,
            "runs": [run.to_json() for run in self.runs],
            "checks": [{**asdict(check), "verdict": check.verdict.value} for check in self.checks],
        }

    def json_text(self) -> str:
        """The report as a JSON document."""
        return json.dumps(self.to_json(), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def verify(
    path: Path | str, backends: Sequence[str] | None = None, *, progress: Progress = lambda _: None
) -> VerifyReport:
    """Check a bundle: its bytes, its graphs against the golden file on each backend, its engines.

    Every graph answers all golden inputs at the smallest three batch sizes, the one it is tuned for and the largest.

    Args:
        path: the bundle.
        backends: names of `daenr_export.backends()` or `onnx-reference`; None for all that can run here. A backend
            that is named must run.
        progress: is told what is going on, a line at a time.

    Raises:
        BundleError: the bundle is missing, incomplete, edited or of another schema version.
        BackendUnavailableError: a backend was named and cannot run here, or has nothing to run in this bundle.
    """
    bundle = Bundle.open(path)
    runs: list[Run] = []
    checks = [_files(bundle), _graphs(bundle), _tolerances(bundle)]
    for status in _statuses() if backends is None else [BackendStatus(name, True) for name in dict.fromkeys(backends)]:
        if not status.available:
            reason = status.reason.removeprefix(f"{status.name}: ")
            checks.append(Check(status.name, Verdict.CANNOT_TELL, reason))
            continue
        progress(f"verifying on {status.name}")
        found, not_run = _Runner(bundle, _pick(status.name), must_run=backends is not None).run_all()
        runs += found
        checks += not_run
    checks += [*_engines(bundle, backends), *_natives(bundle, backends)]
    manifest = bundle.manifest
    return VerifyReport(
        bundle=str(bundle.path),
        manifest_sha256=manifest.sha256,
        model=manifest.model.name,
        graphs=tuple(in_order(manifest.graphs)),
        runs=tuple(runs),
        checks=tuple(checks),
    )


def _statuses() -> list[BackendStatus]:
    reason = ReferenceBackend().why_unavailable()
    return [*registry.backends(), BackendStatus(reference_backend.NAME, reason is None, reason or "")]


def _pick(name: str) -> Backend:
    if name != reference_backend.NAME:
        return registry.pick(name)
    backend = ReferenceBackend()
    if reason := backend.why_unavailable():
        raise BackendUnavailableError(f"backend {name}", f"cannot run here: {reason}", "or choose another backend")
    return backend


def _files(bundle: Bundle) -> Check:
    # Bundle.open reads and hashes every file, and refuses the bundle if one differs.
    return Check("files", Verdict.PASS, f"{len(bundle.manifest.files)} files match their sha256")


def _graphs(bundle: Bundle) -> Check:
    """Whether the bundle has all graphs of its model; what is not there cannot be found wrong by running it."""
    manifest = bundle.manifest
    expected = set(cuts_of(ModelSpec.from_json(manifest.model.spec)))
    if missing := sorted(expected - set(manifest.graphs)):
        return Check("graphs", Verdict.FAIL, f"missing for a {manifest.model.name}: {', '.join(missing)}")
    return Check("graphs", Verdict.PASS, f"all {len(expected)} that a {manifest.model.name} has")


def _tolerances(bundle: Bundle) -> Check:
    """Whether the manifest asks for no less than this daenr would: whoever edits one can seal it anew."""
    manifest = bundle.manifest
    if wide := [
        words for precision in sorted(manifest.precisions) for words in widened(manifest.tolerances, precision)
    ]:
        return Check("tolerances", Verdict.FAIL, f"wider than daenr's own: {'; '.join(wide)}")
    return Check("tolerances", Verdict.PASS, "none is wider than daenr's own")


def _engines(bundle: Bundle, backends: Sequence[str] | None) -> list[Check]:
    """What can be found out about engines without running them; for named backends, about theirs."""
    manifest = bundle.manifest
    engines = [engine for engine in manifest.engines if backends is None or engine.flavour in backends]
    checks = []
    for flavour in dict.fromkeys(engine.flavour for engine in engines):
        have = {engine.graph for engine in engines if engine.flavour == flavour}
        if missing := sorted(set(manifest.graphs) - have):
            checks.append(Check(f"{flavour} engines", Verdict.FAIL, f"none for the graphs {', '.join(missing)}"))
    for engine in engines:
        if engine.precision_requested != engine.precision_actual:
            reason = f"computes in {engine.precision_actual}, and {engine.precision_requested} was asked for"
            checks.append(Check(f"{engine.file}: request", Verdict.FAIL, reason))
        graph = bundle.graph(engine.graph)
        # TF32 is a setting of the builder, everything else a type in the graph.
        variant = graph.onnx("fp32" if engine.precision_actual == "tf32" else engine.precision_actual)
        checks += inspect_engine(bundle.read(engine.file), variant, engine, graph.spec)
    return checks


def _natives(bundle: Bundle, backends: Sequence[str] | None) -> list[Check]:
    """What can be found out about compiled C without running it: whether a target has all graphs, what is foreign."""
    natives = bundle.manifest.natives if backends is None or native.NAME in backends else ()
    checks = []
    for target in dict.fromkeys(entry.target for entry in natives):
        have = {entry.graph for entry in natives if entry.target == target}
        if missing := sorted(set(bundle.manifest.graphs) - have):
            checks.append(Check(f"native {target}", Verdict.FAIL, f"none for the graphs {', '.join(missing)}"))
        elif target != native_target():
            reason = f"{len(have)} libraries are for another kind of machine than this {native_target()}"
            checks.append(Check(f"native {target}", Verdict.CANNOT_TELL, reason))
    return checks


class _Runner:
    """Runs the graphs of a bundle on one backend; one that must run them raises where it cannot."""

    def __init__(self, bundle: Bundle, backend: Backend, *, must_run: bool) -> None:
        self._bundle = bundle
        self._backend = backend
        self._must_run = must_run
        self._golden = Golden(bundle.golden(), bundle.path / bundle.manifest.golden.file)
        self._is_reference = backend.name == reference_backend.NAME

    def run_all(self) -> tuple[list[Run], list[Check]]:
        """Run every graph; for those that the backend does not open, say why."""
        runs: list[Run] = []
        not_run: list[Check] = []
        for name in in_order(self._bundle.manifest.graphs):
            try:
                runs += self._run(name)
            except BackendUnavailableError as error:
                if self._must_run:
                    raise
                verdict = Verdict.FAIL if isinstance(error, native.WrongAnswersError) else Verdict.CANNOT_TELL
                not_run.append(Check(f"{self._backend.name} / {name}", verdict, str(error)))
        if runs or not not_run or any(check.verdict is Verdict.FAIL for check in not_run):
            return runs, not_run
        return runs, [Check(self._backend.name, Verdict.CANNOT_TELL, not_run[0].reason)]

    def _run(self, name: str) -> Iterator[Run]:
        manifest, graph = self._bundle.manifest, self._bundle.graph(name)
        witness = Witness(graph, manifest)
        yield from self._compare(witness)
        # A backend of ONNX graphs can answer for the typed variants, too, which engines are built from; but not the
        # reference: it sums float16 in float16, which no engine does.
        if not witness.gave_compiled and not self._is_reference:
            for precision in manifest.graphs[name].variants:
                yield from self._compare(OnnxGraph(graph.spec, graph.onnx(precision), precision))

    def _compare(self, graph: Witness | OnnxGraph) -> list[Run]:
        tolerance_of = partial(from_manifest, self._bundle.manifest.tolerances)
        return run_graph(self._backend, graph, self._golden, tolerance_of, FEW if self._is_reference else ALL)

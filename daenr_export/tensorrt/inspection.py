"""Checks of an engine, as far as the machine at hand allows: its source everywhere, the engine itself on a GPU."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import final

from daenr_common.errors import BackendUnavailableError, ExportError
from daenr_common.verdict import Check, Verdict
from daenr_export.bundle.manifest import EngineEntry
from daenr_export.specs import GraphSpec
from daenr_export.tensorrt.flavour import FLAVOURS, Flavour
from daenr_export.tensorrt.gpu import compute_capability, why_no_gpu
from daenr_export.tensorrt.messages import collecting_logger
from daenr_export.tensorrt.network import ParsedGraph, differences, parse, precision_of
from daenr_export.tensorrt.plan import MALFORMED, PlanRefusedError, open_plan
from daenr_export.tensorrt.reproduction import reproduce


def inspect_engine(plan: bytes, onnx: bytes, record: EngineEntry, graph: GraphSpec) -> list[Check]:
    """Check an engine against its ONNX source and what the manifest says about it.

    Args:
        plan: the serialised engine, its hash checked.
        onnx: the graph that it was built from, in the precision that was requested.
        record: what the manifest says about the engine.
        graph: input, outputs and batch range.

    Returns:
        One check for each of: version, source, tensors, precision, reproduction, deserialisation. What cannot be found
        out on this machine is *cannot tell*, with the reason; what follows from a failed check is left out.
    """
    try:
        trt = FLAVOURS[record.flavour].load("checking engines")
    except BackendUnavailableError as error:
        return [Check(f"{record.file}: version", Verdict.CANNOT_TELL, str(error))]
    return list(_Inspection(trt, FLAVOURS[record.flavour], plan, onnx, record, graph).checks())


@final
@dataclass(frozen=True)
class _Inspection:
    trt: ModuleType
    flavour: Flavour
    plan: bytes
    onnx: bytes
    record: EngineEntry
    graph: GraphSpec

    def checks(self) -> Iterator[Check]:
        version = self._version()
        yield version
        try:
            parsed = parse(self.trt, self.onnx, self.graph)
        except ExportError as error:
            yield self._check("source", Verdict.FAIL, str(error))
            return
        yield self._check("source", Verdict.PASS, f"TensorRT {self.trt.__version__} takes the ONNX graph")
        yield self._tensors(parsed)
        yield self._precision(parsed)
        if version.verdict is Verdict.PASS:
            yield self._reproduction()
            yield self._deserialisation()

    def _check(self, aspect: str, verdict: Verdict, reason: str) -> Check:
        return Check(f"{self.record.file}: {aspect}", verdict, reason)

    def _version(self) -> Check:
        needed, here = self.record.tensorrt_version, self.trt.__version__
        if needed == here:
            return self._check("version", Verdict.PASS, f"built with {self.flavour.title} {needed}, which is installed")
        reason = f"built with {self.flavour.title} {needed}, and {here} is installed, which does not read it"
        return self._check("version", Verdict.CANNOT_TELL, reason)

    def _tensors(self, parsed: ParsedGraph) -> Check:
        if wrong := differences(parsed, self.graph):
            return self._check("tensors", Verdict.FAIL, f"the source has {'; '.join(wrong)}")
        return self._check("tensors", Verdict.PASS, "the source has the inputs and outputs of the manifest")

    def _precision(self, parsed: ParsedGraph) -> Check:
        said, found = self.record.precision_actual, precision_of(parsed, tf32=self.record.precision_requested == "tf32")
        if said == found:
            return self._check("precision", Verdict.PASS, f"the source computes in {found}, as the manifest says")
        return self._check("precision", Verdict.FAIL, f"the manifest says {said}, and the source computes in {found}")

    def _reproduction(self) -> Check:
        try:
            verdict, reason = reproduce(self.plan, self.onnx, self.record, self.graph)
        except ExportError as error:
            verdict, reason = Verdict.FAIL, str(error)
        return self._check("reproduction", verdict, reason)

    def _deserialisation(self) -> Check:
        if reason := why_no_gpu():
            return self._check("deserialisation", Verdict.CANNOT_TELL, reason)
        try:
            open_plan(self.trt, collecting_logger(self.trt), self.plan, self.graph)
        except PlanRefusedError as error:
            return self._check("deserialisation", self._refusal(error), error.problem)
        except BackendUnavailableError as error:
            return self._check("deserialisation", Verdict.FAIL, error.problem)
        return self._check("deserialisation", Verdict.PASS, "opens on this GPU with the tensors of the manifest")

    def _refusal(self, error: PlanRefusedError) -> Verdict:
        """A plan that is damaged failed; a plan for another GPU says nothing about the plan."""
        if self.flavour.builds_without_gpu:
            return Verdict.FAIL if MALFORMED in error.diagnostics else Verdict.CANNOT_TELL
        here = compute_capability() in self.record.compute_capabilities
        return Verdict.FAIL if here else Verdict.CANNOT_TELL

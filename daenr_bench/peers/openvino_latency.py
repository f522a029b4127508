"""OpenVINO as its documentation recommends for latency, which is the hint and nothing else.

Settings: `PERFORMANCE_HINT: LATENCY`, after which OpenVINO itself decides on threads and streams; a request that is
used again, its inputs and outputs shared. `EXECUTION_MODE_HINT: ACCURACY`, the documented way to keep a model's own
precision: without it OpenVINO computes in bfloat16 on processors that have it, which is wrong by 2 % of the scale of
the responses. The backend `openvino` differs in that it keeps to one thread and to standing buffers.
Documentation:
https://docs.openvino.ai/2025/openvino-workflow/running-inference/optimize-inference/high-level-performance-hints.html,
https://docs.openvino.ai/2025/openvino-workflow/running-inference/optimize-inference/precision-control.html.
"""

from __future__ import annotations

from typing import Any, final

from daenr_bench.peers.contract import About
from daenr_common.errors import BackendUnavailableError
from daenr_common.extras import require
from daenr_export.runtime.availability import reason_of
from daenr_export.runtime.backends.openvino import core_of_the_process
from daenr_export.runtime.protocol import GraphSource
from daenr_export.runtime.session import CallSession
from daenr_export.specs import Array

HINTS = {"PERFORMANCE_HINT": "LATENCY", "EXECUTION_MODE_HINT": "ACCURACY"}

_ABOUT = About(
    f"compile_model with {', '.join(f'{key}={value}' for key, value in HINTS.items())}; request.infer, shared tensors",
    "https://docs.openvino.ai/2025/openvino-workflow/running-inference/optimize-inference/"
    "high-level-performance-hints.html",
)


@final
class OpenVinoLatency:
    """Opens graphs with OpenVINO's hint for latency (see `daenr_bench.peers.contract.Peer`)."""

    name = "openvino-latency"
    about = _ABOUT

    def __init__(self) -> None:
        self._threads: int | None = None

    @property
    def threads(self) -> int | None:
        """What OpenVINO decided on for the graph that was opened last."""
        return self._threads

    def why_unavailable(self) -> str | None:
        """None where OpenVINO is installed; otherwise what is missing."""
        try:
            self._library()
        except BackendUnavailableError as error:
            return reason_of(self.name, error)
        return None

    def open(self, graph: GraphSource) -> CallSession:
        """Open a graph.

        Raises:
            BackendUnavailableError: OpenVINO is missing, or it does not take the graph.
        """
        library, spec, content = self._library(), graph.spec, graph.onnx()
        try:
            core = core_of_the_process(library)
            compiled = core.compile_model(core.read_model(content), "CPU", HINTS)
            self._threads = int(compiled.get_property("INFERENCE_NUM_THREADS"))
        except Exception as error:
            problem = f"does not open the graph {spec.name} ({error})"
            raise BackendUnavailableError(self.name, problem, "leave it out") from error
        return CallSession(self.name, spec, _Request(compiled))

    def _library(self) -> Any:
        return require("openvino", extra="openvino", purpose=f"the peer {self.name}")


@final
class _Request:
    """One request, used again and again."""

    def __init__(self, compiled: Any) -> None:
        self._infer = compiled.create_infer_request().infer

    def __call__(self, batch: Array) -> tuple[Array, ...]:
        outputs: tuple[Array, ...] = self._infer(batch, share_inputs=True, share_outputs=False).to_tuple()
        return outputs

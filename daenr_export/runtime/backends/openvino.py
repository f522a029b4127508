"""OpenVINO: compiles the ONNX graph for the CPU that it finds."""

from __future__ import annotations

from functools import partial
from threading import Lock
from typing import Any, final

import numpy as np

from daenr_common.errors import BackendUnavailableError
from daenr_common.extras import require
from daenr_export.runtime.availability import reason_of
from daenr_export.runtime.protocol import Bound, GraphSource
from daenr_export.runtime.session import CallSession, check_names, empty_buffers
from daenr_export.specs import Array, GraphSpec

_CORES: list[Any] = []
_CORES_LOCK = Lock()


def core_of_the_process(library: Any) -> Any:
    """The one `openvino.Core` of this process, which lives as long as the process does.

    With the first core, OpenVINO gives the thread that makes it another stack for signals, and with the last core it
    unmaps that stack. It takes it back only from the thread that drops the core: where that is another one, the next
    signal that is handled, Ctrl-C for example, ends the process with a segmentation fault (seen with 2026.4).
    """
    with _CORES_LOCK:
        if not _CORES:
            _CORES.append(library.Core())
        return _CORES[0]


@final
class OpenVinoBackend:
    """Opens graphs with OpenVINO (see `daenr_export.runtime.protocol.Backend`).

    Args:
        threads: how many run one inference.
        precision: `f32`, or `bf16`/`f16` where the CPU has it. Left to itself OpenVINO picks bf16 on CPUs that have it,
            which is wrong by 2 % of the scale of the responses; so it is never left to itself.
        name: what this combination is called.
    """

    def __init__(self, *, threads: int = 1, precision: str = "f32", name: str = "openvino") -> None:
        self._threads = threads
        self._precision = precision
        self._name = name

    @property
    def name(self) -> str:
        """The name a user asks for."""
        return self._name

    @property
    def threads(self) -> int:
        """Of the processor, that run one inference."""
        return self._threads

    def why_unavailable(self) -> str | None:
        """None where OpenVINO is installed; otherwise what is missing."""
        try:
            self._library()
        except BackendUnavailableError as error:
            return reason_of(self._name, error)
        return None

    def open(self, graph: GraphSource) -> CallSession:
        """Open a graph.

        Raises:
            BackendUnavailableError: OpenVINO is missing, or it does not take the graph at this precision.
        """
        library, spec, content = self._library(), graph.spec, graph.onnx()
        try:
            core = core_of_the_process(library)
            compiled = core.compile_model(core.read_model(content), "CPU", self._options())
            actual = compiled.get_property("INFERENCE_PRECISION_HINT").to_string()
        except Exception as error:
            problem = f"does not open the graph {spec.name} ({error})"
            raise BackendUnavailableError(self._name, problem, "choose another backend") from error
        if actual != self._precision:
            problem = f"was asked for {self._precision} and would compute in {actual}"
            raise BackendUnavailableError(self._name, problem, "ask for a precision that this CPU has")
        inputs, outputs = [port.names for port in compiled.inputs], [port.names for port in compiled.outputs]
        check_names(self._name, spec, inputs, outputs)
        return CallSession(self._name, spec, _Request(library, compiled, spec), partial(_bind, library, compiled, spec))

    def _library(self) -> Any:
        return require("openvino", extra="openvino", purpose=f"the backend {self._name}")

    def _options(self) -> dict[str, Any]:
        return {
            "INFERENCE_PRECISION_HINT": self._precision,
            "INFERENCE_NUM_THREADS": self._threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": "1",
        }


def bf16() -> OpenVinoBackend:
    """The backend `openvino-bf16`: faster on CPUs that have bf16, and wrong by 2 % of the scale of the responses."""
    return OpenVinoBackend(precision="bf16", name="openvino-bf16")


def _bind(library: Any, compiled: Any, spec: GraphSpec, batch: int) -> Bound:
    source, outputs = empty_buffers(spec, batch)
    request = compiled.create_infer_request()
    request.set_input_tensor(library.Tensor(source, shared_memory=True))
    for index, output in enumerate(outputs):
        request.set_output_tensor(index, library.Tensor(output, shared_memory=True))
    return Bound(source, outputs, partial(request.infer, share_outputs=True))


@final
class _Request:
    """One request, used again and again, with an input buffer of its own for the batch size that was seen last.

    Copying the batch into a standing tensor is 10 µs faster than letting OpenVINO wrap a new array for each call, and
    it takes arrays that are read-only.
    """

    def __init__(self, library: Any, compiled: Any, spec: GraphSpec) -> None:
        self._tensor_of = library.Tensor
        self._infer = compiled.create_infer_request().infer
        self._input = spec.input
        self._hold(spec.batch.opt)

    def __call__(self, batch: Array) -> tuple[Array, ...]:
        if batch.shape != self._buffer.shape:
            self._hold(len(batch))
        np.copyto(self._buffer, batch, casting="no")
        outputs: tuple[Array, ...] = self._infer(self._tensor, share_outputs=False).to_tuple()
        return outputs

    def _hold(self, size: int) -> None:
        self._buffer = np.empty((size, *self._input.shape), self._input.numpy_dtype)
        self._tensor = self._tensor_of(self._buffer, shared_memory=True)

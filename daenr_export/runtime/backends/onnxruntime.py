"""onnxruntime: runs the ONNX graph as it is, on the CPU by default."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, final

from daenr_common.errors import BackendUnavailableError
from daenr_common.extras import require
from daenr_export.runtime.protocol import Bound, GraphSource
from daenr_export.runtime.session import CallSession, check_names, empty_buffers
from daenr_export.specs import Array, GraphSpec

CPU = "CPUExecutionProvider"
_FATAL_ONLY = 4  # every error also comes as an exception, and a rig's terminal is not the place to read it twice


@final
class OnnxRuntimeBackend:
    """Opens graphs with onnxruntime (see `daenr_export.runtime.protocol.Backend`).

    One thread that sleeps between answers is the default: on a graph this small a second one costs more than it
    brings, and threads that spin take a core away from the rest of the rig.

    Args:
        threads: how many run one operator.
        spinning: whether idle threads keep their core busy.
        provider: the execution provider. It is the one that runs, or opening a graph is an error.
        provider_options: its options, as onnxruntime names them.
        name: what this combination is called.
    """

    def __init__(
        self,
        *,
        threads: int = 1,
        spinning: bool = False,
        provider: str = CPU,
        provider_options: Mapping[str, Any] | None = None,
        name: str = "onnxruntime",
    ) -> None:
        self._threads = threads
        self._spinning = spinning
        self._provider = provider
        self._provider_options = dict(provider_options or {})
        self._name = name

    @property
    def name(self) -> str:
        """The name a user asks for."""
        return self._name

    def why_unavailable(self) -> str | None:
        """None where onnxruntime is installed and has the provider; otherwise what is missing."""
        try:
            self._library()
        except BackendUnavailableError as error:
            return str(error)
        return None

    def open(self, graph: GraphSource) -> CallSession:
        """Open a graph.

        Raises:
            BackendUnavailableError: onnxruntime or the provider is missing, or it does not take the graph.
        """
        library, spec = self._library(), graph.spec
        providers = [(self._provider, self._provider_options)]
        try:
            # enable_fallback=0: otherwise a provider that fails is silently replaced by the CPU.
            session = library.InferenceSession(graph.onnx(), self._options(library), providers, enable_fallback=0)
        except Exception as error:
            problem = f"does not open the graph {spec.name} ({error})"
            raise BackendUnavailableError(self._name, problem, "choose another backend") from error
        _check_provider(session, self._provider)
        inputs, outputs = session.get_inputs(), session.get_outputs()
        check_names(self._name, spec, [{tensor.name} for tensor in inputs], [{tensor.name} for tensor in outputs])
        run, names, source = session.run, [output.name for output in spec.outputs], spec.input.name

        def answer(batch: Array) -> tuple[Array, ...]:
            return tuple(run(names, {source: batch}))

        return CallSession(self._name, spec, answer, partial(_bind, session, spec))

    def _library(self) -> Any:
        library = require("onnxruntime", extra="cpu", purpose=f"the backend {self._name}")
        available = library.get_available_providers()
        if self._provider not in available:
            problem = f"this onnxruntime has no {self._provider}, only {', '.join(available)}"
            raise BackendUnavailableError(self._name, problem, "install the build of onnxruntime that has it")
        return library

    def _options(self, library: Any) -> Any:
        options = library.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL_ONLY
        for pool in ("intra", "inter"):
            options.add_session_config_entry(f"session.{pool}_op.allow_spinning", str(int(self._spinning)))
        return options


def _bind(session: Any, spec: GraphSpec, batch: int) -> Bound:
    source, outputs = empty_buffers(spec, batch)
    binding = session.io_binding()
    for bind, tensors, arrays in (
        (binding.bind_input, (spec.input,), (source,)),
        (binding.bind_output, spec.outputs, outputs),
    ):
        for tensor, array in zip(tensors, arrays, strict=True):
            bind(tensor.name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
    return Bound(source, outputs, partial(session.run_with_iobinding, binding))


def _check_provider(session: Any, wanted: str) -> None:
    active = session.get_providers()[0]
    if active != wanted:
        problem = f"was asked for and did not start: {active} would run instead"
        raise BackendUnavailableError(wanted, problem, "install its driver and libraries, or ask for another backend")

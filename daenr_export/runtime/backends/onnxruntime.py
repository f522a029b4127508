"""onnxruntime: runs the ONNX graph as it is, on the CPU or on a GPU."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, final

from daenr_common.errors import BackendUnavailableError
from daenr_export.runtime.availability import reason_of
from daenr_export.runtime.backends import onnxruntime_providers as providers
from daenr_export.runtime.backends.onnxruntime_binding import DeviceBindings, bind_on_host
from daenr_export.runtime.backends.onnxruntime_providers import Provider
from daenr_export.runtime.protocol import GraphSource
from daenr_export.runtime.session import CallSession, check_names
from daenr_export.specs import Array

_FATAL_ONLY = 4  # every error also comes as an exception, and a rig's terminal is not the place to read it twice


@final
class OnnxRuntimeBackend:
    """Opens graphs with onnxruntime (see `daenr_export.runtime.protocol.Backend`).

    One thread that sleeps between answers is the default: on a graph this small a second one costs more than it
    brings, and threads that spin take a core away from the rest of the rig.

    Args:
        threads: how many run one operator.
        spinning: whether idle threads keep their core busy.
        provider: what runs every node of the graph, or opening it is an error.
        provider_options: its options, as onnxruntime names them.
        cuda_graphs: launch the kernels of a batch size as one captured CUDA graph; memory of the GPU is then taken for
            each batch size that is answered.
    """

    def __init__(
        self,
        *,
        threads: int = 1,
        spinning: bool = False,
        provider: Provider = providers.CPU,
        provider_options: Mapping[str, Any] | None = None,
        cuda_graphs: bool = False,
    ) -> None:
        self._threads = threads
        self._spinning = spinning
        self._provider = provider
        self._provider_options = {**provider.options, **(provider_options or {})}
        self._captures = cuda_graphs
        if cuda_graphs:
            if provider.cuda_graphs is None:
                raise BackendUnavailableError(provider.backend, "has no CUDA graphs", "leave cuda_graphs out")
            self._provider_options[provider.cuda_graphs] = "1"

    @property
    def name(self) -> str:
        """The name a user asks for."""
        return self._provider.backend

    @property
    def threads(self) -> int:
        """Of the processor, that run one operator."""
        return self._threads

    def why_unavailable(self) -> str | None:
        """None where onnxruntime is installed and can start the provider; otherwise all that is missing."""
        try:
            providers.load(self._provider)
        except BackendUnavailableError as error:
            return reason_of(self.name, error)
        return None

    def open(self, graph: GraphSource) -> CallSession:
        """Open a graph.

        Raises:
            BackendUnavailableError: onnxruntime or the provider is missing, or it does not take all of the graph.
        """
        library, spec, content = providers.load(self._provider), graph.spec, graph.onnx()
        options = self._options(library)
        arguments = providers.add_to(options, library, self._provider, self._provider_options)
        try:
            # enable_fallback=0: otherwise a provider that fails is silently replaced by the CPU.
            session = library.InferenceSession(content, options, enable_fallback=0, **arguments)
        except Exception as error:
            problem = f"does not open the graph {spec.name} ({error})"
            raise BackendUnavailableError(self.name, problem, "choose another backend") from error
        self._check_provider(session)
        inputs, outputs = session.get_inputs(), session.get_outputs()
        check_names(self.name, spec, [{tensor.name} for tensor in inputs], [{tensor.name} for tensor in outputs])
        if self._captures:
            bindings = DeviceBindings(library, session, spec, self._provider.device)
            return CallSession(self.name, spec, bindings.answer, bindings.bind)
        run, names, source = session.run, [output.name for output in spec.outputs], spec.input.name

        def answer(batch: Array) -> tuple[Array, ...]:
            return tuple(run(names, {source: batch}))

        return CallSession(self.name, spec, answer, partial(bind_on_host, session, spec))

    def _options(self, library: Any) -> Any:
        options = library.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _FATAL_ONLY
        for pool in ("intra", "inter"):
            options.add_session_config_entry(f"session.{pool}_op.allow_spinning", str(int(self._spinning)))
        return options

    def _check_provider(self, session: Any) -> None:
        active = session.get_providers()[0]
        if active != self._provider.name:
            problem = f"{self._provider.name} was asked for and did not start: {active} would run instead"
            remedy = "install its driver and libraries, or ask for another backend"
            raise BackendUnavailableError(self.name, problem, remedy)


def cuda() -> OnnxRuntimeBackend:
    """The backend `onnxruntime-cuda`."""
    return OnnxRuntimeBackend(provider=providers.CUDA)


def tensorrt() -> OnnxRuntimeBackend:
    """The backend `onnxruntime-tensorrt`. It computes in what TensorRT chooses, which for float32 may be TF32."""
    return OnnxRuntimeBackend(provider=providers.TENSORRT)


def rtx() -> OnnxRuntimeBackend:
    """The backend `onnxruntime-rtx`: TensorRT-RTX as a plugin, which compiles the ONNX graph when it is opened."""
    return OnnxRuntimeBackend(provider=providers.RTX)

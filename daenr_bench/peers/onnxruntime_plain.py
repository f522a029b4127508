"""onnxruntime as most people call it: a default session, `run(None, {...})`, on the processor or on a GPU.

Settings: `InferenceSession` without options: as many threads as there are physical cores, which spin while they wait.
On CUDA TF32 is off, since otherwise the answers differ from the checkpoint's by more than float32 may. TensorRT as a
provider has no such option.
Documentation: https://onnxruntime.ai/docs/get-started/with-python.html and
https://onnxruntime.ai/docs/performance/tune-performance/threading.html, which says that the defaults are for fast
inference; https://onnxruntime.ai/docs/execution-providers/CUDA-ExecutionProvider.html,
https://onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, final

from daenr_bench.peers.contract import About
from daenr_bench.peers.native_threads import counting_threads
from daenr_common.errors import BackendUnavailableError
from daenr_export.runtime.availability import reason_of
from daenr_export.runtime.backends import onnxruntime_providers as providers
from daenr_export.runtime.backends.onnxruntime_providers import Provider
from daenr_export.runtime.protocol import GraphSource
from daenr_export.runtime.session import CallSession
from daenr_export.specs import Array


@final
class PlainOnnxRuntime:
    """Opens graphs without options (see `daenr_bench.peers.contract.Peer`).

    Args:
        name: of the peer.
        provider: that runs the graph.
        options: of the provider.
        documentation: address.
    """

    def __init__(self, name: str, provider: Provider, options: Mapping[str, str], documentation: str) -> None:
        self._name = name
        self._provider = provider
        self._options = options
        self._documentation = documentation
        self._threads: int | None = None

    @property
    def name(self) -> str:
        """The name a user asks for."""
        return self._name

    @property
    def about(self) -> About:
        """Settings and documentation."""
        chosen = "".join(f", {key}={value}" for key, value in self._options.items())
        settings = f"InferenceSession on {self._provider.name} with default options{chosen}; session.run(None, {{…}})"
        return About(settings, self._documentation)

    @property
    def threads(self) -> int | None:
        """As many as the session that was opened last started, and the caller's."""
        return self._threads

    def why_unavailable(self) -> str | None:
        """None where the provider can run; otherwise what is missing."""
        try:
            providers.load(self._provider)
        except BackendUnavailableError as error:
            return reason_of(self._provider.backend, error)
        return None

    def open(self, graph: GraphSource) -> CallSession:
        """Open a graph.

        Raises:
            BackendUnavailableError: onnxruntime or the provider is missing, or does not take the graph.
        """
        library, spec, content = providers.load(self._provider), graph.spec, graph.onnx()
        chosen = [(self._provider.name, dict(self._options))]
        try:
            session, self._threads = counting_threads(partial(library.InferenceSession, content, providers=chosen))
        except Exception as error:
            problem = f"does not open the graph {spec.name} ({error})"
            raise BackendUnavailableError(self._name, problem, "leave it out") from error
        if (active := session.get_providers()[0]) != self._provider.name:
            problem = f"{self._provider.name} did not start: {active} would run instead"
            raise BackendUnavailableError(self._name, problem, "install its driver and libraries, or leave it out")
        return CallSession(self._name, spec, _Plainly(session, spec.input.name))


@final
class _Plainly:
    """`session.run(None, {name: batch})`."""

    def __init__(self, session: Any, source: str) -> None:
        self._run = session.run
        self._source = source

    def __call__(self, batch: Array) -> tuple[Array, ...]:
        return tuple(self._run(None, {self._source: batch}))


_DOCS = "https://onnxruntime.ai/docs"


def cpu() -> PlainOnnxRuntime:
    """The peer `onnxruntime-default`."""
    return PlainOnnxRuntime("onnxruntime-default", providers.CPU, {}, f"{_DOCS}/get-started/with-python.html")


def cuda() -> PlainOnnxRuntime:
    """The peer `onnxruntime-cuda-default`."""
    documentation = f"{_DOCS}/execution-providers/CUDA-ExecutionProvider.html"
    return PlainOnnxRuntime("onnxruntime-cuda-default", providers.CUDA, {"use_tf32": "0"}, documentation)


def tensorrt() -> PlainOnnxRuntime:
    """The peer `onnxruntime-tensorrt-default`."""
    documentation = f"{_DOCS}/execution-providers/TensorRT-ExecutionProvider.html"
    return PlainOnnxRuntime("onnxruntime-tensorrt-default", providers.TENSORRT, {}, documentation)

"""TensorRT as `trtexec` runs it: the bundle's engine as one CUDA graph, waiting awake; here with the copies.

Settings: those of trtexec 11 by default (`--useCudaGraph`, `--useSpinWait`), and `--includeDataTransfers`, without
which it leaves out what a rig waits for. The device's own time, in the second column, is what trtexec prints. Waiting
awake is what the driver does by itself as long as there are fewer contexts than cores. TensorRT-RTX, whose tool is
`tensorrt_rtx`, captures CUDA graphs itself.
Documentation: https://github.com/NVIDIA/TensorRT/blob/main/samples/trtexec/README.md,
https://docs.nvidia.com/deeplearning/tensorrt/latest/performance/best-practices.html.
"""

from __future__ import annotations

from typing import final

from daenr_bench.peers.contract import About
from daenr_export.runtime.backends.tensorrt import TensorRtBackend, TensorRtRtxBackend
from daenr_export.runtime.protocol import Backend, GraphSource, Session

_ABOUT = About(
    "the bundle's engine as trtexec --useCudaGraph --useSpinWait --includeDataTransfers runs it, buffers page-locked",
    "https://docs.nvidia.com/deeplearning/tensorrt/latest/performance/best-practices.html",
)


@final
class Trtexec:
    """Opens engines with CUDA graphs (see `daenr_bench.peers.contract.Peer`).

    Args:
        name: of the peer.
        engines: the backend, set to capture CUDA graphs.
    """

    about = _ABOUT
    threads = None

    def __init__(self, name: str, engines: Backend) -> None:
        self._name = name
        self._engines = engines

    @property
    def name(self) -> str:
        """The name a user asks for."""
        return self._name

    def why_unavailable(self) -> str | None:
        """None where engines can run; otherwise all that is missing."""
        return self._engines.why_unavailable()

    def open(self, graph: GraphSource) -> Session:
        """Open the engine of a graph.

        Raises:
            BackendUnavailableError: something is missing here, or the bundle has no engine for this machine.
        """
        return self._engines.open(graph)


def enterprise() -> Trtexec:
    """The peer `trtexec`."""
    return Trtexec("trtexec", TensorRtBackend(cuda_graphs=True))


def rtx() -> Trtexec:
    """The peer `trtexec-rtx`."""
    return Trtexec("trtexec-rtx", TensorRtRtxBackend(cuda_graphs=True))

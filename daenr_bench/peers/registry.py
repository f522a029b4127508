"""The table of peers: a name, where it is made, and what it runs. A row here, a small file beside it."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path

from daenr_bench.peers.contract import Peer
from daenr_common.errors import BackendUnavailableError

TORCH = "torch"
"""PyTorch eager: what everything else is told in multiples of."""


@dataclass(frozen=True)
class Row:
    """A peer that is known.

    Attributes:
        target: module of this package and the function that makes the peer.
        runs_checkpoint: whether that function takes the checkpoint; else the peer runs what is in the bundle.
        all_graphs: whether it takes part on every graph; else on the one that a rig runs, unless others are named.
    """

    target: str
    runs_checkpoint: bool = False
    all_graphs: bool = False


PEERS: dict[str, Row] = {
    TORCH: Row("eager:eager", runs_checkpoint=True, all_graphs=True),
    "torch-compile": Row("compiled:on_cpu", runs_checkpoint=True),
    "torchscript": Row("torchscript:torchscript", runs_checkpoint=True),
    "onnxruntime-default": Row("onnxruntime_plain:cpu"),
    "openvino-latency": Row("openvino_latency:OpenVinoLatency"),
    "torch-compile-cuda": Row("compiled:on_gpu", runs_checkpoint=True),
    "torch-tensorrt": Row("torch_tensorrt:torch_tensorrt", runs_checkpoint=True),
    "onnxruntime-cuda-default": Row("onnxruntime_plain:cuda"),
    "onnxruntime-tensorrt-default": Row("onnxruntime_plain:tensorrt"),
    "trtexec": Row("trtexec:enterprise"),
    "trtexec-rtx": Row("trtexec:rtx"),
}
"""In the order in which they are measured and shown."""


def make(name: str, checkpoint: Path | None) -> Peer:
    """The peer of a name.

    Args:
        name: of `PEERS`.
        checkpoint: what the bundle was exported from.

    Raises:
        BackendUnavailableError: it runs a checkpoint, and there is none.
    """
    row = PEERS[name]
    module, _, function = row.target.partition(":")
    maker = getattr(importlib.import_module(f"{__package__}.{module}"), function)
    if row.runs_checkpoint and checkpoint is None:
        raise BackendUnavailableError(f"backend {name}", "runs a checkpoint, and none is given", "add --checkpoint")
    made: Peer = maker(checkpoint) if row.runs_checkpoint else maker()
    return made

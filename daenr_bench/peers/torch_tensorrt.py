"""Torch-TensorRT: the checkpoint compiled to TensorRT by PyTorch's own tool, on a GPU.

Settings: `torch_tensorrt.compile(ir="dynamo")` for batches of one, CUDA graphs; float32 without TF32, like the
bundle's engines.
Documentation: https://docs.pytorch.org/TensorRT/tutorials/runtime_opt/cuda_graphs.html, which recommends CUDA graphs
where launching is what takes time.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from daenr_bench.peers.contract import About
from daenr_bench.peers.pytorch import Recipe, Run, TorchPeer
from daenr_common.extras import require

if TYPE_CHECKING:
    from torch import Tensor

    from daenr_bench.peers.graph_module import GraphModule

NAME = "torch-tensorrt"
_MODULE, _EXTRA = "torch_tensorrt", "torch-tensorrt"


def _compile(module: GraphModule, example: Tensor) -> Run:
    import torch

    library = require(_MODULE, extra=_EXTRA, purpose=f"the peer {NAME}")
    with torch.inference_mode():
        compiled = library.compile(module, ir="dynamo", arg_inputs=[example], disable_tf32=True)
        # A context that lasts as long as what it gives, which is what is called.
        graphs: Any = library.runtime.enable_cudagraphs(compiled)
        captured: Any = graphs.__enter__()
        captured(example)

    def run(batch: Tensor, _context: Any = graphs) -> tuple[Tensor, ...]:
        outputs: tuple[Tensor, ...] = captured(batch)
        return outputs

    return run


TORCH_TENSORRT = Recipe(
    NAME,
    About(
        'torch_tensorrt.compile(ir="dynamo", disable_tf32=True), enable_cudagraphs, inference_mode',
        "https://docs.pytorch.org/TensorRT/tutorials/runtime_opt/cuda_graphs.html",
    ),
    prepare=_compile,
    device="cuda",
    single_images=True,
    package=(_MODULE, _EXTRA),
)


def torch_tensorrt(checkpoint: Path) -> TorchPeer:
    """The peer `torch-tensorrt`."""
    return TorchPeer(TORCH_TENSORRT, checkpoint)

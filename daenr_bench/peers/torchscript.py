"""TorchScript: traced, frozen, optimised for inference.

Settings: `torch.jit.trace` → `torch.jit.freeze` → `torch.jit.optimize_for_inference`, `torch.inference_mode()`, one
thread.
Documentation: https://docs.pytorch.org/docs/stable/generated/torch.jit.optimize_for_inference.html. PyTorch has
deprecated TorchScript; it is here because rigs run it.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daenr_bench.peers.contract import About
from daenr_bench.peers.pytorch import Recipe, Run, TorchPeer

if TYPE_CHECKING:
    from torch import Tensor

    from daenr_bench.peers.graph_module import GraphModule

_PROFILING_RUNS = 3
"""The executor looks at its first runs and then optimises."""


def _script(module: GraphModule, example: Tensor) -> Run:
    import torch

    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore", DeprecationWarning)
        jit: Any = torch.jit
        optimized = jit.optimize_for_inference(jit.freeze(jit.trace(module, example)))
    with torch.inference_mode():
        for _ in range(_PROFILING_RUNS):
            optimized(example)
    run: Run = optimized
    return run


TORCHSCRIPT = Recipe(
    "torchscript",
    About(
        "torch.jit.trace, freeze, optimize_for_inference; inference_mode",
        "https://docs.pytorch.org/docs/stable/generated/torch.jit.optimize_for_inference.html",
    ),
    prepare=_script,
)


def torchscript(checkpoint: Path) -> TorchPeer:
    """The peer `torchscript`."""
    return TorchPeer(TORCHSCRIPT, checkpoint)

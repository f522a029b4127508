"""PyTorch eager: what a checkpoint costs before it is exported. Every other figure is told in multiples of it.

Settings: `torch.inference_mode()`, module in eval mode, one thread, no compiler.
Documentation: https://docs.pytorch.org/docs/stable/notes/autograd.html#inference-mode, which recommends inference
mode for whatever needs no gradients, and https://docs.pytorch.org/tutorials/recipes/recipes/tuning_guide.html.
"""

from __future__ import annotations

from pathlib import Path

from daenr_bench.peers.contract import About
from daenr_bench.peers.pytorch import Recipe, TorchPeer
from daenr_bench.peers.registry import TORCH

EAGER = Recipe(
    TORCH,
    About(
        "the checkpoint's modules as they are, eval mode, inference_mode",
        "https://docs.pytorch.org/docs/stable/notes/autograd.html#inference-mode",
    ),
    prepare=lambda module, _: module,
)


def eager(checkpoint: Path) -> TorchPeer:
    """The peer `torch`."""
    return TorchPeer(EAGER, checkpoint)

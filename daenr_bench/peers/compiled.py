"""torch.compile, on the processor and on a GPU.

Settings: `mode="max-autotune"`, weights frozen (`freezing`), static shapes, `torch.inference_mode()`;
`fullgraph=True`, because a graph that breaks would run in eager here and there without saying so. On a GPU this mode
brings CUDA graphs.
Documentation: https://docs.pytorch.org/tutorials/unstable/max_autotune_on_CPU_tutorial.html, which asks for freezing
and for gradients to be off; https://docs.pytorch.org/docs/stable/generated/torch.compile.html. `reduce-overhead`, the
other mode for small batches, is CUDA graphs and nothing else, so that on the processor it does nothing.

Compiling takes half a minute for a graph, and seconds where PyTorch's own cache has it from an earlier run. It needs
a C++ compiler.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daenr_bench.peers.contract import About
from daenr_bench.peers.pytorch import Recipe, Run, TorchPeer

if TYPE_CHECKING:
    from torch import Tensor

    from daenr_bench.peers.graph_module import GraphModule

MODE = "max-autotune"

_DOCUMENTATION = "https://docs.pytorch.org/tutorials/unstable/max_autotune_on_CPU_tutorial.html"
_SETTINGS = f'torch.compile(mode="{MODE}", fullgraph=True, dynamic=False), weights frozen, inference_mode'


def _compile(module: GraphModule, example: Tensor) -> Run:
    import torch

    # A mode and options exclude each other, so the mode is given as the options that it stands for.
    options: Any = {**torch._inductor.list_mode_options(MODE), "freezing": True}
    compiler: Any = torch.compile
    compiled = compiler(module, fullgraph=True, dynamic=False, options=options, **_isolation(compiler))
    with torch.inference_mode():
        compiled(example)
    run: Run = compiled
    return run


def _isolation(compiler: Any) -> dict[str, bool]:
    """What keeps graphs apart that are instances of one class, where this PyTorch knows it.

    Otherwise each call looks through what was compiled for all of them, and the ninth is refused.
    """
    name = "isolate_recompiles"
    return {name: True} if name in inspect.signature(compiler).parameters else {}


def on_cpu(checkpoint: Path) -> TorchPeer:
    """The peer `torch-compile`."""
    about = About(_SETTINGS, _DOCUMENTATION)
    return TorchPeer(Recipe("torch-compile", about, _compile, single_images=True), checkpoint)


def on_gpu(checkpoint: Path) -> TorchPeer:
    """The peer `torch-compile-cuda`."""
    about = About(f"{_SETTINGS}, CUDA graphs", "https://docs.pytorch.org/docs/stable/generated/torch.compile.html")
    return TorchPeer(Recipe("torch-compile-cuda", about, _compile, device="cuda", single_images=True), checkpoint)

"""A graph of a bundle as a PyTorch module, made of the checkpoint's own parts. Imports torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from daenr_export.specs import GraphSpec
from daenr_train.checkpoint import Checkpoint
from daenr_train.models import inference_parts


class GraphModule(nn.Module):
    """From a graph's input to its outputs, through the parts that it needs and no others.

    Constraints of training are folded away and gradients are off. Batch norms are not folded: that is for compilers.

    Args:
        checkpoint: with the trained weights.
        spec: the graph.
    """

    def __init__(self, checkpoint: Checkpoint, spec: GraphSpec) -> None:
        super().__init__()
        parts, outputs = inference_parts(checkpoint.model()), {output.name for output in spec.outputs}
        scaling = checkpoint.preprocessing
        self.pixels = (scaling["scale"], scaling["offset"]) if spec.input.dtype == "uint8" else None
        self.encoder = parts["encoder"] if spec.input.name == "image" else nn.Identity()
        self.readout = parts["readout"] if "responses" in outputs else None
        self.decoder = parts["decoder"] if "reconstruction" in outputs else None
        self.gives_features = "features" in outputs

    def forward(self, value: Tensor) -> tuple[Tensor, ...]:
        """Answer a batch `(B, *input.shape)` with the graph's outputs, each `(B, *output.shape)`."""
        if self.pixels is not None:
            scale, offset = self.pixels
            value = value.to(torch.float32) * scale + offset
        features = self.encoder(value)
        outputs: tuple[Tensor, ...] = (features,) if self.gives_features else ()
        if self.readout is not None:
            outputs += (self.readout(features),)
        if self.decoder is not None:
            outputs += tuple(self.decoder(features))
        return outputs


def example_of(spec: GraphSpec, device: str) -> Tensor:
    """A batch of one for the graph: zeros of its input's dtype."""
    source = spec.input
    return torch.zeros((1, *source.shape), dtype=getattr(torch, source.dtype), device=device)

"""Encoders of the baselines: pixels as they are, or the convolutions of Klindt et al. 2017."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from daenr_train.models.encoder import encoder_stages
from daenr_train.models.readout import truncated_normal
from daenr_train.spec import IMAGE_SIZE, KLINDT_KERNELS, ModelSpec


class Standardise(nn.Module):
    """Each pixel minus its mean over the training images, in units of its standard deviation.

    Attributes:
        mean: `(1, H, W)`.
        scale: one over the standard deviation, `(1, H, W)`.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(1, IMAGE_SIZE, IMAGE_SIZE))
        self.register_buffer("scale", torch.ones(1, IMAGE_SIZE, IMAGE_SIZE))

    def forward(self, images: Tensor) -> Tensor:
        """Images `(B, 1, H, W)` in [-1, 1] to standardised ones."""
        return (images - self.mean) * self.scale

    def start_from(self, images: Tensor) -> None:
        """Take mean and deviation from images `(N, 1, H, W)`; a pixel that never changes becomes 0."""
        deviation = images.std(0, correction=0)
        self.mean.copy_(images.mean(0))
        self.scale.copy_(torch.where(deviation > 0, 1 / deviation, 0))


def make_encoder(spec: ModelSpec) -> nn.Sequential:
    """The encoder of a model, up to the features that it reads out."""
    if spec.baseline is None:
        return encoder_stages(spec, 1, spec.layer)
    return nn.Sequential(Standardise(), *(_convolutions(spec) if spec.layer else ()))


def _convolutions(spec: ModelSpec) -> list[nn.Module]:
    """Three times convolution and batch norm, with softplus between (v1data/convnet.py of Klindt et al. 2017).

    The first convolution is not padded, strides are 1, and batch norm has a learned shift, but no learned scale.
    """
    channels, *_ = spec.features_shape()
    stages: list[nn.Module] = []
    for number, kernel in enumerate(KLINDT_KERNELS):
        padding = kernel // 2 if number else 0
        convolution = nn.Conv2d(channels if number else 1, channels, kernel, padding=padding, bias=False)
        truncated_normal(convolution.weight)
        norm = nn.BatchNorm2d(channels, eps=1e-3)
        norm.weight.requires_grad_(False)
        stages += [convolution, norm, *([nn.Softplus()] if number < len(KLINDT_KERNELS) - 1 else [])]
    return stages

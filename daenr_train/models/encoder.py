"""The encoder's stages and the decoder's mirror of them (paper, section 4.1: convolution, batch norm, ELU)."""

from __future__ import annotations

from torch import nn

from daenr_train.spec import ModelSpec


def encoder_stages(spec: ModelSpec, first: int, last: int) -> nn.Sequential:
    """Stages `first` to `last`, each `conv → batch norm → ELU`; every stage divides the edge by the stride.

    Maps `(B, C[first-1], H, W)` to `(B, C[last], H / strideⁿ, W / strideⁿ)`; no stages when `first > last`.
    """
    channels = (1, *spec.channels)
    return nn.Sequential(
        *(
            nn.Sequential(
                nn.Conv2d(channels[stage - 1], channels[stage], spec.kernel, spec.stride, spec.padding, bias=False),
                nn.BatchNorm2d(channels[stage]),
                nn.ELU(inplace=True),
            )
            for stage in range(first, last + 1)
        )
    )


def decoder_stages(spec: ModelSpec) -> nn.Sequential:
    """The mirror of the four stages: `(B, C[4], 2, 2)` to an image `(B, 1, 32, 32)` in [-1, 1] through tanh."""
    channels = (*reversed(spec.channels), 1)
    inner = [
        nn.Sequential(
            nn.ConvTranspose2d(channels[i], channels[i + 1], spec.kernel, spec.stride, spec.padding, bias=False),
            nn.BatchNorm2d(channels[i + 1]),
            nn.ELU(inplace=True),
        )
        for i in range(3)
    ]
    last = nn.ConvTranspose2d(channels[3], 1, spec.kernel, spec.stride, spec.padding)
    return nn.Sequential(*inner, nn.Sequential(last, nn.Tanh()))

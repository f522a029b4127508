"""The mapping from features to predicted responses, f₃ of the paper (equations 2 and 5)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from daenr_train.spec import ModelSpec


class Magnitude(nn.Module):
    """A parametrisation that keeps a parameter non-negative through its absolute value (Klindt et al. 2017)."""

    def forward(self, raw: Tensor) -> Tensor:
        """|raw|."""
        return raw.abs()

    def right_inverse(self, value: Tensor) -> Tensor:
        """The raw parameter that gives `value`."""
        return value


class FactorizedReadout(nn.Module):
    """`ŝ = softplus(Σ_c θ_d[n, c] Σ_p θ_s[n, p] h[c, p] + b[n])`, equation 5 of the paper followed by softplus.

    With a `fixed_mask` this is the fixed-mask readout: the masks are given, only feature weights and bias are learned.

    Attributes:
        mask: spatial mask θ_s, `(M, H·W)`.
        weights: feature weights θ_d, `(M, C)`.
        bias: b, `(M,)`.
    """

    mask: Tensor
    weights: Tensor

    def __init__(self, spec: ModelSpec, fixed_mask: Tensor | None = None) -> None:
        super().__init__()
        channels, height, width = spec.features_shape()
        self.bias = nn.Parameter(torch.zeros(spec.n_neurons))
        self.weights = nn.Parameter(torch.rand(spec.n_neurons, channels) / channels)
        if fixed_mask is not None:
            self.register_buffer("mask", fixed_mask.reshape(spec.n_neurons, height * width))
            return
        self.mask = nn.Parameter(torch.rand(spec.n_neurons, height * width) / (height * width))
        if spec.non_negative:
            parametrize.register_parametrization(self, "mask", Magnitude())
            parametrize.register_parametrization(self, "weights", Magnitude())

    def forward(self, features: Tensor) -> Tensor:
        """Features `(B, C, H, W)` to responses `(B, M)`."""
        pooled = features.flatten(2) @ self.mask.T  # (B, C, M)
        return F.softplus((pooled * self.weights.T).sum(1) + self.bias)


class FullyConnectedReadout(nn.Module):
    """One dense layer from all features to all neurons, followed by softplus (McIntosh et al. 2016).

    On pixels it is the linear stage of the linear-nonlinear Poisson model, and is followed by an exponential, with
    which the Poisson loss is convex.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        channels, height, width = spec.features_shape()
        self.dense = nn.Linear(channels * height * width, spec.n_neurons)
        self.exponential = spec.layer == 0

    @property
    def bias(self) -> Tensor:
        """`(M,)`."""
        return self.dense.bias

    def forward(self, features: Tensor) -> Tensor:
        """Features `(B, C, H, W)` to responses `(B, M)`."""
        drive = self.dense(features.flatten(1))
        return drive.exp() if self.exponential else F.softplus(drive)


def make_readout(spec: ModelSpec) -> FactorizedReadout | FullyConnectedReadout:
    """The readout of a spec; a fixed mask is uniform until the fit sets it from the recording."""
    if spec.baseline:
        return _baseline_readout(spec)
    if spec.readout == "fc":
        return FullyConnectedReadout(spec)
    _, height, width = spec.features_shape()
    uniform = torch.full((spec.n_neurons, height * width), 1.0 / (height * width))
    return FactorizedReadout(spec, fixed_mask=uniform if spec.readout == "fm" else None)


@torch.no_grad()
def _baseline_readout(spec: ModelSpec) -> FactorizedReadout | FullyConnectedReadout:
    """A readout that starts as in the code of Klindt et al. 2017; that of `mean` has no filters and does not learn."""
    if spec.readout == "fr":
        readout = FactorizedReadout(spec)
        readout.mask = truncated_normal(readout.mask)
        readout.weights = truncated_normal(readout.weights)
        return readout
    dense = FullyConnectedReadout(spec)
    truncated_normal(dense.dense.weight)
    if spec.baseline == "mean":
        dense.requires_grad_(False).dense.weight.zero_()
    return dense


def truncated_normal(weights: Tensor) -> Tensor:
    """Fill with normal values of SD 0.01, none beyond two of them, as Klindt et al. 2017 start all their weights."""
    return nn.init.trunc_normal_(weights, std=0.01, a=-0.02, b=0.02)


@torch.no_grad()
def start_from_mean(readout: FactorizedReadout | FullyConnectedReadout, mean_responses: Sequence[float]) -> None:
    """Set the bias so that training starts from each neuron's mean response `(M,)`: to its inverse softplus, or log."""
    mean = torch.as_tensor(mean_responses, dtype=readout.bias.dtype).clamp_min(1e-3)
    exponential = isinstance(readout, FullyConnectedReadout) and readout.exponential
    readout.bias.copy_(mean.log() if exponential else mean + torch.log(-torch.expm1(-mean)))

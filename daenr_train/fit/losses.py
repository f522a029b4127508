"""The joint loss (paper, equations 3, 4, 6 and 7), term by named term."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from daenr_train.fit.config import TrainingConfig
from daenr_train.metrics.responses import LOG_EPSILON
from daenr_train.models import DaeNr, Output
from daenr_train.models.readout import FactorizedReadout

_LAPLACIAN = torch.tensor([[0.25, 0.5, 0.25], [0.5, -3.0, 0.5], [0.25, 0.5, 0.25]])


def data_terms(output: Output, images: Tensor, responses: Tensor) -> dict[str, Tensor]:
    """The unweighted terms that depend on the data.

    Args:
        output: what the model says of `images`.
        images: `(B, 1, 32, 32)`.
        responses: recorded responses, `(B, M)`.

    Returns:
        `reconstruction` (mean over images of ‖x − x̂‖²), `poisson` (mean over images of Σ_neurons ŝ − s log ŝ), and
        the latent's terms, where the model has them.
    """
    terms = dict(output.latent_terms)
    if output.reconstruction is not None:
        terms["reconstruction"] = (images - output.reconstruction).square().sum((1, 2, 3)).mean()
    if output.responses is not None:
        per_neuron = F.poisson_nll_loss(
            output.responses, responses, log_input=False, eps=LOG_EPSILON, reduction="none"
        )  # (B, M)
        terms["poisson"] = per_neuron.sum(1).mean()
    return terms


def regularisation_terms(model: DaeNr, features: Tensor, config: TrainingConfig) -> dict[str, Tensor]:
    """The unweighted sparsity and smoothness terms whose weight in `config` is not zero (Klindt et al. 2017)."""
    readout = model.readout
    if readout is None:
        return {}
    terms: dict[str, Tensor] = {}
    if config.readout_sparsity:
        terms["readout_sparsity"] = _readout_sparsity(model)
    if config.mask_smoothness and isinstance(readout, FactorizedReadout) and readout.mask.requires_grad:
        _, height, width = model.spec.features_shape()
        terms["mask_smoothness"] = _roughness(readout.mask.view(-1, 1, height, width)).sum()
    if config.filter_smoothness:
        terms["filter_smoothness"] = _roughness(model.filters[0]).sum()
    if config.relative_smoothness:
        filters = model.filters[0]
        terms["relative_smoothness"] = (_roughness(filters) / filters.square().sum((1, 2, 3))).sum()
    if config.filter_sparsity and len(model.filters) > 1:
        terms["filter_sparsity"] = torch.stack([_group_norm(filters) for filters in model.filters[1:]]).sum()
    if config.feature_sparsity:
        terms["feature_sparsity"] = features.abs().mean()
    return terms


def total(terms: dict[str, Tensor], config: TrainingConfig) -> Tensor:
    """The weighted sum of terms: `α · (reconstruction + latent terms) + β · poisson + sparsity and smoothness`."""
    return torch.stack([weight_of(name, config) * value for name, value in terms.items()]).sum()


def weight_of(term: str, config: TrainingConfig) -> float:
    """The weight that a term has in the total."""
    if term == "reconstruction":
        return config.alpha
    if term == "poisson":
        return config.beta
    weight: float = getattr(config, term)
    return config.alpha * weight if term in ("kl", "codebook", "commitment") else weight


def _readout_sparsity(model: DaeNr) -> Tensor:
    readout = model.readout
    if isinstance(readout, FactorizedReadout):
        return (readout.mask.abs().sum(1) * readout.weights.abs().sum(1)).sum()
    assert readout is not None
    return readout.dense.weight.abs().sum()


def _group_norm(filters: Tensor) -> Tensor:
    """Mean over output channels of Σ over input channels of a filter's norm; filters `(C_out, C_in, K, K)`."""
    norms = filters.square().sum((2, 3)).add(1e-12).sqrt()  # (C_out, C_in); √ has no gradient at 0
    return norms.sum(1).mean()


def _roughness(maps: Tensor) -> Tensor:
    """The squared Laplacian of maps `(N, 1, H, W)`, summed over each, `(N,)`."""
    kernel = _LAPLACIAN.to(maps.dtype).view(1, 1, 3, 3)
    return F.conv2d(maps, kernel, padding=1).square().sum((1, 2, 3))

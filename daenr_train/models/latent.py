"""The latents between encoder and decoder: dense (CAE), Gaussian (VAE), quantised (VQ-VAE).

Each maps the last stage's features `(B, C, H, W)` to the decoder's input of the same shape. `forward` is what training
runs and also returns the latent's own loss terms; `infer` is what a deployed graph computes, `decode` after `encode`.
Every loss term is a sum over the latent's dimensions and a mean over images, on the scale of ‖x − x̂‖².
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daenr_common.errors import SpecError
from daenr_train.spec import ModelSpec

LossTerms = dict[str, Tensor]


class Latent(nn.Module, ABC):
    """What lies between the last encoder stage and the first decoder stage."""

    @abstractmethod
    def forward(self, features: Tensor) -> tuple[Tensor, LossTerms]:
        """The decoder's input and the loss terms, in training."""

    @abstractmethod
    def encode(self, features: Tensor) -> Tensor:
        """The code at inference: `(B, latent_units)`, or int64 indices `(B, H, W)` of a quantised latent."""

    @abstractmethod
    def decode(self, code: Tensor) -> Tensor:
        """The decoder's input for a code."""

    def infer(self, features: Tensor) -> tuple[Tensor, ...]:
        """The decoder's input, and the codes `(B, H, W)` of a quantised latent, at inference."""
        return (self.decode(self.encode(features)),)


class DenseLatent(Latent):
    """The CAE's: a dense layer to the latent units and one back."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.shape = spec.features_shape(4)
        n_features = self.shape[0] * self.shape[1] * self.shape[2]
        self.to_latent = nn.Linear(n_features, spec.latent_units)
        self.from_latent = nn.Linear(spec.latent_units, n_features)

    def forward(self, features: Tensor) -> tuple[Tensor, LossTerms]:
        """See `Latent.forward`; a CAE has no terms of its own."""
        return self.infer(features)[0], {}

    def encode(self, features: Tensor) -> Tensor:
        """See `Latent.encode`."""
        code: Tensor = self.to_latent(features.flatten(1))
        return code

    def decode(self, code: Tensor) -> Tensor:
        """See `Latent.decode`."""
        features: Tensor = self.from_latent(code).unflatten(1, self.shape)
        return features


class GaussianLatent(Latent):
    """The VAE's: a diagonal Gaussian with an N(0, 1) prior (Kingma & Welling 2014); inference decodes its mean."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.shape = spec.features_shape(4)
        n_features = self.shape[0] * self.shape[1] * self.shape[2]
        self.to_mean = nn.Linear(n_features, spec.latent_units)
        self.to_log_variance = nn.Linear(n_features, spec.latent_units)
        self.from_latent = nn.Linear(spec.latent_units, n_features)

    def forward(self, features: Tensor) -> tuple[Tensor, LossTerms]:
        """A sample's decoding, and the `kl` divergence from the prior; in eval mode the mean's decoding."""
        flat = features.flatten(1)
        mean, log_variance = self.to_mean(flat), self.to_log_variance(flat)
        latent = mean + torch.randn_like(mean) * (0.5 * log_variance).exp() if self.training else mean
        kl = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum(1).mean()
        return self.decode(latent), {"kl": kl}

    def encode(self, features: Tensor) -> Tensor:
        """See `Latent.encode`: the mean of the posterior."""
        mean: Tensor = self.to_mean(features.flatten(1))
        return mean

    def decode(self, code: Tensor) -> Tensor:
        """See `Latent.decode`."""
        features: Tensor = self.from_latent(code).unflatten(1, self.shape)
        return features


class QuantisedLatent(Latent):
    """The VQ-VAE's: each position takes the nearest of `n_codes` codes (van den Oord et al. 2017, equations 1 to 3)."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        dimensions = spec.channels[-1]
        self.to_codes = nn.Conv2d(dimensions, dimensions, 1)
        self.codebook = nn.Parameter(
            torch.empty(spec.n_codes, dimensions).uniform_(-1 / spec.n_codes, 1 / spec.n_codes)
        )

    def forward(self, features: Tensor) -> tuple[Tensor, LossTerms]:
        """The nearest codes with straight-through gradients, and the `codebook` and `commitment` terms."""
        continuous = self.to_codes(features)
        quantised = self.decode(self._nearest(continuous))
        terms = {
            "codebook": (continuous.detach() - quantised).square().sum((1, 2, 3)).mean(),
            "commitment": (continuous - quantised.detach()).square().sum((1, 2, 3)).mean(),
        }
        return continuous + (quantised - continuous).detach(), terms

    def encode(self, features: Tensor) -> Tensor:
        """See `Latent.encode`: the nearest codes."""
        return self._nearest(self.to_codes(features))

    def decode(self, code: Tensor) -> Tensor:
        """See `Latent.decode`: the codes' vectors."""
        return F.embedding(code, self.codebook).permute(0, 3, 1, 2)

    def infer(self, features: Tensor) -> tuple[Tensor, ...]:
        """The nearest codes' vectors and their indices, int64 `(B, H, W)`."""
        codes = self.encode(features)
        return self.decode(codes), codes

    @torch.no_grad()
    def start_from(self, features: Tensor) -> None:
        """Set the codes to vectors that features `(B, C, H, W)` lead to, evenly spread over the batch.

        From small random codes the encoder runs away faster than the codes can follow, which costs a thousand steps.

        Raises:
            SpecError: the batch has fewer positions than there are codes.
        """
        vectors = self.to_codes(features).permute(0, 2, 3, 1).flatten(0, 2)  # (B·H·W, D)
        if len(vectors) < len(self.codebook):
            problem = f"has {len(vectors)} positions, expected at least one for each of {len(self.codebook)} codes"
            raise SpecError("first batch of a VQ-VAE", problem, "give more images or fewer codes")
        chosen = torch.linspace(0, len(vectors) - 1, len(self.codebook)).long()
        self.codebook.copy_(vectors[chosen])

    def _nearest(self, continuous: Tensor) -> Tensor:
        # Half precision decides near ties differently, so the comparison stays in the codebook's own precision.
        vectors = continuous.permute(0, 2, 3, 1).to(self.codebook.dtype)  # (B, H, W, D)
        # ‖z − e‖² up to ‖z‖², which is the same for every code
        distances = self.codebook.square().sum(1) - 2.0 * vectors @ self.codebook.T  # (B, H, W, K)
        return distances.argmin(-1)


LATENTS: dict[str, type[Latent]] = {"cae": DenseLatent, "vae": GaussianLatent, "vqvae": QuantisedLatent}

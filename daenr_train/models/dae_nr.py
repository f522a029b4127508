"""A model of the paper, put together from its parts, and cut into the three functions that are deployed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from daenr_train.models.baselines import make_encoder
from daenr_train.models.encoder import decoder_stages, encoder_stages
from daenr_train.models.latent import LATENTS, Latent, LossTerms
from daenr_train.models.readout import FullyConnectedReadout, make_readout
from daenr_train.spec import ModelSpec


@dataclass
class Output:
    """What a model says of a batch of images: all that the joint loss needs.

    Attributes:
        features: `h_i`, `(B, C, H, W)`.
        responses: `ŝ`, `(B, M)`; None without a readout.
        reconstruction: `x̂`, `(B, 1, 32, 32)`; None without an autoencoder.
        latent_terms: the latent's own loss terms by name.
    """

    features: Tensor
    responses: Tensor | None
    reconstruction: Tensor | None
    latent_terms: LossTerms


class DaeNr(nn.Module):
    """A model: an encoder up to `h_i`, and a decoder, a readout or both behind it (paper, section 3.1)."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.encoder = make_encoder(spec)
        self.decoder = Decoder(spec) if spec.autoencoder else None
        self.readout = make_readout(spec) if spec.readout else None

    @property
    def filters(self) -> list[Tensor]:
        """The filters of the encoder's stages, or those that read the pixels, each `(C_out, C_in, K, K)`."""
        if self.spec.layer == 0 and isinstance(self.readout, FullyConnectedReadout):
            return [self.readout.dense.weight.view(-1, *self.spec.features_shape())]
        return [module.weight for module in self.encoder.modules() if isinstance(module, nn.Conv2d)]

    def forward(self, images: Tensor) -> Output:
        """Images `(B, 1, 32, 32)` in [-1, 1] to everything the model says of them."""
        features = self.encoder(images)
        responses = self.readout(features) if self.readout is not None else None
        if self.decoder is None:
            return Output(features, responses, None, {})
        reconstruction, terms = self.decoder(features)
        return Output(features, responses, reconstruction, terms)


class Decoder(nn.Module):
    """f₂ of the paper, `h_i → x̂`: the rest of the encoder, the latent, and the deconvolutions."""

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        assert spec.autoencoder is not None
        self.rest = encoder_stages(spec, spec.layer + 1, 4)
        self.latent: Latent = LATENTS[spec.autoencoder](spec)
        self.stages = decoder_stages(spec)

    def forward(self, features: Tensor) -> tuple[Tensor, LossTerms]:
        """Features `(B, C, H, W)` to a reconstruction `(B, 1, 32, 32)` and the latent's loss terms."""
        code, terms = self.latent(self.rest(features))
        return self.stages(code), terms

    def infer(self, features: Tensor) -> tuple[Tensor, ...]:
        """Features to a reconstruction and, for a VQ-VAE, its codes `(B, 2, 2)`."""
        code, *codes = self.latent.infer(self.rest(features))
        return (self.stages(code), *codes)


class _Inference(nn.Module):
    """A decoder whose `forward` is `infer`, which is what an exported graph computes."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self.decoder = decoder

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        return self.decoder.infer(features)


def inference_parts(model: DaeNr) -> dict[str, nn.Module]:
    """The functions that are deployed, as modules of their own in eval mode, with nothing of training left in them.

    Returns:
        `encoder` (`image → features`), and where the model has them `decoder` (`features → reconstruction`, for a
        VQ-VAE also `codes`, always as a tuple) and `readout` (`features → responses`). The model is not changed.
    """
    # Built anew: a deep copy shares its parametrised class with the model, which would lose its masks below.
    frozen = make_model(model.spec, 0).to(next(model.parameters()))
    frozen.load_state_dict(model.state_dict())
    frozen.eval().requires_grad_(False)
    parts: dict[str, nn.Module] = {"encoder": frozen.encoder}
    if frozen.decoder is not None:
        parts["decoder"] = _Inference(frozen.decoder)
    if frozen.readout is not None:
        for name in list(getattr(frozen.readout, "parametrizations", {})):
            parametrize.remove_parametrizations(frozen.readout, name, leave_parametrized=True)
        parts["readout"] = frozen.readout.requires_grad_(False)
    return parts


def make_model(spec: ModelSpec, seed: int) -> DaeNr:
    """A fresh model whose initial weights depend on the seed alone; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DaeNr(spec)

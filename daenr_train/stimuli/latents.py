"""Most exciting images among those that a decoder can draw.

A dense code (CAE, VAE) is moved along the gradient of the neuron's response to the decoded image, within the spread
that the codes of natural images have. A quantised one (VQ-VAE) has no gradient: each position tries all codes in turn,
until none is better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from daenr_train.models.dae_nr import DaeNr
from daenr_train.models.latent import QuantisedLatent
from daenr_train.stimuli.ascent import Climb, OnStep, Respond, best_of_starts, gradient, unit
from daenr_train.stimuli.budget import Budget

MOST_SWEEPS = 20
"""Over all positions of a quantised code; it mostly stands still after three."""


@dataclass(frozen=True)
class _Drawn:
    """A model's decoder and responses as functions of a code.

    Attributes:
        draw: codes to images within the budget, `(B, 1, 32, 32)`.
        respond: codes to responses to these images, `(B, M)`.
    """

    draw: Callable[[Tensor], Tensor]
    respond: Respond


def excite_by_latents(
    model: DaeNr,
    natural: Tensor,
    neurons: Sequence[int],
    budget: Budget,
    climb: Climb,
    on_step: OnStep = lambda: None,
) -> Tensor:
    """The decodable image that excites each neuron most, `(K, 1, 32, 32)`.

    Args:
        model: one with a decoder and a readout, in eval mode.
        natural: images `(N, 1, 32, 32)` whose codes are started from, first those that excite a neuron most.
        neurons: K positions among the responses.
        budget: of the images: a decoded image gets this mean and contrast before the model sees it.
        climb: how to search.
        on_step: told of each step.
    """
    decoder = model.decoder
    assert decoder is not None

    def draw(codes: Tensor) -> Tensor:
        return budget.apply(decoder.stages(decoder.latent.decode(codes)))

    drawn = _Drawn(draw, lambda codes: responses_of(model, draw(codes)))
    starts = min(climb.starts, len(natural))
    owners = torch.tensor(neurons).repeat_interleave(starts)
    with torch.no_grad():
        codes = decoder.latent.encode(decoder.rest(model.encoder(natural)))
        order = drawn.respond(codes).sort(dim=0, descending=True, stable=True).indices[:starts]
    first = codes[order[:, list(neurons)].T.flatten()]
    if isinstance(decoder.latent, QuantisedLatent):
        found = _try_codes(drawn, first, owners, len(decoder.latent.codebook), on_step)
    else:
        found = _climb_codes(drawn, first, codes, owners, climb, on_step)
    with torch.no_grad():
        return draw(best_of_starts(drawn.respond, found, owners, starts))


def responses_of(model: DaeNr, images: Tensor) -> Tensor:
    """Responses `(B, M)`, without the decoder's work."""
    assert model.readout is not None
    responses: Tensor = model.readout(model.encoder(images))
    return responses


def _climb_codes(
    drawn: _Drawn, first: Tensor, natural: Tensor, owners: Tensor, climb: Climb, on_step: OnStep
) -> Tensor:
    """Gradient ascent on codes `(B, D)` in units of the natural codes' spread, no further out than they lie."""
    mean, deviation = natural.mean(0), natural.std(0, correction=0).clamp_min(1e-6)
    radius = ((natural - mean) / deviation).norm(dim=1).max()
    points = (first - mean) / deviation
    for step in range(climb.steps):
        direction = gradient(lambda points: drawn.respond(mean + deviation * points), points, owners)
        points = points + climb.length(step) * radius * unit(direction)
        points = points * (radius / points.norm(dim=1, keepdim=True)).clamp_max(1)
        on_step()
    return mean + deviation * points


@torch.no_grad()
def _try_codes(drawn: _Drawn, first: Tensor, owners: Tensor, n_codes: int, on_step: OnStep) -> Tensor:
    """Coordinate ascent on indices `(B, H, W)`: each position in turn takes the best code, until none changes."""
    codes = first.clone()
    flat = codes.view(len(codes), -1)
    for _ in range(MOST_SWEEPS):
        before = codes.clone()
        for position in range(flat.shape[1]):
            tried = codes.repeat_interleave(n_codes, 0)
            tried.view(len(tried), -1)[:, position] = torch.arange(n_codes).repeat(len(codes))
            own = drawn.respond(tried).gather(1, owners.repeat_interleave(n_codes)[:, None])
            flat[:, position] = own.view(len(codes), n_codes).argmax(1)
        on_step()
        if torch.equal(codes, before):
            break
    return codes

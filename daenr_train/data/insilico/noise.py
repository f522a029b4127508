"""Over-dispersed noise: events whose rate fluctuates from trial to trial, each of a random size.

A response is the sum of events, as in activity inferred from calcium imaging. The number of events is Poisson with a
gain that fluctuates from trial to trial (the modulated Poisson of Goris, Movshon & Simoncelli 2014, Nat Neurosci
17:858); each event's size is gamma distributed. So a response is zero often, otherwise any positive number.
For an expected response r, event size g, size shape a and gain variance θ

    P(0) = (1 + θ r / g)^(-1/θ)          Var = r g (1 + 1/a) + θ r²
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64Array = NDArray[np.float64]

GAIN_VARIANCE = 0.5
"""θ, the variance of the gain from trial to trial, around a mean of 1."""

SHAPE_RANGE = (0.4, 20.0)
"""Bounds of a, the shape of the event sizes: smaller makes rare huge events, larger hardly varies the size."""


@dataclass(frozen=True, eq=False)
class EventNoise:
    """The noise of M neurons.

    Args:
        size: (M,) mean size of an event, in units of the response.
        shape: (M,) shape a of the gamma distribution of the sizes.
    """

    size: Float64Array
    shape: Float64Array

    def sample(self, rates: Float64Array, generator: np.random.Generator) -> Float64Array:
        """One response for each expected response.

        Args:
            rates: (..., M), > 0.
            generator: source of randomness.

        Returns:
            (..., M), ≥ 0, independent between neurons and trials.
        """
        gain = generator.gamma(1 / GAIN_VARIANCE, GAIN_VARIANCE, size=rates.shape)
        events = generator.poisson(gain * rates / self.size)
        # The sum of k gamma variables of shape a is a gamma variable of shape k·a, and zero for k = 0.
        return np.asarray(generator.gamma(events * self.shape, self.size / self.shape))


def fit_noise(rates: Float64Array, zero_fraction: Float64Array, fano_factor: Float64Array) -> EventNoise:
    """The noise with which neurons of given rates are silent, and vary, as often and as much as wanted.

    Args:
        rates: (N, M) expected responses over the images, > 0.
        zero_fraction: (M,) wanted share of zero responses.
        fano_factor: (M,) wanted ratio of the noise variance to the mean response, averaged over the images.
    """
    low, high = np.full(rates.shape[1], np.log(1e-3)), np.full(rates.shape[1], np.log(1e2))
    for _ in range(40):  # larger events are rarer, so P(0) grows with the size: bisect on its logarithm
        middle = (low + high) / 2
        silent = silence(rates, np.exp(middle)).mean(axis=0)
        low, high = np.where(silent < zero_fraction, middle, low), np.where(silent < zero_fraction, high, middle)
    size = np.exp((low + high) / 2)
    mean = rates.mean(axis=0)
    size_variance = fano_factor - GAIN_VARIANCE * (rates**2).mean(axis=0) / mean  # g (1 + 1/a)
    inverse_shape = np.clip(size_variance / size - 1, 1 / SHAPE_RANGE[1], 1 / SHAPE_RANGE[0])
    return EventNoise(np.round(size, 9), np.round(1 / inverse_shape, 9))  # as for the rates: no dependence on last bits


def silence(rates: Float64Array, size: Float64Array) -> Float64Array:
    """P(0) for each expected response, of the shape of `rates` (..., M)."""
    return np.asarray((1 + GAIN_VARIANCE * rates / size) ** (-1 / GAIN_VARIANCE))

"""Simulated neurons: Gabor simple and complex cells with local receptive fields and divisive normalisation.

The drive of a neuron follows the normalisation model (Carandini & Heeger 2012, Nat Rev Neurosci 13:51): the response of
its filters, divided by a constant plus the local contrast, raised to a power.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daenr_train.spec import IMAGE_SIZE

Float64Array = NDArray[np.float64]

SIMPLE_SHARE = 0.6
"""The share of simple cells; the others are complex."""

CENTRE_RANGE = (9.0, 22.0)
"""Pixels; receptive fields lie in the middle of the image, where an experimenter would put it."""

WAVELENGTH_MEDIAN, WAVELENGTH_SPREAD = 11.0, 0.3
"""Pixels per cycle, and the SD of its logarithm: mouse V1 prefers coarse gratings."""

WIDTH_IN_CYCLES = (0.32, 0.45)
"""SD of the Gaussian envelope across the bars, in wavelengths; about one bar and its two neighbours."""

ELONGATION = (1.0, 1.6)
"""SD of the envelope along the bars, in SDs across them."""

NORMALISATION_POOL = 1.5
"""SD of the pool that a neuron is normalised by, in SDs of its own envelope."""

SEMI_SATURATION = 0.35
"""RMS contrast at which normalisation halves the drive; near that of the images, so it is moderate."""


EXPONENT_RANGE = (1.0, 1.6)
"""The power that a normalised response is raised to before the gain."""


@dataclass(frozen=True, eq=False)
class Population:
    """The filters of M neurons, each over the 1024 pixels of an image.

    Args:
        even: (M, 1024) Gabor filters, zero mean and unit norm.
        odd: (M, 1024) the same a quarter of a cycle further.
        pool: (M, 1024) weights of the local contrast, summing to 1.
        is_complex: (M,) whether the neuron adds both filters' energy or rectifies the even one.
        exponent: (M,) the power of the output.
    """

    even: Float64Array
    odd: Float64Array
    pool: Float64Array
    is_complex: NDArray[np.bool_]
    exponent: Float64Array

    def drive(self, images: NDArray[np.float32]) -> Float64Array:
        """What each neuron makes of each image before its gain and spontaneous rate.

        Args:
            images: (N, 1, 32, 32) in [-1, 1].

        Returns:
            (N, M), ≥ 0, without unit.
        """
        pixels = images.reshape(len(images), -1).astype(np.float64)
        even, odd = pixels @ self.even.T, pixels @ self.odd.T
        energy = np.where(self.is_complex, even**2 + odd**2, np.maximum(even, 0) ** 2)
        local_mean = pixels @ self.pool.T
        local_variance = np.maximum(pixels**2 @ self.pool.T - local_mean**2, 0)
        return np.asarray((energy / (SEMI_SATURATION**2 + local_variance)) ** (self.exponent / 2))


def draw_population(n_neurons: int, generator: np.random.Generator) -> Population:
    """Neurons with random position, orientation, wavelength, phase and type."""
    centre = generator.uniform(*CENTRE_RANGE, size=(2, n_neurons, 1))
    orientation = generator.uniform(0, np.pi, size=(n_neurons, 1))
    phase = generator.uniform(0, 2 * np.pi, size=(n_neurons, 1))
    wavelength = WAVELENGTH_MEDIAN * np.exp(WAVELENGTH_SPREAD * generator.standard_normal((n_neurons, 1)))
    across = wavelength * generator.uniform(*WIDTH_IN_CYCLES, size=(n_neurons, 1))
    along = across * generator.uniform(*ELONGATION, size=(n_neurons, 1))
    row, column = np.divmod(np.arange(IMAGE_SIZE * IMAGE_SIZE), IMAGE_SIZE)
    x, y = column - centre[0], row - centre[1]
    u, v = x * np.cos(orientation) + y * np.sin(orientation), y * np.cos(orientation) - x * np.sin(orientation)
    envelope = np.exp(-0.5 * ((u / across) ** 2 + (v / along) ** 2))
    pool = np.exp(-0.5 * (u**2 + v**2) / (NORMALISATION_POOL * along) ** 2)
    cycles = 2 * np.pi * u / wavelength + phase
    return Population(
        even=_balanced(envelope * np.cos(cycles), envelope),
        odd=_balanced(envelope * np.sin(cycles), envelope),
        pool=pool / pool.sum(axis=1, keepdims=True),
        is_complex=generator.permutation(n_neurons) >= round(SIMPLE_SHARE * n_neurons),
        exponent=generator.uniform(*EXPONENT_RANGE, size=n_neurons),
    )


def _balanced(filters: Float64Array, envelope: Float64Array) -> Float64Array:
    """Filters without response to uniform light, and with unit norm."""
    balanced = filters - envelope * (filters.sum(1, keepdims=True) / envelope.sum(1, keepdims=True))
    return np.asarray(balanced / np.linalg.norm(balanced, axis=1, keepdims=True))

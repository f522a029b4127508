"""A simulated region of V1: what its neurons are like on the whole, and the recording one would make of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from daenr_common.errors import SpecError
from daenr_common.files import refuse_to_overwrite
from daenr_train.data.insilico import stimuli
from daenr_train.data.insilico.calibration import N_TEST_IMAGES, recorded
from daenr_train.data.insilico.neurons import Population, draw_population
from daenr_train.data.insilico.noise import fit_noise
from daenr_train.data.npz import write_npz
from daenr_train.data.recording import Recording

Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class Diversity:
    """How neurons of a region differ, beyond what `RegionStatistics` prescribes for their average.

    Selectivity is the SD of a neuron's expected response over the training images, in units of its mean: 0 for a
    neuron that does not care for images, above 1 for one that answers to few. The constants were chosen such that the
    average over seeds meets the recorded statistics; `calibration_table` shows how well one seed does.

    Args:
        selectivity, selectivity_spread: mean and SD over neurons.
        fano_factor: median over neurons of the noise variance in units of the mean response.
    """

    selectivity: float
    selectivity_spread: float
    fano_factor: float


DIVERSITY = {
    1: Diversity(1.03, 0.43, 1.43),
    2: Diversity(0.81, 0.43, 1.50),
    3: Diversity(1.00, 0.48, 2.20),
}

LEAST_SELECTIVITY = 0.05
"""Even an unresponsive neuron is not quite constant."""

LEAST_SPONTANEOUS = 0.03
"""The least share of a neuron's mean response that does not depend on the image."""

# Spread over neurons within a recorded region: SD of the logarithm, or of the share itself.
_LOG_MEAN_SPREAD, _LOG_FANO_SPREAD, _ZERO_SPREAD = 0.22, 0.28, 0.03

# Far below the noise, far above rounding errors.
_DECIMALS = 9

# Regions 1 and 2 were shown the same test images.
_TEST_SET_OF_REGION = {1: 1, 2: 1, 3: 3}


class WrittenRegion(NamedTuple):
    """A simulated region and the file that holds it."""

    path: Path
    recording: Recording


def simulate(region: int, seed: int = 0) -> Recording:
    """Record from a simulated region of mouse V1.

    Args:
        region: 1, 2 or 3: the recorded region whose sizes and statistics to take.
        seed: the same seed gives the same recording (with the same versions of the libraries); another seed gives other
            neurons, images and noise.

    Returns:
        A recording whose `true_test_rates` are known.

    Raises:
        SpecError: there is no such region, or the seed is negative.
        MissingExtraError: scikit-image or scikit-learn, whose photographs are shown, is not installed.
    """
    target = recorded(region)
    images, population, generator = _shown_and_seeing(region, seed)
    test_set = np.random.default_rng([seed, _TEST_SET_OF_REGION[region], 0])
    test_images = stimuli.render(stimuli.test_patches(N_TEST_IMAGES, test_set))
    rates, test_rates = _rates(population.drive(images), population.drive(test_images), region, generator)
    zero_fraction = target.zero_fraction + _ZERO_SPREAD * _normal(target.n_neurons, generator)
    fano_factor = DIVERSITY[region].fano_factor * np.exp(_LOG_FANO_SPREAD * _normal(target.n_neurons, generator))
    noise = fit_noise(rates, zero_fraction, fano_factor)

    repeated = np.broadcast_to(test_rates, (target.n_repeats, *test_rates.shape))
    return Recording(
        images=images,
        responses=noise.sample(rates, generator).astype(np.float32),
        test_images=test_images,
        test_responses=noise.sample(repeated, generator).astype(np.float32),
        neuron_ids=tuple(f"r{region}-n{index:03d}" for index in range(target.n_neurons)),
        region=f"region{region}",
        true_test_rates=test_rates.astype(np.float32),
        source=f"in-silico region {region}, seed {seed}",
    )


def population_of(region: int, seed: int = 0) -> Population:
    """The neurons of a simulated region, whose filters are what a fit tries to find.

    Raises:
        SpecError: there is no such region, or the seed is negative.
        MissingExtraError: as `simulate`.
    """
    return _shown_and_seeing(region, seed)[1]


def _shown_and_seeing(region: int, seed: int) -> tuple[NDArray[np.float32], Population, np.random.Generator]:
    """Training images, neurons, and the generator that is to draw the rest."""
    target = recorded(region)
    if seed < 0:
        raise SpecError("seed", f"is {seed}, expected a number ≥ 0", "use e.g. 0")
    generator = np.random.default_rng([seed, region, 1])
    images = stimuli.render(stimuli.training_patches(target.n_images, generator))
    return images, draw_population(target.n_neurons, generator), generator


def write_insilico(
    out_folder: Path, regions: Iterable[int] = (1, 2, 3), seed: int = 0, *, force: bool = False
) -> list[WrittenRegion]:
    """Simulate regions and write each to `region{r}.npz`, which `open_recording` opens.

    Args:
        out_folder: created if need be.
        regions: which of 1, 2 and 3.
        seed: as for `simulate`.
        force: replace files that are there already.

    Raises:
        SpecError: a region does not exist, or the seed is negative.
        OutputExistsError: a file exists and `force` is false; then none is written.
        DaenrError: the disk is full or the folder cannot be written to.
    """
    paths = {region: Path(out_folder) / f"region{region}.npz" for region in regions}
    for region, path in paths.items():
        recorded(region)
        refuse_to_overwrite(path, force=force)
    written = []
    for region, path in paths.items():
        recording = simulate(region, seed)
        written.append(WrittenRegion(write_npz(recording, path, force=force), recording))
    return written


def _rates(
    drive: Float64Array, test_drive: Float64Array, region: int, generator: np.random.Generator
) -> tuple[Float64Array, Float64Array]:
    """Expected responses to training and test images: a spontaneous rate plus the drive times a gain.

    Args:
        drive: (N, M).
        test_drive: (I, M).
        region: 1, 2 or 3.
        generator: source of randomness.
    """
    n_neurons, diversity = drive.shape[1], DIVERSITY[region]
    mean = np.exp(_LOG_MEAN_SPREAD * _normal(n_neurons, generator))
    mean *= recorded(region).mean / mean.mean()
    wanted = diversity.selectivity + diversity.selectivity_spread * _normal(n_neurons, generator)
    mean_drive = drive.mean(axis=0)
    driven = np.maximum(wanted, LEAST_SELECTIVITY) * mean_drive / drive.std(axis=0)
    driven = np.minimum(driven, 1 - LEAST_SPONTANEOUS)
    spontaneous = mean * (1 - driven)
    gain = mean * driven / mean_drive
    # The last bits depend on the processor; rounded, they cannot change which random numbers are drawn.
    return np.round(spontaneous + gain * drive, _DECIMALS), np.round(spontaneous + gain * test_drive, _DECIMALS)


def _normal(number: int, generator: np.random.Generator) -> Float64Array:
    """The quantiles of a standard normal distribution in random order: a sample with hardly any scatter as a whole."""
    quantiles = [NormalDist().inv_cdf((index + 0.5) / number) for index in range(number)]
    return generator.permutation(np.array(quantiles))

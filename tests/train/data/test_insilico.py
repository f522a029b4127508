from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from daenr_common.errors import OutputExistsError, SpecError
from daenr_train import metrics
from daenr_train.data import open_recording, simulate, split
from daenr_train.data.insilico import calibration_table, neurons, stimuli, write_insilico
from daenr_train.data.insilico.calibration import RECORDED
from daenr_train.data.insilico.noise import GAIN_VARIANCE, EventNoise, fit_noise

SIZES = {1: (1800, 103, 10), 2: (1260, 55, 8), 3: (1800, 102, 12)}


@pytest.fixture(scope="module", params=[1, 2, 3], ids=lambda region: f"region{region}")
def region(request):
    return request.param


@pytest.fixture(scope="module")
def simulated(region):
    return simulate(region)


def test_sizes_are_those_of_the_recordings(region, simulated):
    n_images, n_neurons, n_repeats = SIZES[region]
    assert simulated.responses.shape == (n_images, n_neurons)
    assert simulated.test_responses.shape == (n_repeats, 50, n_neurons)
    assert simulated.true_test_rates.shape == (50, n_neurons)
    assert simulated.region == f"region{region}"


@pytest.mark.parametrize("seed", [0, 1])
def test_statistics_are_those_of_the_recordings(region, simulated, seed):
    recording = simulated if seed == 0 else simulate(region, seed)
    rows = calibration_table(recording, region)
    assert len(rows) == 6
    assert [row for row in rows if not row.ok] == []


def test_the_calibration_notices_a_wrong_region(simulated, region):
    other = 1 if region == 3 else 3
    assert not all(row.ok for row in calibration_table(simulated, other))


def test_the_true_rates_reach_the_ceiling(simulated):
    oracle = metrics.correlation_to_average(simulated.true_test_rates, simulated.test_responses)
    ceiling = np.nanmean(metrics.cc_max(simulated.test_responses))
    assert oracle.n_scored == simulated.n_neurons
    assert oracle.mean == pytest.approx(ceiling, abs=0.05)


def test_responses_average_to_the_true_rates(simulated):
    average = simulated.test_responses.mean(axis=(0, 1))
    assert average == pytest.approx(simulated.true_test_rates.mean(axis=0), rel=0.5)
    assert average.mean() == pytest.approx(simulated.true_test_rates.mean(), rel=0.03)


def test_neurons_can_be_learned_from_local_contrast_energies(simulated):
    """A linear fit on rectified Gabor responses, which no neuron is made of, already predicts the test set."""
    bank = neurons.draw_population(400, np.random.default_rng(99))
    features, test_features = (bank.drive(images) for images in (simulated.images, simulated.test_images))
    mean, deviation = features.mean(0), features.std(0)
    x, y = (features - mean) / deviation, simulated.responses - simulated.responses.mean(0)
    weights = np.linalg.solve(x.T @ x + 3000 * np.eye(400), x.T @ y)
    predicted = (test_features - mean) / deviation @ weights
    reached = metrics.correlation_to_average(predicted, simulated.test_responses).mean
    assert reached > np.nanmean(metrics.cc_max(simulated.test_responses)) / 2


def test_the_same_seed_gives_the_same_recording():
    first, again, other = simulate(2, seed=5), simulate(2, seed=5), simulate(2, seed=6)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert split(first).fingerprint == split(again).fingerprint


def test_regions_1_and_2_see_the_same_test_images_as_in_the_recordings():
    first, second, third = (simulate(region).test_images for region in (1, 2, 3))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, third)


def test_test_patches_share_no_pixel_with_training_patches_or_each_other():
    generator = np.random.default_rng(0)
    training, test = stimuli.training_patches(500, generator), stimuli.test_patches(50, generator)
    assert len(set(training)) == 500
    assert not any(a.overlaps(b) for a in test for b in training)
    assert not any(a.overlaps(b) for a in test for b in test if a is not b)
    for patch in training:
        width = stimuli.photographs()[patch.photograph].shape[1]
        assert patch.left + patch.width <= stimuli.sides(width)[0]
    for patch in test:
        width = stimuli.photographs()[patch.photograph].shape[1]
        assert stimuli.sides(width)[1] <= patch.left <= width - patch.width


def test_overlap_is_told_by_pixels():
    patch = stimuli.Patch("china", 10, 10, 2)
    assert patch.overlaps(stimuli.Patch("china", 73, 73, 1))
    assert not patch.overlaps(stimuli.Patch("china", 74, 10, 1))
    assert not patch.overlaps(stimuli.Patch("flower", 10, 10, 2))


def test_images_have_the_contrast_of_photographs(simulated):
    contrast = simulated.images.std(axis=(1, 2, 3))
    assert contrast.min() > stimuli.LEAST_CONTRAST - 1e-3
    assert 0.3 < contrast.mean() < 0.6


def test_a_simple_cell_minds_the_phase_of_a_grating_and_a_complex_cell_does_not():
    population = neurons.draw_population(60, np.random.default_rng(0))
    phases = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    row, column = np.divmod(np.arange(1024), 32)
    modulation = np.full(60, np.nan)
    for neuron in range(60):
        spectrum = np.abs(np.fft.fft2(population.even[neuron].reshape(32, 32)))
        fy, fx = np.unravel_index(np.argmax(spectrum), spectrum.shape)
        cycles = 2 * np.pi * (fx * column + fy * row) / 32
        gratings = 0.5 * np.cos(cycles + phases[:, None]).reshape(24, 1, 32, 32).astype(np.float32)
        drive = population.drive(gratings)[:, neuron]
        modulation[neuron] = (drive.max() - drive.min()) / (drive.max() + drive.min())
    assert modulation[~population.is_complex].min() > 0.9
    assert np.median(modulation[population.is_complex]) < 0.4


def test_uniform_light_does_not_drive_a_neuron():
    population = neurons.draw_population(30, np.random.default_rng(0))
    light = np.full((1, 1, 32, 32), 0.7, np.float32)
    assert population.drive(light).max() < 1e-9


def test_noise_has_the_moments_it_promises():
    rates, size, shape = np.array([0.3, 1.0, 2.5]), np.array([0.4, 0.8, 0.5]), np.array([0.7, 2.0, 5.0])
    noise = EventNoise(size, shape)
    samples = noise.sample(np.broadcast_to(rates, (200_000, 3)), np.random.default_rng(0))
    assert samples.mean(axis=0) == pytest.approx(rates, rel=0.02)
    assert samples.var(axis=0) == pytest.approx(rates * size * (1 + 1 / shape) + GAIN_VARIANCE * rates**2, rel=0.03)
    # The number of events is negative binomial, so that its zeros can be had from scipy.
    zeros = stats.nbinom.pmf(0, 1 / GAIN_VARIANCE, 1 / (1 + GAIN_VARIANCE * rates / size))
    assert (samples == 0).mean(axis=0) == pytest.approx(zeros, abs=0.01)


def test_noise_is_fitted_to_zeros_and_variance():
    rates = np.random.default_rng(0).gamma(2.0, 0.3, (1000, 4))
    noise = fit_noise(rates, np.array([0.4, 0.5, 0.5, 0.6]), np.array([1.2, 1.5, 2.0, 2.0]))
    samples = noise.sample(np.broadcast_to(rates, (200, 1000, 4)), np.random.default_rng(1))
    assert (samples == 0).mean(axis=(0, 1)) == pytest.approx([0.4, 0.5, 0.5, 0.6], abs=0.01)
    fano = samples.var(axis=0).mean(axis=0) / rates.mean(axis=0)
    assert fano == pytest.approx([1.2, 1.5, 2.0, 2.0], rel=0.03)


@pytest.mark.parametrize("region", [0, 4, "1"])
def test_there_are_three_regions(region):
    with pytest.raises(SpecError, match="expected 1, 2 or 3"):
        simulate(region)


def test_a_negative_seed_is_refused():
    with pytest.raises(SpecError, match="seed: is -1"):
        simulate(1, seed=-1)


def test_regions_are_written_and_opened_again(tmp_path):
    written = write_insilico(tmp_path / "new", regions=(2,), seed=3)
    path, recording = written[0]
    assert path == tmp_path / "new" / "region2.npz"
    again = open_recording(tmp_path / "new", 2)
    assert again.fingerprint == recording.fingerprint
    assert np.array_equal(again.true_test_rates, recording.true_test_rates)
    with pytest.raises(OutputExistsError):
        write_insilico(tmp_path / "new", regions=(1, 2))
    assert not (tmp_path / "new" / "region1.npz").exists()
    write_insilico(tmp_path / "new", regions=(2,), seed=4, force=True)
    assert open_recording(tmp_path / "new").fingerprint != recording.fingerprint


def test_the_recorded_sizes_stand_in_one_place():
    assert {region: (r.n_images, r.n_neurons, r.n_repeats) for region, r in RECORDED.items()} == SIZES

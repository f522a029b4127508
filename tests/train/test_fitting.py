import os
import signal

import numpy as np
import pytest
import torch

from daenr_common.errors import CheckpointError, Interrupted, SpecError
from daenr_train.fit import TrainingConfig, fit
from daenr_train.fit.receptive_fields import fixed_masks, spike_triggered_averages
from daenr_train.fit.state import FitState
from daenr_train.models import make_model
from daenr_train.spec import parse_model_name

SHORT = {"max_steps": 24, "validate_every": 8, "batch_size": 32, "threads": 1}
FAMILIES = ["cae-fr2", "vae-fc1", "vqvae-fm3", "cnn-fr1", "vae"]


def fitted(recording, name="cae-fr2", **options):
    arguments = {key: options.pop(key) for key in ("state_path", "resume", "on_step") if key in options}
    spec = parse_model_name(name, n_neurons=recording.n_neurons)
    return fit(recording, spec, TrainingConfig(**(SHORT | options)), **arguments)


def same_weights(one, other):
    return all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_seed_gives_the_same_weights(small_recording, name):
    first, again = fitted(small_recording, name), fitted(small_recording, name)
    assert same_weights(first, again)
    assert first.metrics == again.metrics
    assert not same_weights(first, fitted(small_recording, name, seed=1))


def test_the_global_state_of_torch_is_left_alone(small_recording):
    torch.manual_seed(11)
    before = torch.random.get_rng_state(), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    fitted(small_recording)
    after = torch.random.get_rng_state(), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_fit_resumes_to_the_same_weights_bit_for_bit(small_recording, tmp_path, name, number):
    state = tmp_path / "fit.state"

    def interrupt(step, _):
        if step == 13:
            os.kill(os.getpid(), number)

    with pytest.raises(Interrupted, match="after step 13; continue with --resume"):
        fitted(small_recording, name, state_path=state, on_step=interrupt)
    steps = []
    resumed = fitted(small_recording, name, state_path=state, resume=True, on_step=lambda step, _: steps.append(step))
    assert steps == list(range(14, 25))
    assert same_weights(resumed, fitted(small_recording, name))


def test_a_resumed_fit_may_run_longer_but_not_be_another(small_recording, tmp_path):
    state = tmp_path / "fit.state"
    with pytest.raises(Interrupted):
        fitted(small_recording, state_path=state, on_step=lambda step, _: step == 5 and os.kill(os.getpid(), 2))
    with pytest.raises(CheckpointError, match="other beta, seed"):
        fitted(small_recording, state_path=state, resume=True, beta=2.0, seed=3)
    with pytest.raises(CheckpointError, match="has taken 5 steps, and at most 4 were asked for; raise --max-steps"):
        fitted(small_recording, state_path=state, resume=True, max_steps=4)
    with pytest.raises(CheckpointError, match="other model"):
        fitted(small_recording, "cae-fr3", state_path=state, resume=True)
    longer = fitted(small_recording, state_path=state, resume=True, max_steps=32)
    assert same_weights(longer, fitted(small_recording, max_steps=32))


def test_a_fit_that_was_killed_after_its_last_step_may_run_longer(small_recording, tmp_path):
    state = tmp_path / "fit.state"
    fitted(small_recording, state_path=state, max_steps=1)  # saved after the first step, which was the last
    steps = []
    fitted(small_recording, state_path=state, resume=True, on_step=lambda step, _: steps.append(step))
    assert steps == list(range(2, 25))


def test_there_must_be_something_to_resume(small_recording, tmp_path):
    with pytest.raises(CheckpointError, match=r"fit\.state: does not exist; fit without --resume"):
        fitted(small_recording, state_path=tmp_path / "fit.state", resume=True)
    (tmp_path / "fit.state").write_bytes(b"PK\x03\x04 not a state")
    with pytest.raises(CheckpointError, match="truncated"):
        fitted(small_recording, state_path=tmp_path / "fit.state", resume=True)


def test_early_stopping_restores_the_best_halves_the_rate_and_trains_again():
    config = TrainingConfig(patience_steps=20, validate_every=10)
    state = FitState(make_model(parse_model_name("cae", n_neurons=0), 0), config)
    marker = state.model.decoder.latent.to_latent.bias

    def validate(step, loss, value):
        with torch.no_grad():
            marker.fill_(value)
        state.progress.step = step
        state.validated(loss)

    validate(10, 5.0, 1.0)
    validate(20, 4.0, 2.0)  # the best
    validate(30, 4.5, 3.0)
    assert state.progress.round == 0
    validate(40, 4.2, 4.0)  # no improvement for 20 steps
    assert state.progress.round == 1
    assert torch.all(marker == 2.0)
    assert state.optimiser.param_groups[0]["lr"] == pytest.approx(5e-4)
    validate(50, 4.1, 5.0)  # a new round has its own patience
    assert not state.progress.finished
    validate(60, 4.1, 6.0)
    assert state.progress.finished
    assert state.progress.best_step == 20
    assert torch.all(state.best_weights["decoder.latent.to_latent.bias"] == 2.0)


def test_the_best_weights_are_returned_not_the_last(small_recording):
    losses = {}

    def remember(step, terms):
        if "validation/poisson" in terms:
            losses[step] = terms["validation/poisson"]

    checkpoint = fitted(small_recording, "cnn-fr1", learning_rate=0.5, on_step=remember)
    assert checkpoint.metrics["best_step"] == min(losses, key=losses.get)
    assert checkpoint.metrics["validation_error"] == pytest.approx(min(losses.values()))


def test_fitting_learns(small_recording):
    first, last = {}, {}

    def remember(step, terms):
        (last if step > 1 else first).update(terms)

    fitted(small_recording, max_steps=120, on_step=remember)
    assert last["reconstruction"] < 0.3 * first["reconstruction"]
    assert last["poisson"] < first["poisson"]


def test_all_faults_of_a_configuration_are_named_at_once():
    with pytest.raises(SpecError, match=r"alpha is nan.*learning_rate is 0.*batch_size is 0.*validation_fraction is 1"):
        TrainingConfig(alpha=float("nan"), learning_rate=0, validation_fraction=1, batch_size=0)


def test_receptive_fields_are_found_where_the_neurons_look():
    rng = np.random.default_rng(3)
    images = rng.uniform(-1, 1, (1500, 1, 32, 32)).astype(np.float32)
    centres = [(6, 9), (20, 25), (27, 4)]
    responses = np.stack([np.maximum(images[:, 0, y, x], 0) for y, x in centres] + [np.zeros(1500)], axis=1)
    fields = spike_triggered_averages(images, responses.astype(np.float32))
    peaks = [np.unravel_index(np.abs(field).argmax(), (32, 32)) for field in fields[:3]]
    assert [tuple(map(int, peak)) for peak in peaks] == centres
    masks = fixed_masks(images, responses.astype(np.float32), 8, 8).reshape(4, 8, 8)
    assert [tuple(int(i) for i in np.unravel_index(mask.argmax(), (8, 8))) for mask in masks[:3]] == [
        (y // 4, x // 4) for y, x in centres
    ]
    np.testing.assert_allclose(masks.sum((1, 2)), 1, rtol=1e-5)
    np.testing.assert_allclose(masks[3], 1 / 64)  # silent


def test_the_codes_of_a_vqvae_start_where_its_encoder_is(small_recording):
    first = {}
    fitted(small_recording, "vqvae", max_steps=1, on_step=lambda step, terms: first.update(terms))
    spread = make_model(parse_model_name("vqvae", n_neurons=0), 0).decoder.latent
    assert first["codebook"] < 0.6 * 256 * 4  # positions have about unit variance in 256 dimensions
    with pytest.raises(SpecError, match="has 4 positions, expected at least one for each of 32 codes"):
        spread.start_from(torch.zeros(1, 256, 2, 2))


def test_a_fixed_mask_comes_from_the_recording(small_recording):
    checkpoint = fitted(small_recording, "cae-fm2")
    mask = checkpoint.weights["readout.mask"]
    assert mask.shape == (12, 64)
    assert (mask == 0).any()

"""Steps per second of `fit`, beside the plain loop: a DataLoader and Adam over the same model, data and loss."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from daenr_train.data import Recording, Split, simulate, split
from daenr_train.fit import TrainingConfig
from daenr_train.fit.determinism import deterministic_torch
from daenr_train.fit.losses import data_terms, regularisation_terms, total
from daenr_train.fit.state import FitState
from daenr_train.fit.trainer import Trainer
from daenr_train.models import make_model
from daenr_train.spec import parse_model_name

STEPS = 40
WARM_UP_STEPS = 5
REGION = 3  # 1800 training images


@pytest.fixture(scope="module")
def recording() -> Recording:
    return simulate(REGION, seed=0)


@pytest.fixture(scope="module", params=[16, 64], ids=lambda size: f"batch {size}")
def config(request) -> TrainingConfig:
    return TrainingConfig(batch_size=request.param)


def plain_loop(recording: Recording, parts: Split, config: TrainingConfig) -> Iterator[dict[str, float]]:
    model = make_model(parse_model_name("cae-fr2", n_neurons=recording.n_neurons), config.seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=config.learning_rate)
    pairs = TensorDataset(
        torch.from_numpy(recording.images[parts.train_indices]),
        torch.from_numpy(recording.responses[parts.train_indices]),
    )
    loader = DataLoader(pairs, config.batch_size, shuffle=True, drop_last=True)
    while True:
        for images, responses in loader:
            output = model(images)
            terms = data_terms(output, images, responses)
            terms |= regularisation_terms(model, output.features, config)
            optimiser.zero_grad()
            total(terms, config).backward()
            optimiser.step()
            yield {name: term.item() for name, term in terms.items()}


def our_loop(recording: Recording, parts: Split, config: TrainingConfig) -> Iterator[dict[str, float]]:
    model = make_model(parse_model_name("cae-fr2", n_neurons=recording.n_neurons), config.seed)
    trainer = Trainer(FitState(model, config), recording, parts)
    while True:
        with deterministic_torch(config.threads):
            terms = trainer.step()
        yield terms


LOOPS = {"plain loop": plain_loop, "fit": our_loop}


@pytest.mark.parametrize("name", LOOPS)
def test_a_step(benchmark, recording, config, name):
    benchmark.group = f"one step of cae-fr2, batch {config.batch_size}"
    loop = LOOPS[name](recording, split(recording), config)
    benchmark.pedantic(next, (loop,), rounds=STEPS, warmup_rounds=WARM_UP_STEPS)


def test_the_ratio_step_by_step(recording, config, capsys):
    """The two loops in turns, so that a busy machine slows both alike; the median of the ratios."""
    parts = split(recording)
    loops = {name: make(recording, parts, config) for name, make in LOOPS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for step in range(WARM_UP_STEPS + STEPS):
        for name, loop in loops.items():
            start = time.perf_counter()
            next(loop)
            if step >= WARM_UP_STEPS:
                seconds[name].append(time.perf_counter() - start)
    ratios = [plain / ours for plain, ours in zip(seconds["plain loop"], seconds["fit"], strict=True)]
    with capsys.disabled():
        milliseconds = ", ".join(f"{name} {1e3 * statistics.median(taken):.1f} ms" for name, taken in seconds.items())
        print(f"\nbatch {config.batch_size}: {milliseconds}, ratio {statistics.median(ratios):.2f}")

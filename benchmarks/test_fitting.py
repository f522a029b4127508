"""Steps per second of `fit`, beside a plain PyTorch loop and the trainers of neuralpredictors and Lightning.

The loops take turns of a few steps, so that a busy machine slows all alike.
"""

from __future__ import annotations

import logging
import statistics

import pytest
import torch
from fitting_peers import MODEL, loops_of

from daenr_train.data import simulate
from daenr_train.fit import TrainingConfig

TURNS, STEPS, WARM_UP_STEPS = 8, 8, 2
REGION = 3  # 1800 training images


@pytest.fixture(scope="module")
def recording():
    return simulate(REGION, seed=0)


@pytest.mark.parametrize("batch_size", [16, 64])
def test_a_step(recording, batch_size, capsys):
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    config = TrainingConfig(batch_size=batch_size)
    torch.set_num_threads(config.threads)
    loops = loops_of(recording, config)
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for _ in range(TURNS):
        for name, take in loops.items():
            seconds[name] += take(WARM_UP_STEPS + STEPS)[WARM_UP_STEPS:]
    assert {len(taken) for taken in seconds.values()} == {TURNS * STEPS}
    ours = statistics.median(seconds["fit"])
    with capsys.disabled():
        print(f"\none step of {MODEL}, batch {batch_size}, {config.threads} threads; medians of {TURNS * STEPS}")
        for name, taken in seconds.items():
            step = statistics.median(taken)
            print(f"{name}: {1e3 * step:.1f} ms, {1 / step:.1f} steps/s, {step / ours:.2f}× as long as fit")

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from daenr_train.models import make_model
from daenr_train.spec import parse_model_name
from daenr_train.sweep import progress
from daenr_train.sweep.cost import HEADS, RunCost, cost_rows, memory, paper_cost
from daenr_train.sweep.grid import Cell
from daenr_train.sweep.progress import Stopwatch, duration, estimated_seconds
from daenr_train.sweep.work import gflop_per_step, multiply_adds


def cell(model, seed=0):
    return Cell("region1", model, "all", seed)


def test_the_estimate_goes_by_the_kind_of_model():
    known = {cell("cae"): 10.0, cell("cae-fr2"): 20.0, cell("cnn-fr1"): 3.0}
    assert estimated_seconds([cell("cae-fc3"), cell("cnn-fc1", 1)], known) == 15 + 3
    assert estimated_seconds([cell("vae")], known) == pytest.approx(11)  # nothing known of its kind
    assert estimated_seconds([cell("vae")], {}) is None


def test_the_time_left(monkeypatch):
    now = 100.0
    monkeypatch.setattr(progress.time, "monotonic", lambda: now)
    watch = Stopwatch({})
    assert watch.remaining_s([cell("cae")], 2) is None
    watch.start(cell("cae"))
    watch.start(cell("cae", 1))
    now = 108.0
    watch.end(cell("cae"), finished=True)
    now = 110.0
    # two wait and take 8 s each; the one under way has taken longer than that already
    assert watch.remaining_s([cell("cae", 2), cell("cae", 3)], 2) == 8.0
    watch.end(cell("cae", 1), finished=False)
    assert watch.known == {cell("cae"): 8.0}


@pytest.mark.parametrize(("seconds", "text"), [(45, "45 s"), (720, "12 min"), (12240, "3.4 h"), (181440, "2.1 days")])
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text


def costs_of(taken_here=100, mib=500.0):
    timing = {"steps": 100, "steps_taken_here": taken_here, "steps_per_second": 10.0, "peak_memory_mib": mib}
    seconds = {"cae": 360.0, "vae": 360.0, "vqvae": 360.0, "cnn-fr1": 36.0}
    return {
        cell(model): RunCost.of(
            parse_model_name(model, n_neurons=102), {"batch_size": 64}, timing | {"cpu_seconds": taken}
        )
        for model, taken in seconds.items()
    }


def test_what_the_paper_costs():
    assert [len(row) for row in cost_rows(costs_of())] == [len(HEADS)] * 4
    assert cost_rows(costs_of()) == [
        ("cae", "1", "100", "360.0", "10.0", "5.01", "50", "500"),
        ("cnn", "1", "100", "36.0", "10.0", "0.37", "4", "500"),
        ("vae", "1", "100", "360.0", "10.0", "5.05", "51", "500"),
        ("vqvae", "1", "100", "360.0", "10.0", "5.05", "50", "500"),
    ]
    # 3 × (36 + 3) × 5 + 40 runs of 360 s, and 3 × 12 × 5 of 36 s: 64.3 h
    assert "805 runs of the grid paper take 2.7 days on one core and 60 min on 64" in paper_cost(costs_of())
    # half of the steps were taken before the process that tells of the others
    assert "take 5.4 days on one core" in paper_cost(costs_of(taken_here=50))


def test_the_memory_of_a_run_is_judged():
    assert memory(costs_of()) == "the largest run held 500 MiB, which is within the 1536 MiB that a run may"
    assert (
        memory(costs_of(mib=2000.0)) == "the largest run held 2000 MiB, which is more than the 1536 MiB that a run may"
    )


@pytest.mark.parametrize(
    "model", ["cae", "vae", "vqvae", "cnn-fr2", "cnn-fm4", "cae-fr1", "vae-fc1", "vqvae-fm3", "klindt"]
)
def test_the_work_on_paper_is_what_torch_counts(model):
    spec = parse_model_name(model, n_neurons=102)
    network = make_model(spec, 0)
    with FlopCounterMode(display=False) as counter:
        output = network(torch.zeros(2, 1, 32, 32))
        forward = counter.get_total_flops()
        parts = (output.responses, output.reconstruction, *output.latent_terms.values())
        sum(part.sum() for part in parts if part is not None).backward()
    assert 2 * multiply_adds(spec) * 2 == forward
    # the gradient of the image itself is not needed
    assert counter.get_total_flops() / 1e9 == pytest.approx(gflop_per_step(spec, 2), rel=0.06)

from __future__ import annotations

import pytest

from daenr_train.sweep import progress
from daenr_train.sweep.cost import cost_rows, paper_cost
from daenr_train.sweep.grid import Cell
from daenr_train.sweep.progress import Stopwatch, duration, estimated_seconds


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


def test_what_the_paper_costs():
    timings = {
        cell(model): {"seconds": seconds, "steps_per_second": 10.0, "peak_memory_mib": 500.0}
        for model, seconds in (("cae", 360.0), ("vae", 360.0), ("vqvae", 360.0), ("cnn-fr1", 36.0))
    }
    assert [row[:3] for row in cost_rows(timings)] == [
        ("cae", "1", "360.0"),
        ("cnn", "1", "36.0"),
        ("vae", "1", "360.0"),
        ("vqvae", "1", "360.0"),
    ]
    # 3 × (36 + 3) × 5 + 40 runs of 360 s, and 3 × 12 × 5 of 36 s: 64.3 h
    assert "805 runs of the grid paper take 2.7 days on one core and 60 min on 64" in paper_cost(timings)

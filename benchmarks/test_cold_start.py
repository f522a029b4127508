"""From the start of a process to its first answer, beside one that only imports numpy.

What a rig waits for after a crash, on a machine that has run the same before: files are in the page cache, Python has
compiled its modules.
"""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median

import pytest

import daenr_export

PAIRS = 40
AT_MOST_MS = {("native", "responses"): 20.0, ("auto", "responses"): 40.0, ("native", "joint"): 60.0}
"""By backend and graph. `auto` first asks what a GPU would need; `joint` hashes and copies 7 MB of weights into memory
that the system first has to clear."""

SAY_WHEN = "import time; print(time.perf_counter_ns())"  # which is one clock for all processes
NUMPY = "import numpy; numpy.zeros((1, 1, 32, 32), numpy.float32); " + SAY_WHEN
ANSWER = (
    """
import sys, numpy, daenr_export
model = daenr_export.load(sys.argv[1], backend="{backend}")
model.{graph}(numpy.zeros((1, 1, 32, 32), numpy.float32))
"""
    + SAY_WHEN
)


@pytest.mark.parametrize(("backend", "graph"), AT_MOST_MS)
def test_load_and_first_answer_beyond_numpy(benchmark, subject, tmp_path, backend, graph):
    assert subject.checkpoint is not None, "give DAENR_CHECKPOINT, too"
    bundle = str(daenr_export.export(subject.checkpoint, tmp_path / "cold.daenr", native=True).bundle)
    commands = {"numpy": [NUMPY], "answer": [ANSWER.format(backend=backend, graph=graph), bundle]}
    times = {name: [] for name in commands}
    for turn in range(1 + PAIRS):
        for name in commands if turn % 2 else reversed(commands):
            taken = milliseconds(commands[name])
            if turn:
                times[name].append(taken)
    beyond = median(answer - numpy for numpy, answer in zip(times["numpy"], times["answer"], strict=True))
    benchmark.extra_info |= {"milliseconds beyond numpy": beyond}
    benchmark.pedantic(milliseconds, (commands["answer"],), rounds=5)
    print(
        f"{graph} on {backend}: {beyond:.1f} ms beyond numpy;",
        {name: round(median(values), 1) for name, values in times.items()},
    )
    assert beyond <= AT_MOST_MS[backend, graph]


def milliseconds(arguments: list[str]) -> float:
    """From the start of a process until it says that it is done."""
    start_ns = time.perf_counter_ns()
    done = subprocess.run([sys.executable, "-c", *arguments], check=True, capture_output=True, text=True)
    return (int(done.stdout) - start_ns) / 1e6

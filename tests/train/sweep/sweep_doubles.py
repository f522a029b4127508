"""An engine without processes, and a sweep made with it."""

from __future__ import annotations

import random
from collections.abc import Callable

from daenr_bench.paper.analysis import analyse
from daenr_bench.paper.csv_files import csv_files
from daenr_train.fit import TrainingConfig
from daenr_train.fit.interruption import StopRequest
from daenr_train.sweep.code_version import code_version
from daenr_train.sweep.driver import Driver, Options
from daenr_train.sweep.folder import Plan, open_folder
from daenr_train.sweep.grid import Cell
from daenr_train.sweep.job import Job, Outcome, Status, execute
from daenr_train.sweep.plan import PlannedCell, RecordingFacts, plan_runs
from daenr_train.sweep.results import read_results

QUICK = {"max_steps": 3, "batch_size": 32, "validate_every": 2, "threads": 1}


class InlineEngine:
    """Executes a job when it is waited for, in an order that a seed decides; `instead` may answer for it."""

    def __init__(self, recording, *, capacity=2, seed=0, instead: Callable[[Job], Outcome | None] = lambda job: None):
        self.recording, self.capacity, self.instead = recording, capacity, instead
        self.random = random.Random(seed)
        self.jobs: list[Job] = []
        self.executed: list[Cell] = []

    def submit(self, job):
        assert len(self.jobs) < self.capacity
        self.jobs.append(job)

    def wait(self, timeout_s):
        job = self.jobs.pop(self.random.randrange(len(self.jobs)))
        self.executed.append(job.run.cell)
        return [self.instead(job) or execute(job, self.recording)]

    def stop(self):
        jobs, self.jobs = self.jobs, []
        return [Outcome(job.run.digest, Status.INTERRUPTED) for job in jobs]

    def close(self):
        assert not self.jobs


class Notes(list):
    """Progress as a list of the cells that have ended."""

    def ended(self, cell, remaining_s):
        self.append(cell)


def cells_of(models, *, seeds=(0,), neurons=("all",), region="region1"):
    return tuple(sorted(Cell(region, model, which, seed) for model in models for which in neurons for seed in seeds))


def planned(cells, **settings):
    return tuple(
        PlannedCell(
            cell.region,
            cell.model,
            cell.neurons,
            cell.seed,
            TrainingConfig(**(QUICK | settings | {"seed": cell.seed})).to_json(),
        )
        for cell in cells
    )


def plan_of(recording, cells, **settings):
    return Plan({recording.region: RecordingFacts.of(recording)}, planned(cells, **settings))


def sweep(path, recording, cells, engine=None, *, resume=False, options=None, stop=None, **settings):
    """Sweep some cells; returns the engine."""
    engine = engine or InlineEngine(recording)
    with open_folder(path, plan_of(recording, cells, **settings), resume=resume) as folder:
        runs = plan_runs(folder.plan.cells, folder.plan.recordings, code_version())
        driver = Driver(folder, runs, cells, engine, options or Options())
        driver.drive(stop or StopRequest(), Notes())
    return engine


def paper_csv(path):
    """What `daenr-bench paper` makes of a sweep, as the contents of its CSV files by name."""
    return csv_files(analyse(read_results(path), "average"))

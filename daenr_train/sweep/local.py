"""Executes jobs on the processors of this machine, each in a process of its own that lasts for many jobs."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import final

from daenr_train.data.recording import Recording
from daenr_train.sweep.job import Job, Outcome, Status, execute

STOPPING_S = 30.0
"""How long jobs may take to finish their step and save their state."""

_THREAD_POOLS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    connection: Connection
    job: Job | None = None


@final
class LocalEngine:
    """Executes jobs in processes of this machine.

    A process that dies takes only its own job along. If the driver dies, its processes end too.

    Args:
        recordings: by fingerprint.
        processes: how many jobs to execute at the same time.
        threads: processor threads of each process.
    """

    def __init__(self, recordings: Mapping[str, Recording], processes: int, threads: int = 1) -> None:
        self.capacity = processes
        self._recordings = dict(recordings)
        self._threads = threads
        self._workers: list[_Worker] = []

    def submit(self, job: Job) -> None:
        """Start a job in an idle process, or in a new one."""
        worker = next((worker for worker in self._workers if worker.job is None), None) or self._start()
        worker.job = job
        with suppress(BrokenPipeError):  # it has died meanwhile; wait() will say so
            worker.connection.send(job)

    def wait(self, timeout_s: float) -> list[Outcome]:
        """What has ended since the last call."""
        busy = {worker.connection: worker for worker in self._workers if worker.job}
        return [self._outcome(busy[ready]) for ready in wait(list(busy), timeout_s) if isinstance(ready, Connection)]

    def stop(self) -> list[Outcome]:
        """Ask all processes to save their states, once, and wait for them."""
        for worker in self._workers:
            if worker.job:
                worker.process.terminate()
        outcomes: list[Outcome] = []
        deadline = time.monotonic() + STOPPING_S
        while any(worker.job for worker in self._workers) and time.monotonic() < deadline:
            outcomes += self.wait(1.0)
        return outcomes

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.process.join()
            worker.connection.close()
        self._workers.clear()

    @property
    def process_ids(self) -> list[int]:
        """Of the processes that are alive."""
        return [worker.process.pid for worker in self._workers if worker.process.pid is not None]

    def _start(self) -> _Worker:
        ours, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")  # a fork would copy the thread pools of torch in mid-flight
        process = context.Process(target=_serve, args=(theirs, self._recordings), daemon=True, name="daenr-sweep")
        with _thread_pools_of(self._threads):
            process.start()
        theirs.close()  # so that the death of the process ends the connection
        worker = _Worker(process, ours)
        self._workers.append(worker)
        return worker

    def _outcome(self, worker: _Worker) -> Outcome:
        job, worker.job = worker.job, None
        assert job is not None
        try:
            outcome: Outcome = worker.connection.recv()
            return outcome
        except (EOFError, ConnectionResetError):
            self._workers.remove(worker)
            worker.process.join()
            worker.connection.close()
            return Outcome(job.run.digest, Status.CRASHED, error=_death(worker.process.exitcode))


def _serve(connection: Connection, recordings: Mapping[str, Recording]) -> None:
    """Execute jobs until the driver ends; runs in a process of its own."""
    # Ctrl-C in the terminal is for the driver, which asks each process to save its state, once.
    os.setpgrp()
    threading.Thread(target=_end_with_the_driver, daemon=True).start()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        while True:
            job: Job = connection.recv()
            connection.send(execute(job, recordings[job.run.recording]))


def _end_with_the_driver() -> None:
    driver = multiprocessing.parent_process()
    if driver is not None:
        wait([driver.sentinel])
        os._exit(1)


def _death(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        name = signal.Signals(-exit_code).name
        return f"the process was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")
    return f"the process died with exit code {exit_code}"


@contextmanager
def _thread_pools_of(threads: int) -> Iterator[None]:
    """Processes started meanwhile have thread pools of this size; libraries read this when they are loaded."""
    before = {name: os.environ.get(name) for name in _THREAD_POOLS}
    os.environ.update(dict.fromkeys(_THREAD_POOLS, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

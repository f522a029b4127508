"""What executes jobs: the contract between the driver of a sweep and the machines that it uses."""

from __future__ import annotations

from typing import Protocol

from daenr_train.sweep.job import Job, Outcome


class Engine(Protocol):
    """Executes jobs, several at a time. Used by one thread; leaves nothing running after `close`."""

    @property
    def capacity(self) -> int:
        """How many jobs may be under way at the same time; may change as nodes come and go."""

    def submit(self, job: Job) -> None:
        """Start a job; at most `capacity` are under way.

        Raises:
            DaenrError: no process can be started.
        """

    def wait(self, timeout_s: float) -> list[Outcome]:
        """What has ended since the last call; waits for at most `timeout_s`."""

    def stop(self) -> list[Outcome]:
        """Ask the jobs under way to keep their states, and wait until they have; the outcomes of all of them."""

    def close(self) -> None:
        """End all processes; jobs under way are lost but for their last state."""

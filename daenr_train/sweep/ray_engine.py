"""Executes jobs with Ray: on this machine, or on the nodes of a cluster, which come and go."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any, final

from daenr_common.errors import DaenrError
from daenr_common.extras import require
from daenr_train.data.recording import Recording
from daenr_train.sweep.job import Job, Outcome, Status, execute

RETRIES = 3
"""How often Ray starts a run again whose node or process has died."""

REACHABLE_S = 5.0
STOPPING_S = 30.0


@final
class RayEngine:
    """Executes each job as one task of Ray; results come back to the driver, nothing is written on the nodes.

    Args:
        recordings: by fingerprint; they travel to the nodes.
        address: `host:port` of a cluster, or `auto` for the one that runs on this machine; None starts Ray here.
        cpus_per_run: processors that Ray reserves for a run; fractions put several runs on one.
        threads: processor threads of each run.
        processes: the most runs at the same time; None for what the cluster has room for.

    Raises:
        MissingExtraError: Ray is not installed.
        DaenrError: the cluster cannot be reached.
    """

    def __init__(
        self,
        recordings: Mapping[str, Recording],
        *,
        address: str | None = None,
        cpus_per_run: float = 1.0,
        threads: int = 1,
        processes: int | None = None,
    ) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        self._ray: Any = require("ray", extra="sweep", purpose="--engine ray")
        self._cpus, self._processes = cpus_per_run, processes
        self._connect(address)
        try:
            self._recordings = {name: self._ray.put(recording) for name, recording in recordings.items()}
            pools = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
            options = {"num_cpus": cpus_per_run, "max_retries": RETRIES, "runtime_env": {"env_vars": pools}}
            self._execute = self._ray.remote(**options)(execute)
        except BaseException:
            self._ray.shutdown()
            raise
        self._jobs: dict[Any, Job] = {}

    @property
    def capacity(self) -> int:
        """How many runs the cluster has room for now."""
        room = max(int(self._ray.cluster_resources().get("CPU", 0) / self._cpus), 1)
        return min(room, self._processes or room)

    def submit(self, job: Job) -> None:
        """Hand a job to Ray."""
        self._jobs[self._execute.remote(job, self._recordings[job.run.recording])] = job

    def wait(self, timeout_s: float) -> list[Outcome]:
        """What has ended since the last call."""
        ready, _ = self._ray.wait(list(self._jobs), num_returns=1, timeout=timeout_s)
        return [self._outcome(reference) for reference in ready]

    def stop(self) -> list[Outcome]:
        """Interrupt the tasks, which save their states where they see the driver's disk."""
        for reference in self._jobs:
            self._ray.cancel(reference)
        ready, _ = self._ray.wait(list(self._jobs), num_returns=len(self._jobs), timeout=STOPPING_S)
        return [self._outcome(reference) for reference in ready]

    def close(self) -> None:
        """Leave the cluster; the Ray that was started here ends."""
        self._ray.shutdown()

    def _connect(self, address: str | None) -> None:
        if address not in (None, "auto", "local"):
            _check_reachable(str(address))
        try:
            self._ray.init(
                address=address or "local",
                log_to_driver=False,
                logging_level="ERROR",
                **({"include_dashboard": False} if address in (None, "local") else {}),
            )
        except (ConnectionError, OSError, RuntimeError, ValueError) as error:
            first_line = (str(error).splitlines() or [type(error).__name__])[0]
            problem = f"cannot be used as a Ray cluster ({first_line})"
            raise DaenrError(address or "Ray", problem, "start it with: ray start --head") from error

    def _outcome(self, reference: Any) -> Outcome:
        job = self._jobs.pop(reference)
        digest = job.run.digest
        try:
            outcome: Outcome = self._ray.get(reference)
            return outcome
        except self._ray.exceptions.TaskCancelledError:
            return Outcome(digest, Status.INTERRUPTED)
        except self._ray.exceptions.RayTaskError as error:  # execute() raises nothing, so it could not be loaded
            problem = f"cannot execute daenr ({_last_line(error)})"
            fatal = DaenrError("a node of the cluster", problem, "install the same daenr there")
            return Outcome(digest, Status.FAILED, error=str(fatal), stops_the_sweep=fatal)
        except self._ray.exceptions.RayError as error:  # node or process died more often than is retried
            return Outcome(digest, Status.FAILED, error=f"{type(error).__name__}: {_last_line(error)}")


def _check_reachable(address: str) -> None:
    """Ray itself waits for minutes for a cluster that is not there."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdigit():
        raise DaenrError(f"--address {address}", "is not HOST:PORT", "give e.g. --address 10.0.0.1:6379, or auto")
    try:
        socket.create_connection((host, int(port)), timeout=REACHABLE_S).close()
    except (OSError, OverflowError) as error:
        problem = f"cannot be reached ({error})"
        raise DaenrError(f"Ray cluster {address}", problem, "check the address, or use --engine local") from error


def _last_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]

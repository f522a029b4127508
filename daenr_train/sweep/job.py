"""What one process does with one run: fit, score, and hand everything to the driver, which alone writes results."""

from __future__ import annotations

import errno
import io
import os
import platform
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np

from daenr_common.errors import DaenrError, Interrupted
from daenr_train.checkpoint import Checkpoint, save_checkpoint
from daenr_train.data.recording import Recording
from daenr_train.evaluate import Evaluation, evaluate, predict
from daenr_train.fit.config import TrainingConfig
from daenr_train.fit.determinism import deterministic_torch
from daenr_train.fit.fitting import fit_or_go_on
from daenr_train.metrics.scores import number_or_none
from daenr_train.sweep.code_version import code_version
from daenr_train.sweep.memory import peak_memory_mib, reset_peak_memory
from daenr_train.sweep.plan import Run
from daenr_train.sweep.second_stage import correlation_p_values, images_per_neuron, only_neurons, significant

EXAMPLES = 10
"""Test images whose reconstructions are kept (the paper's figure 2 shows ten)."""


@dataclass(frozen=True)
class Job:
    """A run that is ready to be executed.

    Attributes:
        run: what to fit.
        neuron_ids: the neurons to fit; None for all.
        state_path: where the fit's state is kept between steps, if its folder can be seen from where the job runs.
        keep_checkpoint: whether to hand back the checkpoint.
    """

    run: Run
    neuron_ids: tuple[str, ...] | None
    state_path: Path
    keep_checkpoint: bool = False


class Status(Enum):
    """How a job ended."""

    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    CRASHED = "crashed"
    """Its process died; it may be tried again."""


@dataclass(frozen=True)
class Outcome:
    """What came of a job.

    Attributes:
        digest: of the run.
        status: how it ended.
        scores: all scores, per neuron too, ready for JSON; a function of the run's identity alone.
        timing: seconds, steps per second, peak memory, host.
        examples: an npz file of test images and their reconstructions; None for a model without a decoder.
        checkpoint: a checkpoint file, where asked for.
        error: why it failed, in one line.
        traceback: where, for an error that daenr did not expect.
        stops_the_sweep: whether all other runs would fail the same way.
    """

    digest: str
    status: Status
    scores: dict[str, Any] | None = None
    timing: dict[str, Any] | None = None
    examples: bytes | None = None
    checkpoint: bytes | None = None
    error: str = ""
    traceback: str = ""
    stops_the_sweep: DaenrError | None = None


def execute(job: Job, recording: Recording) -> Outcome:
    """Fit and score; whatever goes wrong is in the outcome.

    Args:
        job: what to do.
        recording: the region's recording, with all its neurons.
    """
    digest = job.run.digest
    try:
        return _fit_and_score(job, digest, recording)
    except (Interrupted, KeyboardInterrupt):
        return Outcome(digest, Status.INTERRUPTED)
    except DaenrError as error:
        fatal = error if _is_disk_full(error) or isinstance(error, ForeignCodeError) else None
        return Outcome(digest, Status.FAILED, error=str(error), stops_the_sweep=fatal)
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return Outcome(digest, Status.FAILED, error=text, traceback=traceback.format_exc())


class ForeignCodeError(DaenrError):
    """A process of the sweep has other code than the driver."""


def _fit_and_score(job: Job, digest: str, recording: Recording) -> Outcome:
    run = job.run
    if run.code != code_version():
        problem = "has another version of daenr than the driver of the sweep"
        raise ForeignCodeError(platform.node() or "a node", problem, "install the same on every machine")
    reset_peak_memory()
    recording, spec = _writable(recording), run.spec
    if job.neuron_ids is not None:
        recording = only_neurons(recording, job.neuron_ids)
        spec = replace(spec, n_neurons=recording.n_neurons)
    clock = _Clock()
    config = TrainingConfig(**run.training)
    checkpoint = _fit(job.state_path, recording, spec, config, clock)
    with deterministic_torch(config.threads), clock.measuring("evaluate_seconds"):
        evaluation = evaluate(checkpoint, recording)
        examples = _examples(checkpoint, recording)
    scores: dict[str, Any] = {"fit": checkpoint.metrics, "n_neurons": spec.n_neurons} | evaluation.to_json()
    if evaluation.responses is not None:
        scores |= _significance(evaluation, recording, scores["per_neuron"])
    kept = (
        _file_of(replace(checkpoint, metrics=checkpoint.metrics | evaluation.summary)) if job.keep_checkpoint else None
    )
    timing = clock.report(checkpoint.metrics["steps"], config.threads)
    return Outcome(digest, Status.FINISHED, scores, timing, examples, kept)


def _fit(state_path: Path, recording: Recording, spec: Any, config: TrainingConfig, clock: _Clock) -> Checkpoint:
    path = state_path if state_path.parent.is_dir() else None  # a node of a cluster may not see the driver's disk
    with clock.measuring("fit_seconds"):
        return fit_or_go_on(recording, spec, config, path, clock.on_step)


class _Clock:
    """Seconds by what they were spent on, and the steps that they were spent on."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.cpu_start = time.process_time()
        self.steps = 0

    def on_step(self, step: int, terms: dict[str, float]) -> None:  # noqa: ARG002 (the signature of OnStep)
        self.steps += 1

    @contextmanager
    def measuring(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - start

    def report(self, total_steps: int, threads: int) -> dict[str, Any]:
        """A fit that was resumed took only some of its steps here; its cost is that of all, at the same speed."""
        per_step = self.seconds["fit_seconds"] / max(self.steps, 1)
        return {
            **self.seconds,
            "seconds": per_step * total_steps + self.seconds["evaluate_seconds"],
            "cpu_seconds": time.process_time() - self.cpu_start,
            "steps": total_steps,
            "steps_taken_here": self.steps,
            "steps_per_second": 1 / per_step if per_step else None,
            "peak_memory_mib": peak_memory_mib(),
            "threads": threads,
            "host": platform.node(),
            "process": os.getpid(),
        }


def _writable(recording: Recording) -> Recording:
    """A copy that torch may look at: arrays from a cluster's object store are read-only."""
    arrays = ("images", "responses", "test_images", "test_responses")
    if all(getattr(recording, name).flags.writeable for name in arrays):
        return recording
    return replace(recording, **{name: getattr(recording, name).copy() for name in arrays})


def _significance(evaluation: Evaluation, recording: Recording, per_neuron: dict[str, Any]) -> dict[str, Any]:
    assert evaluation.responses is not None
    correlation = evaluation.responses["correlation_to_average"].per_neuron
    p_values = correlation_p_values(correlation, images_per_neuron(recording))
    chosen = significant(correlation, p_values)
    return {
        "per_neuron": per_neuron
        | {
            "correlation_to_average_p": [number_or_none(float(p)) for p in p_values],
            "significant": chosen.tolist(),
        },
        "n_significant": int(chosen.sum()),
        "n_insignificant": int((~chosen).sum()),
    }


def _examples(checkpoint: Checkpoint, recording: Recording) -> bytes | None:
    images = recording.test_images[:EXAMPLES]
    _, reconstructions = predict(checkpoint, images)
    if reconstructions is None:
        return None
    buffer = io.BytesIO()
    np.savez(buffer, images=images, reconstructions=reconstructions)
    return buffer.getvalue()


def _file_of(checkpoint: Checkpoint) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "checkpoint.pt"
        save_checkpoint(checkpoint, path)
        return path.read_bytes()


def _is_disk_full(error: DaenrError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.ENOSPC

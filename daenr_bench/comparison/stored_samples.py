"""Rounds out of results: medians from the JSON, all calls from the npz beside it where that is still there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from daenr_bench.comparison.intervals import Values
from daenr_bench.comparison.samples import Samples
from daenr_bench.measurement import Measurement
from daenr_bench.result import Result
from daenr_bench.result_files import read_samples
from daenr_bench.scenarios.calling import NOT_MEASURED


def samples_of(
    paths: tuple[Path, Path], results: tuple[Result, Result], measurements: tuple[Measurement, Measurement]
) -> tuple[Samples, str | None]:
    """The rounds of both, and why there is no p99; None if there is one."""
    raw = [_raw(*of) for of in zip(paths, results, measurements, strict=True)]
    refused = next((found for found in raw if isinstance(found, str)), None)
    paced = measurements[0].paced
    samples = Samples(paired=False, unanswered_ns=None if paced is None else float(paced.period_ns))
    if refused is None:
        samples.base_ns, samples.head_ns = (found for found in raw if not isinstance(found, str))
    else:
        samples.base_ns, samples.head_ns = (
            [np.array([float(block.p50_ns)]) for block in measurement.blocks if block.p50_ns is not None]
            for measurement in measurements
        )
    return samples, refused


def _raw(path: Path, result: Result, measurement: Measurement) -> list[Values] | str:
    """The calls of each round, or why there are none."""
    arrays, missing = read_samples(path, result)
    if missing is not None:
        return f"no raw samples: {missing}"
    try:
        found = {name: arrays[key] for name, key in measurement.samples.items()}
    except KeyError:
        return f"the raw samples of {path.name} lack those of {measurement.graph} on {measurement.backend}"
    return _in_rounds(found, measurement)


def _in_rounds(arrays: dict[str, Any], measurement: Measurement) -> list[Values]:
    if "latency_ns" in arrays:
        rounds = [calls[calls != NOT_MEASURED].astype(np.float64) for calls in arrays["latency_ns"]]
        return [calls for calls in rounds if len(calls)]
    period_ns = measurement.paced.period_ns if measurement.paced else 0
    due_ns, end_ns = arrays["due_ns"], arrays["end_ns"]
    latency_ns = np.where(end_ns == NOT_MEASURED, period_ns, end_ns - due_ns).astype(float)
    # A new round began where the schedule was broken.
    return np.split(latency_ns, np.flatnonzero(np.diff(due_ns) != period_ns) + 1)

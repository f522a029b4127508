"""Results of earlier schema versions, brought to the present one step at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from daenr_common.strict_json import FieldError, decode

Document = dict[str, Any]


def migrated(document: Any, version: int) -> Document:
    """A document of any known schema version as one of `version`.

    Raises:
        FieldError: it is no object, its version is not known, or it lacks what its version has.
    """
    if not isinstance(document, dict):
        raise FieldError("the document", "is not an object")
    new: Document = document
    found = new.get("schema_version")
    if type(found) is not int or not (found == version or found in _STEPS):
        known = ", ".join(map(str, [*_STEPS, version]))
        raise FieldError("schema_version", f"is {found!r}, this daenr reads {known}")
    while found != version:
        try:
            new = _STEPS[found](new)
        except (KeyError, TypeError, AttributeError) as error:
            raise FieldError("the document", f"lacks what schema version {found} has ({error!r})") from error
        found = decode(int, new["schema_version"])
    return new


def _from_1(old: Document) -> Document:
    """Version 1 knew one scenario, "back to back", and kept parity and latency in one object."""
    settings = old["settings"]
    calls = settings["calls_per_round"]
    return {name: old[name] for name in _KEPT_FROM_1 if name in old} | {
        "schema_version": 2,
        "settings": {
            **{name: settings[name] for name in ("seed", "percentile_definition", "upper_bound_definition")},
            "scenarios": {"burst": {name: settings[name] for name in ("rounds", "calls_per_round", "lead_in_calls")}},
        },
        "overhead": {"burst": old["overhead"]},
        "clock": {"name": "time.perf_counter_ns", "resolution_ns": None, "wall_clock_step_s": 0.0},
        "standard": None,
        "entrants": [],
        "accuracy": [_accuracy_from_1(measurement) for measurement in old["measurements"]],
        "measurements": [
            _measurement_from_1(measurement, old, calls)
            for measurement in old["measurements"]
            if not _was_wrong_before_timing(measurement)
        ],
    }


_KEPT_FROM_1 = (
    "bundle", "started_at", "complete", "reference_backend", "skipped", "machine", "packages", "samples", "verdict"
)  # fmt: skip


def _was_wrong_before_timing(old: Document) -> bool:
    return bool(old["verdict"] == "fail" and old["warm_up"] is None)


def _accuracy_from_1(old: Document) -> Document:
    verdict, problems = ("fail", old["problems"]) if _was_wrong_before_timing(old) else ("pass", [])
    # Only single images were compared, and with no margins but the tolerances, which it does not say.
    parity = [
        {"output": output, "batch": 1, "metrics": metrics, "margins": {}, "verdict": verdict, "problems": []}
        for output, metrics in old["parity"].items()
    ]
    return {
        **{name: old[name] for name in ("graph", "backend", "precision")},
        "against": "golden file",
        "verdict": verdict,
        "problems": problems,
        "parity": parity,
        "science": [],
        "by_neuron": {},
    }


def _measurement_from_1(old: Document, result: Document, calls: int) -> Document:
    latency, key = old["latency"], f"{old['graph']}.{old['backend']}"
    blank = {"device": None, "paced": None, "cold": None, "throughput": None, "soak": None, "loadgen": None}
    return blank | {
        **{name: old[name] for name in ("graph", "backend", "problems", "timed_answers_compared", "warm_up")},
        "scenario": "burst",
        "timing_boundary": result["settings"]["timing_boundary"],
        "state": old["verdict"],
        "complete": bool(latency) and latency["n"] == calls * result["settings"]["rounds"],
        "latency": latency and _latency_from_1(latency),
        "blocks": [_block_from_1(p50_ns, calls) for p50_ns in (latency["round_p50_ns"] if latency else [])],
        "times_faster": latency and latency["times_faster"],
        "samples": {"latency_ns": key} if latency and result["samples"] else {},
    }


def _latency_from_1(old: Document) -> Document:
    kept = {name: old[name] for name in ("n", "min_ns", "mean_ns", "max_ns", "percentiles")}
    return kept | {"unanswered": 0, "histogram": None}


def _block_from_1(p50_ns: int, calls: int) -> Document:
    blank = {"start_s": None, "p99_ns": None, "max_ns": None, "misses": None, "rss_bytes": None, "histogram": None}
    return blank | {"n": calls, "p50_ns": p50_ns}


_STEPS: dict[int, Callable[[Document], Document]] = {1: _from_1}

"""The summary of a frame log: each class here is one object of its JSON. `_ns` means nanoseconds."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from daenr_bench.frame_log.stages import Stage, measure_stages
from daenr_bench.frame_log.wall_clock import WallClock, look_at
from daenr_bench.statistics.percentiles import DEFINITION
from daenr_common.strict_json import encode
from daenr_common.verdict import Verdict
from daenr_export.loop.frames import Status
from daenr_export.loop.log import LoggedRun, LogHeader
from daenr_export.loop.log.records import Rows

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Ids:
    """The numbers that the source gave its frames.

    Attributes:
        first: the lowest; None without frames.
        last: the highest; None without frames.
        missing: between these, that no row has: the source did not hand them over.
        repeated: rows whose number another row before has.
        out_of_order: rows with a lower number than the row before, by the time of their arrival.
    """

    first: int | None
    last: int | None
    missing: int
    repeated: int
    out_of_order: int

    @property
    def contiguous(self) -> bool:
        """Whether each number from the first to the last came once, and in order."""
        return not (self.missing or self.repeated or self.out_of_order)


@dataclass(frozen=True)
class Backends:
    """What answered.

    Attributes:
        frames: by the backend's name; frames that no backend ran are not in it.
        switches: how often a frame was answered by another backend than the one before it.
    """

    frames: dict[str, int]
    switches: int


@dataclass(frozen=True)
class Summary:
    """What a log says of its run.

    Attributes:
        file: the name of the log's file.
        verdict: PASS if every frame is accounted for, see `judge`.
        reason: why, in words.
        run: what the log's header says.
        frames: rows of the log.
        by_status: frames by their fate.
        seconds: from the first capture to the last; None with fewer than two frames.
        frames_per_second: over that time; None if it is zero or None.
        deadline_misses: frames whose answer was late.
        longest_run_unanswered: the most frames in a row, by arrival, that were not *ok*: late, dropped or fault.
        stages: how long each took, by name.
        gc_frames: during which Python collected garbage.
        captured_after_arrival: frames whose time of capture is after their arrival: the source's clock is another one.
        ids: the source's numbers.
        backends: what answered.
        wall_clock: whether it jumped.
        lost_rows: known to be missing.
        closed: whether the log ends as a closed one does.
        cut_bytes: at its end, that could not be read.
        write_error: the first failure to write the log; None if there was none, or the log was not closed.
        percentile_definition: how a percentile is picked.
        schema_version: of this layout.
    """

    file: str
    verdict: str
    reason: str
    run: LogHeader
    frames: int
    by_status: dict[str, int]
    seconds: float | None
    frames_per_second: float | None
    deadline_misses: int
    longest_run_unanswered: int
    stages: dict[str, Stage]
    gc_frames: int
    captured_after_arrival: int
    ids: Ids
    backends: Backends
    wall_clock: WallClock
    lost_rows: int
    closed: bool
    cut_bytes: int
    write_error: str | None
    percentile_definition: str = DEFINITION
    schema_version: int = SCHEMA_VERSION

    def json_text(self) -> str:
        """The summary as a JSON document."""
        document = encode(self)
        document["ids"]["contiguous"] = self.ids.contiguous
        return json.dumps(document, indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def summarize(run: LoggedRun) -> Summary:
    """Count and measure what a log holds."""
    rows = run.rows
    by_arrival = np.argsort(rows["enqueued_ns"], kind="stable")
    status = rows["status"][by_arrival]
    verdict, reason = judge(run)
    seconds = _seconds(rows)
    return Summary(
        file=run.path.name,
        verdict=verdict.value,
        reason=reason,
        run=run.header,
        frames=len(rows),
        by_status={kind.name.lower(): int(np.count_nonzero(status == kind)) for kind in Status},
        seconds=seconds,
        frames_per_second=(len(rows) - 1) / seconds if seconds else None,
        deadline_misses=int(np.count_nonzero(status == Status.LATE)),
        longest_run_unanswered=_longest_run(status != Status.OK),
        stages=measure_stages(rows),
        gc_frames=int(np.count_nonzero(rows["gc_ran"])),
        captured_after_arrival=int(np.count_nonzero(rows["captured_ns"] > rows["enqueued_ns"])),
        ids=_look_at_ids(rows["frame_id"][by_arrival]),
        backends=_look_at_backends(rows["backend_index"][by_arrival], run.header.backends),
        wall_clock=look_at(run.anchors),
        lost_rows=run.lost,
        closed=run.closed_cleanly,
        cut_bytes=run.cut_bytes,
        write_error=run.ending.error if run.ending else None,
    )


def judge(run: LoggedRun) -> tuple[Verdict, str]:
    """Whether every frame is accounted for: FAIL if rows are known to be lost, CANNOT_TELL if any may be."""
    if run.lost:
        return Verdict.FAIL, f"{run.lost} rows are lost"
    if run.ending is None:
        torn = f", and {run.cut_bytes} bytes at its end cannot be read" if run.cut_bytes else ""
        return Verdict.CANNOT_TELL, f"the log was not closed{torn}: what came after its last row is not known"
    if not run.closed_cleanly:
        return Verdict.CANNOT_TELL, "the file was changed after the log was closed"
    if not len(run.rows):
        return Verdict.CANNOT_TELL, "the log holds no frame"
    return Verdict.PASS, "every frame is accounted for"


def _seconds(rows: Rows) -> float | None:
    captured_ns = rows["captured_ns"][rows["captured_ns"] != 0]
    return (int(captured_ns.max()) - int(captured_ns.min())) / 1e9 if len(captured_ns) > 1 else None


def _longest_run(missed: NDArray[np.bool_]) -> int:
    edges = np.diff(np.concatenate(([0], missed.astype(np.int8), [0])))
    lengths = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
    return int(lengths.max(initial=0))


def _look_at_ids(ids: NDArray[np.int64]) -> Ids:
    if not len(ids):
        return Ids(None, None, 0, 0, 0)
    first, last, different = int(ids.min()), int(ids.max()), len(np.unique(ids))
    return Ids(
        first=first,
        last=last,
        missing=last - first + 1 - different,
        repeated=len(ids) - different,
        out_of_order=int(np.count_nonzero(ids[1:] < ids[:-1])),
    )


def _look_at_backends(index: NDArray[np.int8], names: tuple[str, ...]) -> Backends:
    ran = index[index >= 0]
    counted = zip(*(found.tolist() for found in np.unique(ran, return_counts=True)), strict=True)
    frames = {name_of(number, names): count for number, count in counted}
    return Backends(frames, int(np.count_nonzero(np.diff(ran))))


def name_of(number: int, names: tuple[str, ...]) -> str:
    """The name of a backend or a status, or its number if it has none; two of one name are told apart by numbers."""
    if number >= len(names):
        return str(number)
    return names[number] if names.count(names[number]) == 1 else f"{names[number]} ({number})"

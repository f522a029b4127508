"""The columns that a log is converted to, a chunk of rows at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from daenr_bench.frame_log.summary import name_of
from daenr_bench.frame_log.wall_clock import on_wall_clock
from daenr_export.loop.frames import Status
from daenr_export.loop.log import LoggedRun
from daenr_export.loop.log.records import INSTANTS, Rows

CHUNK = 65536


class Column(NamedTuple):
    """Values of one column `(n,)`, and where there are none."""

    values: NDArray[Any]
    absent: NDArray[np.bool_] | None = None


COLUMNS = {
    "frame_id": "int64",
    "captured_utc_ns": "int64",
    **dict.fromkeys(INSTANTS, "int64"),
    "age_at_start_ns": "int64",
    "age_at_emit_ns": "int64",
    "status": "name",
    "drops_before": "uint32",
    "backend": "name",
    "gc_ran": "bool",
}
"""Names and kinds, in order; a `name` is an index into `names_of`."""


def names_of(run: LoggedRun) -> dict[str, tuple[str, ...]]:
    """The texts that the columns of kind `name` stand for."""
    statuses, backends = tuple(status.name.lower() for status in Status), run.header.backends
    highest_status, highest_backend = (int(run.rows[name].max(initial=0)) for name in ("status", "backend_index"))
    return {
        "status": tuple(name_of(i, statuses) for i in range(max(len(statuses), highest_status + 1))),
        "backend": tuple(name_of(i, backends) for i in range(max(len(backends), highest_backend + 1))),
    }


def chunks(run: LoggedRun, size: int = CHUNK) -> Iterator[dict[str, Column]]:
    """The rows as columns, in chunks of at most `size` rows."""
    for begin in range(0, len(run.rows), size):
        yield _columns(run.rows[begin : begin + size], run.anchors)


def _columns(rows: Rows, anchors: Rows) -> dict[str, Column]:
    captured_ns, never_captured = rows["captured_ns"], rows["captured_ns"] == 0
    columns = {name: Column(rows[name], rows[name] == 0) for name in INSTANTS}
    for name, end in (("age_at_start_ns", "started_ns"), ("age_at_emit_ns", "emitted_ns")):
        columns[name] = Column(rows[end] - captured_ns, never_captured | (rows[end] == 0))
    columns["frame_id"] = Column(rows["frame_id"])
    if len(anchors):
        columns["captured_utc_ns"] = Column(on_wall_clock(captured_ns, anchors), never_captured)
    else:
        columns["captured_utc_ns"] = Column(captured_ns, np.ones(len(rows), bool))
    columns["status"] = Column(rows["status"])
    columns["drops_before"] = Column(rows["drops_before"])
    columns["backend"] = Column(rows["backend_index"], rows["backend_index"] < 0)
    columns["gc_ran"] = Column(rows["gc_ran"])
    return {name: columns[name] for name in COLUMNS}

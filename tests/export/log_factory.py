"""Frame logs with known content: built from rows, block by block, without the writer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from daenr_export.loop.frames import Status
from daenr_export.loop.log import LogHeader
from daenr_export.loop.log.records import ANCHOR, ANCHORS, END, ROW, ROWS, Rows, block

MS = 1_000_000
HEADER = LogHeader(
    bundle_sha256="ab" * 32,
    graph="responses",
    backends=("onnxruntime", "openvino"),
    policy="latest",
    deadline_ns=8 * MS,
    run_id="3f0c",
    machine={"processor": "Some CPU"},
    daenr_version="0.1.0",
)
START_NS = 5_000_000 * MS
WALL_NS = 1_795_000_000_000_000_123
"""2026-11-18T11:06:40 and a little, UTC."""


def make_rows(number: int, period_ns: int = 10 * MS) -> Rows:
    """Frames that were all answered in time, after 0.1, 0.2, 2, 0.5 and 0.2 ms in the stages."""
    rows = np.zeros(number, ROW)
    rows["frame_id"] = np.arange(number)
    rows["captured_ns"] = START_NS + np.arange(number) * period_ns
    after_ms = {"enqueued_ns": 0.1, "started_ns": 0.3, "inferred_ns": 2.3, "hooked_ns": 2.8, "emitted_ns": 3.0}
    for name, after in after_ms.items():
        rows[name] = rows["captured_ns"] + int(after * MS)
    return rows


def drop(rows: Rows, *at: int) -> None:
    """Let frames be dropped while they waited."""
    for name in ("started_ns", "inferred_ns", "hooked_ns", "emitted_ns"):
        rows[name][list(at)] = 0
    rows["status"][list(at)] = Status.DROPPED
    rows["backend_index"][list(at)] = -1


def make_session() -> Rows:
    """700 frames, of which three were late and two dropped; the second backend took over at the 300th."""
    rows = make_rows(700)
    rows["status"][10:13] = Status.LATE
    drop(rows, 13, 50)
    rows["drops_before"][[14, 51]] = 1
    rows["backend_index"][300:] = 1
    rows["gc_ran"][7] = True
    rows["hooked_ns"][20] = 0
    return rows


def make_anchors(number: int = 3, steps_ns: dict[int, int] | None = None, lost: int = 0) -> Rows:
    """Both clocks once a second, with jumps of the wall clock before some of them."""
    anchors = np.zeros(number, ANCHOR)
    anchors["monotonic_ns"] = START_NS + np.arange(number) * 1000 * MS
    anchors["wall_ns"] = WALL_NS + np.arange(number) * 1000 * MS
    for at, by_ns in (steps_ns or {}).items():
        anchors["wall_ns"][at:] += by_ns
    anchors["lost"] = lost
    return anchors


def log_bytes(rows: Rows, anchors: Rows | None = None, *, lost: int = 0, closed: bool = True) -> bytes:
    """The content of a log's file, seven rows in a block."""
    anchors = make_anchors(lost=lost) if anchors is None else anchors
    parts = [HEADER.to_bytes(), *(block(ANCHORS, anchor.tobytes()) for anchor in anchors)]
    parts += [block(ROWS, rows[at : at + 7].tobytes()) for at in range(0, len(rows), 7)]
    if closed:
        parts.append(block(END, json.dumps({"rows": len(rows), "lost": lost, "error": None}).encode()))
    return b"".join(parts)


def write_log(path: Path, rows: Rows, anchors: Rows | None = None, *, lost: int = 0, closed: bool = True) -> Path:
    """Make the file of a log."""
    path.write_bytes(log_bytes(rows, anchors, lost=lost, closed=closed))
    return path

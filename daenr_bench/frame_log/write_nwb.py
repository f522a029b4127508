"""A log as Neurodata Without Borders: the frames are a table of time intervals."""

from __future__ import annotations

import functools
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daenr_bench.frame_log.columns import CHUNK, names_of
from daenr_bench.frame_log.wall_clock import utc
from daenr_common.errors import DaenrError, LogError
from daenr_common.extras import require
from daenr_common.files import atomic_file
from daenr_common.strict_json import encode
from daenr_export.loop.log import LoggedRun
from daenr_export.loop.log.records import INSTANTS, Rows

Values = NDArray[Any]
Of = Callable[[Rows], Values]
Column = tuple[str, str, Of]
"""Name, description, and how it follows from rows of the log."""

_ROW_BYTES = 80  # of all columns and the row's number
_REST_BYTES = 2**21  # the definition of the format, which each file holds

_WHAT = {
    "enqueued": "when the loop had it",
    "started": "when its inference began",
    "inferred": "when its inference had ended",
    "hooked": "when the user's hook had returned",
    "emitted": "when the sink had taken an answer, the frame's own or the fallback",
}

_FATES = (
    "ok: the sink had taken its answer by the deadline; late: the deadline passed before; dropped: never answered; "
    "fault: the frame was unusable, or the backend, the hook or the sink failed on it"
)


def nwb_module() -> Any:
    """Import pynwb.

    Raises:
        MissingExtraError: it is not installed.
    """
    return require("pynwb", extra="nwb", purpose="writing NWB")


def write_nwb(run: LoggedRun, path: Path) -> None:
    """Write the frames as the intervals `frames`, from capture to the last that is known of each.

    Times are in seconds since the log was opened, by the monotonic clock, and NaN where an instant never came. The
    session starts when the log was opened, by the wall clock.

    Raises:
        MissingExtraError: pynwb is not installed.
        LogError: the log is cut before its first anchor, so that no date is known.
        DaenrError: the file cannot be written, or there is no room for it.
    """
    pynwb = nwb_module()
    if not len(run.anchors):
        raise LogError(run.path, "ends before its first anchor: nothing tells the date", "write CSV instead")
    header = run.header
    deadline = "no deadline" if header.deadline_ns is None else f"a deadline of {header.deadline_ns / 1e6:g} ms"
    nwb = pynwb.NWBFile(
        session_description=f"closed loop on graph {header.graph}, policy {header.policy}, {deadline}",
        identifier=header.run_id,
        session_start_time=utc(int(run.anchors["wall_ns"][0])),
        source_script=f"daenr {header.daenr_version}",
        source_script_file_name="daenr-bench log",
        notes=json.dumps(encode(header)),
    )
    h5py, columns = require("h5py", extra="nwb", purpose="writing NWB"), _columns(run)
    nwb.add_time_intervals(_table(pynwb, run.rows, columns))
    with atomic_file(path) as temporary:
        _reserve(temporary, len(run.rows))
        # Opened here: pynwb warns of names that do not end in .nwb, and HDF5's lock collides with that of atomic_file.
        with h5py.File(temporary, "w", locking=False) as file, pynwb.NWBHDF5IO(file=file, mode="w") as output:
            output.write(nwb)
        with h5py.File(temporary, "r", locking=False) as file:
            check_written(path, file, run.rows, columns)


def _reserve(file: Path, rows: int) -> None:
    """See whether there is room: where a write fails, HDF5 drops data without an error, or crashes at the end."""
    if hasattr(os, "posix_fallocate"):
        bytes_needed = -(-rows // CHUNK) * CHUNK * _ROW_BYTES + _REST_BYTES
        with tempfile.TemporaryFile(dir=file.parent) as trial:
            os.posix_fallocate(trial.fileno(), 0, bytes_needed)


def check_written(path: Path, file: Any, rows: Rows, columns: list[Column]) -> None:
    """Compare what an HDF5 file holds with the log.

    Raises:
        DaenrError: it holds something else.
    """
    for name, _, of in columns:
        written = file["intervals/frames"][name]
        for begin in range(0, len(rows), CHUNK):
            part = slice(begin, begin + CHUNK)
            if not np.array_equal(written[part], of(rows[part]), equal_nan=True):
                raise DaenrError(path, f"was not written as it should be (column {name})", "check the disk, try again")


def _columns(run: LoggedRun) -> list[Column]:
    codes = {
        name: ", ".join(f"{code} {text}" for code, text in enumerate(texts)) for name, texts in names_of(run).items()
    }
    return [
        ("start_time", "when the frame was captured", _time(run, "captured_ns")),
        ("stop_time", "the last instant that is known of the frame", _last_time(run)),
        ("frame_id", "the source's own number", lambda rows: rows["frame_id"]),
        *((f"{name}_time", f"{what}, in seconds", _time(run, f"{name}_ns")) for name, what in _WHAT.items()),
        ("status", f"its fate ({codes['status']}). {_FATES}", lambda rows: rows["status"]),
        ("drops_before", "frames dropped before it", lambda rows: rows["drops_before"]),
        ("backend", f"what ran on it ({codes['backend']}, -1 none)", lambda rows: rows["backend_index"]),
        ("gc_ran", "whether Python collected garbage while it was in the loop", lambda rows: rows["gc_ran"]),
    ]


def _table(pynwb: Any, rows: Rows, columns: list[Column]) -> Any:
    hdmf, lazily = require("hdmf.common", extra="nwb", purpose="writing NWB"), _lazily()
    return pynwb.epoch.TimeIntervals(
        name="frames",
        description="the frames of a closed loop, one row each, in the order in which their fates were known",
        id=np.arange(len(rows)),
        columns=[hdmf.VectorData(name=name, description=what, data=lazily(rows, of)) for name, what, of in columns],
        colnames=[name for name, _, _ in columns],
    )


def _time(run: LoggedRun, instant: str) -> Of:
    """Seconds since the session's start, which is known to the microsecond."""
    start_ns = int(run.anchors["monotonic_ns"][0]) - int(run.anchors["wall_ns"][0]) % 1000
    return lambda rows: np.where(rows[instant] == 0, np.nan, (rows[instant] - start_ns) / 1e9)


def _last_time(run: LoggedRun) -> Of:
    times = [_time(run, instant) for instant in INSTANTS]
    return lambda rows: functools.reduce(np.fmax, [time(rows) for time in times])


def _lazily() -> Callable[[Rows, Of], Any]:
    """What turns a column into an iterator, so that pynwb never holds more than a chunk of it."""
    chunked = require("hdmf.data_utils", extra="nwb", purpose="writing NWB").GenericDataChunkIterator

    class Lazy(chunked):  # type: ignore[misc, valid-type]  # known at run time only
        def __init__(self, rows: Rows, of: Of) -> None:
            self._rows, self._of = rows, of
            shape = (min(CHUNK, len(rows)),)
            super().__init__(buffer_shape=shape, chunk_shape=shape)

        def _get_data(self, selection: tuple[slice]) -> Values:
            return self._of(self._rows[selection])

        def _get_maxshape(self) -> tuple[int]:
            return (len(self._rows),)

        def _get_dtype(self) -> np.dtype[Any]:
            return self._of(self._rows[:0]).dtype

    # hdmf has no chunks of nothing.
    return lambda rows, of: Lazy(rows, of) if len(rows) else of(rows)

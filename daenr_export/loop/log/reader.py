"""Reads a frame log, whole or cut short: everything before the first block that is not whole."""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, final

import numpy as np

from daenr_common.errors import LogError
from daenr_common.strict_json import FieldError, decode
from daenr_export.loop.log.header import LogHeader
from daenr_export.loop.log.records import (
    ANCHOR,
    ANCHORS,
    BLOCK,
    CHECKSUM,
    END,
    MAGIC,
    PREFIX,
    ROW,
    ROWS,
    VERSION,
    Rows,
)

_GIVE_A_LOG = "give a file that a closed loop wrote"


@final
@dataclass(frozen=True)
class Ending:
    """How a log was closed.

    Attributes:
        rows: in the file.
        lost: rows that are not in it.
        error: the first failure to write or to take a row; None if there was none.
    """

    rows: int
    lost: int
    error: str | None


@final
@dataclass(frozen=True)
class LoggedRun:
    """What a log holds.

    Attributes:
        path: the file.
        header: of the run.
        rows: `(N,)` records of `records.ROW`, one for each frame, in the order in which their fates were known.
        anchors: `(A,)` records of `records.ANCHOR`.
        ending: None if the log was not closed: its process was killed, or writes it still, or the file is damaged.
        cut_bytes: at the end of the file, that belong to no whole block.
    """

    path: Path
    header: LogHeader
    rows: Rows
    anchors: Rows
    ending: Ending | None
    cut_bytes: int

    @property
    def closed_cleanly(self) -> bool:
        """Whether the file ends as a closed log does, and holds the rows that it then says."""
        return self.ending is not None and not self.cut_bytes and self.ending.rows == len(self.rows)

    @property
    def lost(self) -> int:
        """Rows that are known to be lost: all of them if the log was closed, else those up to its last anchor."""
        if self.ending is not None:
            return self.ending.lost
        return int(self.anchors["lost"][-1]) if len(self.anchors) else 0


def read_log(path: str | Path) -> LoggedRun:
    """Read a log into memory: 64 bytes for each frame.

    Raises:
        LogError: there is no such file, it is not a frame log or one of another version, or it is cut or damaged
            before its first block.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            return _read(path, file)
    except FileNotFoundError as error:
        raise LogError(path, "does not exist", _GIVE_A_LOG) from error
    except OSError as error:
        raise LogError(path, f"cannot be read ({error.strerror})", _GIVE_A_LOG) from error


def _read(path: Path, file: BinaryIO) -> LoggedRun:
    header = _read_header(path, file)
    size = os.fstat(file.fileno()).st_size
    rows = np.empty((size - file.tell()) // ROW.itemsize, ROW)  # as many as there can be; none is touched needlessly
    count, anchors = 0, [np.empty(0, ANCHOR)]
    ending: Ending | None = None
    good = file.tell()
    while ending is None and (found := _read_block(file, size - good)):
        kind, payload = found
        if kind == ROWS and len(payload) % ROW.itemsize == 0:
            new = np.frombuffer(payload, ROW)
            rows[count : count + len(new)] = new
            count += len(new)
        elif kind == ANCHORS and len(payload) == ANCHOR.itemsize:
            anchors.append(np.frombuffer(payload, ANCHOR))
        elif kind == END:
            ending = _ending(payload)
        good = file.tell()
    return LoggedRun(path, header, rows[:count], np.concatenate(anchors), ending, size - good)


def _read_block(file: BinaryIO, left: int) -> tuple[bytes, bytes] | None:
    """The next block's kind and payload; None if there is none, or none that is whole."""
    head = file.read(BLOCK.size)
    if len(head) < BLOCK.size:
        return None
    kind, length = BLOCK.unpack(head)
    if length > left - BLOCK.size - CHECKSUM.size:  # before memory is taken for it
        return None
    payload, checksum = file.read(length), file.read(CHECKSUM.size)
    if checksum != CHECKSUM.pack(zlib.crc32(payload, zlib.crc32(head))):
        return None
    return kind, payload


def _ending(payload: bytes) -> Ending | None:
    try:
        return decode(Ending, json.loads(payload))
    except (ValueError, FieldError):
        return None


def _read_header(path: Path, file: BinaryIO) -> LogHeader:
    """Read the file up to its first block."""
    prefix = file.read(PREFIX.size)
    if not prefix:
        raise LogError(path, "is empty", _GIVE_A_LOG)
    if prefix[: len(MAGIC)] != MAGIC[: len(prefix)]:
        raise LogError(path, "is not a frame log", _GIVE_A_LOG)
    if len(prefix) < PREFIX.size:
        raise LogError(path, "is cut within its header", _GIVE_A_LOG)
    _, version, length = PREFIX.unpack(prefix)
    if version != VERSION:
        problem = f"is a frame log of version {version}, this daenr reads {VERSION}"
        raise LogError(path, problem, "use the daenr that wrote it")
    left = os.fstat(file.fileno()).st_size - PREFIX.size
    if length > left - CHECKSUM.size:
        raise LogError(path, "is cut within its header", _GIVE_A_LOG)
    text, checksum = file.read(length), file.read(CHECKSUM.size)
    if checksum != CHECKSUM.pack(zlib.crc32(text, zlib.crc32(prefix))):
        raise LogError(path, "has a damaged header: its checksum is wrong", "copy the file again")
    return _parse_header(path, text)


def _parse_header(path: Path, text: bytes) -> LogHeader:
    try:
        document = decode(dict[str, Any], json.loads(text))
        for name, dtype in (("row", ROW), ("anchor", ANCHOR)):
            if document.get(name) != json.loads(json.dumps(dtype.descr)):
                raise FieldError(name, "lists other columns than this daenr knows")
        return LogHeader.from_json(document.get("log"))
    except (ValueError, FieldError) as error:
        raise LogError(path, f"header: {error}", "use the daenr that wrote it") from error

r"""The format of a frame log: a header, then blocks of records, each block with a checksum of its own.

All numbers are little-endian. Instants are in nanoseconds on the clock of `time.monotonic_ns`; 0: it never came.

    file    magic       8 bytes   89 44 41 45 4E 52 4C 0A  (0x89 "DAENRL" newline)
            version     uint32    1
            length      uint32    bytes of the header
            header      UTF-8     JSON, `length` bytes: see below
            checksum    uint32    CRC-32 (as zlib and gzip have it) of all bytes before it
            blocks      until the end of the file
    block   kind        4 bytes   "ROWS", "ANCH" or "ENDS"
            length      uint32    bytes of the payload
            payload     `length` bytes
            checksum    uint32    CRC-32 of kind, length and payload

    ROWS    records of the header's `row`, one for each frame, in the order in which their fates were known
    ANCH    one record of the header's `anchor`: both clocks at one instant, and the rows lost by then
    ENDS    JSON: `rows` in the file, rows `lost`, and the first `error` in writing, or null. It is the last block of a
            log that was closed; a log without it was cut short, by a kill or a full disk

The header is an object. `row` and `anchor` are lists of [name, type], types being written as in numpy: "<i8" is a
little-endian int64, "<u2" and "<u4" are unsigned, "|i1" is an int8, "|b1" a byte that is 0 or 1. `statuses` names the
values of `status`. `log` holds the fields of `LogHeader`, among them `backends`, which `backend_index` counts in; -1 is
none. A block whose checksum is wrong ends what can be read; what comes before it is whole. This reads a log:

    import json, pathlib, struct, zlib

    def read(path):
        content = pathlib.Path(path).read_bytes()
        version, length = struct.unpack_from("<II", content, 8)
        assert content[:8] == b"\x89DAENRL\n" and version == 1
        header, at = json.loads(content[16 : 16 + length]), 16 + length + 4
        letters = {"<i8": "q", "<u4": "I", "<u2": "H", "|i1": "b", "|b1": "?"}
        row = struct.Struct("<" + "".join(letters[kind] for _, kind in header["row"]))
        rows = []
        while at + 8 <= len(content):
            kind, length = struct.unpack_from("<4sI", content, at)
            end = at + 8 + length
            if content[end : end + 4] != struct.pack("<I", zlib.crc32(content[at:end])):
                break
            if kind == b"ROWS":
                rows.extend(row.iter_unpack(content[at + 8 : end]))
            at = end + 4
        return header, rows
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

MAGIC = b"\x89DAENRL\n"  # a byte beyond ASCII and a line end, so that a transfer as text shows
VERSION = 1

INSTANTS = ("captured_ns", "enqueued_ns", "started_ns", "inferred_ns", "hooked_ns", "emitted_ns")
"""The columns that hold instants, in the order in which a frame passes them."""

ROW = np.dtype(
    [
        ("frame_id", "<i8"),
        *((name, "<i8") for name in INSTANTS),
        ("drops_before", "<u4"),
        ("status", "<u2"),
        ("backend_index", "|i1"),
        ("gc_ran", "|b1"),
    ]
)
"""One frame: 64 bytes, without padding."""

PACK_ROW = struct.Struct("<qqqqqqqIHb?").pack_into
"""Writes the values of `ROW`, in its order, into a buffer. Five times faster than an assignment to a numpy record."""

ANCHOR = np.dtype([("monotonic_ns", "<i8"), ("wall_ns", "<i8"), ("lost", "<i8")])
"""Both clocks at one instant (the wall clock counts from 1970, UTC), and how many rows had been lost by then."""

ROWS, ANCHORS, END = b"ROWS", b"ANCH", b"ENDS"

PREFIX = struct.Struct("<8sII")
"""Magic, version and length of the header."""

BLOCK = struct.Struct("<4sI")
"""Kind and length of a block."""

CHECKSUM = struct.Struct("<I")

Rows = NDArray[np.void]
"""Records of `ROW` or `ANCHOR`."""


def sealed(content: bytes) -> bytes:
    """Bytes with their checksum behind them."""
    return content + CHECKSUM.pack(zlib.crc32(content))


def block(kind: bytes, *parts: bytes | memoryview) -> bytes:
    """A whole block: its kind, the length of its payload, the payload given in parts, and the checksum."""
    payload = b"".join(parts)
    return sealed(BLOCK.pack(kind, len(payload)) + payload)

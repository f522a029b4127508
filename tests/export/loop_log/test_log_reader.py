"""Reading frame logs: whole, cut at any byte, with any bit flipped, and what is none."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_factory import HEADER, log_bytes, make_anchors, make_rows, write_log

from daenr_common.errors import LogError
from daenr_export.loop.log import records
from daenr_export.loop.log.reader import Ending, read_log
from daenr_export.loop.log.records import ANCHORS, END, MAGIC, PREFIX, ROW, ROWS, VERSION, block, sealed

CONTENT = log_bytes(make_rows(40))
HEADER_BYTES = len(HEADER.to_bytes())


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "session.dlog"


def test_what_was_written_is_read(tmp_path: Path) -> None:
    rows, anchors = make_rows(40), make_anchors(5)
    run = read_log(write_log(tmp_path / "a.dlog", rows, anchors, lost=2))
    assert run.header == HEADER
    np.testing.assert_array_equal(run.rows, rows)
    np.testing.assert_array_equal(run.anchors, anchors)
    assert run.ending == Ending(rows=40, lost=2, error=None)
    assert (run.closed_cleanly, run.lost, run.cut_bytes) == (True, 2, 0)


def test_a_row_has_the_size_that_the_format_says() -> None:
    assert ROW.itemsize == 64
    assert sum(ROW[name].itemsize for name in ROW.names) == 64


def test_the_reader_in_the_documentation_reads_a_log(tmp_path: Path) -> None:
    rows = make_rows(40)
    documented: dict[str, Any] = {}
    code = records.__doc__.partition("This reads a log:\n")[2]
    assert 10 < len(code.strip().splitlines()) <= 20
    exec(re.sub(r"^ {4}", "", code, flags=re.M), documented)
    header, read = documented["read"](write_log(tmp_path / "a.dlog", rows))
    assert header["log"]["backends"] == ["onnxruntime", "openvino"]
    assert header["statuses"] == {"0": "ok", "1": "late", "2": "dropped", "3": "fault"}
    assert read == rows.tolist()


@given(cut=st.integers(HEADER_BYTES, len(CONTENT) - 1))
@settings(max_examples=300, deadline=None)
def test_a_log_cut_at_any_byte_keeps_its_whole_blocks(scratch: Path, cut: int) -> None:
    scratch.write_bytes(CONTENT[:cut])
    run = read_log(scratch)
    np.testing.assert_array_equal(run.rows, make_rows(40)[: len(run.rows)])
    np.testing.assert_array_equal(run.anchors, make_anchors()[: len(run.anchors)])
    assert not run.closed_cleanly
    # Nothing whole is thrown away: what is cut is less than one block of seven rows.
    assert run.cut_bytes < len(block(ROWS, make_rows(7).tobytes()))
    assert log_bytes(run.rows, run.anchors, closed=False) == CONTENT[: cut - run.cut_bytes]


@given(bit=st.integers(0, len(CONTENT) * 8 - 1))
@settings(max_examples=400, deadline=None)
def test_a_flipped_bit_is_found_and_what_is_before_it_is_read(scratch: Path, bit: int) -> None:
    damaged = bytearray(CONTENT)
    damaged[bit // 8] ^= 1 << bit % 8
    scratch.write_bytes(damaged)
    if bit // 8 < HEADER_BYTES:
        with pytest.raises(LogError):
            read_log(scratch)
        return
    run = read_log(scratch)
    assert not run.closed_cleanly
    assert 0 < run.cut_bytes <= len(CONTENT) - HEADER_BYTES
    good = len(CONTENT) - run.cut_bytes
    assert good <= bit // 8
    assert log_bytes(run.rows, run.anchors, closed=False)[:good] == CONTENT[:good]


def test_a_log_that_is_cut_within_its_header_is_an_error(scratch: Path) -> None:
    for cut in range(1, HEADER_BYTES, 5):
        scratch.write_bytes(CONTENT[:cut])
        with pytest.raises(LogError, match="is cut within its header"):
            read_log(scratch)


def test_bytes_after_the_end_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.dlog"
    path.write_bytes(CONTENT + b"more")
    run = read_log(path)
    assert (run.closed_cleanly, run.cut_bytes, len(run.rows)) == (False, 4, 40)


def test_a_block_that_is_missing_shows(tmp_path: Path) -> None:
    path = tmp_path / "a.dlog"
    path.write_bytes(CONTENT.replace(block(ROWS, make_rows(40)[7:14].tobytes()), b""))
    run = read_log(path)
    assert (run.closed_cleanly, run.cut_bytes, len(run.rows)) == (False, 0, 33)


def test_unknown_kinds_of_blocks_are_passed_over(tmp_path: Path) -> None:
    rows = make_rows(3)
    end = block(END, json.dumps({"rows": 3, "lost": 0, "error": None}).encode())
    path = tmp_path / "a.dlog"
    path.write_bytes(HEADER.to_bytes() + block(b"NOTE", b"from tomorrow") + block(ROWS, rows.tobytes()) + end)
    run = read_log(path)
    assert run.closed_cleanly
    np.testing.assert_array_equal(run.rows, rows)
    assert len(run.anchors) == 0


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b"\xff", b'{"rows": 0, "lost": 0}', b'{"rows": "0", "lost": 0, "error": 1}']
)
def test_an_end_that_says_nothing_is_none(tmp_path: Path, payload: bytes) -> None:
    path = tmp_path / "a.dlog"
    path.write_bytes(HEADER.to_bytes() + block(END, payload))
    assert read_log(path).ending is None


def test_what_is_known_to_be_lost_of_a_log_that_was_not_closed(tmp_path: Path) -> None:
    run = read_log(write_log(tmp_path / "a.dlog", make_rows(3), make_anchors(2, lost=17), closed=False))
    assert (run.ending, run.lost) == (None, 17)
    path = tmp_path / "b.dlog"
    path.write_bytes(HEADER.to_bytes())
    assert read_log(path).lost == 0


@pytest.mark.parametrize("part", [ROWS, ANCHORS])
def test_a_block_of_no_whole_records_holds_none(tmp_path: Path, part: bytes) -> None:
    path = tmp_path / "a.dlog"
    path.write_bytes(HEADER.to_bytes() + block(part, b"x" * 65))
    run = read_log(path)
    assert (len(run.rows), len(run.anchors)) == (0, 0)


def header_file(text: bytes, version: int = VERSION) -> bytes:
    return sealed(PREFIX.pack(MAGIC, version, len(text)) + text)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty; give a file that a closed loop wrote"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "is not a frame log"),
        (b"id,captured\n", "is not a frame log"),
        (MAGIC.replace(b"\n", b"\r\n") + bytes(100), "is not a frame log"),
        (header_file(b"{}", version=2), "is a frame log of version 2, this daenr reads 1; use the daenr that wrote it"),
        (header_file(b"{}")[:-1] + b"\0", "has a damaged header: its checksum is wrong; copy the file again"),
        (PREFIX.pack(MAGIC, VERSION, 2**32 - 1) + bytes(1000), "is cut within its header"),
        (header_file(b"{}"), "header: row lists other columns than this daenr knows"),
        (header_file(b"[1]"), "header: the document is [1], expected an object"),
        (header_file(b"\xff"), "header: 'utf-8' codec can't decode"),
        (header_file(HEADER.to_bytes()[16:-4].replace(b"<u4", b"<u8")), "header: row lists other columns"),
        (header_file(HEADER.to_bytes()[16:-4].replace(b'"graph"', b'"grahp"')), "header: log.grahp is unknown"),
    ],
)
def test_what_is_no_log_is_one_line(tmp_path: Path, content: bytes, problem: str) -> None:
    path = tmp_path / "a.dlog"
    path.write_bytes(content)
    with pytest.raises(LogError) as caught:
        read_log(path)
    assert str(caught.value).startswith(f"{path}: {problem}")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(LogError, match=r"absent\.dlog: does not exist; give a file that a closed loop wrote"):
        read_log(tmp_path / "absent.dlog")
    with pytest.raises(LogError, match=r"cannot be read \(Is a directory\)"):
        read_log(tmp_path)

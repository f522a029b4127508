"""The format of the messages, without sockets: what is sent is what is read, and nothing else is believed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from daenr_common.errors import SpecError
from daenr_export.loop.frames import Answer, Frame, Status
from daenr_export.transports.zeromq_messages import (
    MessageError,
    pack_answer,
    pack_frame,
    unpack_answer,
    unpack_frame,
)

NOW_NS = 10**15
INT64 = st.integers(-(2**63) + 1, 2**63 - 1)
DTYPES = ["bool", "int8", "uint16", "int64", "float16", "float32", "float64"]
ARRAYS = st.sampled_from(DTYPES).flatmap(lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, min_side=0)))
HEADER = {"daenr": 1, "id": 7, "dtype": "uint8", "shape": [2, 3], "captured_ns": NOW_NS - 5, "clock": "monotonic"}


def frame_of(changes=(), data=bytes(6), trust_clock=True):
    return unpack_frame([json.dumps(HEADER | dict(changes)).encode(), data], NOW_NS, trust_clock=trust_clock)


@given(INT64, st.sampled_from(["uint8", "float32"]).flatmap(lambda dtype: npst.arrays(dtype, (1, 1, 4, 5))))
def test_a_frame_arrives_as_it_was_sent(frame_id, image):
    frame, is_senders_time = unpack_frame(pack_frame(frame_id, image, NOW_NS), NOW_NS, trust_clock=True)
    assert (frame.id, frame.captured_ns, is_senders_time) == (frame_id, NOW_NS, True)
    assert frame.image.dtype == image.dtype
    np.testing.assert_array_equal(frame.image, image)


@given(INT64, INT64, st.lists(ARRAYS, max_size=4), st.sampled_from(Status))
def test_an_answer_arrives_as_it_was_sent(frame_id, captured_ns, arrays, status):
    answer = unpack_answer(pack_answer(Answer(frame_id, captured_ns, tuple(arrays), status)))
    assert (answer.frame_id, answer.captured_ns, answer.status) == (frame_id, captured_ns, status)
    came = () if answer.value is None else answer.value if isinstance(answer.value, tuple) else (answer.value,)
    for left, right in zip(came, arrays, strict=True):
        assert left.dtype == right.dtype
        np.testing.assert_array_equal(left, right, strict=True)


def test_the_bytes_are_those_of_the_documentation():
    image = np.array([[1.0, -1.0]], ">f4")  # another byte order than the format's
    header, data = pack_frame(7, image, 123)
    expected = {"daenr": 1, "id": 7, "dtype": "float32", "shape": [1, 2], "captured_ns": 123, "clock": "monotonic"}
    assert json.loads(header) == expected
    assert data == b"\x00\x00\x80\x3f\x00\x00\x80\xbf"
    header, data = pack_answer(Answer(7, 123, np.arange(3, dtype=np.uint8), Status.LATE))
    arrays = [{"dtype": "uint8", "shape": [3]}]
    expected = {"daenr": 1, "id": 7, "captured_ns": 123, "clock": "monotonic", "status": "late", "arrays": arrays}
    assert json.loads(header) == expected
    assert data == b"\x00\x01\x02"


@pytest.mark.parametrize("shape", [[2, 3], [1, 2, 3], [1, 1, 2, 3]])
def test_a_single_image_gets_the_axes_that_the_graph_wants(shape):
    frame, _ = frame_of({"shape": shape}, bytes(range(6)))
    np.testing.assert_array_equal(frame.image, np.arange(6, dtype=np.uint8).reshape(1, 1, 2, 3))


def test_an_image_that_does_not_fit_is_the_loop_s_to_judge():
    frame, _ = frame_of({"shape": [6]})
    assert frame.image.shape == (6,)


@pytest.mark.parametrize(
    ("changes", "trust_clock"),
    [
        ({}, False),
        ({"clock": None}, True),
        ({"clock": "unix"}, True),
        ({"captured_ns": None}, True),
        ({"captured_ns": NOW_NS + 1}, True),
        ({"captured_ns": NOW_NS - 61 * 10**9}, True),
    ],
)
def test_a_stamp_of_another_clock_gives_way_to_the_arrival(changes, trust_clock):
    frame, is_senders_time = frame_of(changes, trust_clock=trust_clock)
    assert (frame.captured_ns, is_senders_time) == (NOW_NS, False)


def test_the_stamp_and_its_clock_may_be_left_out():
    header = {name: value for name, value in HEADER.items() if name not in ("captured_ns", "clock")}
    frame, is_senders_time = unpack_frame([json.dumps(header).encode(), bytes(6)], NOW_NS, trust_clock=True)
    assert (frame.id, frame.captured_ns, is_senders_time) == (7, NOW_NS, False)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"daenr": 2}, "another version of the format"),
        ({"id": "7"}, "id is '7', expected a whole number"),
        ({"id": True}, "id is True, expected a whole number"),
        ({"id": 2**63}, "id is 9223372036854775808, expected a number of 64 bits"),
        ({"id": None}, "id is None, expected a whole number"),
        ({"captured_ns": 1.5}, "captured_ns is 1.5, expected a whole number"),
        ({"dtype": "object"}, "dtype is 'object', expected one of uint8, uint16, float32, float64"),
        ({"shape": [2, 4]}, "it has 6 bytes of data, and its header speaks of 8"),
        ({"shape": [2**40, 2**40]}, "it has 6 bytes of data, and its header speaks of 1.20893e"),
        ({"shape": [2**32, 2**32, 0]}, "it has 6 bytes of data, and its header speaks of 0"),
        ({"shape": [-2, -3]}, "expected at most 8 sizes"),
        ({"shape": [1] * 9}, "expected at most 8 sizes"),
        ({"shape": "2x3"}, "shape is '2x3', expected a list"),
        ({"shape": [2.0, 3.0]}, "expected a whole number"),
        ({"extra": 1}, "extra is unknown"),
        ({"extra": "x" * 4096}, "expected at most 4096"),
    ],
)
def test_a_header_that_is_wrong_is_named(changes, problem):
    with pytest.raises(MessageError, match=problem):
        frame_of(changes)


def test_a_shape_beyond_numpy_with_nothing_in_it_is_refused():
    with pytest.raises(MessageError, match=r"array|dimension|large|big"):
        frame_of({"shape": [2**63 - 1, 2**63 - 1, 0]}, b"")


def test_missing_fields_are_named():
    with pytest.raises(MessageError, match="id is missing"):
        unpack_frame([b'{"daenr": 1}', b""], NOW_NS, trust_clock=True)
    with pytest.raises(MessageError, match="captured_ns is None"):
        unpack_answer([b'{"daenr":1,"id":1,"captured_ns":null,"clock":"","status":"ok","arrays":[]}'])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.sampled_from([*HEADER, "status", "arrays", "extra"]), JSON, max_size=3)
ANSWER_HEADER = {"daenr": 1, "id": 7, "captured_ns": 1, "clock": "monotonic", "status": "ok", "arrays": []}
HEADERS = (
    st.binary(max_size=64)
    | st.builds(lambda document: json.dumps(document).encode(), JSON)
    | st.builds(lambda fields: json.dumps(HEADER | fields).encode(), FIELDS)
    | st.builds(lambda fields: json.dumps(ANSWER_HEADER | fields).encode(), FIELDS)
    | st.sampled_from([b"[" * 4000, b'{"a":' * 800, b"9" * 4000, b"", b"null"])
)


@given(st.lists(HEADERS | st.binary(max_size=64), max_size=4))
def test_whatever_comes_is_a_message_or_a_message_error(parts):
    for unpack in (lambda: unpack_frame(parts, NOW_NS, trust_clock=True)[0], lambda: unpack_answer(parts)):
        try:
            read = unpack()
        except MessageError:
            continue
        assert isinstance(read, Frame | Answer)


def test_a_hook_s_number_and_none_are_answers_too():
    answer = unpack_answer(pack_answer(Answer(1, 2, 0.25, Status.OK)))
    assert answer.value.shape == ()
    assert answer.value == 0.25
    assert unpack_answer(pack_answer(Answer(1, 2, None, Status.FAULT))).value is None


@pytest.mark.parametrize("value", [{"rate": 1}, "spike", object(), np.array(["a"]), (1.0,) * 17, 1j])
def test_an_answer_that_is_no_number_is_refused(value):
    with pytest.raises(SpecError, match=r"let the hook return|send numbers"):
        pack_answer(Answer(1, 2, value, Status.OK))

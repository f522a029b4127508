"""The messages of the ZeroMQ transport, as `docs/transports.md` has them: a JSON header, then raw bytes. No pickle.

What comes in is checked against what it says of itself before an array is made of it; none of it is copied or grown.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from daenr_common import strict_json
from daenr_common.errors import SpecError
from daenr_export.loop.frames import Answer, Frame, Status
from daenr_export.specs import Array

VERSION = 1
CLOCK = "monotonic"
"""Says that `captured_ns` is the clock of `time.monotonic_ns` on the computer that runs the loop."""

FRAME_PARTS = 2
MAX_OUTPUTS = 16
MAX_HEADER_BYTES = 4096
MAX_DIMENSIONS = 8
MAX_AGE_NS = 60 * 1_000_000_000
"""A capture that lies further back, or in the future, is of another clock, whatever the header says."""

_INT64_MAX = 2**63 - 1
# The names are part of the format; the bytes are little-endian on every machine.
_DTYPES = {
    "bool": "?",
    **{f"{kind}{bits}": f"<{kind[0]}{bits // 8}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"<f{bits // 8}" for bits in (16, 32, 64)},
}
_IMAGE_DTYPES = ("uint8", "uint16", "float32", "float64")


class MessageError(Exception):
    """A message that is not of the format; its text says why."""


@dataclass(frozen=True)
class _ArrayHeader:
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class _FrameHeader:
    daenr: int
    id: int
    dtype: str
    shape: tuple[int, ...]
    captured_ns: int | None
    clock: str | None


@dataclass(frozen=True)
class _AnswerHeader:
    daenr: int
    id: int
    captured_ns: int
    clock: str
    status: str
    arrays: tuple[_ArrayHeader, ...]


_OPTIONAL = {"captured_ns": None, "clock": None}
_Header = TypeVar("_Header", _FrameHeader, _AnswerHeader)


def pack_frame(frame_id: int, image: Array, captured_ns: int | None) -> list[bytes]:
    """A frame as the parts of a message; without `captured_ns` the instant of its arrival will count."""
    clock = None if captured_ns is None else CLOCK
    header, data = _describe(image)
    return [_to_json(_FrameHeader(VERSION, frame_id, header.dtype, header.shape, captured_ns, clock)), data]


def unpack_frame(parts: Sequence[bytes], arrived_ns: int, *, trust_clock: bool) -> tuple[Frame, bool]:
    """The frame of a message.

    An image of two or three dimensions is given the axes `(1, 1, height, width)`. Whether it fits the graph is for the
    loop to judge, which logs a frame that does not as a fault.

    Args:
        parts: of the message.
        arrived_ns: when it came, on `time.monotonic_ns`.
        trust_clock: whether the sender runs on this computer, so that its clock is ours.

    Returns:
        The frame, and whether its `captured_ns` is the sender's; else it is `arrived_ns`.

    Raises:
        MessageError: it is not of the format.
    """
    if len(parts) != FRAME_PARTS:
        raise MessageError(f"it has {len(parts)} parts, expected {FRAME_PARTS}")
    header = _from_json(_FrameHeader, parts[0])
    if header.dtype not in _IMAGE_DTYPES:
        raise MessageError(f"dtype is {header.dtype!r:.40}, expected one of {', '.join(_IMAGE_DTYPES)}")
    image = _read(_ArrayHeader(header.dtype, header.shape), parts[1])
    if image.ndim in (2, 3):
        image = image.reshape((1,) * (4 - image.ndim) + image.shape)
    stamp = header.captured_ns
    is_ours = trust_clock and header.clock == CLOCK and stamp is not None
    if is_ours and stamp is not None and arrived_ns - MAX_AGE_NS <= stamp <= arrived_ns:
        return Frame(header.id, image, stamp), True
    return Frame(header.id, image, arrived_ns), False


def pack_answer(answer: Answer) -> list[bytes]:
    """An answer as the parts of a message: one for each array of its value, none for None.

    Raises:
        SpecError: its value is not made of numbers.
    """
    value = answer.value
    values = [] if value is None else list(value) if isinstance(value, tuple | list) else [value]
    if len(values) > MAX_OUTPUTS:
        raise SpecError("answer", f"has {len(values)} parts", f"let the hook return at most {MAX_OUTPUTS} arrays")
    described = [_describe(np.asarray(item)) for item in values]
    arrays = tuple(header for header, _ in described)
    status = answer.status.name.lower()
    header = _AnswerHeader(VERSION, int(answer.frame_id), int(answer.captured_ns), CLOCK, status, arrays)
    return [_to_json(header), *(data for _, data in described)]


def unpack_answer(parts: Sequence[bytes]) -> Answer:
    """The answer of a message: `value` is None, an array, or a tuple of arrays that cannot be written to.

    Raises:
        MessageError: it is not of the format.
    """
    if not 1 <= len(parts) <= 1 + MAX_OUTPUTS:
        raise MessageError(f"it has {len(parts)} parts, expected 1 to {1 + MAX_OUTPUTS}")
    header = _from_json(_AnswerHeader, parts[0])
    if len(header.arrays) != len(parts) - 1:
        raise MessageError(f"it has {len(parts) - 1} arrays, and its header has {len(header.arrays)}")
    if header.status.upper() not in Status.__members__:
        raise MessageError(f"status is {header.status!r:.40}, expected one of ok, late, dropped, fault")
    arrays = tuple(_read(array, data) for array, data in zip(header.arrays, parts[1:], strict=True))
    value = arrays if len(arrays) > 1 else arrays[0] if arrays else None
    return Answer(header.id, header.captured_ns, value, Status[header.status.upper()])


def _describe(array: Array) -> tuple[_ArrayHeader, bytes]:
    dtype = array.dtype.name
    if dtype not in _DTYPES or array.ndim > MAX_DIMENSIONS:
        problem = f"holds {array.ndim} dimensions of {dtype}"
        raise SpecError("message", problem, f"send numbers, with at most {MAX_DIMENSIONS} dimensions")
    return _ArrayHeader(dtype, array.shape), array.astype(_DTYPES[dtype], copy=False).tobytes()


def _read(header: _ArrayHeader, data: bytes) -> Array:
    if header.dtype not in _DTYPES:
        raise MessageError(f"dtype is {header.dtype!r:.40}, expected one of {', '.join(_DTYPES)}")
    if len(header.shape) > MAX_DIMENSIONS or not all(0 <= size <= _INT64_MAX for size in header.shape):
        raise MessageError(f"shape is {header.shape!r:.60}, expected at most {MAX_DIMENSIONS} sizes")
    dtype = np.dtype(_DTYPES[header.dtype])
    # Python's whole numbers do not overflow: a product that does in other languages is just too large here.
    expected = math.prod(header.shape) * dtype.itemsize
    if len(data) != expected:
        raise MessageError(f"it has {len(data)} bytes of data, and its header speaks of {expected:.6g}")
    try:
        return np.frombuffer(data, dtype).reshape(header.shape)
    except ValueError as error:  # such as an axis of none beside one that is beyond numpy
        raise MessageError(str(error)) from error


def _to_json(header: _FrameHeader | _AnswerHeader) -> bytes:
    return json.dumps(strict_json.encode(header), separators=(",", ":")).encode()


def _from_json(kind: type[_Header], data: bytes) -> _Header:
    if len(data) > MAX_HEADER_BYTES:
        raise MessageError(f"its header has {len(data)} bytes, expected at most {MAX_HEADER_BYTES}")
    try:
        document = json.loads(data)
        if kind is _FrameHeader and isinstance(document, dict):
            document = _OPTIONAL | document
        header = strict_json.decode(kind, document)
    except (ValueError, RecursionError) as error:
        raise MessageError(f"its header is no JSON ({error})") from error
    except strict_json.FieldError as error:
        raise MessageError(str(error)) from error
    if header.daenr != VERSION:
        raise MessageError(f"daenr is {header.daenr}, expected {VERSION}: another version of the format")
    for name, number in (("id", header.id), ("captured_ns", header.captured_ns)):
        if number is not None and not -_INT64_MAX <= number <= _INT64_MAX:
            raise MessageError(f"{name} is {number!r:.40}, expected a number of 64 bits")
    return header

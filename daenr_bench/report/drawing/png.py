"""Grey images as PNG, also in a data URI."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
from numpy.typing import NDArray


def data_uri(image: NDArray[np.floating]) -> str:
    """An image `(height, width)` with values in [-1, 1], as `png`, in a data URI."""
    return f"data:image/png;base64,{base64.b64encode(png(image)).decode('ascii')}"


def png(image: NDArray[np.floating]) -> bytes:
    """An image `(height, width)` with values in [-1, 1], which are cut off there, as a PNG of 8 bits."""
    pixels = np.clip(np.round((np.nan_to_num(image) + 1) * 127.5), 0, 255).astype(np.uint8)
    height, width = pixels.shape
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

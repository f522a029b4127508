"""A contact sheet: one row a neuron, one column a kind of image, each with its predicted response below."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daenr_common.extras import require

ZOOM = 4
MARGIN = 8
LINE = 14
"""Pixels, as are the two above: of the sheet for one of the image, between images, and for a line of text."""

Cell = tuple[str, NDArray[np.float32]]
"""What is written below an image, and the image `(32, 32)` in [-1, 1]."""


def draw_sheet(columns: Sequence[str], rows: Sequence[tuple[str, Sequence[Cell]]]) -> bytes:
    """A PNG file.

    Args:
        columns: their headings.
        rows: each with its heading and a cell for each column.

    Raises:
        MissingExtraError: Pillow is not installed.
    """
    pillow = require("PIL.Image", extra="train", purpose="contact sheets")
    pen = require("PIL.ImageDraw", extra="train", purpose="contact sheets")
    edge = ZOOM * rows[0][1][0][1].shape[0]
    across, down = edge + MARGIN, LINE + edge + LINE + MARGIN
    sheet = pillow.new("L", (MARGIN + across * len(columns), MARGIN + LINE + down * len(rows)), 255)
    text = pen.Draw(sheet)
    for column, heading in enumerate(columns):
        _write(text, (MARGIN + column * across, MARGIN // 2), heading)
    for row, (heading, cells) in enumerate(rows):
        top = MARGIN + LINE + row * down
        _write(text, (MARGIN, top), heading)
        for column, (caption, image) in enumerate(cells):
            left = MARGIN + column * across
            sheet.paste(pillow.fromarray(_enlarged(image)), (left, top + LINE))
            _write(text, (left, top + LINE + edge), caption)
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    return buffer.getvalue()


def _enlarged(image: NDArray[np.float32]) -> NDArray[np.uint8]:
    grey = np.clip(np.rint((image + 1) * 127.5), 0, 255).astype(np.uint8)
    return np.kron(grey, np.ones((ZOOM, ZOOM), np.uint8))


def _write(text: Any, position: tuple[int, int], words: str) -> None:
    text.text(position, words.encode("latin-1", "replace").decode("latin-1"), fill=0)

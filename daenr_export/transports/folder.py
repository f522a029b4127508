"""A folder of images as a source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, final

import numpy as np

from daenr_common.errors import TransportError
from daenr_common.extras import require
from daenr_export.loop.frames import Frame
from daenr_export.specs import Array
from daenr_export.transports.closing import Closing
from daenr_export.transports.graph_input import GraphInput
from daenr_export.transports.pacing import Pacer, play

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".pgm", ".webp")

# More bits would be cut off at 255, not scaled, when Pillow makes them grey.
_EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr")


@final
class ImageFolder(Closing):
    """A source: the images of a folder in the order of their names, in which `frame2` comes before `frame10`.

    They are made grey (Rec. 601 luma) and brought to the graph's input. The list of files is read once; files of other
    kinds are left out. Each iteration begins with the first.

    Args:
        path: the folder.
        graph_input: what the images become; by default 32×32 float32 in [-1, 1].
        rate_hz: images a second.

    Raises:
        MissingExtraError: Pillow is not installed.
        SpecError: the rate is not a positive number.
        TransportError: there is no such folder, or no image in it. While it is iterated: a file is missing or is not
            one image of 8 bits a channel.
    """

    def __init__(self, path: Path | str, graph_input: GraphInput | None = None, *, rate_hz: float) -> None:
        self._pillow: Any = require("PIL.Image", extra="video", purpose="reading images")
        self._graph_input = graph_input or GraphInput()
        self._pacer = Pacer(rate_hz)
        try:
            found = [file for file in Path(path).iterdir() if file.suffix.lower() in SUFFIXES]
        except OSError as error:
            raise TransportError(path, f"cannot be read as a folder ({error.strerror})", "check the path") from error
        self.files = sorted((file for file in found if not file.name.startswith(".")), key=_natural)
        if not self.files:
            raise TransportError(path, "holds no images", f"put files in it that end in {', '.join(SUFFIXES)}")

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Frame]:
        images = ((self._pacer.offset_ns(index), self._read(file)) for index, file in enumerate(self.files))
        return play(images, self._pacer)

    def close(self) -> None:
        """End the running iteration, even while it waits; later ones give no frame."""
        self._pacer.stop()

    def _read(self, file: Path) -> Array:
        try:
            with self._pillow.open(file) as image:
                problem = _unfit(image)
                pixels = np.array(image.convert("L"))
        except Exception as error:  # whatever a decoder makes of a broken file
            raise TransportError(file, f"cannot be read as an image ({error})", "mend or remove it") from error
        if problem:
            raise TransportError(file, problem, "convert it to single images of 8 bits a channel")
        return self._graph_input(pixels)


def _unfit(image: Any) -> str | None:
    if image.mode not in _EIGHT_BITS:
        return f"has pixels of the kind {image.mode}, not of 8 bits"
    pages = getattr(image, "n_frames", 1)
    return f"holds {pages} images" if pages != 1 else None


def _natural(file: Path) -> list[tuple[int, str]]:
    """Order by the numbers in a name, then by its letters."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", file.name)]

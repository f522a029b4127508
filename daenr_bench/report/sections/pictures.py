"""Golden images, what the checkpoint makes of them, and what the engine makes of them: to the eye."""

from __future__ import annotations

import numpy as np

from daenr_bench.report.blocks import Block, Gallery, Note, Picture, Section
from daenr_bench.report.drawing.png import data_uri
from daenr_bench.report.golden import Pictures
from daenr_bench.report.source import Source
from daenr_export.verification.parity import psnr_db


def pictures(source: Source) -> Section | None:
    """Original, golden and answered images; nothing if the bundle was not given or has no decoder."""
    golden = source.golden
    if golden is None or golden.pictures is None:
        return None
    p = golden.pictures
    rows = [
        ("original", _images(p.original, "original")),
        ("PyTorch, float64", _images(p.golden, "golden reconstruction")),
    ]
    if p.answer is not None:
        rows.append((str(golden.backend), _images(p.answer, f"reconstruction by {golden.backend}")))
    caption = "The first golden images of the bundle, 32 × 32 pixels, on one scale of grey from −1 to 1."
    footer = ("PSNR to the original, dB", tuple(f"{value:.1f}" for value in _psnr(p)))
    blocks: list[Block] = [Gallery(caption, tuple(rows), footer)]
    if golden.remark is not None:
        blocks.append(Note(f"The engine’s are not shown: none can answer on this machine. {golden.remark}"))
    lead = "What the model keeps of an image, and whether the engine keeps the same."
    return Section("reconstructions", "Reconstructions", lead, tuple(blocks))


def _images(images: np.ndarray, what: str) -> tuple[Picture, ...]:
    return tuple(Picture(data_uri(image), f"{what} of image {n}") for n, image in enumerate(images, start=1))


def _psnr(p: Pictures) -> list[float]:
    shown = p.golden if p.answer is None else p.answer
    return [psnr_db(answer, original) for answer, original in zip(shown, p.original, strict=True)]

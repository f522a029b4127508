from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from daenr_common.errors import TransportError
from daenr_export.specs import TensorSpec
from daenr_export.transports.folder import ImageFolder
from daenr_export.transports.graph_input import GraphInput

pillow = pytest.importorskip("PIL.Image")

PIXELS = GraphInput(TensorSpec("image", "uint8", (1, 32, 32)))
FAST_HZ = 1000


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "stimuli"
    path.mkdir()
    return path


def save(path: Path, value: int | np.ndarray, mode: str = "L") -> None:
    pixels = np.full((32, 32), value, np.uint8) if np.isscalar(value) else value
    pillow.fromarray(pixels).convert(mode).save(path)


def shown(folder):
    with ImageFolder(folder, PIXELS, rate_hz=FAST_HZ) as source:
        return [int(frame.image[0, 0, 0, 0]) for frame in source]


def test_images_come_in_the_order_of_their_numbers(folder):
    for number in (10, 2, 1, 30):
        save(folder / f"frame{number}.png", number)
    save(folder / "a.bmp", 100)
    save(folder / "7.tiff", 7)
    (folder / "notes.txt").write_text("no image")
    (folder / ".hidden.png").write_bytes(b"")
    assert shown(folder) == [7, 100, 1, 2, 10, 30]


def test_frames_are_due_at_the_rate(folder):
    for number in range(5):
        save(folder / f"{number}.png", number)
    with ImageFolder(folder, rate_hz=50) as source:
        assert len(source) == 5
        frames = []
        for frame in source:
            assert time.monotonic_ns() >= frame.captured_ns
            frames.append(frame)
        assert [frame.id for frame in source] == list(range(5))  # and once more
    assert [frame.captured_ns - frames[0].captured_ns for frame in frames] == [index * 20_000_000 for index in range(5)]
    assert frames[0].image.dtype == np.float32
    assert frames[3].image[0, 0, 0, 0] == np.float32(3 / 127.5 - 1)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA"])
def test_colours_become_grey(folder, mode):
    save(folder / "1.png", 90, mode)
    assert shown(folder) == [90]


def test_the_weights_of_colours_are_those_of_rec_601(folder):
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[..., 1] = 200
    pillow.fromarray(pixels).save(folder / "green.png")
    assert shown(folder) == [round(0.587 * 200)]


@pytest.mark.parametrize("damage", [b"", b"no image", "cut", "garbled"])
def test_a_broken_file_is_named(folder, damage):
    save(folder / "1.png", 1)
    save(folder / "2.png", np.random.default_rng(0).integers(0, 256, (200, 200), np.uint8))
    whole = (folder / "2.png").read_bytes()
    broken = {"cut": whole[: len(whole) // 2], "garbled": whole[:100] + bytes(100) + whole[200:]}.get(damage, damage)
    (folder / "2.png").write_bytes(broken)
    frames = iter(ImageFolder(folder, rate_hz=FAST_HZ))
    assert next(frames).id == 0
    with pytest.raises(TransportError, match=r"2\.png: cannot be read as an image \(.*\); mend or remove it"):
        next(frames)


def test_a_file_that_went_away_is_named(folder):
    save(folder / "1.png", 1)
    source = ImageFolder(folder, rate_hz=FAST_HZ)
    (folder / "1.png").unlink()
    with pytest.raises(TransportError, match=r"1\.png: cannot be read as an image"):
        list(source)


def test_sixteen_bits_are_refused_not_cut_off(folder):
    pillow.fromarray(np.full((32, 32), 40_000, np.uint16)).save(folder / "deep.png")
    with pytest.raises(TransportError, match=r"deep\.png: has pixels of the kind I;16, not of 8 bits; convert it"):
        shown(folder)


def test_a_stack_is_refused_not_shortened(folder):
    pages = [pillow.fromarray(np.full((32, 32), value, np.uint8)) for value in (1, 2, 3)]
    pages[0].save(folder / "stack.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(TransportError, match=r"stack\.tif: holds 3 images; convert it to single images"):
        shown(folder)


def test_a_folder_without_images_is_refused(folder):
    with pytest.raises(TransportError, match=r"stimuli: holds no images; put files in it that end in \.png"):
        ImageFolder(folder, rate_hz=1)
    with pytest.raises(TransportError, match=r"nowhere: cannot be read as a folder \(No such file"):
        ImageFolder(folder / "nowhere", rate_hz=1)
    (folder / "1.png").write_bytes(b"")
    with pytest.raises(TransportError, match="cannot be read as a folder"):
        ImageFolder(folder / "1.png", rate_hz=1)


def test_closing_ends_an_iteration_that_waits(folder):
    for number in range(2):
        save(folder / f"{number}.png", number)
    with ImageFolder(folder, rate_hz=0.001) as source:
        frames = iter(source)
        next(frames)
        threading.Timer(0.1, source.close).start()
        assert list(frames) == []

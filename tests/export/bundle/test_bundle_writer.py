"""A bundle appears complete or not at all: exceptions, full disks and kills leave nothing at its path."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import bundle_factory as factory
import numpy as np
import pytest

from daenr_common.errors import BundleError, DaenrError, OutputExistsError
from daenr_export.bundle import Bundle
from daenr_export.bundle.writer import write_bundle


def test_what_is_written_is_read(tmp_path: Path) -> None:
    with write_bundle(tmp_path / "a.daenr") as writer:
        writer.add("graphs/encoder.onnx", factory.onnx_graph("encoder"))
        golden = writer.add_golden({"image": factory.some_images(2), "n": np.arange(3)}, images=2)
        assert not (tmp_path / "a.daenr").exists()
        written = writer.finish(factory.manifest_of(["encoder"], golden))
    bundle = Bundle.open(tmp_path / "a.daenr")
    assert bundle.manifest == written
    np.testing.assert_array_equal(bundle.golden()["image"], factory.some_images(2))
    np.testing.assert_array_equal(bundle.golden()["n"], np.arange(3))
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.daenr"]


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = factory.make_bundle(tmp_path / "a.daenr"), factory.make_bundle(tmp_path / "b.daenr")
    for file in first.rglob("*.*"):
        assert file.is_dir() or file.read_bytes() == (second / file.relative_to(first)).read_bytes()


def test_an_exception_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with write_bundle(tmp_path / "a.daenr") as writer:
            writer.add("golden.npz", b"")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not list(tmp_path.iterdir())


def test_a_bundle_without_a_manifest_does_not_appear(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="finish"), write_bundle(tmp_path / "a.daenr") as writer:
        writer.add("golden.npz", b"")
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_bytes = Path.write_bytes

    def fill_the_disk() -> None:
        with write_bundle(tmp_path / "a.daenr") as writer:
            writer.add("graphs/encoder.onnx", b"fits")
            monkeypatch.setattr(Path, "write_bytes", lambda self, content: write_bytes(Path("/dev/full"), content))
            writer.add("graphs/decoder.onnx", b"does not fit")

    with pytest.raises(DaenrError, match="the disk is full; free some space") as caught:
        fill_the_disk()
    assert "a.daenr" in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_kill_leaves_no_bundle(tmp_path: Path, moment: str) -> None:
    """Killed while files are written, or with the manifest written and the folder not yet renamed."""
    script = """
        import sys, time
        sys.path.insert(0, sys.argv[1])
        import bundle_factory as factory
        with factory.write_bundle(sys.argv[2]) as writer:
            writer.add("graphs/encoder.onnx", factory.onnx_graph("encoder"))
            golden = writer.add_golden({"image": factory.some_images(2)}, images=2)
            if sys.argv[3] == "after":
                writer.finish(factory.manifest_of(["encoder"], golden))
            print("writing", flush=True)
            time.sleep(60)
    """
    path = tmp_path / "a.daenr"
    command = [sys.executable, "-c", textwrap.dedent(script), str(Path(factory.__file__).parent), str(path), moment]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGKILL)
    assert not path.exists()
    factory.make_bundle(path, graphs=["encoder"])
    Bundle.open(path)


def test_replacing_needs_force_and_spares_what_is_no_bundle(tmp_path: Path) -> None:
    path = factory.make_bundle(tmp_path / "a.daenr", graphs=["encoder"])
    with pytest.raises(OutputExistsError, match="--force"), write_bundle(path):
        pytest.fail("there was something at the path")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "recording.npy").write_bytes(b"years of work")
    with pytest.raises(BundleError, match="not a bundle"), write_bundle(tmp_path / "data", force=True):
        pytest.fail("there was something else at the path")
    assert (tmp_path / "data" / "recording.npy").read_bytes() == b"years of work"
    with write_bundle(path, force=True) as writer:
        writer.add("graphs/readout.onnx", factory.onnx_graph("readout"))
        golden = writer.add_golden({"image": factory.some_images(1)}, images=1)
        writer.finish(factory.manifest_of(["readout"], golden))
    assert list(Bundle.open(path).manifest.graphs) == ["readout"]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.daenr", "data"]


@pytest.mark.parametrize("path", ["/etc/a", "../a", "a/../../b", "a\\b", "", "manifest.json", "a\0b"])
def test_a_file_cannot_be_written_outside(tmp_path: Path, path: str) -> None:
    with pytest.raises(BundleError, match="a file of the path"), write_bundle(tmp_path / "a.daenr") as writer:
        writer.add(path, b"")
    assert not list(tmp_path.iterdir())


def test_a_path_is_used_once(tmp_path: Path) -> None:
    with write_bundle(tmp_path / "a.daenr") as writer:
        writer.add("graphs/encoder.onnx", b"graph")
        with pytest.raises(BundleError, match="was added already"):
            writer.add("graphs/encoder.onnx", b"other")
        golden = writer.add_golden({"image": factory.some_images(1)}, images=1)
        writer.finish(factory.manifest_of(["encoder"], golden))
    assert Bundle.open(tmp_path / "a.daenr").read("graphs/encoder.onnx") == b"graph"


def test_golden_arrays_hold_numbers(tmp_path: Path) -> None:
    def write() -> None:
        with write_bundle(tmp_path / "a.daenr") as writer:
            writer.add_golden({"x": np.array([None])}, images=1)

    with pytest.raises(BundleError, match=r"golden\.npz: the array x is of object"):
        write()


def test_nothing_follows_the_manifest(tmp_path: Path) -> None:
    with write_bundle(tmp_path / "a.daenr") as writer:
        writer.add("graphs/encoder.onnx", b"graph")
        golden = writer.add_golden({"image": factory.some_images(1)}, images=1)
        writer.finish(factory.manifest_of(["encoder"], golden))
        with pytest.raises(RuntimeError, match="nothing can be added"):
            writer.add("late.txt", b"")
    assert "late.txt" not in Bundle.open(tmp_path / "a.daenr").manifest.files


def test_a_manifest_that_names_an_absent_file_is_not_written(tmp_path: Path) -> None:
    def write() -> None:
        with write_bundle(tmp_path / "a.daenr") as writer:
            golden = writer.add_golden({"image": factory.some_images(1)}, images=1)
            writer.finish(factory.manifest_of(["readout"], golden))

    with pytest.raises(BundleError, match=r"graphs.readout.file names 'graphs/readout.onnx'"):
        write()
    assert not list(tmp_path.iterdir())

"""A bundle in which anything was touched is refused, and the error names the file and says what to do."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import time
import zipfile
from pathlib import Path

import bundle_factory as factory
import numpy as np
import pytest

from daenr_common.errors import BackendUnavailableError, BundleError
from daenr_export.bundle import Bundle, GoldenEntry
from daenr_export.bundle.writer import write_bundle
from daenr_export.runtime import protocol

FILES = ["manifest.json", "golden.npz", *(f"graphs/{name}.onnx" for name in factory.GRAPHS)]


def assert_refused(path: Path, *words: str) -> None:
    with pytest.raises(BundleError) as caught:
        Bundle.open(path)
    line = str(caught.value)
    assert "\n" not in line
    assert all(word in line for word in words), line


def test_a_whole_bundle_opens(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    assert sorted(bundle.manifest.files) == sorted(set(FILES) - {"manifest.json"})
    for name in FILES[1:]:
        assert bundle.read(name) == (tiny_bundle / name).read_bytes()


def test_contents_are_those_that_were_checked_even_if_the_folder_changes(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    content = (tiny_bundle / "graphs/encoder.onnx").read_bytes()
    (tiny_bundle / "graphs/encoder.onnx").write_bytes(b"something else")
    assert bundle.graph("encoder").onnx() == content
    shutil.rmtree(tiny_bundle)
    assert bundle.golden()["image"].shape == (2, 1, 32, 32)


@pytest.mark.parametrize("name", FILES[1:])
def test_a_bundle_that_is_not_read_whole_checks_each_file_when_it_is_asked_for(tiny_bundle: Path, name: str) -> None:
    file = tiny_bundle / name
    file.write_bytes(file.read_bytes()[::-1])
    bundle = Bundle.open(tiny_bundle, whole=False)
    for other in FILES[1:]:
        if other != name:
            assert bundle.read(other) == (tiny_bundle / other).read_bytes()
    with pytest.raises(BundleError, match=rf"{name}: was changed.*; load the bundle again"):
        bundle.read(name)


@pytest.mark.parametrize("change", [Path.unlink, lambda file: file.write_bytes(file.read_bytes()[1:])])
def test_what_can_be_seen_without_reading_is_refused_at_once(tiny_bundle: Path, change) -> None:
    change(tiny_bundle / "golden.npz")
    with pytest.raises(BundleError, match=r"golden\.npz: (is missing|has \d+ bytes)"):
        Bundle.open(tiny_bundle, whole=False)


@pytest.mark.parametrize("put", [os.mkfifo, lambda path: path.symlink_to(path.with_name("elsewhere"))])
def test_what_took_a_files_place_is_neither_followed_nor_waited_for(tiny_bundle: Path, put) -> None:
    bundle = Bundle.open(tiny_bundle, whole=False)
    (tiny_bundle / "golden.npz").rename(tiny_bundle / "elsewhere")
    put(tiny_bundle / "golden.npz")
    with pytest.raises(BundleError, match=r"golden\.npz: (was changed|cannot be read)"):
        bundle.golden()


def test_files_are_found_from_another_folder_than_the_bundle_was_opened_in(
    tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_bundle.parent)
    bundle = Bundle.open(tiny_bundle.name, whole=False)
    beside = bundle.cache_folder
    monkeypatch.chdir(tmp_path.parent)
    assert bundle.golden()["image"].shape == (2, 1, 32, 32)
    assert bundle.cache_folder == beside == Path(f"{tiny_bundle}.cache")


def test_a_file_that_vanishes_before_it_is_read_is_named(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle, whole=False)
    (tiny_bundle / "golden.npz").unlink()
    with pytest.raises(BundleError, match=r"golden\.npz: cannot be read \(No such file or directory\)"):
        bundle.golden()


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("where", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_one_changed_byte_is_found(tiny_bundle: Path, name: str, where: float) -> None:
    file = tiny_bundle / name
    content = bytearray(file.read_bytes())
    content[int(where * (len(content) - 1))] ^= 0x01
    file.write_bytes(content)
    assert_refused(tiny_bundle, name, "export")


def test_every_byte_of_the_manifest_counts(tiny_bundle: Path) -> None:
    file = tiny_bundle / "manifest.json"
    content = file.read_bytes()
    for index in range(0, len(content), 37):
        for flipped in (content[index] ^ 0x01, content[index] ^ 0x20):
            file.write_bytes(content[:index] + bytes([flipped]) + content[index + 1 :])
            assert_refused(tiny_bundle, "manifest.json")


@pytest.mark.parametrize("change", [b" %b", b"%b\n", b"%b ", b"\xef\xbb\xbf%b"])
def test_white_space_around_the_manifest_is_a_change(tiny_bundle: Path, change: bytes) -> None:
    file = tiny_bundle / "manifest.json"
    file.write_bytes(change % file.read_bytes())
    assert_refused(tiny_bundle, "manifest.json")


def test_the_digest_can_be_checked_without_python_knowledge(tiny_bundle: Path) -> None:
    content = (tiny_bundle / "manifest.json").read_bytes()
    digest = re.search(rb'\n  "sha256": "([0-9a-f]{64})"', content)[1]
    assert hashlib.sha256(content.replace(digest, b"")).hexdigest() == digest.decode()


@pytest.mark.parametrize("name", FILES)
def test_a_truncated_file_is_found(tiny_bundle: Path, name: str) -> None:
    file = tiny_bundle / name
    file.write_bytes(file.read_bytes()[:-1])
    assert_refused(tiny_bundle, name)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_found(tiny_bundle: Path, name: str) -> None:
    (tiny_bundle / name).unlink()
    assert_refused(tiny_bundle, name)


@pytest.mark.parametrize("name", ["extra.txt", "graphs/extra.onnx", "engines/tensorrt/extra.engine", ".hidden"])
def test_a_file_that_is_not_listed_is_found(tiny_bundle: Path, name: str) -> None:
    (tiny_bundle / name).parent.mkdir(parents=True, exist_ok=True)
    (tiny_bundle / name).write_bytes(b"")
    assert_refused(tiny_bundle, name, "not listed", "remove it")


def test_a_checkpoint_is_told_from_any_other_archive(tmp_path: Path) -> None:
    for name, words in (
        ("model.pt", ("but a checkpoint", "daenr-export --checkpoint")),
        ("a.zip", ("zip", "unpack it")),
    ):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("a", "b")
        assert_refused(tmp_path / name, "is not a folder", *words)


def test_links_are_refused_even_to_the_same_content(tiny_bundle: Path, tmp_path: Path) -> None:
    file = tiny_bundle / "graphs/encoder.onnx"
    outside = file.rename(tmp_path / "outside.onnx")
    file.symlink_to(outside)
    assert_refused(tiny_bundle, "graphs/encoder.onnx", "symbolic link")


def test_a_linked_folder_is_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    outside = (tiny_bundle / "graphs").rename(tmp_path / "outside")
    (tiny_bundle / "graphs").symlink_to(outside)
    assert_refused(tiny_bundle, "graphs", "symbolic link")


def test_a_link_to_a_bundle_opens(tiny_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "current.daenr").symlink_to(tiny_bundle)
    assert Bundle.open(tmp_path / "current.daenr").manifest.model.name == "vqvae-fr1"


def test_a_pipe_in_the_bundle_is_refused_and_not_waited_for(tiny_bundle: Path) -> None:
    (tiny_bundle / "golden.npz").unlink()
    os.mkfifo(tiny_bundle / "golden.npz")
    assert_refused(tiny_bundle, "golden.npz", "not a regular file")


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/etc/hostname", "is absolute"),
        ("../outside.bin", "contains '..'"),
        ("graphs/../../outside.bin", "contains '..'"),
        ("graphs\\..\\outside.bin", "backslash"),
        ("C:outside.bin", "colon"),
        ("graphs//encoder.onnx", "empty part"),
        ("./golden.npz", "empty part"),
        ("", "is empty"),
        ("manifest.json", "the manifest itself"),
    ],
)
def test_paths_that_lead_out_of_the_bundle_are_refused(tiny_bundle: Path, path: str, problem: str) -> None:
    file = tiny_bundle / "manifest.json"
    document = json.loads(file.read_text("utf-8"))
    document["files"][path] = {"sha256": "0" * 64, "bytes": 1}
    file.write_bytes(factory.sealed(document))
    assert_refused(tiny_bundle, "manifest.json", "files.", problem)


@pytest.mark.parametrize("version", [0, 2, 999])
def test_another_schema_version_says_which_and_what_to_do(tiny_bundle: Path, version: int) -> None:
    file = tiny_bundle / "manifest.json"
    document = json.loads(file.read_text("utf-8"))
    file.write_bytes(factory.sealed({"schema_version": version, "things": document["files"]}))
    assert_refused(tiny_bundle, f"version {version}", "understands 1", "install the daenr that made it")


def test_what_is_no_bundle_is_named(tmp_path: Path, tiny_bundle: Path) -> None:
    assert_refused(tmp_path / "absent.daenr", "absent.daenr", "does not exist")
    assert_refused(tmp_path / ("a" * 300), "cannot be read", "name too long")
    (tmp_path / "file.daenr").write_bytes(b"text")
    assert_refused(tmp_path / "file.daenr", "is not a folder", "manifest.json")
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", tiny_bundle)
    assert_refused(Path(packed), "zip archive", "unpack it")
    (tmp_path / "empty.daenr").mkdir()
    assert_refused(tmp_path / "empty.daenr", "holds no manifest.json")


def test_a_monstrous_manifest_is_not_read(tiny_bundle: Path) -> None:
    with (tiny_bundle / "manifest.json").open("r+b") as stream:
        stream.truncate(10**11)
    assert_refused(tiny_bundle, "manifest.json", "100000000000 bytes")


def test_a_bundle_opens_in_a_fraction_of_a_second(tmp_path: Path) -> None:
    with write_bundle(tmp_path / "large.daenr") as writer:
        writer.add("graphs/encoder.onnx", factory.onnx_graph("encoder"))
        writer.add("engines/large.engine", bytes(40_000_000))
        golden = writer.add_golden({"image": factory.some_images(2)}, images=2)
        writer.finish(factory.manifest_of(["encoder"], golden))
    times = []
    for _ in range(3):
        start = time.perf_counter()
        Bundle.open(tmp_path / "large.daenr")
        times.append(time.perf_counter() - start)
    assert min(times) < 0.5


def test_graphs_of_a_bundle(tiny_bundle: Path) -> None:
    bundle = Bundle.open(tiny_bundle)
    graph: protocol.GraphSource = bundle.graph("joint")
    assert graph.spec.input == factory.TENSORS["image"]
    assert [output.name for output in graph.spec.outputs] == ["responses", "reconstruction", "codes"]
    with pytest.raises(BackendUnavailableError, match=r"no fp32 engine of tensorrt-rtx for the graph joint"):
        graph.engine("tensorrt-rtx")
    with pytest.raises(BundleError, match=r"no graph 'latent', only decoder, encoder"):
        bundle.graph("latent")
    with pytest.raises(BundleError, match=r"no fp16 variant of the graph joint, only fp32"):
        bundle.graph("joint").onnx("fp16")


def test_the_golden_file_must_hold_what_the_manifest_says(tmp_path: Path) -> None:
    with write_bundle(tmp_path / "a.daenr") as writer:
        writer.add("graphs/encoder.onnx", factory.onnx_graph("encoder"))
        golden = writer.add_golden({"image": np.zeros((2, 1), np.float32)}, images=2)
        entry = golden._replace(arrays={"image": golden.arrays["image"]._replace(shape=(3, 1))})
        writer.finish(factory.manifest_of(["encoder"], entry))
    with pytest.raises(BundleError, match=r"golden.npz: holds other arrays"):
        Bundle.open(tmp_path / "a.daenr").golden()


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04 broken", b"\x93NUMPY\x01\x00"])
def test_a_golden_file_that_is_no_npz_is_named(tmp_path: Path, content: bytes) -> None:
    with write_bundle(tmp_path / "a.daenr") as writer:
        writer.add("graphs/encoder.onnx", factory.onnx_graph("encoder"))
        writer.add("golden.npz", content)
        writer.finish(factory.manifest_of(["encoder"], GoldenEntry("golden.npz", 2, {})))
    with pytest.raises(BundleError, match=r"golden.npz: is not an npz of numbers"):
        Bundle.open(tmp_path / "a.daenr").golden()


def test_pickled_objects_are_not_loaded(tmp_path: Path) -> None:
    stream = io.BytesIO()
    np.savez(stream, image=np.array([{"a": 1}], dtype=object))
    with write_bundle(tmp_path / "a.daenr") as writer:
        writer.add("graphs/encoder.onnx", factory.onnx_graph("encoder"))
        writer.add("golden.npz", stream.getvalue())
        writer.finish(factory.manifest_of(["encoder"], GoldenEntry("golden.npz", 2, {})))
    with pytest.raises(BundleError, match="allow_pickle=False"):
        Bundle.open(tmp_path / "a.daenr").golden()

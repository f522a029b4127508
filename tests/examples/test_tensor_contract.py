"""The page for other languages is true: its tables are those of the code and of real exports."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest

from daenr_export.bundle import Bundle
from daenr_export.bundle.manifest import SCHEMA_VERSION
from daenr_export.graphs.names import CUTS
from daenr_export.specs import TensorSpec
from daenr_train.spec import ModelSpec, parse_model_name

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "other_languages.md").read_text(encoding="utf-8")


def rows(header: str) -> list[list[str]]:
    """The cells of the table that begins with a header."""
    table = PAGE.split(header + "\n", 1)[1].split("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table]


def names(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`(\w+)`", cell))


GRAPHS = {
    names(graph)[0]: (names(source)[0], names(outputs))
    for graph, source, outputs in rows("| graph | input | outputs |")
}
TENSORS = {
    names(name)[0]: (dtype, [part.split(" × ") for part in re.split(r", | or ", shape)])
    for name, dtype, shape, *_ in rows("| tensor | dtype | shape | axes | values |")
}


def test_graphs_are_those_of_the_code():
    assert {name: (cut.input, cut.outputs) for name, cut in CUTS.items()} == GRAPHS
    assert {name for source, outputs in GRAPHS.values() for name in (source, *outputs)} == set(TENSORS)


def test_features_have_the_sizes_of_the_four_stages():
    shapes = [parse_model_name(f"cae-fr{stage}", n_neurons=3).features_shape() for stage in (1, 2, 3, 4)]
    assert TENSORS["features"][1] == [[str(size) for size in shape] for shape in shapes]


def test_codes_are_those_of_the_default_codebook():
    (row,) = [row for row in rows("| tensor | dtype | shape | axes | values |") if row[0] == "`codes`"]
    assert f"0 to {ModelSpec.__dataclass_fields__['n_codes'].default - 1} " in row[-1]


def test_the_schema_version_is_the_one_that_a_rig_is_told_to_check():
    assert f"| `schema_version` | is {SCHEMA_VERSION} |" in PAGE


def test_links_and_files_are_there():
    for path in ("examples/cpp/CMakeLists.txt", *re.findall(r"`((?:bundle|npz|session)\.cpp)`", PAGE)):
        assert (ROOT / path).exists() or (ROOT / "examples" / "cpp" / path).exists()


@pytest.mark.slow
@pytest.mark.parametrize(("model", "dtype"), [("cae_fr2", "float32"), ("vqvae_fm3", "uint8")])
def test_an_exported_bundle_is_as_the_page_says(exports, model, dtype):
    opened = Bundle.open(getattr(exports, model))
    manifest = opened.manifest
    assert set(manifest.graphs) == set(GRAPHS)
    has_codes = model.startswith("vqvae")
    for name, graph in manifest.graphs.items():
        source, outputs = GRAPHS[name]
        assert graph.input.name == source
        assert tuple(output.name for output in graph.outputs) == tuple(o for o in outputs if o != "codes" or has_codes)
        for tensor in (graph.input, *graph.outputs):
            assert_as_described(
                tensor, "uint8" if tensor.name == "image" and dtype == "uint8" else None, manifest.neuron_ids
            )
    preprocessing = manifest.preprocessing
    assert preprocessing.input_dtype == dtype
    assert [preprocessing.scale, preprocessing.offset] == pytest.approx([1 / 127.5, -1])
    golden = opened.golden()
    assert golden["image"].dtype == dtype
    if dtype == "uint8":
        scaled = golden["image"] * np.float32(preprocessing.scale) + np.float32(preprocessing.offset)
        np.testing.assert_allclose(golden["image.scaled"], scaled, atol=2e-7)
    assert golden["responses.responses"].min() >= 0
    assert np.abs(golden["joint.reconstruction"]).max() <= 1
    if has_codes:
        assert 0 <= golden["joint.codes"].min() <= golden["joint.codes"].max() <= 31


def assert_as_described(tensor: TensorSpec, dtype: str | None, neurons: tuple[str, ...]) -> None:
    described, shapes = TENSORS[tensor.name]
    assert tensor.dtype == (dtype or described)
    sizes = [[str(len(neurons)) if size == "M" else size for size in shape] for shape in shapes]
    assert [str(size) for size in tensor.shape] in sizes


@pytest.mark.slow
def test_the_golden_file_is_a_zip_of_stored_npy_1_0(exports):
    with zipfile.ZipFile(exports.vqvae_fm3 / "golden.npz") as archive:
        for entry in archive.infolist():
            assert (entry.compress_type, entry.flag_bits & 8) == (zipfile.ZIP_STORED, 0)
            head = archive.read(entry)[:200]
            assert head[:8] == b"\x93NUMPY\x01\x00"
            assert any(code in head for code in (b"'<f4'", b"'<i8'", b"'|u1'"))
            assert b"'fortran_order': False" in head

"""Compiled C in a bundle: what an export adds, what the manifest says of it, and how it is verified."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from bundle_factory import sealed
from click.testing import CliRunner

import daenr_export
from daenr_common.errors import BundleError, ExportError
from daenr_common.verdict import Verdict
from daenr_export.bundle import Bundle
from daenr_export.cli import main
from daenr_export.exporting.options import Options, targets_of
from daenr_export.native import TARGETS, native_target
from daenr_export.native.targets import find_target
from daenr_export.verification.verify import verify

pytest.importorskip("ziglang")
pytestmark = pytest.mark.slow

FOREIGN = "x86_64-windows" if native_target() != "x86_64-windows" else "x86_64-linux"


@pytest.fixture(scope="module")
def made(tmp_path_factory, shared_checkpoint):
    """A readout-only model's bundle, which has few and small graphs, for this machine and for another."""
    from model_factory import write_checkpoint

    folder = tmp_path_factory.mktemp("native")
    checkpoint = write_checkpoint(folder / "cnn_fr2.pt", "cnn-fr2")
    return daenr_export.export(checkpoint, folder / "cnn_fr2.daenr", native=True, targets=(native_target(), FOREIGN))


@pytest.fixture
def bundle(made, tmp_path):
    return shutil.copytree(made.bundle, tmp_path / "cnn_fr2.daenr")


def rewrite(bundle, change) -> None:
    document = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
    change(document)
    (bundle / "manifest.json").write_bytes(sealed(document))


def test_a_bundle_holds_a_library_of_each_graph_for_each_target_and_the_header(made):
    manifest = made.manifest
    assert {(entry.graph, entry.target) for entry in manifest.natives} == {
        (graph, target) for graph in ("encoder", "readout", "responses") for target in (native_target(), FOREIGN)
    }
    for entry in manifest.natives:
        assert (entry.precision_requested, entry.precision_actual, entry.abi) == ("fp32", "fp32", 1)
        assert entry.compiler.startswith("zig ")
        assert entry.instruction_sets
        if entry.target.endswith("windows"):
            # What a program that was linked with it looks for; `tests/examples` runs one where Wine is installed.
            assert f"{Path(entry.file).name}\0".encode() in (made.bundle / entry.file).read_bytes()
        assert manifest.files[entry.file].bytes < 2 * manifest.files[manifest.graphs[entry.graph].file].bytes + 200_000
    assert "native/daenr_native.h" in manifest.files


def test_it_is_verified_here_and_nothing_is_claimed_of_the_other_machine(made):
    assert made.verification.verdict is Verdict.PASS
    assert {run.graph for run in made.verification.runs if run.backend == "native"} == set(made.manifest.graphs)
    (foreign,) = [check for check in made.verification.checks if check.subject == f"native {FOREIGN}"]
    assert foreign.verdict is Verdict.CANNOT_TELL
    assert foreign.reason == f"3 libraries are for another kind of machine than this {native_target()}"


def test_auto_answers_from_it(bundle):
    with daenr_export.load(bundle) as model:
        assert model.backend == "native"
        image = model.golden["image"][:3]
        with daenr_export.load(bundle, backend="onnxruntime") as other:
            assert np.abs(model.responses(image) - other.responses(image)).max() < 1e-5


def test_a_target_without_all_graphs_fails(bundle):
    def drop(document):
        document["natives"] = [entry for entry in document["natives"] if entry["graph"] != "readout"]
        for target in (native_target(), FOREIGN):
            name = f"native/{target}/readout.fp32{find_target(target).suffix}"
            del document["files"][name]
            (bundle / name).unlink()

    rewrite(bundle, drop)
    report = verify(bundle)
    assert report.verdict is Verdict.FAIL
    assert any(check.reason == "none for the graphs readout" for check in report.checks)


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("target", "vax-vms", "natives[0].target is 'vax-vms', expected one of"),
        ("graph", "other", "natives[0].graph is 'other', expected one of"),
        ("abi", 0, "natives[0].abi is 0, expected 1 or more"),
        ("instruction_sets", [], "natives[0].instruction_sets is empty"),
        ("file", "native/none.so", "natives[0].file names 'native/none.so', which is not listed in files"),
        ("precision_actual", "fp3", "natives[0].precision_actual is 'fp3', expected one of"),
    ],
)
def test_a_wrong_entry_of_the_manifest_is_named(bundle, field, value, problem):
    rewrite(bundle, lambda document: document["natives"][0].update({field: value}))
    with pytest.raises(BundleError) as caught:
        Bundle.open(bundle)
    assert problem in str(caught.value)


def test_a_library_that_is_listed_twice_is_refused(bundle):
    rewrite(bundle, lambda document: document["natives"].append(document["natives"][0]))
    with pytest.raises(BundleError, match=r"natives\[6\] repeats the"):
        Bundle.open(bundle)


def test_options_that_make_no_sense_are_refused():
    assert targets_of(True, ()) == (native_target(),)
    assert targets_of(True, TARGETS) == TARGETS
    assert targets_of(False, ()) == ()
    with pytest.raises(ExportError, match="--target x86_64-linux: is given, but nothing is compiled; add --native"):
        targets_of(False, ("x86_64-linux",))
    with pytest.raises(ExportError, match="--target vax-vms: is not known"):
        Options(targets=("vax-vms",))
    with pytest.raises(ExportError, match="--precision fp16: is not what compiled C computes in"):
        Options(precision="fp16", targets=("x86_64-linux",))


def test_the_command_names_what_is_wrong(shared_checkpoint, tmp_path):
    arguments = ["--checkpoint", str(shared_checkpoint), "--output", str(tmp_path / "b.daenr")]
    result = CliRunner().invoke(main, [*arguments, "--target", "x86_64-linux"])
    assert result.exit_code == 2
    assert result.stderr == "daenr-export: --target x86_64-linux: is given, but nothing is compiled; add --native\n"
    assert not (tmp_path / "b.daenr").exists()

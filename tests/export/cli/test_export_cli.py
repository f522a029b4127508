from __future__ import annotations

import importlib
import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from bundle_edits import change_weight, edit_manifest
from click.testing import CliRunner

from daenr_common import extras
from daenr_common.extras import is_installed
from daenr_export.cli import main

HAS_RTX = is_installed("tensorrt_rtx")


def run(*arguments: object):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def assert_one_line(result, *parts):
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("daenr-export")
    assert result.stderr.count("\n") == 1
    for part in parts:
        assert part in result.stderr


def test_the_documented_command_makes_a_verified_bundle(checkpoint):
    result = run("--checkpoint", checkpoint, *(["--trt"] if HAS_RTX else []), "--batch", "1:1:4")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert checkpoint.with_suffix(".daenr").is_dir()
    rows = {line.split()[0]: line for line in result.stdout.splitlines() if line.strip()}
    for graph in ("encoder", "decoder", "readout", "responses", "reconstruction", "joint"):
        assert ("tensorrt-rtx" in rows[graph]) == HAS_RTX
    assert "pass" in rows["onnxruntime"]
    assert f"{checkpoint.with_suffix('.daenr')}: pass" in result.stdout
    assert "next: daenr-bench run" in result.stdout


def test_verify_prints_a_table_and_writes_json(shared_export, tmp_path):
    result = run("verify", shared_export.bundle, "--backend", "onnxruntime", "--json", tmp_path / "report.json")
    assert result.exit_code == 0, result.output
    assert "6 graphs at batch 1, 2, 3, 64 in fp32" in result.stdout
    assert "correlation ≥ 0.9" in result.stdout
    assert "openvino" not in result.stdout
    assert json.loads((tmp_path / "report.json").read_text())["verdict"] == "pass"


def test_verify_leaves_with_1_where_an_answer_is_wrong(exported, tmp_path):
    change_weight(exported, "joint", lambda weight: weight * 2)
    result = run("verify", exported, "--backend", "onnxruntime", "--json", tmp_path / "report.json")
    assert result.exit_code == 1
    assert "4 of 24 runs are wrong" in result.stdout
    assert "onnxruntime / joint / batch 64  fail" in result.stdout
    assert json.loads((tmp_path / "report.json").read_text())["verdict"] == "fail"


def test_verify_leaves_with_3_where_nothing_can_run(shared_export, monkeypatch):
    monkeypatch.setattr(importlib.import_module("daenr_export.verification.verify"), "_statuses", list)
    result = run("verify", shared_export.bundle)
    assert result.exit_code == 3
    assert result.stdout.endswith(": cannot tell; 6 engines could not be run here\n")


def test_inspect_shows_the_manifest(shared_export):
    result = run("inspect", shared_export.bundle)
    assert result.exit_code == 0
    for words in (
        "cae-fr2",
        "11: n0 … n10",
        "cae_fr2.pt, sha256",
        "region1 of insilico",
        "metric response_correlation",
        "image float32 (B, 1, 32, 32)",
        "1…64, tuned for 1",
        "fp32.max_error_over_scale",
        "torch",
    ):
        assert words in result.stdout
    as_json = run("inspect", shared_export.bundle, "--json")
    assert json.loads(as_json.stdout)["model"]["name"] == "cae-fr2"
    assert as_json.stdout.encode() == (shared_export.bundle / "manifest.json").read_bytes()


@pytest.mark.parametrize("arguments", [["--help"], ["verify", "--help"], ["inspect", "--help"]])
def test_help_has_examples_and_exit_codes(arguments):
    result = run(*arguments)
    assert result.exit_code == 0
    assert "BUNDLE" in result.stdout or "daenr-export --checkpoint cae_fr2.pt --trt" in result.stdout
    if arguments != ["inspect", "--help"]:
        assert "Exit codes: 0" in result.stdout
        assert "\n  daenr-export verify cae_fr2.daenr" in result.stdout.replace("\n    ", "\n  ")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["Missing option '--checkpoint'"]),
        (["--checkpoint", "absent.pt"], ["absent.pt: does not exist or is not a file", "daenr-train fit"]),
        (["--checkpoint", "."], ["does not exist or is not a file"]),
        (["--checkpoint", "absent.pt", "--precision", "int4"], ["'int4' is not one of 'fp32', 'tf32', 'fp16'"]),
        (["--checkpoint", "absent.pt", "--batch", "1:2"], ["--batch 1:2: is not three whole numbers"]),
        (["--checkpoint", "absent.pt", "--batch", "4:2:1"], ["--batch 4:2:1: is not in order"]),
        (["--checkpoint", "absent.pt", "--precision", "tf32"], ["add --trt"]),
        (["--checkpoint", "absent.pt", "--trt-flavour", "rtx"], ["add --trt"]),
        (["--checkpoint", "absent.pt", "verify", "x"], ["--checkpoint does not go together with verify"]),
        (["verify"], ["Missing argument 'BUNDLE'"]),
        (["verify", "absent.daenr"], ["absent.daenr: does not exist"]),
        (["inspect", "absent.daenr"], ["absent.daenr: does not exist"]),
        (["varify", "absent.daenr"], ["No such command 'varify'"]),
    ],
)
def test_bad_arguments_are_one_line(arguments, parts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert_one_line(run(*arguments), *parts)
    assert list(tmp_path.iterdir()) == []


class Payload:
    def __reduce__(self):
        return print, ("executed",)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


def pickled(path: Path) -> None:
    torch.save({"format": "daenr-checkpoint", "version": 1, "weights": Payload()}, path)


def bare_pickle(path: Path) -> None:
    path.write_bytes(pickle.dumps(Payload()))


def other_version(path: Path) -> None:
    torch.save(torch.load(path, weights_only=True) | {"version": 99}, path)


def foreign(path: Path) -> None:
    torch.save({"weights": torch.zeros(3)}, path)


@pytest.mark.parametrize(
    ("damage", "part"),
    [
        (truncated, "is truncated"),
        (pickled, "holds pickled Python objects, which were not executed"),
        (bare_pickle, "is truncated or is not a checkpoint"),
        (other_version, "has format version 99"),
        (foreign, "is not a daenr-checkpoint file"),
    ],
)
def test_a_bad_checkpoint_is_one_line_and_leaves_nothing(checkpoint, damage, part):
    damage(checkpoint)
    result = run("--checkpoint", checkpoint)
    assert_one_line(result, f"{checkpoint}: ", part)
    assert list(checkpoint.parent.iterdir()) == [checkpoint]


def test_what_exists_is_refused_before_anything_is_read(checkpoint, exported):
    checkpoint.write_bytes(b"no checkpoint at all")
    assert_one_line(run("--checkpoint", checkpoint, "--output", exported), f"{exported}: exists already", "--force")


@pytest.mark.skipif(is_installed("tensorrt"), reason="TensorRT Enterprise is installed")
def test_a_flavour_that_is_absent_is_refused_before_anything_is_read(checkpoint):
    checkpoint.write_bytes(b"no checkpoint at all")
    result = run("--checkpoint", checkpoint, "--trt", "--trt-flavour", "enterprise")
    assert_one_line(result, "tensorrt: is needed for building engines", "pip install 'daenr[gpu]'")


def test_a_backend_that_is_absent_names_its_extra(shared_export, monkeypatch):
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None)
    result = run("verify", shared_export.bundle, "--backend", "onnxruntime")
    assert_one_line(result, "backend onnxruntime: cannot run here", "pip install 'daenr[cpu]'")


def test_an_edited_bundle_is_refused(exported):
    graph = exported / "graphs" / "responses.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"!")
    for command in ("verify", "inspect"):
        assert_one_line(run(command, exported), "responses.onnx")


def test_a_bundle_of_a_later_daenr_is_refused(exported):
    edit_manifest(exported, lambda document: document.update(schema_version=2))
    assert_one_line(run("verify", exported), "has schema version 2")


def test_a_report_that_cannot_be_written_is_one_line(shared_export):
    place = shared_export.bundle / "manifest.json" / "report.json"
    result = run("verify", shared_export.bundle, "--backend", "onnxruntime", "--json", place)
    assert_one_line(result, "report.json: cannot be written")


def test_a_report_that_exists_is_kept(shared_export, tmp_path):
    report = tmp_path / "report.json"
    report.write_text("precious")
    arguments = ("verify", shared_export.bundle, "--backend", "onnxruntime", "--json", report)
    assert_one_line(run(*arguments), "report.json: exists already", "--force")
    assert report.read_text() == "precious"
    assert run(*arguments, "--force").exit_code == 0
    assert json.loads(report.read_text())["verdict"] == "pass"


def test_the_command_starts_without_torch_or_onnx():
    script = "import sys, daenr_export.cli; print({'torch', 'onnx', 'onnxruntime', 'openvino'} & set(sys.modules))"
    command = [sys.executable, "-c", script]
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout == "set()\n"

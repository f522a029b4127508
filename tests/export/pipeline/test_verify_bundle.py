from __future__ import annotations

import importlib
import json
import subprocess
import sys

import numpy as np
import pytest
from bundle_edits import change_golden, change_weight, drop_graph, edit_manifest, replace_file

import daenr_export
from daenr_common.errors import BackendUnavailableError, BundleError, DaenrError
from daenr_common.extras import is_installed
from daenr_common.verdict import Verdict
from daenr_export.runtime.backends.onnxruntime import OnnxRuntimeBackend
from daenr_export.runtime.registry import BackendStatus
from daenr_export.runtime.session import CallSession
from daenr_export.verification import runs
from daenr_export.verification.reference_backend import ReferenceBackend

# The package's attribute of this name is the function.
verify = importlib.import_module("daenr_export.verification.verify")
needs_rtx = pytest.mark.skipif(not is_installed("tensorrt_rtx"), reason="tensorrt-rtx-cu12 is not installed")


class Distorted:
    """onnxruntime with something wrong about its answers."""

    name = "distorted"

    def __init__(self, distort):
        self.distort = distort

    def why_unavailable(self):
        return None

    def open(self, graph):
        session = OnnxRuntimeBackend().open(graph)
        return CallSession(self.name, graph.spec, lambda batch: self.distort(session.run(batch), batch))


@pytest.fixture
def only(monkeypatch):
    """Let verification find one backend and nothing else."""

    def use(backend):
        monkeypatch.setattr(verify, "_statuses", lambda: [BackendStatus(backend.name, True)])
        monkeypatch.setattr(verify, "_pick", lambda _: backend)

    return use


def failed(report):
    return {(run.graph, run.batch) for run in report.runs if run.verdict is Verdict.FAIL}


def test_a_sound_bundle_passes_on_every_backend_that_is_here(shared_export):
    report = daenr_export.verify(shared_export.bundle)
    assert report.verdict is Verdict.PASS
    assert failed(report) == set()
    graphs = set(shared_export.manifest.graphs)
    assert {(r.graph, r.batch) for r in report.runs if r.backend == "onnxruntime"} == {
        (graph, batch) for graph in graphs for batch in (1, 2, 3, 64)
    }
    assert {(r.graph, r.batch) for r in report.runs if r.backend == "onnx-reference"} == {(g, 2) for g in graphs}
    assert {check.subject for check in report.checks if check.verdict is Verdict.PASS} >= {"files", "graphs"}


def test_the_science_is_measured_with_the_tensors(shared_export):
    report = daenr_export.verify(shared_export.bundle, ["onnxruntime"])
    found = {(run.graph, c.output): c.metrics for run in report.runs for c in run.comparisons if run.batch == 64}
    assert found["responses", "responses"]["correlation"] > 0.99999
    assert found["responses", "responses"]["neurons_scored"] == 11
    assert found["joint", "reconstruction"]["psnr_db"] > 120
    assert found["decoder", "reconstruction"]["max_error_over_scale"] < 1e-6


def test_the_report_is_json_without_nan(shared_export):
    report = daenr_export.verify(shared_export.bundle, ["onnxruntime"])
    document = json.loads(report.json_text(), parse_constant=pytest.fail)
    assert document["schema_version"] == 1
    assert document["verdict"] == "pass"
    assert document["manifest_sha256"] == shared_export.manifest.sha256
    assert len(document["runs"]) == 24
    assert {run["verdict"] for run in document["runs"]} == {"pass"}


def test_a_graph_with_other_weights_fails_though_every_hash_is_right(exported):
    change_weight(exported, "readout", lambda weight: weight * 1.01)
    report = daenr_export.verify(exported, ["onnxruntime"])
    assert report.verdict is Verdict.FAIL
    assert failed(report) == {("readout", batch) for batch in (1, 2, 3, 64)}
    reason = next(run.check.reason for run in report.runs if run.verdict is Verdict.FAIL)
    assert reason.startswith("responses: error")


def test_nan_fails_and_the_report_is_still_json(exported):
    change_weight(exported, "encoder", lambda weight: weight * np.nan)
    report = daenr_export.verify(exported, ["onnxruntime"])
    assert report.verdict is Verdict.FAIL
    assert "features holds" in report.json_text()
    json.loads(report.json_text(), parse_constant=pytest.fail)


def test_an_answer_that_is_wrong_at_one_batch_size_only_is_found(shared_export, only):
    def second_row(answers, batch):
        return tuple(np.concatenate([a[:1], a[:1]]) for a in answers) if len(batch) == 2 else answers

    only(Distorted(second_row))
    report = daenr_export.verify(shared_export.bundle)
    assert report.verdict is Verdict.FAIL
    assert {batch for _, batch in failed(report)} == {2}


def test_a_backend_that_breaks_while_it_answers_fails(shared_export, only):
    def refuse(answers, batch):
        raise RuntimeError("device lost")

    only(Distorted(refuse))
    report = daenr_export.verify(shared_export.bundle)
    assert report.verdict is Verdict.FAIL
    assert all("device lost" in run.check.reason for run in report.runs)


def test_a_graph_that_is_gone_fails(exported):
    report = daenr_export.verify(drop_graph(exported, "joint"), ["onnxruntime"])
    assert report.verdict is Verdict.FAIL
    (check,) = (check for check in report.checks if check.verdict is Verdict.FAIL)
    assert (check.subject, check.reason) == ("graphs", "missing for a cae-fr2: joint")


def test_a_golden_file_without_a_reference_is_an_error(exported):
    change_golden(exported, lambda arrays: arrays.pop("joint.responses"))
    with pytest.raises(BundleError, match=r"golden\.npz: holds no joint\.responses"):
        daenr_export.verify(exported)


def test_a_golden_file_of_no_images_is_an_error(exported):
    change_golden(exported, lambda arrays: arrays.update({name: array[:0] for name, array in arrays.items()}))
    with pytest.raises(BundleError):
        daenr_export.verify(exported)


@pytest.mark.parametrize(("name", "value"), [("max_error_over_scale", 1e9), ("correlation", -1.0), ("psnr_db", 1.0)])
def test_a_manifest_that_tolerates_everything_fails(exported, name, value):
    edit_manifest(exported, lambda document: document["tolerances"].update({f"fp32.{name}": value}))
    report = daenr_export.verify(exported, ["onnxruntime"])
    (check,) = (check for check in report.checks if check.subject == "tolerances")
    assert check.verdict is Verdict.FAIL
    assert f"fp32.{name} is {value:g}" in check.reason
    assert report.verdict is Verdict.FAIL


def test_a_manifest_without_tolerances_is_an_error(exported):
    edit_manifest(exported, lambda document: document.update(tolerances={}))
    with pytest.raises(BundleError, match=r"tolerance fp32\.max_error_over_scale: is missing"):
        daenr_export.verify(exported, ["onnxruntime"])


@pytest.mark.parametrize("available", [True, False])
def test_nothing_that_ran_is_cannot_tell_however_whole_the_files(shared_export, monkeypatch, available):
    class Refusing:
        name = "refusing"

        def open(self, graph):
            raise BackendUnavailableError("refusing", f"does not open {graph.spec.name}", "try another")

    status = BackendStatus("refusing", available, "refusing: is not here")
    monkeypatch.setattr(verify, "_statuses", lambda: [status])
    monkeypatch.setattr(verify, "_pick", lambda _: Refusing())
    report = daenr_export.verify(shared_export.bundle)
    assert report.runs == ()
    assert report.verdict is Verdict.CANNOT_TELL
    (check,) = (check for check in report.checks if check.subject == "refusing")
    assert check.verdict is Verdict.CANNOT_TELL
    assert check.reason == ("refusing: does not open encoder; try another" if available else "is not here")


def test_a_graph_that_nothing_opens_is_no_pass(exported):
    replace_file(exported, "graphs/joint.onnx", b"no graph, whatever its hash")
    report = daenr_export.verify(exported)
    assert "joint" not in {run.graph for run in report.runs}
    assert {run.verdict for run in report.runs} == {Verdict.PASS}
    reasons = {check.subject: check for check in report.checks}
    assert reasons["onnxruntime / joint"].verdict is Verdict.CANNOT_TELL
    # Where TensorRT is installed it finds that the engine's source is none; else nothing could be told about it.
    assert report.verdict is (Verdict.FAIL if report_has_failed_source(report) else Verdict.CANNOT_TELL)
    with pytest.raises(BackendUnavailableError, match="does not open the graph joint"):
        daenr_export.verify(exported, ["onnxruntime"])


def report_has_failed_source(report):
    return any(check.subject.endswith(": source") and check.verdict is Verdict.FAIL for check in report.checks)


def test_a_backend_that_is_named_must_run(shared_export):
    with pytest.raises(BackendUnavailableError, match="backend 'onnxruntim': is not known"):
        daenr_export.verify(shared_export.bundle, ["onnxruntim"])


def test_the_reference_can_be_asked_for_alone(shared_export):
    report = daenr_export.verify(shared_export.bundle, ["onnx-reference", "onnx-reference"])
    assert {(run.backend, run.batch) for run in report.runs} == {("onnx-reference", 2)}
    assert len(report.runs) == 6


def test_without_onnx_the_reference_cannot_tell(shared_export, monkeypatch):
    find = verify.reference_backend.require

    def missing(module, **names):
        if module.startswith("onnx."):
            raise BackendUnavailableError("onnx", "is not installed", "pip install 'daenr[export]'")
        return find(module, **names)

    monkeypatch.setattr(verify.reference_backend, "require", missing)
    monkeypatch.setattr(verify.registry, "backends", lambda: (BackendStatus("onnxruntime", True),))
    report = daenr_export.verify(shared_export.bundle)
    (check,) = (check for check in report.checks if check.subject == "onnx-reference")
    assert check.verdict is Verdict.CANNOT_TELL
    assert "pip install 'daenr[export]'" in check.reason
    assert report.verdict is Verdict.PASS


def test_the_reference_says_what_it_cannot_open():
    spec = daenr_export.bundle.manifest.GraphSpec("encoder", None, (), None)
    with pytest.raises(BackendUnavailableError, match="onnx-reference: does not open the graph encoder"):
        ReferenceBackend().open(runs.OnnxGraph(spec, b"no onnx", "fp32"))
    with pytest.raises(BackendUnavailableError, match="has no tensorrt engine"):
        runs.OnnxGraph(spec, b"", "fp32").engine("tensorrt")


@needs_rtx
def test_engines_are_checked_without_a_gpu(shared_export):
    report = daenr_export.verify(shared_export.bundle)
    about = [check for check in report.checks if check.subject.startswith("engines/")]
    assert {check.subject.partition(":")[0] for check in about} == {e.file for e in shared_export.manifest.engines}
    assert Verdict.FAIL not in {check.verdict for check in about}
    assert any(check.subject.endswith("precision") and check.verdict is Verdict.PASS for check in about)


@needs_rtx
def test_an_engine_of_another_graph_is_found(exported):
    engines = {name: f"engines/tensorrt-rtx/{name}.fp32.engine" for name in ("responses", "reconstruction")}
    replace_file(exported, engines["responses"], (exported / engines["reconstruction"]).read_bytes())
    report = daenr_export.verify(exported)
    assert report.verdict is Verdict.FAIL
    assert any(
        check.subject.startswith(engines["responses"]) for check in report.checks if check.verdict is Verdict.FAIL
    )


@needs_rtx
def test_a_graph_without_its_engine_fails(exported):
    file = "engines/tensorrt-rtx/responses.fp32.engine"
    (exported / file).unlink()

    def change(document):
        del document["files"][file]
        document["engines"] = [engine for engine in document["engines"] if engine["file"] != file]

    report = daenr_export.verify(edit_manifest(exported, change))
    (check,) = (check for check in report.checks if check.subject == "tensorrt-rtx engines")
    assert (check.verdict, check.reason) == (Verdict.FAIL, "none for the graphs responses")
    assert report.verdict is Verdict.FAIL


@needs_rtx
def test_an_engine_that_says_another_precision_fails(exported):
    def change(document):
        document["engines"][0]["precision_actual"] = "fp16"

    with pytest.raises(DaenrError, match="has no fp16 variant"):
        # The engine's source must be in the bundle: an engine that nothing can be compared with is not verified.
        daenr_export.verify(edit_manifest(exported, change))


def test_a_witness_knows_what_was_run(shared_export):
    graph = daenr_export.Bundle.open(shared_export.bundle).graph("encoder")
    manifest = shared_export.manifest
    as_half = tuple(engine._replace(precision_requested="fp16") for engine in manifest.engines)
    witness = runs.Witness(graph, manifest._replace(engines=as_half))
    assert (witness.precision, witness.gave_compiled) == ("fp32", False)
    witness.onnx()
    assert witness.precision == "fp32"
    if shared_export.manifest.engines:
        witness.engine("tensorrt-rtx")
        assert (witness.precision, witness.gave_compiled) == ("fp16", True)
    with pytest.raises(BackendUnavailableError):
        witness.engine("tensorrt")


def test_verifying_needs_no_torch(shared_export):
    script = (
        "import sys, daenr_export\n"
        "report = daenr_export.verify(sys.argv[1], ['onnxruntime'])\n"
        "print(report.verdict.value, 'torch' in sys.modules)"
    )
    command = [sys.executable, "-c", script, shared_export.bundle]
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout == "pass False\n"

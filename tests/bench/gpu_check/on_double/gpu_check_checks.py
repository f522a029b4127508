"""The check-up on the doubles of the driver and of TensorRT, to the archive. Run by `test_gpu_check.py`."""

from __future__ import annotations

import getpass
import io
import json
import platform
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_bundle import GRAPHS, make_engine_bundle

from daenr_bench import Plan, Result
from daenr_bench.gpu_check import gpu_check
from daenr_bench.gpu_check.latency import PLAN
from daenr_bench.gpu_check.parts import Checkup
from daenr_bench.scenarios.burst import Burst
from daenr_bench.scenarios.paced import Paced
from daenr_bench.scenarios.pacing import Pace
from daenr_common.verdict import Verdict
from daenr_export.tensorrt import why_no_gpu

QUICK = Plan((Burst(samples=20), Paced(Pace(1000.0), samples=20)))
US = 1000


def unpacked(path: Path) -> dict[str, bytes]:
    with tarfile.open(path, "r:gz") as archive:
        entries = archive.getmembers()
        assert {(entry.uid, entry.gid, entry.uname, entry.gname) for entry in entries} == {(0, 0, "", "")}
        files = {entry.name: archive.extractfile(entry) for entry in entries}
        return {name.removeprefix("gpu-check/"): file.read() for name, file in files.items() if file is not None}


def verdicts(checkup: Checkup) -> dict[str, str]:
    return {part.name: part.verdict for part in checkup.parts}


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """A folder of tests, one of which is for a GPU."""
    folder = tmp_path / "checkout" / "tests"
    folder.mkdir(parents=True)
    (folder / "conftest.py").write_text("def pytest_configure(config): config.addinivalue_line('markers', 'gpu: x')\n")
    (folder / "test_it.py").write_text(
        "import pytest\n@pytest.mark.gpu\ndef test_on_gpu(): assert True\ndef test_not(): assert False\n"
    )
    return folder


def test_everything_is_in_the_archive(engines: str, tmp_path: Path, suite: Path) -> None:
    assert why_no_gpu() is None
    told: list[str] = []
    bundle, output = make_engine_bundle(tmp_path / "tiny.daenr", engines), tmp_path / "out" / "gpu-check.tar.gz"
    checkup = gpu_check(output, bundle, tests=suite, plan=QUICK, tell=told.append)
    assert checkup.complete
    assert verdicts(checkup) == dict.fromkeys(
        ("doctor", "bundle/engines", "bundle/cuda-graphs", "bundle/latency", "tests"), "pass"
    ), told
    assert checkup.verdict is Verdict.PASS
    assert len(told) == 5
    files = unpacked(output)
    assert set(files) == {
        "summary.json", "doctor.json", "bundle/verify.json", "bundle/cuda_graphs.json", "bundle/results.json",
        "bundle/results.samples.npz", "bundle/report.html", "bundle/report.md", "tests.log", "tests.xml",
    }  # fmt: skip
    summary = json.loads(files["summary.json"])
    assert (summary["verdict"], summary["complete"], len(summary["parts"])) == ("pass", True, 5)
    assert summary["machine"]["gpu"] == "compute capability 8.9"
    assert "1 passed" in files["tests.log"].decode()
    for name, content in files.items():
        for secret in (str(Path.home()), str(tmp_path), platform.node(), getpass.getuser()):
            if len(secret) > 4 or name == "tests.xml":
                assert secret.encode() not in content, (name, secret)
    check_engines(json.loads(files["bundle/verify.json"]), json.loads(files["bundle/cuda_graphs.json"]))
    check_latency(Result.from_json(files["bundle/results.json"].decode()), files["bundle/results.samples.npz"])
    assert b"Time on the device" in files["bundle/report.html"]


def check_engines(verified: Mapping[str, Any], captured: Mapping[str, Any]) -> None:
    """All graphs of both flavours at several batch sizes, without CUDA graphs and with."""
    for runs, names in (
        (verified["runs"], ("tensorrt", "tensorrt-rtx")),
        (captured["runs"], ("trtexec", "trtexec-rtx")),
    ):
        for name in names:
            found = {(run["graph"], run["batch"]) for run in runs if run["backend"] == name}
            assert found == {(graph, batch) for graph in GRAPHS for batch in (1, 2, 3, 8)}, name
    assert captured["not_run"] == {}


def check_latency(result: Result, samples: bytes) -> None:
    """Both clocks, in a burst and on a schedule, for the engines as they are and as CUDA graphs."""
    timed = {(m.backend, m.scenario): m for m in result.measurements if m.graph == "responses" and m.device is not None}
    names = ("tensorrt", "tensorrt-rtx", "trtexec", "trtexec-rtx")
    assert set(timed) == {(name, loop) for name in names for loop in ("burst", "paced")}
    for measurement in timed.values():
        assert measurement.state == "pass", measurement.problems
        assert measurement.device is not None
        # A copy, an engine and a copy: each takes a microsecond by the double's clock.
        assert (measurement.device.latency.min_ns, measurement.device.latency.max_ns) == (3 * US, 3 * US)
        assert "between two CUDA events" in measurement.device.timing_boundary
    with np.load(io.BytesIO(samples), allow_pickle=False) as arrays:
        np.testing.assert_array_equal(arrays["responses.trtexec.burst.device_ns"], np.full(20, 3 * US))
    assert {entrant.backend for entrant in result.entrants if entrant.is_peer} >= {"trtexec", "trtexec-rtx"}


def test_a_wrong_engine_fails_the_check_up_and_the_rest_is_tried(engines: str, tmp_path: Path) -> None:
    bundle = make_engine_bundle(tmp_path / "tiny.daenr", engines, spoilt={"tensorrt": "readout"})
    output = tmp_path / "gpu-check.tar.gz"
    checkup = gpu_check(output, bundle, plan=QUICK)
    assert verdicts(checkup) == {
        "doctor": "pass",
        "bundle/engines": "fail",
        "bundle/cuda-graphs": "fail",
        "bundle/latency": "fail",
        "tests": "cannot tell",
    }
    reasons = {part.name: part.reason for part in checkup.parts}
    assert reasons["bundle/engines"].startswith("tensorrt / readout / batch 1: responses: error")
    assert reasons["bundle/cuda-graphs"].startswith("trtexec / readout / batch 1: responses: error")
    assert reasons["bundle/latency"].startswith("readout on tensorrt: responses: error")
    assert json.loads(unpacked(output)["summary.json"])["verdict"] == "fail"


def test_a_part_that_breaks_is_a_fail_with_its_traceback(
    engines: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("an illegal memory access was encountered")

    monkeypatch.setattr("daenr_bench.gpu_check.latency.benchmark", breaks)
    output = tmp_path / "gpu-check.tar.gz"
    checkup = gpu_check(output, make_engine_bundle(tmp_path / "tiny.daenr", engines), plan=QUICK)
    assert verdicts(checkup)["bundle/latency"] == "fail"
    assert verdicts(checkup)["bundle/engines"] == "pass"
    assert "RuntimeError: an illegal memory" in unpacked(output)["bundle/latency.traceback.txt"].decode()


def test_ctrl_c_keeps_what_was_found(engines: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("daenr_bench.gpu_check.check.check_cuda_graphs", interrupted)
    output = tmp_path / "gpu-check.tar.gz"
    checkup = gpu_check(output, make_engine_bundle(tmp_path / "tiny.daenr", engines), plan=QUICK)
    assert not checkup.complete
    assert list(verdicts(checkup)) == ["doctor", "bundle/engines"]
    assert json.loads(unpacked(output)["summary.json"])["complete"] is False


def test_what_is_measured_by_default_is_what_a_rig_asks() -> None:
    assert [scenario.name for scenario in PLAN.scenarios] == ["burst", "paced", "paced-warm", "cold", "throughput"]

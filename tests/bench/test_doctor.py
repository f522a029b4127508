"""The doctor on machines of all kinds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from daenr_bench import machine, packages
from daenr_bench.cli import main
from daenr_bench.doctor import diagnosis
from daenr_bench.machine import this_machine
from daenr_common import extras
from daenr_export.runtime.registry import BackendStatus

NO_GPU = "no CUDA driver (libcuda.so.1) on this machine"


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "why_no_gpu", lambda: NO_GPU)
    monkeypatch.setattr(machine, "why_no_gpu", lambda: NO_GPU)


@pytest.fixture
def statuses(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    return lambda *found: monkeypatch.setattr(diagnosis, "backends", lambda: found)


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_the_cpu_can_still_run(statuses: Callable[..., None]) -> None:
    statuses(BackendStatus("onnxruntime", True), BackendStatus("tensorrt", False, f"{NO_GPU}; install one"))
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 0, result.output
    assert re.search(r"^onnxruntime +yes$", result.stdout, re.M)
    assert re.search(rf"^tensorrt +no +{re.escape(NO_GPU)}; install one$", result.stdout, re.M)
    assert f"none: {NO_GPU}" in result.stdout
    assert result.stdout.endswith("at least one backend can run\n")


def test_with_nothing_installed_compiled_c_can_run_and_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(packages, "NAMES", ("no-such-package-of-daenr",))
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 0, result.output
    assert re.search(r"^native +yes$", result.stdout, re.M)
    for remedy in ("daenr[cpu]", "daenr[openvino]", "daenr[rtx]", "daenr[rtx-run]", "daenr[gpu]"):
        assert f"pip install '{remedy}'" in result.stdout


def test_where_nothing_can_run_it_cannot_tell(statuses: Callable[..., None]) -> None:
    statuses(BackendStatus("native", False, "no libraries"), BackendStatus("onnxruntime", False, "not installed"))
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 3, result.output
    assert result.stdout.endswith("no backend can run: pip install 'daenr[cpu]'\n")


def test_as_json() -> None:
    result = CliRunner().invoke(main, ["doctor", "--json"])
    found = json.loads(result.stdout)
    assert found["schema_version"] == 2
    assert found["verdict"] == ("pass" if any(b["available"] for b in found["backends"]) else "cannot tell")
    assert result.exit_code == (0 if found["verdict"] == "pass" else 3)
    assert [flavour["name"] for flavour in found["tensorrt"]] == ["tensorrt-rtx", "tensorrt"]
    assert found["packages"]["daenr"]
    assert found["machine"]["cores"] >= found["machine"]["usable_cores"] >= 1
    for finding in found["findings"]:
        assert finding.keys() == {"name", "value", "verdict", "advice"}
        assert finding["verdict"] in ("good", "bad", "unknown")
        assert finding["advice"] or finding["verdict"] != "bad"
    names = [finding["name"] for finding in found["findings"]]
    assert len(set(names)) == len(names)
    assert "governor" in names


def test_flavours_of_tensorrt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daenr_export.tensorrt.flavour.Flavour.is_installed", lambda self: True)
    rtx, enterprise = diagnosis._flavours(NO_GPU)
    assert (rtx.installed, rtx.builds, rtx.runs) == (True, None, NO_GPU)
    assert (enterprise.installed, enterprise.builds, enterprise.runs) == (True, NO_GPU, NO_GPU)
    assert all(flavour.builds is flavour.runs is None for flavour in diagnosis._flavours(None))


def test_packages_that_do_not_go_together() -> None:
    assert packages.conflicts({"onnxruntime": "1"}, NO_GPU) == ()
    assert packages.conflicts({"onnxruntime-gpu": "1"}, None) == ()
    (both,) = packages.conflicts({"onnxruntime": "1", "onnxruntime-gpu": "1"}, NO_GPU)
    assert "overwrite each other's files" in both
    (alone,) = packages.conflicts({"onnxruntime-gpu": "1"}, NO_GPU)
    assert f"only its CPU provider can run: {NO_GPU}" in alone


@pytest.mark.usefixtures("no_gpu")
def test_a_machine_that_says_nothing_of_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine.platform, "processor", lambda: "")
    monkeypatch.delattr(machine.os, "getloadavg")
    monkeypatch.delattr(machine.os, "sched_getaffinity")
    found = this_machine(tmp_path)
    assert (found.processor, found.governor, found.is_virtual, found.load_average) == ("unknown", None, None, None)
    assert found.usable_cores == found.cores


@pytest.mark.usefixtures("no_gpu")
def test_what_linux_says_of_the_processor(tmp_path: Path) -> None:
    cpufreq = tmp_path / "sys" / "devices" / "system" / "cpu" / "cpu0" / "cpufreq"
    cpufreq.mkdir(parents=True)
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "cpuinfo").write_text(
        "processor\t: 0\nmodel name\t: Some CPU @ 3 GHz\nflags\t\t: fpu hypervisor\n"
    )
    (cpufreq / "scaling_governor").write_text("schedutil\n")
    found = this_machine(tmp_path)
    assert (found.processor, found.governor, found.is_virtual) == ("Some CPU @ 3 GHz", "schedutil", True)

"""What the doctor says of GPUs that a made-up nvidia-smi describes."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from daenr_bench.doctor.findings import Finding, Judgement
from daenr_bench.doctor.nvidia import look_at_gpus

NO_GPU = "no CUDA driver (libcuda.so.1) on this machine"
SMI = """<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">
<nvidia_smi_log>
  <driver_version>580.82</driver_version>
  <gpu id="00000000:01:00.0">
    <product_name>NVIDIA RTX 4000 Ada</product_name>
    <display_active>Disabled</display_active>
    <persistence_mode>Enabled</persistence_mode>
    <performance_state>P0</performance_state>
    <clocks_event_reasons>
      <clocks_event_reason_gpu_idle>Active</clocks_event_reason_gpu_idle>
      <clocks_event_reason_hw_thermal_slowdown>Not Active</clocks_event_reason_hw_thermal_slowdown>
      <clocks_event_reason_sw_power_cap>Not Active</clocks_event_reason_sw_power_cap>
    </clocks_event_reasons>
    <clocks><sm_clock>2175 MHz</sm_clock></clocks>
    <max_clocks><sm_clock>2175 MHz</sm_clock></max_clocks>
  </gpu>
</nvidia_smi_log>
"""


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, Finding]]:
    """What is found with an nvidia-smi that prints a text and exits with a code."""

    def smi(text: str, code: int = 0) -> dict[str, Finding]:
        tool = tmp_path / "nvidia-smi"
        (tmp_path / "answer").write_text(text)
        tool.write_text(f'#!/bin/sh\n[ "$*" = "-q -x" ] || exit 9\ncat {tmp_path / "answer"}\nexit {code}\n')
        tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return {finding.name: finding for finding in look_at_gpus(None)}

    return smi


def test_a_gpu_that_was_prepared(smi: Callable[..., dict[str, Finding]]) -> None:
    found = smi(SMI)
    assert {name: (finding.value, finding.verdict.value) for name, finding in found.items()} == {
        "NVIDIA driver": ("580.82", "unknown"),
        "GPU": ("NVIDIA RTX 4000 Ada", "unknown"),
        "GPU persistence": ("Enabled", "good"),
        "GPU clock": ("2175 of 2175 MHz (P0)", "good"),
        "GPU throttling": ("none", "good"),
    }


@pytest.mark.parametrize(
    ("old", "new", "name", "value", "advice"),
    [
        ("persistence_mode>Enabled", "persistence_mode>Disabled", "GPU persistence", "Disabled", "-pm 1"),
        ("<clocks><sm_clock>2175", "<clocks><sm_clock>210", "GPU clock", "210 of 2175 MHz (P0)", "-lgc 2175,2175"),
        (
            "sw_power_cap>Not Active",
            "sw_power_cap>Active",
            *("GPU throttling", "sw power cap", "cooling"),
        ),
    ],
)
def test_a_gpu_that_makes_a_loop_late(
    smi: Callable[..., dict[str, Finding]], old: str, new: str, name: str, value: str, advice: str
) -> None:
    assert old in SMI
    found = smi(SMI.replace(old, new))
    assert (found[name].value, found[name].verdict) == (value, Judgement.BAD)
    assert advice in found[name].advice
    assert [other for other, finding in found.items() if finding.verdict is Judgement.BAD] == [name]


def test_a_driver_of_before_535_names_the_reasons_otherwise(smi: Callable[..., dict[str, Finding]]) -> None:
    text = SMI.replace("clocks_event_reason", "clocks_throttle_reason")
    found = smi(text.replace("hw_thermal_slowdown>Not Active", "hw_thermal_slowdown>Active"))
    assert found["GPU throttling"].value == "hw thermal slowdown"


def test_a_gpu_that_draws_the_stimulus_and_one_that_does_not(smi: Callable[..., dict[str, Finding]]) -> None:
    first, rest = SMI.split("  <gpu", 1)
    gpu = rest.removesuffix("</nvidia_smi_log>\n")
    other = gpu.replace("display_active>Disabled", "display_active>Enabled")
    found = smi(f"{first}  <gpu{gpu}  <gpu{other}</nvidia_smi_log>\n")
    assert "GPU 0 display" not in found
    assert found["GPU 1 display"].verdict is Judgement.UNKNOWN


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (
            "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 580",
            18,
            "Failed to initial",
        ),
        ("not xml", 0, "syntax error"),
        ("", 3, "it exits 3"),
    ],
)
def test_a_tool_that_does_not_answer(smi: Callable[..., dict[str, Finding]], text: str, code: int, said: str) -> None:
    (finding,) = smi(text, code).values()
    assert finding.verdict is Judgement.UNKNOWN
    assert said in finding.value
    assert "\n" not in finding.value


def test_without_the_tool(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list(look_at_gpus(NO_GPU)) == []
    (finding,) = look_at_gpus(None)
    assert finding.value == "nvidia-smi is not there to ask"

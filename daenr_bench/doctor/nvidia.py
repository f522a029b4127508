"""The GPUs of a rig, as NVIDIA's own tool tells of them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from xml.etree import ElementTree

from daenr_bench.doctor.findings import Finding, good_if, unknown

_TOOL = "nvidia-smi"
_TIMEOUT_S = 20
_SLOWDOWNS = (
    *("hw_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown"),
    *("sw_thermal_slowdown", "sw_power_cap"),
)


def look_at_gpus(no_gpu: str | None) -> Iterator[Finding]:
    """Findings about each GPU; none where there is none.

    Args:
        no_gpu: why no GPU can be used; None if one can.
    """
    if shutil.which(_TOOL) is None:
        if no_gpu is None:
            yield unknown("GPU", f"{_TOOL} is not there to ask", "it comes with the driver: put its folder on the PATH")
        return
    try:
        document = ElementTree.fromstring(_ask())  # of a tool of this machine, not of a stranger
    except (OSError, subprocess.SubprocessError, ElementTree.ParseError) as error:
        yield unknown("GPU", f"{_TOOL} does not answer ({_first_line(error)})", "reboot after an update of the driver")
        return
    yield unknown("NVIDIA driver", document.findtext("driver_version", "it does not say"))
    gpus = document.findall("gpu")
    for index, gpu in enumerate(gpus):
        yield from _look_at(gpu, f"GPU {index}" if len(gpus) > 1 else "GPU")


def _ask() -> str:
    command = [_TOOL, "-q", "-x"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
    if done.returncode:
        raise subprocess.SubprocessError(done.stdout.strip() or done.stderr.strip() or f"it exits {done.returncode}")
    return done.stdout


def _look_at(gpu: ElementTree.Element, name: str) -> Iterator[Finding]:
    yield unknown(name, gpu.findtext("product_name", "it does not say"))
    persistence = gpu.findtext("persistence_mode", "")
    advice = "the driver is loaded anew for the first frame: sudo nvidia-smi -pm 1"
    yield good_if(persistence == "Enabled", f"{name} persistence", persistence or "it does not say", advice)
    yield _clocks(gpu, name)
    yield _throttling(gpu, name)
    if gpu.findtext("display_active") == "Enabled":
        yield unknown(
            f"{name} display", "draws a screen", "let another GPU draw, or measure while the stimulus is shown"
        )


def _clocks(gpu: ElementTree.Element, name: str) -> Finding:
    """An idle GPU lowers its clocks: then every frame of a paced loop is the first."""
    now, most = _megahertz(gpu.findtext("clocks/sm_clock")), _megahertz(gpu.findtext("max_clocks/sm_clock"))
    if now is None or most is None:
        return unknown(f"{name} clock")
    state = gpu.findtext("performance_state", "")
    value = f"{now} of {most} MHz{f' ({state})' if state else ''}"
    advice = f"between frames it slows down: sudo nvidia-smi -lgc {most},{most}, or keep the engine warm while waiting"
    return good_if(now >= 0.9 * most, f"{name} clock", value, advice)


def _throttling(gpu: ElementTree.Element, name: str) -> Finding:
    # Drivers before 535 call them throttle reasons.
    for word in ("event", "throttle"):
        reasons = gpu.find(f"clocks_{word}_reasons")
        if reasons is not None:
            active = [
                slowdown.replace("_", " ")
                for slowdown in _SLOWDOWNS
                if reasons.findtext(f"clocks_{word}_reason_{slowdown}") == "Active"
            ]
            advice = "see to its cooling and its power supply, or lock its clock lower"
            return good_if(not active, f"{name} throttling", ", ".join(active) or "none", advice)
    return unknown(f"{name} throttling")


def _megahertz(text: str | None) -> int | None:
    number = (text or "").removesuffix(" MHz")
    return int(number) if number.isdecimal() else None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__

"""Which TensorRT is used, and what is said where there is none or no GPU."""

from __future__ import annotations

import ctypes
import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from daenr_common.errors import BackendUnavailableError, MissingExtraError, SpecError
from daenr_export.tensorrt import ENTERPRISE, RTX, choose_flavour, flavour, gpu

Install = Callable[[str, str], None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put packages of our own before all others; what is imported from there is forgotten afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    for name in (RTX.module, ENTERPRISE.module):
        monkeypatch.delitem(sys.modules, name, raising=False)

    def write(module: str, content: str) -> None:
        (tmp_path / module).mkdir()
        (tmp_path / module / "__init__.py").write_text(content)
        importlib.invalidate_caches()

    yield write
    for name in (RTX.module, ENTERPRISE.module):
        sys.modules.pop(name, None)


def gpu_is_here(monkeypatch: pytest.MonkeyPatch, here: bool) -> None:
    monkeypatch.setattr(flavour, "why_no_gpu", lambda: None if here else "the CUDA driver sees no GPU")


def test_auto_takes_enterprise_where_it_imports_and_has_a_gpu(
    install: Install, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("tensorrt", "")
    install("tensorrt_rtx", "")
    gpu_is_here(monkeypatch, True)

    assert choose_flavour() is ENTERPRISE
    assert choose_flavour("rtx") is RTX


@pytest.mark.parametrize(
    ("enterprise", "here"), [("", False), ("raise ImportError('libnvinfer.so.11 is missing')", True), (None, True)]
)
def test_auto_takes_rtx_otherwise(
    install: Install, monkeypatch: pytest.MonkeyPatch, enterprise: str | None, here: bool
) -> None:
    if enterprise is not None:
        install("tensorrt", enterprise)
    else:
        monkeypatch.setitem(sys.modules, "tensorrt", None)
    install("tensorrt_rtx", "")
    gpu_is_here(monkeypatch, here)

    assert choose_flavour("auto") is RTX


def test_enterprise_can_be_asked_for_without_a_gpu(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    install("tensorrt", "")
    gpu_is_here(monkeypatch, False)

    assert choose_flavour("enterprise") is ENTERPRISE


@pytest.mark.parametrize(("wanted", "extra"), [("enterprise", "gpu"), ("rtx", "rtx"), ("auto", "rtx")])
def test_a_flavour_that_is_not_installed_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, wanted: str, extra: str
) -> None:
    for module in (RTX.module, ENTERPRISE.module):
        monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(MissingExtraError, match=rf"building engines .* pip install 'daenr\[{extra}\]'"):
        choose_flavour(wanted)


def test_running_engines_takes_another_extra_than_building_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, RTX.module, None)

    with pytest.raises(MissingExtraError, match=r"pip install 'daenr\[rtx-run\]'"):
        RTX.load("running", running=True)


def test_a_folder_called_tensorrt_is_not_tensorrt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sources_of_tensorrt").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    folder = flavour.Flavour("tensorrt", "TensorRT", "sources_of_tensorrt", "gpu", "gpu", builds_without_gpu=False)

    assert not folder.is_installed()
    with pytest.raises(MissingExtraError):
        folder.load("building engines")


def test_a_broken_install_says_so(install: Install) -> None:
    install("tensorrt", "raise ImportError('libnvinfer.so.11 is missing')")

    with pytest.raises(BackendUnavailableError, match=r"does not import \(libnvinfer\.so\.11 is missing\)"):
        choose_flavour("enterprise")


def test_an_unknown_choice() -> None:
    with pytest.raises(SpecError, match="choose auto, rtx or enterprise"):
        choose_flavour("jetson")  # type: ignore[arg-type]


class Driver:
    """A driver library that answers as told."""

    def __init__(self, *, init: int = 0, count_status: int = 0, devices: int = 1) -> None:
        self.init, self.count_status, self.devices = init, count_status, devices

    def cuInit(self, flags: int) -> int:  # noqa: N802
        return self.init

    def cuDeviceGetCount(self, count: object) -> int:  # noqa: N802
        ctypes.cast(count, ctypes.POINTER(ctypes.c_int))[0] = self.devices
        return self.count_status

    def cuDeviceGetAttribute(self, value: object, attribute: int, device: int) -> int:  # noqa: N802
        ctypes.cast(value, ctypes.POINTER(ctypes.c_int))[0] = {75: 8, 76: 6}[attribute]
        return 0


@pytest.mark.parametrize(
    ("driver", "reason"),
    [
        (Driver(), None),
        (Driver(init=100), "the CUDA driver does not start (cuInit answered 100)"),
        (Driver(count_status=3), "the CUDA driver does not count its devices (cuDeviceGetCount answered 3)"),
        (Driver(devices=0), "the CUDA driver sees no GPU"),
    ],
)
def test_what_the_driver_says(monkeypatch: pytest.MonkeyPatch, driver: Driver, reason: str | None) -> None:
    monkeypatch.setattr(gpu.ctypes, "CDLL", lambda name: driver)

    assert gpu.why_no_gpu() == reason


@pytest.mark.parametrize(("platform", "library"), [("linux", "libcuda.so.1"), ("win32", "nvcuda.dll")])
def test_no_driver(monkeypatch: pytest.MonkeyPatch, platform: str, library: str) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(gpu.ctypes, "CDLL", missing)
    monkeypatch.setattr(gpu.sys, "platform", platform)

    assert gpu.why_no_gpu() == f"no CUDA driver ({library}) on this machine"


def test_compute_capability(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu.ctypes, "CDLL", lambda name: Driver())

    assert gpu.compute_capability() == "8.6"

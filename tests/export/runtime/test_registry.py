"""Backends by name: unknown, absent and foreign ones, and what `auto` picks."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import bundle_factory as factory
import pytest
from click.testing import CliRunner

import daenr_export
from daenr_bench.cli import main as daenr_bench
from daenr_common.errors import BackendUnavailableError
from daenr_common.verdict import Verdict
from daenr_export.bundle import Bundle
from daenr_export.cli import main as daenr_export_cli
from daenr_export.runtime import registry
from daenr_export.runtime.backends.onnxruntime import OnnxRuntimeBackend
from daenr_export.runtime.protocol import GraphSource, Session

if TYPE_CHECKING:
    from daenr_export.exporting.export import ExportReport

FOREIGN = """
from daenr_export.runtime.backends.onnxruntime import OnnxRuntimeBackend

def make():
    backend = OnnxRuntimeBackend()
    return Named(backend)

class Named:
    name = "foreign"

    def __init__(self, backend):
        self.why_unavailable, self.open = backend.why_unavailable, backend.open

def broken():
    raise OSError("a library\\nis missing")

class Stranger:
    name = "stranger"

class Faulty:
    name = "foreign"
    error = ValueError("line one\\nline two")

    def why_unavailable(self):
        raise self.error

    def open(self, graph):
        raise AssertionError("it cannot run")

class Silent(Faulty):
    error = KeyError()

class Nameless(Faulty):
    @property
    def name(self):
        raise OSError("no name")
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Put a distribution on the path that registers backends."""

    def install(**backends: str) -> None:
        (tmp_path / "foreign_backend.py").write_text(FOREIGN)
        info = tmp_path / "foreign_backend-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign-backend\nVersion: 1.0\n")
        lines = [f"{name} = foreign_backend:{target}" for name, target in backends.items()]
        (info / "entry_points.txt").write_text("\n".join(["[daenr.backends]", *lines, ""]))
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()

    return install


def test_the_backends_are_listed_with_reasons() -> None:
    statuses = {status.name: status for status in daenr_export.backends()}
    assert list(statuses)[:8] == [
        *("native", "onnxruntime", "onnxruntime-cuda", "onnxruntime-tensorrt", "onnxruntime-rtx"),
        *("openvino", "tensorrt-rtx", "tensorrt"),
    ]
    assert all(status.available is (not status.reason) for status in statuses.values())
    assert all("\n" not in status.reason for status in statuses.values())
    assert not any(status.reason.startswith(name) for name, status in statuses.items())  # it is beside the name


def test_auto_tries_each_of_daenrs_backends() -> None:
    assert sorted(registry.AUTO_ORDER) == sorted(status.name for status in registry.backends())


def test_what_trades_accuracy_for_speed_is_run_only_when_named(shared_tiny_bundle: Path) -> None:
    assert "openvino-bf16" not in registry.AUTO_ORDER
    assert "openvino-bf16" not in {status.name for status in registry.backends()}
    pytest.importorskip("openvino")
    backend = registry.pick("openvino-bf16")
    assert backend.name == "openvino-bf16"
    try:
        session = backend.open(Bundle.open(shared_tiny_bundle).graph("responses"))
    except BackendUnavailableError as error:
        assert "asked for bf16 and would compute in f32" in str(error)  # noqa: PT017 (a processor without bf16)
    else:
        session.close()


@pytest.mark.parametrize(
    ("name", "near"), [("onnxruntim", "onnxruntime"), ("OpenVino", "openvino"), ("tensorrt-rtxx", "tensorrt-rtx")]
)
def test_an_unknown_name_lists_the_names_and_the_nearest(name: str, near: str) -> None:
    with pytest.raises(BackendUnavailableError, match=rf"known; the backends are .*; did you mean {near}\?"):
        registry.pick(name)


def test_a_backend_from_another_package_runs(install: Callable[..., None], shared_tiny_bundle: Path) -> None:
    install(foreign="make")
    assert "foreign" in {status.name for status in registry.backends() if status.available}
    with daenr_export.load(shared_tiny_bundle, backend="foreign") as model:
        assert model.backend == "foreign"
        assert model.responses(factory.some_images(1)).shape == (1, factory.NEURONS)


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("broken", r"does not load \(a library is missing\)"),
        ("absent", "does not load"),
        ("Stranger", "lacks name, why_unavailable or open"),
        ("Nameless", r"does not load \(no name\)"),
    ],
)
def test_a_broken_foreign_backend_is_listed_with_its_reason(
    install: Callable[..., None], target: str, problem: str
) -> None:
    install(foreign=target)
    status = {status.name: status for status in registry.backends()}["foreign"]
    assert not status.available
    assert "update or remove that package" in status.reason
    with pytest.raises(BackendUnavailableError, match=problem):
        registry.pick("foreign")


@pytest.mark.parametrize(("target", "described"), [("Faulty", "ValueError: line one line two"), ("Silent", "KeyError")])
def test_a_foreign_backend_that_fails_to_say_whether_it_runs_breaks_nothing(
    install: Callable[..., None], shared_export: ExportReport, target: str, described: str
) -> None:
    install(foreign=target)
    reason = f"it fails to say whether it can run ({described}); update or remove its package"
    assert {status.name: status.reason for status in daenr_export.backends()}["foreign"] == reason
    rows = {check.subject: check for check in daenr_export.verify(shared_export.bundle).checks}
    assert (rows["foreign"].verdict, rows["foreign"].reason) == (Verdict.CANNOT_TELL, reason)
    doctor = CliRunner().invoke(daenr_bench, ["doctor"])
    assert doctor.exit_code == 0, doctor.output
    assert reason in doctor.stdout
    asked = CliRunner().invoke(daenr_export_cli, ["verify", str(shared_export.bundle), "--backend", "foreign"])
    assert asked.exit_code == 2
    assert asked.stderr == (f"daenr-export: backend foreign: cannot run here: {reason}; or choose another backend\n")


def test_the_names_of_daenrs_own_backends_are_reserved(install: Callable[..., None]) -> None:
    install(onnxruntime="broken")
    assert registry.pick("onnxruntime").name == "onnxruntime"
    assert [status.name for status in registry.backends()].count("onnxruntime") == 1


class Fake:
    """A backend that can run or not, and opens graphs or not."""

    def __init__(self, name: str, *, reason: str | None = None, opens: bool = True) -> None:
        self.name = name
        self._reason = reason
        self._opens = opens

    def why_unavailable(self) -> str | None:
        return self._reason

    def open(self, graph: GraphSource) -> Session:
        if not self._opens:
            raise BackendUnavailableError(self.name, "holds no engine", "export one")
        return OnnxRuntimeBackend().open(graph)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Replace daenr's backends by fakes, fastest first."""

    def only(*fakes: Fake) -> None:
        by_name = {fake.name: fake for fake in fakes}
        monkeypatch.setattr(registry, "AUTO_ORDER", tuple(by_name))
        monkeypatch.setattr(registry, "_make", by_name.__getitem__)

    return only


def test_auto_takes_the_first_that_can_run(only: Callable[..., None], shared_tiny_bundle: Path) -> None:
    only(Fake("gpu", reason="no CUDA driver"), Fake("stale", opens=False), Fake("cpu"), Fake("slow"))
    choice = registry.open_fastest(Bundle.open(shared_tiny_bundle).graph("responses"))
    assert choice.backend.name == "cpu"
    assert [(status.name, status.reason) for status in choice.skipped] == [
        ("gpu", "no CUDA driver"),
        ("stale", "holds no engine; export one"),
    ]
    with daenr_export.load(shared_tiny_bundle) as model:
        assert model.backend == "cpu"
        assert [status.name for status in model.skipped] == ["gpu", "stale"]


def test_auto_with_nothing_to_run_says_why_for_each(only: Callable[..., None], shared_tiny_bundle: Path) -> None:
    only(Fake("gpu", reason="no CUDA driver"), Fake("cpu", reason="not installed"))
    with pytest.raises(BackendUnavailableError, match=r"gpu: no CUDA driver / cpu: not installed.*daenr\[cpu\]"):
        daenr_export.load(shared_tiny_bundle)


def test_a_backend_that_was_asked_for_is_never_replaced(only: Callable[..., None], shared_tiny_bundle: Path) -> None:
    only(Fake("gpu", reason="no CUDA driver"), Fake("stale", opens=False), Fake("cpu"))
    with pytest.raises(BackendUnavailableError, match="backend gpu: cannot run here: no CUDA driver"):
        daenr_export.load(shared_tiny_bundle, backend="gpu")
    with (
        daenr_export.load(shared_tiny_bundle, backend="stale") as model,
        pytest.raises(BackendUnavailableError, match="holds no engine"),
    ):
        model.responses(factory.some_images(1))

"""The providers of onnxruntime: the one that was asked for runs every node, or it is an error in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from daenr_common.errors import BackendUnavailableError
from daenr_export.bundle import Bundle
from daenr_export.runtime.backends import onnxruntime_providers as providers
from daenr_export.runtime.backends.onnxruntime import OnnxRuntimeBackend, cuda, rtx, tensorrt
from daenr_export.runtime.protocol import GraphSource

onnxruntime = pytest.importorskip("onnxruntime")

NO_GPU = "no CUDA driver (libcuda.so.1) on this machine"
Pretend = Callable[..., None]


@pytest.fixture
def graph(shared_tiny_bundle: Path) -> GraphSource:
    return Bundle.open(shared_tiny_bundle).graph("joint")


@pytest.fixture
def a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pretend that there is a GPU; onnxruntime knows nothing of it."""
    monkeypatch.setattr(providers, "why_no_gpu", lambda: None)


@pytest.mark.parametrize(
    ("make", "missing", "extra"),
    [
        (cuda, "the onnxruntime that is installed has no CUDAExecutionProvider", "onnxruntime-cuda"),
        (tensorrt, "the onnxruntime that is installed has no TensorrtExecutionProvider", "onnxruntime-tensorrt"),
        (rtx, "onnxruntime_ep_nv_tensorrt_rtx is not installed", "onnxruntime-rtx"),
    ],
)
def test_what_is_missing_is_named_at_once(
    make: Callable[[], OnnxRuntimeBackend],
    missing: str,
    extra: str,
    monkeypatch: pytest.MonkeyPatch,
    graph: GraphSource,
) -> None:
    monkeypatch.setattr(providers, "why_no_gpu", lambda: NO_GPU)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.setitem(sys.modules, "onnxruntime_ep_nv_tensorrt_rtx", None)
    reason = make().why_unavailable()
    assert reason is not None
    assert reason.startswith(f"{NO_GPU}, {missing}; install the NVIDIA driver and pip ")
    assert reason.endswith(f"pip install 'daenr[{extra}]'")
    with pytest.raises(BackendUnavailableError, match="no CUDA driver") as caught:
        make().open(graph)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("a_gpu")
@pytest.mark.filterwarnings("ignore:Specified provider:UserWarning")
def test_a_provider_that_leaves_nodes_to_the_cpu_is_refused(
    monkeypatch: pytest.MonkeyPatch, graph: GraphSource
) -> None:
    """onnxruntime-gpu without its libraries lists the provider, and then every node would be the CPU's."""
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has the CUDA provider")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    backend = cuda()
    assert backend.why_unavailable() is None
    with pytest.raises(BackendUnavailableError, match="onnxruntime-cuda: does not open the graph joint") as caught:
        backend.open(graph)
    assert "fallback to CPU EP has been explicitly disabled" in str(caught.value)


def test_a_session_on_another_provider_is_refused(monkeypatch: pytest.MonkeyPatch, graph: GraphSource) -> None:
    """The last check, should onnxruntime no longer hold to its option: what runs is asked of the session itself."""
    other = replace(providers.CPU, name="AzureExecutionProvider")
    monkeypatch.setattr(providers, "add_to", lambda *_: {"providers": ["CPUExecutionProvider"]})
    with pytest.raises(BackendUnavailableError, match=r"AzureExecutionProvider was .* CPUExecutionProvider would run"):
        OnnxRuntimeBackend(provider=other).open(graph)


@pytest.mark.usefixtures("a_gpu")
def test_a_library_that_the_provider_needs_and_that_is_absent_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "capi").mkdir()
    (tmp_path / "capi" / "libonnxruntime_providers_cuda.so").write_bytes(b"no library")
    module = SimpleNamespace(
        __file__=str(tmp_path / "__init__.py"), get_available_providers=lambda: ["CUDAExecutionProvider"]
    )
    monkeypatch.setattr(providers, "require", lambda name, **_: module)
    monkeypatch.setattr(providers.sys, "platform", "linux")
    reason = cuda().why_unavailable()
    assert reason is not None
    assert reason.startswith("libonnxruntime_providers_cuda.so does not load (")
    assert reason.endswith("pip install 'daenr[onnxruntime-cuda]'")


@pytest.mark.parametrize("make", [cuda, tensorrt, rtx])
def test_options_that_a_provider_is_given(make: Callable[[], OnnxRuntimeBackend]) -> None:
    provider = make()._provider
    assert provider.cuda_graphs is not None
    backend = OnnxRuntimeBackend(provider=provider, cuda_graphs=True, provider_options={"device_id": 1})
    assert backend._provider_options == {**provider.options, provider.cuda_graphs: "1", "device_id": 1}


def test_cuda_multiplies_in_float32_unless_asked_otherwise() -> None:
    assert cuda()._provider_options == {"use_tf32": "0"}
    assert OnnxRuntimeBackend(provider=providers.CUDA, provider_options={"use_tf32": 1})._provider_options == {
        "use_tf32": 1
    }


def test_a_cpu_has_no_cuda_graphs() -> None:
    with pytest.raises(BackendUnavailableError, match="onnxruntime: has no CUDA graphs; leave cuda_graphs out"):
        OnnxRuntimeBackend(cuda_graphs=True)


def test_nodes_may_not_be_left_to_the_cpu_by_any_provider_but_the_cpu() -> None:
    for provider, entry in ((providers.CPU, ""), (providers.CUDA, "1"), (providers.RTX, "1")):
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "")
        providers.add_to(options, onnxruntime, provider, {})
        assert options.get_session_config_entry("session.disable_cpu_ep_fallback") == entry


@dataclass
class Device:
    ep_name: str


class WithPlugin(ModuleType):
    """onnxruntime beside a plugin: the real module but for what needs the plugin's library."""

    def __init__(self, *, finds: bool = True, loads: bool = True) -> None:
        super().__init__("onnxruntime")
        self._finds, self._loads = finds, loads
        self.registered: list[tuple[str, str]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(onnxruntime, name)

    def register_execution_provider_library(self, name: str, path: str) -> None:
        if not self._loads:
            raise RuntimeError("Failed to load library\nlibcuda.so.1: cannot open shared object file")
        self.registered.append((name, path))

    def get_ep_devices(self) -> list[Device]:
        found = [Device("CPUExecutionProvider")]
        if self.registered and self._finds:
            found += [Device(providers.RTX.name), Device(providers.RTX.name)]
        return found


@pytest.fixture
def with_plugin(monkeypatch: pytest.MonkeyPatch) -> Callable[..., WithPlugin]:
    plugin = SimpleNamespace(get_library_path=lambda: "/somewhere/libonnxruntime_providers_nv_tensorrt_rtx.so")
    monkeypatch.setitem(sys.modules, "onnxruntime_ep_nv_tensorrt_rtx", plugin)  # type: ignore[arg-type]
    monkeypatch.setattr(providers, "is_installed", lambda module: True)
    monkeypatch.setattr(providers, "check_installed", lambda *_: None)

    def with_plugin(**how: bool) -> WithPlugin:
        library = WithPlugin(**how)
        modules = {"onnxruntime": library, "onnxruntime_ep_nv_tensorrt_rtx": plugin}
        monkeypatch.setattr(providers, "require", lambda name, **_: modules[name])
        return library

    return with_plugin


@pytest.mark.usefixtures("a_gpu")
def test_a_plugin_is_registered_once_and_given_its_first_device(with_plugin: Callable[..., WithPlugin]) -> None:
    library = with_plugin()
    assert rtx().why_unavailable() is None
    assert rtx().why_unavailable() is None
    path = "/somewhere/libonnxruntime_providers_nv_tensorrt_rtx.so"
    assert library.registered == [("NvTensorRTRTXExecutionProvider", path)]
    given: list[object] = []
    options = SimpleNamespace(
        add_session_config_entry=lambda *entry: given.append(entry),
        add_provider_for_devices=lambda devices, chosen: given.append((len(devices), chosen)),
    )
    assert providers.add_to(options, library, providers.RTX, {"enable_cuda_graph": 1}) == {}
    assert given == [("session.disable_cpu_ep_fallback", "1"), (1, {"enable_cuda_graph": "1"})]


@pytest.mark.usefixtures("a_gpu")
@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ({"loads": False}, "its plugin does not load (Failed to load library libcuda.so.1: cannot open"),
        ({"finds": False}, "its plugin finds no GPU that it can use; it needs an RTX GPU, Ampere or later"),
    ],
)
def test_a_plugin_that_does_not_come_up(
    with_plugin: Callable[..., WithPlugin], how: dict[str, bool], reason: str
) -> None:
    with_plugin(**how)
    found = rtx().why_unavailable()
    assert found is not None
    assert found.startswith(reason)
    assert "\n" not in found

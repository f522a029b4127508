"""The execution providers of onnxruntime: what each needs, and how it is given to a session."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import io
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daenr_common.errors import BackendUnavailableError
from daenr_common.extras import is_installed, require
from daenr_export.runtime.availability import check_installed, find_all
from daenr_export.tensorrt.gpu import why_no_gpu


@dataclass(frozen=True)
class Provider:
    """An execution provider.

    Attributes:
        backend: what a user asks for.
        name: as onnxruntime calls it.
        extra: of the distribution, installs it.
        device: where a graph's tensors lie while it runs, as onnxruntime calls it: `cpu` or `cuda`.
        options: that are set unless a user sets others.
        cuda_graphs: the option that captures a run as one CUDA graph; None where there is none.
        library: of the provider in onnxruntime's package, without prefix and suffix; None if it is in the core.
        plugin: module of a package that brings the provider; None if onnxruntime does.
    """

    backend: str
    name: str
    extra: str
    device: str = "cuda"
    options: Mapping[str, str] = field(default_factory=dict)
    cuda_graphs: str | None = None
    library: str | None = None
    plugin: str | None = None


CPU = Provider("onnxruntime", "CPUExecutionProvider", "cpu", device="cpu")

CUDA = Provider(
    *("onnxruntime-cuda", "CUDAExecutionProvider", "onnxruntime-cuda"),
    # Left to itself it multiplies in TF32 on Ampere and later, which is wrong by 1e-3 of the scale of the responses.
    options={"use_tf32": "0"},
    cuda_graphs="enable_cuda_graph",
    library="onnxruntime_providers_cuda",
)

TENSORRT = Provider(
    *("onnxruntime-tensorrt", "TensorrtExecutionProvider", "onnxruntime-tensorrt"),
    cuda_graphs="trt_cuda_graph_enable",
    library="onnxruntime_providers_tensorrt",
)

RTX = Provider(
    *("onnxruntime-rtx", "NvTensorRTRTXExecutionProvider", "onnxruntime-rtx"),
    cuda_graphs="enable_cuda_graph",
    plugin="onnxruntime_ep_nv_tensorrt_rtx",
)


def load(provider: Provider) -> Any:
    """Import onnxruntime, with the provider ready to be used.

    Raises:
        BackendUnavailableError: something is missing; all of it is named.
    """
    if provider.device == "cuda":
        no_gpu = why_no_gpu()
        find_all(provider.backend, (lambda: _check_gpu(provider, no_gpu), lambda: _check_packages(provider, no_gpu)))
    library = require("onnxruntime", extra=provider.extra, purpose=f"the backend {provider.backend}")
    if provider.plugin is not None:
        _register(library, provider, provider.plugin)
    elif provider.library is not None:
        _check_library(library, provider, provider.library)
    return library


def add_to(options: Any, library: Any, provider: Provider, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Make a provider the one that a session runs.

    Args:
        options: the `SessionOptions` of the session.
        library: the module, from `load`.
        provider: what has to run every node.
        chosen: options of the provider.

    Returns:
        Further arguments for `InferenceSession`.
    """
    if provider.device != "cpu":
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    # A provider that comes as a plugin, as all do in the end, is added through the devices that it found.
    devices = [] if provider.device == "cpu" else devices_of(library, provider)
    if devices:
        options.add_provider_for_devices(devices[:1], {name: str(value) for name, value in chosen.items()})
        return {}
    return {"providers": [(provider.name, dict(chosen))]}


def devices_of(library: Any, provider: Provider) -> list[Any]:
    """The devices on which a plugin offers the provider; none for a provider that is built in."""
    list_devices = getattr(library, "get_ep_devices", list)  # new in onnxruntime 1.23
    return [device for device in list_devices() if device.ep_name == provider.name]


def _check_gpu(provider: Provider, no_gpu: str | None) -> None:
    if no_gpu:
        raise BackendUnavailableError(provider.backend, no_gpu, "install the NVIDIA driver")


def _check_packages(provider: Provider, no_gpu: str | None) -> None:
    """Without a GPU only what can be found out without importing: nobody should wait for that."""
    check_installed(provider.backend, "onnxruntime", provider.extra)
    if provider.plugin is not None:
        check_installed(provider.backend, provider.plugin, provider.extra)
    elif not (_has_library(provider) if no_gpu else _has_provider(provider)):
        problem = f"the onnxruntime that is installed has no {provider.name}"
        remedy = f"pip uninstall onnxruntime, then pip install 'daenr[{provider.extra}]'"
        raise BackendUnavailableError(provider.backend, problem, remedy)


def _has_provider(provider: Provider) -> bool:
    library = require("onnxruntime", extra=provider.extra, purpose=f"the backend {provider.backend}")
    return provider.name in library.get_available_providers()


def _has_library(provider: Provider) -> bool:
    package = importlib.util.find_spec("onnxruntime")
    origin = package.origin if package else None
    return bool(origin and provider.library and _library_beside(origin, provider.library).exists())


def _library_beside(init_file: str, name: str) -> Path:
    """Where onnxruntime's package has a library."""
    return Path(init_file).parent / "capi" / (f"{name}.dll" if sys.platform == "win32" else f"lib{name}.so")


def _check_library(library: Any, provider: Provider, name: str) -> None:
    """Load what the provider is in. Left to onnxruntime, a library that it needs and that is absent is no error."""
    if is_installed("tensorrt") and provider is TENSORRT:
        require("tensorrt", extra=provider.extra, purpose=f"the backend {provider.backend}")  # brings libnvinfer
    if hasattr(library, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it does not find; what matters fails below
            library.preload_dlls()
    path = _library_beside(library.__file__, name)
    try:
        if path.exists():
            ctypes.CDLL(str(path))
    except OSError as error:
        problem = f"{path.name} does not load ({error})"
        raise BackendUnavailableError(provider.backend, problem, f"pip install 'daenr[{provider.extra}]'") from error


def _register(library: Any, provider: Provider, plugin: str) -> None:
    """Register the provider's plugin, once in a process.

    onnxruntime cannot be asked for what is registered, and an application may have registered the plugin itself.
    """
    if devices_of(library, provider):
        return
    brought = require(plugin, extra=provider.extra, purpose=f"the backend {provider.backend}")
    try:
        library.register_execution_provider_library(provider.name, brought.get_library_path())
    except Exception as error:
        problem = f"its plugin does not load ({error})"
        raise BackendUnavailableError(provider.backend, problem, f"pip install 'daenr[{provider.extra}]'") from error
    if not devices_of(library, provider):
        problem = "its plugin finds no GPU that it can use"
        raise BackendUnavailableError(provider.backend, problem, "it needs an RTX GPU, Ampere or later")

"""The backends by name: those of daenr in one dict, those of other packages by entry point."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from daenr_common.errors import BackendUnavailableError, UnknownBackendError
from daenr_export.runtime import backend_options
from daenr_export.runtime.availability import reason_of, why_not
from daenr_export.runtime.protocol import Backend, GraphSource, Session

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

ENTRY_POINTS = "daenr.backends"
"""Group under which a package registers a backend: its name, and a callable without arguments that makes it."""

AUTO = "auto"

_BACKENDS = "daenr_export.runtime.backends"

_BUILT_IN: dict[str, str] = {
    "native": f"{_BACKENDS}.native:NativeBackend",
    "onnxruntime": f"{_BACKENDS}.onnxruntime:OnnxRuntimeBackend",
    "onnxruntime-cuda": f"{_BACKENDS}.onnxruntime:cuda",
    "onnxruntime-tensorrt": f"{_BACKENDS}.onnxruntime:tensorrt",
    "onnxruntime-rtx": f"{_BACKENDS}.onnxruntime:rtx",
    "openvino": f"{_BACKENDS}.openvino:OpenVinoBackend",
    "tensorrt-rtx": f"{_BACKENDS}.tensorrt:TensorRtRtxBackend",
    "tensorrt": f"{_BACKENDS}.tensorrt:TensorRtBackend",
}

_ON_REQUEST: dict[str, str] = {"openvino-bf16": f"{_BACKENDS}.openvino:bf16"}
"""Backends that trade accuracy for speed: whoever names one gets it, and what runs "all backends" leaves it out."""

AUTO_ORDER = (
    *("tensorrt", "tensorrt-rtx"),
    *("onnxruntime-rtx", "onnxruntime-tensorrt", "onnxruntime-cuda"),
    *("native", "onnxruntime", "openvino"),
)
"""What `auto` tries, fastest first: engines where there is a GPU, then onnxruntime on a GPU, then the CPU, on which
compiled C is fastest where a bundle holds it.

A rig waits for its next frame, so a backend's place is its tail in a paced loop. Back to back OpenVINO answers in about
three quarters of onnxruntime's time, but at 100 frames a second its p99 is several times onnxruntime's (milliseconds).
A loop that keeps its engine warm while it waits gains by asking for `openvino` by name.
"""


class BackendStatus(NamedTuple):
    """Whether a backend can run here; if not, `reason` says what is missing and what to install."""

    name: str
    available: bool
    reason: str = ""


class Choice(NamedTuple):
    """What `auto` came to: the backend, the graph opened on it, and the faster backends with why they were skipped."""

    backend: Backend
    session: Session
    skipped: tuple[BackendStatus, ...]


def backends() -> tuple[BackendStatus, ...]:
    """All backends that are known here, and whether each can run."""
    return tuple(_status(name) for name in _known())


def pick(name: str) -> Backend:
    """The backend of a name. Options may follow it: `onnxruntime:threads=2`.

    Raises:
        BackendUnavailableError: there is no backend of that name, or it cannot run here.
    """
    backend = _make(name)
    if reason := why_not(backend):
        raise BackendUnavailableError(f"backend {name}", f"cannot run here: {reason}", "or choose another backend")
    return backend


def open_fastest(graph: GraphSource, first: str | None = None) -> Choice:
    """Open a graph on the first backend of AUTO_ORDER that can run here and has something to run in the bundle.

    Args:
        graph: that is opened.
        first: what is tried before, e.g. because it was measured to be faster here.

    Raises:
        BackendUnavailableError: none can.
    """
    skipped: list[BackendStatus] = []
    for name in dict.fromkeys((*filter(None, (first,)), *AUTO_ORDER)):
        try:
            backend = _make(name)
            reason = why_not(backend)
            if reason is None:
                return Choice(backend, backend.open(graph), tuple(skipped))
        except BackendUnavailableError as error:
            reason = reason_of(name, error)
        skipped.append(BackendStatus(name, False, reason))
    reasons = " / ".join(f"{status.name}: {status.reason}" for status in skipped)
    raise BackendUnavailableError("backend auto", f"no backend can run here ({reasons})", "pip install 'daenr[cpu]'")


def _known() -> dict[str, Callable[[], Backend]]:
    """Makers by name. The names of daenr's own backends are reserved: nobody can slip another one under them."""
    from importlib.metadata import entry_points  # half of daenr_export's own import time, and seldom needed

    makers: dict[str, Callable[[], Backend]] = {name: _maker(target) for name, target in _BUILT_IN.items()}
    for entry in entry_points(group=ENTRY_POINTS):
        if entry.name not in _ON_REQUEST:
            makers.setdefault(entry.name, _foreign_maker(entry))
    return makers


def _maker(target: str) -> Callable[[], Backend]:
    def make() -> Backend:
        backend: Backend = _load(target)()
        return backend

    return make


def _load(target: str) -> Callable[..., Any]:
    module, _, attribute = target.partition(":")
    try:
        maker: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise BackendUnavailableError(module, "was left out of this installation", "reinstall daenr") from error
    return maker


def _foreign_maker(entry: EntryPoint) -> Callable[[], Backend]:
    def make() -> Backend:
        try:
            backend = entry.load()()
            is_backend = isinstance(backend, Backend)  # asks for its attributes, which may be computed
        except Exception as error:
            problem = f"is registered by another package ({entry.value}) and does not load ({error})"
            raise BackendUnavailableError(f"backend {entry.name}", problem, "update or remove that package") from error
        if not is_backend:
            problem = f"is registered by another package ({entry.value}) and lacks name, why_unavailable or open"
            raise BackendUnavailableError(f"backend {entry.name}", problem, "update or remove that package")
        made: Backend = backend
        return made

    return make


def options_of(name: str) -> tuple[str, ...]:
    """The options that may follow a backend's name, as in `onnxruntime:threads=2`; none for those of other packages."""
    target = (_BUILT_IN | _ON_REQUEST).get(name)
    return backend_options.options_of(_load(target)) if target else ()


def _make(name: str) -> Backend:
    bare, options = backend_options.split(name)
    if target := (_BUILT_IN | _ON_REQUEST).get(bare):
        return backend_options.configure(name, _load(target), options) if options else _maker(target)()
    known = _known()
    if name not in known:
        raise UnknownBackendError(name, [*known, *_ON_REQUEST])
    return known[name]()


def _status(name: str) -> BackendStatus:
    try:
        reason = why_not(_make(name))
    except BackendUnavailableError as error:
        reason = reason_of(name, error)
    return BackendStatus(name, reason is None, reason or "")

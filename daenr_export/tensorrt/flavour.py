"""The two flavours of TensorRT. Their modules have one shape, so that one code path serves both."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Literal

from daenr_common.errors import BackendUnavailableError, SpecError
from daenr_common.extras import is_installed, require
from daenr_export.tensorrt.gpu import why_no_gpu

Choice = Literal["auto", "rtx", "enterprise"]


@dataclass(frozen=True)
class Flavour:
    """One flavour of TensorRT.

    Attributes:
        name: as bundles and backends call it.
        title: as its vendor calls it.
        module: what is imported.
        extra: the extra of the distribution that installs what builds engines.
        run_extra: the extra that installs what runs them: the same and pycuda.
        builds_without_gpu: whether an engine can be built where its GPU is not.
    """

    name: str
    title: str
    module: str
    extra: str
    run_extra: str
    builds_without_gpu: bool

    def load(self, purpose: str, *, running: bool = False) -> ModuleType:
        """Import the module.

        Args:
            purpose: what it is needed for, for the message.
            running: whether engines are to be run, not only built; the message then names the extra for that.

        Raises:
            MissingExtraError: it is not installed.
            BackendUnavailableError: it is installed and does not import.
        """
        return require(self.module, extra=self.run_extra if running else self.extra, purpose=purpose)

    def is_installed(self) -> bool:
        """Whether the module could be imported."""
        return is_installed(self.module)


RTX = Flavour("tensorrt-rtx", "TensorRT-RTX", "tensorrt_rtx", "rtx", "rtx-run", builds_without_gpu=True)
ENTERPRISE = Flavour("tensorrt", "TensorRT", "tensorrt", "gpu", "gpu", builds_without_gpu=False)
FLAVOURS = {flavour.name: flavour for flavour in (RTX, ENTERPRISE)}


def choose_flavour(wanted: Choice = "auto") -> Flavour:
    """The flavour to build with.

    Args:
        wanted: `rtx`, `enterprise`, or `auto`: Enterprise where it imports and a GPU is present, else RTX.

    Raises:
        SpecError: there is no such choice.
        MissingExtraError: the flavour is not installed.
        BackendUnavailableError: it is installed and does not import.
    """
    if wanted not in ("auto", "rtx", "enterprise"):
        raise SpecError(f"TensorRT flavour {wanted}", "does not exist", "choose auto, rtx or enterprise")
    enterprise = wanted == "enterprise" or (wanted == "auto" and _enterprise_runs_here())
    flavour = ENTERPRISE if enterprise else RTX
    flavour.load("building engines")
    return flavour


def _enterprise_runs_here() -> bool:
    """Whether Enterprise imports and has a GPU. A broken install is no reason to fail while RTX may be there."""
    if not ENTERPRISE.is_installed() or why_no_gpu() is not None:
        return False
    try:
        ENTERPRISE.load("building engines")
    except BackendUnavailableError:
        return False
    return True

"""Imports of optional packages: one place that says which extra brings a package, and why it is wanted."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType

from daenr_common.errors import BackendUnavailableError, MissingExtraError


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional module.

    Args:
        module: dotted name, e.g. `onnxruntime`.
        extra: the extra of the distribution that installs it.
        purpose: what it is needed for, as in "onnxruntime is needed for *running bundles on the CPU*".

    Raises:
        MissingExtraError: the package is not installed.
        BackendUnavailableError: the package is installed but its import fails (a broken or mismatched install).
    """
    package = module.partition(".")[0]
    if not is_installed(module):
        raise MissingExtraError(package, extra, purpose)
    try:
        return importlib.import_module(module)
    except (ImportError, OSError) as error:
        raise BackendUnavailableError(
            package, f"is installed but does not import ({error})", f"reinstall it: pip install 'daenr[{extra}]'"
        ) from error


def is_installed(module: str) -> bool:
    """Whether the package could be imported, without importing it."""
    spec = importlib.util.find_spec(module.partition(".")[0])
    # A package without a file of its own is a folder that happens to bear the name, unless a module in it is asked for.
    return spec is not None and (spec.origin is not None or "." in module)

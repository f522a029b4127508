"""Handing answers out of standing buffers."""

from __future__ import annotations

from typing import Any

import numpy as np

from daenr_common.errors import DaenrError
from daenr_export.specs import Array

Out = Array | tuple[Array, ...]


def read_only(buffers: tuple[Array, ...]) -> Out:
    """Views that cannot be written to: of one buffer the view itself, of several a tuple."""
    views = tuple(buffer.view() for buffer in buffers)
    for view in views:
        view.flags.writeable = False
    return views if len(views) > 1 else views[0]


def copy_out(buffers: tuple[Array, ...], out: Out) -> None:
    """Copy each buffer into the caller's array.

    Raises:
        DaenrError: there are more or fewer arrays than buffers, or one is read-only or of another shape or dtype.
    """
    arrays = out if isinstance(out, tuple) else (out,)
    if len(arrays) != len(buffers):
        raise _unfit(buffers, arrays)
    for buffer, array in zip(buffers, arrays, strict=True):
        # Assigning alone would repeat an answer to fill a larger array, and convert it to another dtype.
        if type(array) is not np.ndarray or array.shape != buffer.shape or array.dtype != buffer.dtype:
            raise _unfit(buffers, arrays)
        try:
            array[...] = buffer
        except ValueError:  # it is read-only; cheaper than asking each time
            raise _unfit(buffers, arrays) from None


def _unfit(buffers: tuple[Array, ...], arrays: tuple[Any, ...]) -> DaenrError:
    came, wanted = (", ".join(map(_described, some)) for some in (arrays, buffers))
    return DaenrError("out", f"is {came}, expected {wanted}", "make it once with numpy.empty and use it again")


def _described(array: Any) -> str:
    if type(array) is not np.ndarray:
        return f"a {type(array).__module__}.{type(array).__name__}"
    return f"{'' if array.flags.writeable else 'read-only '}{array.dtype} {array.shape}"

"""What the CUDA driver of this machine says, asked through its C library: needs no package and no CUDA toolkit."""

from __future__ import annotations

import ctypes
import sys

_COMPUTE_CAPABILITY_MAJOR = 75  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, cuda.h
_COMPUTE_CAPABILITY_MINOR = 76


def load_driver() -> ctypes.CDLL:
    """The driver's C library. Raises OSError where there is none."""
    return ctypes.CDLL(_name())


def _name() -> str:
    return "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"


def why_no_gpu() -> str | None:
    """None where a GPU can be used; otherwise what is missing, e.g. "no CUDA driver (libcuda.so.1) on this machine"."""
    try:
        driver = load_driver()
    except OSError:
        return f"no CUDA driver ({_name()}) on this machine"
    if status := driver.cuInit(0):
        return f"the CUDA driver does not start (cuInit answered {status})"
    count = ctypes.c_int()
    if status := driver.cuDeviceGetCount(ctypes.byref(count)):
        return f"the CUDA driver does not count its devices (cuDeviceGetCount answered {status})"
    return None if count.value else "the CUDA driver sees no GPU"


def compute_capability() -> str:
    """The compute capability of the first GPU, e.g. `8.9`. Ask only where `why_no_gpu()` is None."""
    driver = load_driver()
    parts = []
    for attribute in (_COMPUTE_CAPABILITY_MAJOR, _COMPUTE_CAPABILITY_MINOR):
        value = ctypes.c_int()
        driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, 0)
        parts.append(str(value.value))
    return ".".join(parts)

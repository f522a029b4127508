"""The CUDA side of a session, through pycuda: the context, and the memory of each tensor."""

from __future__ import annotations

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any, final

import numpy as np

from daenr_export.specs import Array, TensorSpec


@cache
def primary_context(driver: ModuleType) -> Any:
    """The context of the first GPU that all CUDA libraries in a process share.

    CUDA_VISIBLE_DEVICES says which GPU is first. The context is retained once and given back when the process ends:
    pycuda leaves a released context current in its thread, and whatever uses CUDA there next (another session,
    PyTorch) would find it destroyed.
    """
    driver.init()
    context = driver.Device(0).retain_primary_context()
    atexit.register(context.detach)  # left to its destructor pycuda calls the wrong function of the driver
    return context


@contextmanager
def current(driver: ModuleType) -> Iterator[None]:
    """Make the primary context current in this thread, and then what was current before."""
    context = primary_context(driver)
    context.push()
    try:
        yield
    finally:
        driver.Context.pop()


@final
class TensorMemory:
    """One tensor at its largest batch: on the device, and page-locked on the host, so that copies need not wait.

    Args:
        driver: the module `pycuda.driver`; the primary context is current.
        spec: the tensor.
        largest: batch size.
        stream: where copies are queued.
    """

    def __init__(self, driver: ModuleType, spec: TensorSpec, largest: int, stream: Any) -> None:
        self._to_device, self._to_host = driver.memcpy_htod_async, driver.memcpy_dtoh_async
        self._stream = stream
        self._host = driver.pagelocked_empty((largest, *spec.shape), spec.numpy_dtype)
        self._device = driver.mem_alloc(spec.bytes_at(largest))
        self._view: Array = self._host

    @property
    def address(self) -> int:
        """Where it begins on the device."""
        return int(self._device)

    def resize(self, batch: int) -> None:
        """Let copies move this many images and no more."""
        self._view = self._host[:batch]

    def upload(self, batch: Array) -> None:
        """Queue the copy of a batch to the device. Shape and dtype must be exactly those that it was made for."""
        np.copyto(self._view, batch, casting="no")
        self._to_device(self._device, self._view, self._stream)

    def download(self) -> None:
        """Queue the copy from the device; `taken` answers it once the stream is synchronised."""
        self._to_host(self._view, self._device, self._stream)

    def taken(self) -> Array:
        """What was downloaded, as an array that belongs to the caller."""
        return self._view.copy()

    def free(self) -> None:
        """Give the memory back, and let go of the stream; nothing may be queued that uses either."""
        allocation = self._host.base
        del self._view, self._host, self._stream
        allocation.free()
        self._device.free()

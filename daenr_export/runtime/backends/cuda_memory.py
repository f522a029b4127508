"""The CUDA side of a session, through pycuda: the context, and the memory of a graph's tensors."""

from __future__ import annotations

import atexit
import ctypes
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any, Self, final

from daenr_export.specs import Array, GraphSpec, TensorSpec
from daenr_export.tensorrt.gpu import load_driver


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
class DeviceTensors:
    """The tensors of a graph on the device, at its largest batch and at addresses that stay.

    Args:
        driver: the module `pycuda.driver`; the primary context is current.
        spec: the graph.
    """

    def __init__(self, driver: ModuleType, spec: GraphSpec) -> None:
        self._to_device, self._to_host = driver.memcpy_htod_async, driver.memcpy_dtoh_async
        largest = spec.batch.max
        self._input = driver.mem_alloc(spec.input.bytes_at(largest))
        self._outputs = tuple(driver.mem_alloc(output.bytes_at(largest)) for output in spec.outputs)

    @property
    def addresses(self) -> tuple[int, ...]:
        """Where the input and each output begin."""
        return tuple(int(allocation) for allocation in (self._input, *self._outputs))

    def upload(self, host: HostTensors, stream: Any) -> None:
        """Queue the copy of the input to the device."""
        self._to_device(self._input, host.input, stream)

    def download(self, host: HostTensors, stream: Any) -> None:
        """Queue the copies of the outputs from the device."""
        for array, allocation in zip(host.outputs, self._outputs, strict=True):
            self._to_host(array, allocation, stream)

    def free(self) -> None:
        """Give the memory back; nothing may be queued that uses it."""
        for allocation in (self._input, *self._outputs):
            allocation.free()


@final
class HostTensors:
    """The tensors of a graph on the host, page-locked, so that copies from and to the device need not wait.

    The memory is numpy's and is only locked by CUDA: once it is free, who still holds an array holds an ordinary one.

    Attributes:
        input: `(B, *input.shape)`.
        outputs: in the order of the graph, each `(B, *output.shape)`.
    """

    def __init__(self, source: Array, outputs: tuple[Array, ...], locks: Sequence[Unlock] = ()) -> None:
        self.input = source
        self.outputs = outputs
        self._locks = locks

    @classmethod
    def allocate(cls, driver: ModuleType, spec: GraphSpec, batch: int) -> Self:
        """Take zeroed memory for a batch size; the primary context is current."""

        def zeros(tensor: TensorSpec) -> Array:
            array: Array = driver.aligned_empty((batch, *tensor.shape), tensor.numpy_dtype)  # to whole pages
            array.fill(0)
            locks.append(_page_lock(driver, array))
            return array

        locks: list[Unlock] = []
        return cls(zeros(spec.input), tuple(zeros(output) for output in spec.outputs), locks)

    @property
    def batch(self) -> int:
        """How many images they hold."""
        return len(self.input)

    def first(self, batch: int) -> HostTensors:
        """The first images of these, in the same memory."""
        return HostTensors(self.input[:batch], tuple(output[:batch] for output in self.outputs))

    def free(self) -> None:
        """Unlock what was allocated; nothing may be queued that uses it."""
        for unlock in self._locks:
            unlock()


Unlock = Callable[[], object]


def _page_lock(driver: ModuleType, array: Array) -> Unlock:
    """Keep an array's pages where they are, until what is returned is called or the array is gone.

    By the driver's C library: pycuda's own register_host_memory crashes with numpy 2.
    """
    library = load_driver()
    address, size = ctypes.c_void_p(array.ctypes.data), ctypes.c_size_t(array.nbytes)
    if status := library.cuMemHostRegister_v2(address, size, 0):
        text = ctypes.c_char_p()
        library.cuGetErrorString(status, ctypes.byref(text))
        raise driver.Error(f"cuMemHostRegister failed: {(text.value or b'').decode()}")

    def unlock() -> None:
        with current(driver):
            library.cuMemHostUnregister(address)

    return weakref.finalize(array, unlock)

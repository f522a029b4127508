"""What one core of this machine can do: multiply-adds of each precision, and reading as many bytes as asked."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import numpy as np

from daenr_bench.progress import Bar
from daenr_bench.roofline.caches import MEMORY, Cache, level_of
from daenr_bench.roofline.document import WEIGHT_BYTES, Peak, Rate, Reading
from daenr_bench.roofline.kernels import READ, Kernel
from daenr_bench.roofline.measuring import Meter
from daenr_export.specs import Array

LARGE_PAGE = 1 << 21
SMALLEST_READ = 1 << 12
"""A kernel reads whole lines at several places; below this the remainder would count."""

LARGEST_BUFFER = 256 << 20


class Core:
    """One core, asked again and again: what counts is the best that it ever did.

    Args:
        kernels: that it is asked with.
        caches: that it has, from the nearest.
        sizes: of buffers to read, in bytes, beside those that belong to the caches.
    """

    def __init__(self, kernels: Iterable[Kernel], caches: tuple[Cache, ...], sizes: Iterable[int]) -> None:
        self._caches = caches
        self._kernels = tuple(kernels)
        usable = [kernel for kernel in self._kernels if kernel.is_supported]
        self._arithmetic = {k: Meter(partial(_multiply, k)) for k in usable if k.precision != READ}
        widest = [kernel for kernel in usable if kernel.precision == READ][-1]
        self._levels = _buffers(caches)
        wanted = {*map(_whole, sizes), *(size for size in self._levels.values() if size)}
        self._buffer = _buffer(max(wanted, default=SMALLEST_READ))
        address = self._buffer.ctypes.data
        self._reading = {size: Meter(partial(_read, widest, address, size)) for size in sorted(wanted)}

    def measure(self) -> None:
        """Ask for everything once more."""
        meters = (*self._arithmetic.values(), *self._reading.values())
        with Bar("core", total=len(meters), unit="kernel") as bar:
            for meter in meters:
                meter.measure()
                bar.update()

    @property
    def peaks(self) -> tuple[Peak, ...]:
        """One for each kind of instruction that is known of this kind of machine, and one for a precision without."""
        found = [self._peak(kernel) for kernel in self._kernels if kernel.precision != READ]
        without = set(WEIGHT_BYTES) - {peak.precision for peak in found}
        reason = "dot products of this kind of processor are not measured"
        return (*found, *(Peak(precision, "", None, reason) for precision in WEIGHT_BYTES if precision in without))

    def peak(self, precision: str) -> float | None:
        """Multiply-adds a second with the fastest instructions; None if there are none."""
        rates = [meter.rate.best for kernel, meter in self._arithmetic.items() if kernel.precision == precision]
        return max(rates, default=None)

    @property
    def readings(self) -> tuple[Reading, ...]:
        """One for each cache, and for memory."""
        return tuple(self._level(name, size) for name, size in self._levels.items())

    def reading(self, size: int) -> Reading:
        """A buffer of one of the sizes that were asked for."""
        level = level_of(size, self._caches)
        return Reading(level, self._bytes_of(level), _whole(size), self._rate(_whole(size)))

    def _peak(self, kernel: Kernel) -> Peak:
        if kernel not in self._arithmetic:
            return Peak(kernel.precision, kernel.instructions, None, "this processor, or its system, does not have it")
        return Peak(kernel.precision, kernel.instructions, self._arithmetic[kernel].rate)

    def _level(self, name: str, size: int | None) -> Reading:
        if size is None:
            reason = f"a buffer that no cache holds would be over {LARGEST_BUFFER >> 20} MiB"
            return Reading(name, None, 0, None, reason)
        return Reading(name, self._bytes_of(name), size, self._rate(size))

    def _rate(self, size: int) -> Rate:
        return self._reading[size].rate

    def _bytes_of(self, level: str | None) -> int | None:
        return next((cache.bytes for cache in self._caches if cache.name == level), None)


def _buffers(caches: tuple[Cache, ...]) -> dict[str, int | None]:
    """The size of a buffer for each level: well inside of a cache, and well outside of the one before it."""
    sizes: dict[str, int | None] = {}
    most = None
    for cache in caches:
        sizes[cache.name] = _whole(min(cache.bytes // 2, most or cache.bytes))
        most = 8 * cache.bytes
    if caches:
        past = 4 * caches[-1].bytes
        sizes[MEMORY] = past if past <= LARGEST_BUFFER else None
    return sizes


def _whole(size: int) -> int:
    return max(-(-size // SMALLEST_READ) * SMALLEST_READ, SMALLEST_READ)


def _buffer(size: int) -> Array:
    """Memory in large pages where the system gives them (numpy asks for them), so that looking up pages is cheap."""
    array = np.ones(max(size, 4 * LARGE_PAGE) + LARGE_PAGE, np.uint8)
    first = -array.ctypes.data % LARGE_PAGE
    return array[first : first + size]


def _multiply(kernel: Kernel, repeats: int) -> float:
    return kernel.run(repeats, None, 0)


def _read(kernel: Kernel, address: int, size: int, repeats: int) -> float:
    return kernel.run(repeats, address, size)

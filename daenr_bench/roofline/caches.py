"""The caches of the first processor, as the system describes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from daenr_common.machine import read_system_file

FOLDER = Path("/sys/devices/system/cpu/cpu0/cache")
MEMORY = "memory"


@dataclass(frozen=True)
class Cache:
    """A cache that holds data: its name, e.g. `L2`, and its size."""

    name: str
    bytes: int


def caches(folder: Path = FOLDER) -> tuple[Cache, ...]:
    """The caches from the nearest to the farthest; none where the system does not tell (only Linux does)."""
    found = [cache for index in folder.glob("index*") if (cache := _cache(index)) is not None]
    return tuple(sorted(found, key=lambda cache: cache.name))


def level_of(size: int, known: tuple[Cache, ...]) -> str | None:
    """Where so many bytes fit, caches or memory; None where caches are not known."""
    if not known:
        return None
    return next((cache.name for cache in known if size <= cache.bytes), MEMORY)


def _cache(index: Path) -> Cache | None:
    level, kind, size = (read_system_file(index / name) for name in ("level", "type", "size"))
    if level is None or size is None or kind not in ("Data", "Unified"):
        return None
    number, unit = size[:-1], size[-1:]
    if not number.isdecimal() or unit not in _UNITS:
        return None
    return Cache(f"L{level}", int(number) * _UNITS[unit])


_UNITS = {"K": 1 << 10, "M": 1 << 20}

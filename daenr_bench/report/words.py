"""Figures in words: times with their unit, shares, counts, sizes."""

from __future__ import annotations

import math

NONE = "–"
"""Where there is no figure."""

_SPACE = "\u00a0"
"""Between a figure and its unit: it does not break."""

_UNITS = (("s", 1e9), ("ms", 1e6), ("µs", 1e3))
_LONG = (("h", 3600), ("min", 60))
_SIZES = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))


def time(value_ns: float | None) -> str:
    """A time in the unit that fits it, to three digits: `93.1 µs`."""
    if value_ns is None:
        return NONE
    for unit, size in _UNITS:
        if abs(value_ns) >= 0.9995 * size:
            return f"{digits(value_ns / size)}{_SPACE}{unit}"
    return f"{value_ns:.0f}{_SPACE}ns"


def microseconds(value_ns: float | None) -> str:
    """A time in microseconds without the unit, for a column that names it."""
    if value_ns is None:
        return NONE
    value = value_ns / 1000
    return f"{value:.1f}" if abs(value) < 1000 else count(round(value))


def milliseconds(value_ns: float | None) -> str:
    """A time in milliseconds without the unit, for a column that names it."""
    return NONE if value_ns is None else f"{value_ns / 1e6:.1f}"


def digits(value: float) -> str:
    """A number to three digits, without an exponent where it is readable without."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if not 1e-3 <= abs(value) < 1e6:
        return scientific(value)
    text = f"{value:.{max(2 - math.floor(math.log10(abs(value))), 0)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def scientific(value: float) -> str:
    """A number with one digit and a power of ten: `4·10⁻⁷`."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    mantissa, exponent = f"{value:.0e}".split("e")
    power = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{power}" if mantissa == "1" else f"{mantissa}·10{power}"


def duration(value_s: float) -> str:
    """A long time: `20 s`, `90 min`, `12 h`."""
    for unit, amount in _LONG:
        if value_s >= 2 * amount:
            return f"{value_s / amount:.3g}{_SPACE}{unit}"
    return f"{value_s:.3g}{_SPACE}s"


def plain(value: float) -> str:
    """A number as it is, for a tick: `30 000`, `256.5`."""
    return count(round(value)) if value == round(value) else f"{value:g}"


def count(number: int) -> str:
    """A whole number in groups of three, with a narrow space that does not break: `10 000`."""
    return f"{number:,}".replace(",", "\u202f")


def share(value: float) -> str:
    """A share as a percentage: `0.3 %`."""
    return f"{digits(100 * value)}{_SPACE}%"


def rate(value_hz: float) -> str:
    """A rate: `100 Hz`."""
    return f"{digits(value_hz)}{_SPACE}Hz"


def size(value_bytes: float) -> str:
    """An amount of memory: `12.5 MiB`."""
    for unit, amount in _SIZES:
        if abs(value_bytes) >= amount:
            return f"{digits(value_bytes / amount)}{_SPACE}{unit}"
    return f"{value_bytes:.0f}{_SPACE}B"


def listed(names: list[str], last: str = "and") -> str:
    """Names as a sentence lists them: `a, b and c`."""
    return f" {last} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)

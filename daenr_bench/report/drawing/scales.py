"""From values to places on a drawing, and the ticks of an axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

Format = Callable[[float], str]

_MANTISSAS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7))
_FEWEST_TICKS = 3
_WIDEST_STEP = 6
_LEAST_RATIO = 4.0


@dataclass(frozen=True)
class Scale:
    """An axis from the value `low` to `high`, both finite and different.

    Attributes:
        label: what is on it, with its unit.
        low: the value at its start; above 0 if it is logarithmic.
        high: the value at its end.
        tick_text: how a tick is written.
        is_log: whether equal lengths are equal ratios.
        values: where its ticks are; None for round ones.
    """

    label: str
    low: float
    high: float
    tick_text: Format
    is_log: bool = False
    values: tuple[float, ...] | None = None

    def at(self, value: float) -> float:
        """The place of a value: 0 at the start, 1 at the end, cut off there."""
        if self.is_log:
            share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return min(max(share, 0.0), 1.0)

    def ticks(self) -> list[float]:
        """Round values between the ends: three to about seven of them."""
        if self.values is not None:
            return list(self.values)
        return _log_ticks(self.low, self.high) if self.is_log else _linear_ticks(self.low, self.high)


def around(label: str, values: Iterable[float], tick_text: Format, *, is_log: bool = False) -> Scale:
    """A scale on which all values have a place, with a little room at its ends; a logarithmic one is not too narrow."""
    found = [value for value in values if math.isfinite(value) and (value > 0 or not is_log)]
    low, high = (min(found), max(found)) if found else (1.0, 10.0)
    if is_log:
        room = max((high / low) ** 0.06, 1.12, (_LEAST_RATIO * low / high) ** 0.5)
        return Scale(label, low / room, high * room, tick_text, is_log=True)
    room = (high - low) * 0.06 or max(abs(high), 1.0) * 0.1
    return Scale(label, low - room if low < 0 else max(low - room, 0.0), high + room, tick_text)


def decades(label: str, values: Iterable[float], tick_text: Format) -> Scale:
    """A logarithmic scale from one power of ten to another, at least one decade long."""
    found = [math.log10(value) for value in values if math.isfinite(value) and value > 0]
    low, high = (math.floor(min(found)), math.ceil(max(found))) if found else (0, 1)
    return Scale(label, 10.0**low, 10.0 ** max(high, low + 1), tick_text, is_log=True, values=_powers(low, high))


def _powers(low: int, high: int) -> tuple[float, ...]:
    every = max(math.ceil((high - low) / _WIDEST_STEP), 1)
    return tuple(10.0**power for power in range(low, max(high, low + 1) + 1, every))


def _log_ticks(low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    every = max(math.ceil(len(powers) / 7), 1)
    found: list[float] = []
    for mantissas in _MANTISSAS:
        chosen = powers[::every] if mantissas == (1,) else powers
        found = [m * 10.0**e for e in chosen for m in mantissas if low <= m * 10.0**e <= high]
        if len(found) >= _FEWEST_TICKS:
            return found
    return _linear_ticks(low, high) if len(found) < 2 else found


def _linear_ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / _WIDEST_STEP
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]

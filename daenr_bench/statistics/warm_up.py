"""When a latency has settled, so that measuring may begin."""

from __future__ import annotations

from collections.abc import Sequence

BLOCK = 25
"""Calls whose median is one look at the latency."""

LOOKS = 3
SPREAD = 0.05


def has_settled(medians_ns: Sequence[float]) -> bool:
    """Whether the last three medians lie within 5 % of each other."""
    last = medians_ns[-LOOKS:]
    return len(last) == LOOKS and max(last) <= (1 + SPREAD) * min(last)

"""How two bundles are compared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from daenr_bench.comparison.effect import Criteria
from daenr_bench.comparison.rounds import BurstTimer, Timer
from daenr_bench.comparison.samples import FEWEST_ROUNDS
from daenr_common.errors import SpecError


@dataclass(frozen=True)
class Plan:
    """Settings of a comparison.

    Attributes:
        timer: the scenario.
        rounds: before the first look, at least 5; undecided pairs take up to five times as many.
        criteria: what counts as a difference.
        seed: decides which timed answers are compared.
    """

    timer: Timer = field(default_factory=BurstTimer)
    rounds: int = 10
    criteria: Criteria = field(default_factory=Criteria)
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rounds < FEWEST_ROUNDS:
            raise SpecError("rounds", f"is {self.rounds}", f"take at least {FEWEST_ROUNDS}")

    def settings(self) -> dict[str, Any]:
        """Plain values."""
        criteria = {"margin": self.criteria.margin, "floor_ns": self.criteria.floor_ns}
        return {**criteria, "rounds": self.rounds, "seed": self.seed, **self.timer.settings()}

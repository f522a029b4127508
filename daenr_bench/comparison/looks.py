"""When the rounds are looked at, and what that costs in confidence.

Whoever looks again and again until something shows will be wrong far more often than the interval promises. So the
looks are few and fixed before the first round, and the 5 % that verdicts may be wrong are divided among them
(Bonferroni), and among the backends: the verdicts on p50 of a whole comparison are right with 95 % confidence together.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MAY_BE_WRONG = 0.05
LOOKS = 5
GROWTH = 1.5


@dataclass(frozen=True)
class Looks:
    """The plan of a comparison.

    Attributes:
        rounds: before the first look.
        pairs: that are compared in it.
    """

    rounds: int
    pairs: int = 1

    @property
    def at(self) -> tuple[int, ...]:
        """After how many rounds there is a look; the last is the bound."""
        return tuple(math.ceil(self.rounds * GROWTH**look) for look in range(LOOKS))

    @property
    def confidence(self) -> float:
        """Of a single interval."""
        return 1 - MAY_BE_WRONG / (LOOKS * max(self.pairs, 1))

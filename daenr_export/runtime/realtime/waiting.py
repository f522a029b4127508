"""Waiting for the next frame: asleep, or with the engine running so that it stays fast, and back in time.

An engine that rests for 10 ms answers its next frame several times slower: caches have gone cold and the processor has
clocked down. Running it on the last frame meanwhile prevents that, and takes most of a core.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import final

from daenr_common.errors import DaenrError

_SPIN_NS = 200_000
"""A sleep ends up to this much late (timer slack, waking up), so the last stretch is spent awake."""

_POLL_S = 1e-3
"""Without keep-warm, how long to sleep between two looks at whether a frame has come."""

_BURST_NS = 2_000_000
_REST_NS = 200_000
"""After each burst of warm runs the loop sleeps. A thread of real-time priority that takes more than 95 % of a core is
stopped by the kernel for the last 50 ms of each second; and whatever else shares the core gets its turn."""

_RECENT = 128
_RANK = 126
"""A run is expected to take the 98th percentile of the last 128 (nearest rank): two preempted ones do not count."""

_LONGEST_NS = 24 * 3600 * 10**9

Run = Callable[[], object]


@final
class Waiter:
    """Waits for instants on a clock, and runs something meanwhile. For one thread at a time.

    Args:
        expected_ns: how long a run takes: some figures, one at least.
        clock_ns: the clock of the instants.
        sleep: takes seconds.
    """

    def __init__(
        self,
        expected_ns: Sequence[int],
        *,
        clock_ns: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._clock, self._sleep, self._give_way = clock_ns, sleep, _make_give_way()
        self._rested = clock_ns()
        self._recent = [expected_ns[index % len(expected_ns)] for index in range(_RECENT)]
        self._next = 0
        self._allowance = self._predict()

    def wait_until(self, due_ns: int, run: Run | None) -> None:
        """Return at an instant, or at once if it has passed.

        Args:
            due_ns: the instant.
            run: what to do again and again meanwhile; None for sleeping. What it raises passes through.

        Raises:
            DaenrError: the instant is more than a day ahead, so it comes from another clock.
        """
        left = due_ns - self._clock()
        if left > _LONGEST_NS:
            problem = f"is {left / 1e9:.4g} s ahead, so it is not on the clock of time.monotonic_ns"
            raise DaenrError(f"due_ns={due_ns}", problem, "compute it from time.monotonic_ns()")
        if run is not None:
            self._run_meanwhile(run, _never, due_ns)
        elif left > _SPIN_NS:
            self._sleep((left - _SPIN_NS) * 1e-9)
        self._spin(_never, due_ns)

    def wait_for(self, ready: Callable[[], bool], until_ns: int, run: Run | None) -> bool:
        """Return True once `ready()` is true, or False at an instant; `ready` is asked between runs."""
        if run is not None:
            return self._run_meanwhile(run, ready, until_ns) or self._spin(ready, until_ns)
        while not ready():
            left = until_ns - self._clock()
            if left <= 0:
                return False
            self._sleep(min(_POLL_S, left * 1e-9))
        return True

    def _run_meanwhile(self, run: Run, ready: Callable[[], bool], until_ns: int) -> bool:
        """Run until something is ready, which is True, or until the next run might end too late."""
        clock = self._clock
        ran = False
        while not ready():
            start = clock()
            left = until_ns - start
            if left <= self._allowance:
                if left > 0 and not ran:
                    self._forget_longest()
                return False
            if start - self._rested > _BURST_NS and left > 2 * _REST_NS:
                self._sleep(_REST_NS * 1e-9)
                self._rested = clock()
                continue
            run()
            ran = True
            self._remember(clock() - start)
        return True

    def _spin(self, ready: Callable[[], bool], until_ns: int) -> bool:
        """Stay awake until something is ready or until an instant; other Python threads get their turn meanwhile."""
        clock, give_way = self._clock, self._give_way
        while not ready():
            if clock() >= until_ns:
                return False
            give_way()
        return True

    def _remember(self, duration_ns: int) -> None:
        self._recent[self._next % _RECENT] = duration_ns
        self._next += 1
        if self._next % 32 == 0:
            self._allowance = self._predict()

    def _forget_longest(self) -> None:
        """After a wait without time for a run: lest slow runs of long ago forbid all others, let them go one by one."""
        self._recent[self._recent.index(max(self._recent))] = min(self._recent)
        self._allowance = self._predict()

    def _predict(self) -> int:
        return sorted(self._recent)[_RANK - 1]


def _never() -> bool:
    return False


def _make_give_way() -> Callable[[], object]:
    """A call that lets go of Python's lock and returns at once: 0.3 µs, where `sleep(0)` takes 80 µs on Linux."""
    if hasattr(select, "poll"):
        return partial(select.poll().poll, 0)
    return partial(time.sleep, 0)

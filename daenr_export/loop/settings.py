"""What a loop is told, checked before the first frame."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, final

import numpy as np

from daenr_common.errors import DaenrError
from daenr_export.loop.contracts import Log, LoopSession
from daenr_export.loop.frames import Hook, Sink, Source

Policy = Literal["latest", "fifo"]
Fallback = Any
"""`"hold"`, a constant, or a callable that takes a frame's id."""

HOLD = "hold"


@final
@dataclass(frozen=True)
class Settings:
    """The arguments of `ClosedLoop`, in the units of the loop.

    Raises:
        DaenrError: one of them cannot be.
    """

    session: LoopSession
    source: Source
    sink: Sink
    deadline_ms: float
    policy: Policy
    fallback: Fallback
    hook: Hook | None
    hook_budget_ms: float | None
    standby: LoopSession | None
    queue: int
    max_faults: int
    log: Log | None

    def __post_init__(self) -> None:
        _need_positive_ms("deadline_ms", self.deadline_ms)
        if self.hook_budget_ms is not None:
            _need_positive_ms("hook_budget_ms", self.hook_budget_ms)
            if self.hook is None:
                raise DaenrError("hook_budget_ms", "is given without a hook", "give the hook too, or neither")
        if self.policy not in ("latest", "fifo"):
            raise DaenrError("policy", f"is {self.policy!r}", "give 'latest' or 'fifo'")
        for name, value in (("queue", self.queue), ("max_faults", self.max_faults)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise DaenrError(name, f"is {value!r}", "give a whole number of at least 1")
        for name, function in (("sink", self.sink), ("hook", self.hook)):
            if function is not None and not callable(function):
                raise DaenrError(name, f"is a {type(function).__name__}", "give something that can be called")
        self._check_fallback()
        self._check_standby()

    @property
    def deadline_ns(self) -> int:
        """From a frame's capture to its answer."""
        return round(self.deadline_ms * 1e6)

    @property
    def hook_budget_ns(self) -> int | None:
        """For one call of the hook; None where only the deadline ends it."""
        return None if self.hook_budget_ms is None else round(self.hook_budget_ms * 1e6)

    def _check_fallback(self) -> None:
        if isinstance(self.fallback, str) and self.fallback != HOLD:
            raise DaenrError("fallback", f"is {self.fallback!r}", "give 'hold', an array or a callable")
        outputs = self.session.spec.outputs
        if self.hook is None and len(outputs) == 1 and isinstance(self.fallback, np.ndarray):
            expected = outputs[0].shape
            if self.fallback.ndim == 0 or self.fallback.shape[1:] != expected:
                answer = ", ".join(str(size) for size in (1, *expected))
                raise DaenrError("fallback", f"has the shape {self.fallback.shape}", f"give the answer's, ({answer})")

    def _check_standby(self) -> None:
        if self.standby is None:
            return
        if self.standby is self.session:
            raise DaenrError("standby", "is the session that it stands by for", "open another, on another backend")
        if (self.standby.spec.input, self.standby.spec.outputs) != (self.session.spec.input, self.session.spec.outputs):
            problem = f"answers the graph {self.standby.spec.name}, and the session {self.session.spec.name}"
            raise DaenrError("standby", f"has other inputs or outputs: it {problem}", "open the same graph for both")


def make_fallback(fallback: Fallback) -> tuple[Callable[[int], Any], Callable[[Any], None]]:
    """Turn what was declared into two functions: the value for a frame's id, and what is to be told of good answers."""
    if isinstance(fallback, str):
        last: list[Any] = [None]
        return (lambda _frame_id: copied(last[0])), (lambda answer: last.__setitem__(0, copied(answer)))
    if callable(fallback):
        return fallback, lambda _answer: None
    constant = copied(fallback)
    return (lambda _frame_id: copied(constant)), lambda _answer: None


def copied(value: Any) -> Any:
    """Arrays as copies, for those who keep or change what they are given; anything else as it is."""
    if isinstance(value, np.ndarray):
        return value.copy()
    if type(value) is tuple:
        return tuple(copied(part) for part in value)
    return value


def _need_positive_ms(name: str, value: float) -> None:
    if not (isinstance(value, (int, float)) and math.isfinite(value) and value > 0):
        raise DaenrError(name, f"is {value!r}", "give a positive number of milliseconds")

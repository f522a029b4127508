"""Verdicts: what a check found out, with its reason, and the exit code that says the same to a script."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """The three answers of a check. A check that could not run is never a pass."""

    PASS = "pass"
    FAIL = "fail"
    CANNOT_TELL = "cannot tell"

    @property
    def exit_code(self) -> int:
        """0 pass, 1 fail, 3 cannot tell (2 is kept for unusable input)."""
        return {"pass": 0, "fail": 1, "cannot tell": 3}[self.value]


@dataclass(frozen=True)
class Check:
    """One thing that was checked: its subject, the verdict, and why."""

    subject: str
    verdict: Verdict
    reason: str


def overall(verdicts: Iterable[Verdict]) -> Verdict:
    """FAIL if any failed, else CANNOT_TELL if nothing passed, else PASS.

    A check that could not run (an engine where there is no GPU) does not spoil what was shown by the others;
    it stays visible in its own row.
    """
    found = set(verdicts)
    if Verdict.FAIL in found:
        return Verdict.FAIL
    return Verdict.PASS if Verdict.PASS in found else Verdict.CANNOT_TELL

"""What the doctor finds: a name, a value, whether that is good for a rig, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import final

from daenr_common.machine import read_system_file


class Judgement(StrEnum):
    """Whether a value is good for a loop in real time. UNKNOWN: it depends, or the system does not say."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """One thing that decides how late a loop can get.

    Attributes:
        name: e.g. `governor`.
        value: as it was found, with its unit.
        verdict: whether it is good.
        advice: what to do about it; empty where there is nothing to do.
    """

    name: str
    value: str
    verdict: Judgement
    advice: str = ""


def good_if(condition: bool, name: str, value: str, advice: str) -> Finding:
    """A finding that is good or bad; the advice goes with the bad one."""
    return Finding(name, value, Judgement.GOOD) if condition else Finding(name, value, Judgement.BAD, advice)


def unknown(name: str, value: str = "the system does not say", advice: str = "") -> Finding:
    """A finding that cannot be judged."""
    return Finding(name, value, Judgement.UNKNOWN, advice)


@final
class Tree:
    """The files in which Linux describes itself, below a root: `/`, or a folder that a test made."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def read(self, path: str) -> str | None:
        """The text of a file, e.g. `proc/version`; None where it is absent or may not be read."""
        return read_system_file(self._root / path)

    def number(self, path: str) -> int | None:
        """The whole number in a file; None where there is none."""
        try:
            return int(self.read(path) or "")
        except ValueError:
            return None

    def read_all(self, pattern: str) -> dict[str, str]:
        """The texts of all files that match a pattern such as `proc/[0-9]*/comm`, by their paths, in order."""
        paths = sorted(str(path.relative_to(self._root)) for path in self._root.glob(pattern))
        texts = {path: self.read(path) for path in paths}
        return {path: text for path, text in texts.items() if text is not None}

"""The C of one instruction set, while it is written."""

from __future__ import annotations

from dataclasses import dataclass, field

from daenr_export.native.targets import InstructionSet
from daenr_export.native.writing.packing import Constants

LINE = 16
"""Floats in a line of the cache."""


@dataclass
class Ahead:
    """Weights that are asked for before their step comes, while a step computes that needs few of its own.

    Constants lie in the order of the steps, so that what comes next lies behind what a step uses.

    Attributes:
        to_come: floats of weights of the steps behind the one that is written.
        reached: floats from the start of the constants that have been asked for.
    """

    to_come: int = 0
    reached: int = 0

    def take(self, end: int, steps: int, lines: int) -> tuple[int, int]:
        """Where to ask for lines and how many with each of a number of steps; 0 where nothing is left to ask for.

        Args:
            end: of the constants of the step that is written.
            steps: of the computation.
            lines: to ask for with each.
        """
        start = max(self.reached, end)
        if start + steps * LINE > end + self.to_come:
            return end, 0
        lines = min(lines, (end + self.to_come - start) // (steps * LINE))
        self.reached = start + steps * lines * LINE
        return start, lines


@dataclass
class Writer:
    """Collects functions; one that has been written before is not written again.

    Attributes:
        machine: the instruction set.
        constants: of the library, for offsets.
        ahead: of the steps of one image.
    """

    machine: InstructionSet
    constants: Constants
    ahead: Ahead = field(default_factory=Ahead)
    _functions: dict[str, str] = field(default_factory=dict)

    def function(self, stem: str, parameters: str, body: str, comment: str = "") -> str:
        """The name of a function with this body, which is written unless there is one."""
        key = f"{parameters}\n{body}"
        if key not in self._functions:
            name = f"{stem}_{len(self._functions)}"
            remark = f"/* {comment} */\n" if comment else ""
            self._functions[key] = f"{remark}STEP void {name}({parameters})\n{{\n{_indent(body)}\n}}\n"
        return self._functions[key].split("STEP void ")[1].split("(")[0]

    def text(self) -> str:
        """All functions, in the order in which they were written."""
        return "\n".join(self._functions.values())


@dataclass(frozen=True)
class StepCode:
    """The functions of a step.

    Attributes:
        one: of one image.
        group: of a group of images at once; None where a group takes them one by one.
        scratch: floats that they need besides; they take a third argument where it is not 0.
    """

    one: str
    group: str | None = None
    scratch: int = 0


def _indent(text: str) -> str:
    return "\n".join(f"    {line}" if line else line for line in text.splitlines())


def number(value: float) -> str:
    """A float32 as a C literal of the same bits."""
    return f"{float(value).hex()}f"

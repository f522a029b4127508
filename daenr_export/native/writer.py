"""The C of one instruction set, while it is written."""

from __future__ import annotations

from dataclasses import dataclass, field

from daenr_export.native.packing import Constants
from daenr_export.native.targets import InstructionSet


@dataclass
class Writer:
    """Collects functions; one that has been written before is not written again.

    Attributes:
        machine: the instruction set.
        constants: of the library, for offsets.
    """

    machine: InstructionSet
    constants: Constants
    _functions: dict[str, str] = field(default_factory=dict)
    _tables: list[str] = field(default_factory=list)

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
        group: of a group of images at once; None where it is done image by image.
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

"""Elements of SVG. ElementTree escapes what is put into them, so nothing that a file says can become markup."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

Element = ElementTree.Element
Point = tuple[float, float]


def element(tag: str, *children: Element | str, **attributes: str | float | None) -> Element:
    """An element. `class_` is `class`, other underscores are hyphens; an attribute that is None is left out.

    Args:
        tag: its name.
        children: elements, and at most one text, which comes first.
        attributes: texts, or numbers in the units of the drawing.
    """
    made = Element(tag, {_name(key): _value(value) for key, value in attributes.items() if value is not None})
    for child in children:
        if isinstance(child, str):
            made.text = child
        else:
            made.append(child)
    return made


def markup(root: Element) -> str:
    """An element as text that may stand in a page as it is: its texts and attributes are escaped."""
    return ElementTree.tostring(root, encoding="unicode")


def path(points: Sequence[Point], *, closed: bool = False) -> str:
    """Straight lines through points, as the attribute `d`."""
    return "M" + "L".join(f"{_number(x)} {_number(y)}" for x, y in points) + ("Z" if closed else "")


def steps(points: Sequence[Point]) -> str:
    """Level, then up or down, as the attribute `d`: how an empirical distribution and a histogram are drawn."""
    (x, y), *rest = points
    return f"M{_number(x)} {_number(y)}" + "".join(f"H{_number(x)}V{_number(y)}" for x, y in rest)


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-") if key != "viewBox" else key


def _value(value: str | float) -> str:
    return value if isinstance(value, str) else _number(value)


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")

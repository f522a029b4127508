"""A chart: two axes, marks between them, a title and a description for those who cannot see it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import final

from daenr_bench.report.drawing.scales import Scale
from daenr_bench.report.drawing.svg import Element, Point, element, markup, path, steps

WIDTH = 360.0
"""Of all charts, in units that are about a pixel: a chart fills a phone and three stand side by side on a desk."""

_TOP, _RIGHT, _BOTTOM = 10.0, 12.0, 40.0


@final
class Chart:
    """A chart to which marks are added. Places outside the axes are cut off.

    Args:
        title: what it shows, in a few words.
        description: what a reader would see, in a sentence.
        x: from left to right.
        y: from bottom to top.
        height: of the whole, in the units of `WIDTH`.
        left: room for the ticks of `y`.
    """

    def __init__(
        self, title: str, description: str, x: Scale, y: Scale, *, height: float = 240.0, left: float = 52.0
    ) -> None:
        self.title, self.description = title, description
        self._x, self._y = x, y
        self._left, self._right = left, WIDTH - _RIGHT
        self._top, self._bottom, self._height = _TOP, height - _BOTTOM, height
        self._marks: list[Element] = []

    def x(self, value: float) -> float:
        """The place of a value of `x`."""
        return self._left + self._x.at(value) * (self._right - self._left)

    def y(self, value: float) -> float:
        """The place of a value of `y`."""
        return self._bottom - self._y.at(value) * (self._bottom - self._top)

    @property
    def y_ends(self) -> tuple[float, float]:
        """Places of the top and the bottom of the axes."""
        return self._top, self._bottom

    def add(self, mark: Element) -> None:
        """Draw an element at places that `x` and `y` gave."""
        self._marks.append(mark)

    def line(self, points: Sequence[Point], style: str, tip: str, *, stepped: bool = False) -> None:
        """Draw a line through values.

        Args:
            points: pairs of values, at least one.
            style: its class in the page's style.
            tip: shown when it is pointed at.
            stepped: level up to each next point.
        """
        places = [(self.x(x), self.y(y)) for x, y in points]
        shape = steps(places) if stepped else path(places)
        self.add(element("path", element("title", tip), d=shape, class_=f"line {style}"))

    def dot(self, point: Point, style: str, tip: str, *, radius: float = 3.0) -> None:
        """Draw a dot at a pair of values."""
        self.add(
            element("circle", element("title", tip), cx=self.x(point[0]), cy=self.y(point[1]), r=radius, class_=style)
        )

    def dots(self, points: Sequence[Point], style: str, tip: str) -> None:
        """Draw many dots as one mark.

        Args:
            points: pairs of values.
            style: the class of their colour.
            tip: shown when one is pointed at.
        """
        # Dots in one place are one dot, and a place is a pixel: there may be thousands.
        places = dict.fromkeys(f"M{self.x(x):.0f} {self.y(y):.0f}h0" for x, y in points)
        if places:
            self.add(element("path", element("title", tip), d="".join(places), class_=f"dots {style}"))

    def upright(self, value: float, text: str, style: str = "limit") -> None:
        """Draw a line at a value of `x`, with a word beside it."""
        x = self.x(value)
        is_right = x > (self._left + self._right) / 2
        self.add(element("line", x1=x, x2=x, y1=self._top, y2=self._bottom, class_=style))
        self.add(
            element(
                "text", text, x=x + (-4 if is_right else 4), y=self._top + 9, class_=f"note {style}",
                text_anchor="end" if is_right else "start",
            )
        )  # fmt: skip

    def level(self, value: float, text: str, style: str = "limit") -> None:
        """Draw a line at a value of `y`, with a word above it."""
        y = self.y(value)
        self.add(element("line", x1=self._left, x2=self._right, y1=y, y2=y, class_=style))
        below = y - self._top < 14
        self.add(
            element(
                "text", text, x=self._right - 2, y=y + (11 if below else -4), class_=f"note {style}", text_anchor="end"
            )
        )  # fmt: skip

    def render(self, ident: str) -> str:
        """The chart as an SVG element.

        Args:
            ident: what its ids begin with, once on a page.
        """
        root = element(
            "svg",
            element("title", self.title, id=f"{ident}-title"),
            element("desc", self.description, id=f"{ident}-description"),
            element("g", *self._grid(), class_="axes"),
            element("g", *self._marks),
            viewBox=f"0 0 {WIDTH:g} {self._height:g}",
            role="img",
            aria_labelledby=f"{ident}-title {ident}-description",
        )
        return markup(root)

    def _grid(self) -> list[Element]:
        made = []
        for tick in self._y.ticks():
            y = self.y(tick)
            made.append(element("line", x1=self._left, x2=self._right, y1=y, y2=y, class_="grid"))
            made.append(element("text", self._y.tick_text(tick), x=self._left - 6, y=y + 3.5, text_anchor="end"))
        for tick in self._x.ticks():
            x = self.x(tick)
            made.append(element("line", x1=x, x2=x, y1=self._bottom, y2=self._bottom + 4, class_="tick"))
            made.append(element("text", self._x.tick_text(tick), x=x, y=self._bottom + 16, text_anchor="middle"))
        made.append(element("line", x1=self._left, x2=self._right, y1=self._bottom, y2=self._bottom, class_="tick"))
        middle = (self._left + self._right) / 2
        made.append(
            element("text", self._x.label, x=middle, y=self._height - 6, text_anchor="middle", class_="label")
        )  # fmt: skip
        if self._y.label:
            y = (self._top + self._bottom) / 2
            turned = f"translate(11 {y:g}) rotate(-90)"
            made.append(element("text", self._y.label, text_anchor="middle", class_="label", transform=turned))
        return made

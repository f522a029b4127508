"""What a page is put together from. All texts are plain: the page escapes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from daenr_bench.report.drawing.chart import Chart


@dataclass(frozen=True)
class Mark:
    """A verdict in a cell: a word and a sign, and a colour beside them.

    Attributes:
        word: e.g. `yes`.
        kind: `pass`, `fail` or `cannot-tell`.
    """

    word: str
    kind: str

    def __str__(self) -> str:
        return self.word


@dataclass(frozen=True)
class Value:
    """A figure in a cell, and what belongs to it.

    Attributes:
        text: the figure.
        details: short lines below it, e.g. its interval.
        is_best: set in bold.
    """

    text: str
    details: tuple[str, ...] = ()
    is_best: bool = False

    def __str__(self) -> str:
        return " ".join((self.text, *self.details))


Cell = str | Mark | Value


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        head: its title, with the unit.
        is_number: set flush right, and not broken.
        is_prose: long texts.
    """

    head: str
    is_number: bool = False
    is_prose: bool = False


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row is its title.

    Attributes:
        caption: what it shows.
        columns: one for each cell of a row.
        rows: cells.
        folded: whether it is shown only when asked for.
        groups: titles above the columns, and how many columns each stands over; together all of them.
        parts: numbers of rows, from 0, above which a line is drawn.
    """

    kind: ClassVar[str] = "table"

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    folded: bool = False
    groups: tuple[tuple[str, int], ...] = ()
    parts: tuple[int, ...] = ()


@dataclass(frozen=True)
class Panel:
    """A chart with a line above it."""

    heading: str
    chart: Chart


@dataclass(frozen=True)
class Panels:
    """Charts side by side.

    Attributes:
        caption: how to read them.
        panels: the charts.
        legend: class of the style, and what it stands for.
    """

    kind: ClassVar[str] = "panels"

    caption: str
    panels: tuple[Panel, ...]
    legend: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Note:
    """A sentence that is pointed out."""

    kind: ClassVar[str] = "note"

    text: str


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    kind: ClassVar[str] = "facts"

    caption: str
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Picture:
    """An image as a data URI, and what it shows."""

    uri: str
    alt: str


@dataclass(frozen=True)
class Gallery:
    """Images in rows, one row for each kind and one column for each image.

    Attributes:
        caption: what they are.
        rows: title of a row and its images.
        footer: title of the last row and its texts; None for no such row.
    """

    kind: ClassVar[str] = "gallery"

    caption: str
    rows: tuple[tuple[str, tuple[Picture, ...]], ...]
    footer: tuple[str, tuple[str, ...]] | None = None


Block = Table | Panels | Note | Facts | Gallery


@dataclass(frozen=True)
class Section:
    """A part of the page.

    Attributes:
        ident: its anchor.
        title: its heading.
        lead: what it says, in a sentence or two.
        blocks: its content.
    """

    ident: str
    title: str
    lead: str
    blocks: tuple[Block, ...]


def numbers(*heads: str) -> tuple[Column, ...]:
    """Columns of numbers."""
    return tuple(Column(head, is_number=True) for head in heads)

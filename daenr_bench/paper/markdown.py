"""The report as Markdown, from the same blocks as the page; drawings are left to it, tables say the same.

Whatever could be markup, a link or a mention stands in a code span.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from daenr_bench.paper.document import Document
from daenr_bench.report.blocks import Block, Cell, Facts, Gallery, Note, Panels, Section, Table, Value
from daenr_bench.report.markdown import code

_MARKUP = re.compile(r"[@<>\[\]*_`|&#~\\!$]|https?:|www\.")


def markdown(document: Document, picture: str | None) -> str:
    """The report, as text that ends with a line break.

    Args:
        document: what to write.
        picture: the file beside it that shows the gallery of figure 2; None if there is none.
    """
    parts = [
        "# The paper's tables and figures",
        plain(document.subtitle),
        f"**{document.headline.question} {document.headline.answer}** {document.headline.detail}",
        *(f"> {plain(note.text)}" for note in document.caveats),
        *_table(document.answers),
    ]
    for section in document.sections:
        parts += [f"## {plain(section.title)}", plain(section.lead), *_section(section, picture)]
    return "\n\n".join([*parts, f"<sub>{plain(document.cite)}</sub>"]) + "\n"


def plain(text: str) -> str:
    """A text that is no markup, as it is; any other as a code span."""
    flat = " ".join(text.split())
    return code(flat) if _MARKUP.search(flat) else flat


def _section(section: Section, picture: str | None) -> Iterator[str]:
    for block in section.blocks:
        yield from _block(block, picture)


def _block(block: Block, picture: str | None) -> Iterator[str]:
    if isinstance(block, Table):
        yield from _table(block)
    elif isinstance(block, Note):
        yield f"> {plain(block.text)}"
    elif isinstance(block, Panels):
        yield plain(block.caption)
    elif isinstance(block, Facts):
        yield "\n".join(f"- {plain(name)}: {plain(value)}" for name, value in block.pairs)
    elif isinstance(block, Gallery):
        yield plain(block.caption)
        if picture is not None:
            rows = ", ".join(plain(title) for title, _ in block.rows)
            yield f"![{plain(block.caption)}]({picture})\n\nFrom top to bottom: {rows}."


def _table(table: Table) -> Iterator[str]:
    above = [title for title, width in table.groups for _ in range(width)] or [""] * len(table.columns)
    heads = [plain(f"{group} {column.head}".strip()) for group, column in zip(above, table.columns, strict=True)]
    aligned = "|".join("---:" if column.is_number else "---" for column in table.columns)
    rows = [f"| {' | '.join(map(_cell, row))} |" for row in table.rows]
    body = "\n".join([f"| {' | '.join(heads)} |", f"|{aligned}|", *rows])
    yield plain(table.caption)
    # In a summary, which is HTML, a code span would not be one.
    yield from ("<details><summary>the figures</summary>", body, "</details>") if table.folded else (body,)


def _cell(cell: Cell) -> str:
    if isinstance(cell, Value):
        text = f"**{cell.text}**" if cell.is_best else cell.text
        return " ".join((text, *cell.details))
    return plain(str(cell)) or " "

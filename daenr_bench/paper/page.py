"""The report as a page."""

from __future__ import annotations

from importlib.metadata import version

from daenr_bench.paper.document import Document
from daenr_bench.report.rendering import render


def html_page(document: Document) -> str:
    """One HTML document.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    values = {name: getattr(document, name) for name in ("headline", "subtitle", "caveats", "answers", "sections")}
    return render("paper.html", __package__, version=version("daenr"), cite=document.cite, **values)

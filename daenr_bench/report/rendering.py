"""From blocks and a template to a page: one file, with its style and drawings inside, that fetches nothing."""

from __future__ import annotations

from importlib.resources import files
from itertools import count
from typing import Any

from daenr_bench.report.blocks import Mark
from daenr_bench.report.drawing.chart import Chart
from daenr_bench.report.sections.common import KINDS
from daenr_common.extras import require


def render(template: str, package: str = __package__, **values: Any) -> str:
    """A page as one HTML document. Whatever is a text is escaped.

    Args:
        template: a file of the package; it extends `base.html`, whose values are among these.
        package: where the template is; what it extends is here.
        values: what the templates show.

    Raises:
        MissingExtraError: Jinja2 is not installed.
    """
    library = require("jinja2", extra="bench", purpose="reports as HTML")
    markup = require("markupsafe", extra="bench", purpose="reports as HTML").Markup
    numbers = count(1)

    def source_of(name: str) -> str:
        return (files(package if name == template else __package__) / name).read_text("utf-8")

    def drawn(chart: Chart) -> Any:
        # Charts are made of elements, which escape what is put into them.
        return markup(chart.render(f"chart-{next(numbers)}"))

    environment = library.Environment(
        loader=library.FunctionLoader(source_of),
        autoescape=True,
        undefined=library.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["verdict_kind"] = KINDS.__getitem__
    environment.tests["mark"] = lambda cell: isinstance(cell, Mark)
    environment.globals["chart"] = drawn
    text: str = environment.get_template(template).render(style=markup(source_of("style.css")), **values)
    return text

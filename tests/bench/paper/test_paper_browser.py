"""The page in headless Chromium: no complaint, nothing fetched, nothing overflowing, readable, light and dark."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from browser import CLIPPED, CONTRAST, OVERFLOWING, Opened
from paper_factory import REAL, grid_cells, plausible, write_sweep

from daenr_bench.paper.analysis import analyse
from daenr_bench.paper.document import document_of
from daenr_bench.paper.page import html_page
from daenr_train.sweep.grid import Cell
from daenr_train.sweep.results import read_results

OpenPage = Callable[..., Opened]


def page_of(path: Path) -> str:
    return html_page(document_of(analyse(read_results(path), "average")))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page with everything: the paper's figures, failures, what is to come, what was not swept."""

    def invent(cell: Cell) -> dict[str, object] | str | None:
        if cell.model == "cae-fr3" and cell.seed == 1:
            return "the process was killed by SIGKILL (out of memory?)"
        return None if cell.model == "vae-fr1" or (cell.model == "vae-fc2" and cell.seed) else plausible(cell)

    cells = {cell for table in ("table2", "table3", "table4", "table5") for cell in grid_cells(table, range(3), ["3"])}
    return page_of(write_sweep(tmp_path_factory.mktemp("whole") / "r", cells, invent, **REAL))


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens_without_a_complaint_and_fits(open_page: OpenPage, whole: str, width: int, scheme: str) -> None:
    opened = open_page(whole, width=width, scheme=scheme)
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    assert opened.page.evaluate(OVERFLOWING) == []
    assert opened.page.evaluate(CLIPPED) == []
    assert opened.page.evaluate(CONTRAST) == []
    assert opened.page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth === 32)")


def test_bold_is_bold_and_groups_stand_over_their_columns(open_page: OpenPage, whole: str) -> None:
    page = open_page(whole).page
    assert page.locator("#table2 strong").count() == 3
    assert page.evaluate("getComputedStyle(document.querySelector('#table2 strong')).fontWeight") >= "600"
    edges = page.evaluate("""() => {
        const [groups, heads] = document.querySelectorAll('#table5 thead tr');
        const box = e => e.getBoundingClientRect();
        return [...groups.children].slice(1).map((g, i) => [
            box(g).left - box(heads.children[1 + 3 * i]).left, box(g).right - box(heads.children[3 + 3 * i]).right]);
    }""")
    assert len(edges) == 4
    assert max(abs(edge) for pair in edges for edge in pair) < 1


def test_wide_tables_scroll_in_themselves(open_page: OpenPage, whole: str) -> None:
    page = open_page(whole, width=390).page
    widths = page.evaluate("(e => [e.scrollWidth, e.clientWidth])(document.querySelector('#table5 .scroll'))")
    assert widths[0] > widths[1]
    assert page.locator("#table5 .scroll").first.get_attribute("tabindex") == "0"


def test_it_prints(open_page: OpenPage, whole: str) -> None:
    opened = open_page(whole, scheme="dark")
    opened.page.emulate_media(media="print")
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    opened.page.set_viewport_size({"width": 680, "height": 1000})
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 681
    assert opened.page.pdf(format="A4").startswith(b"%PDF")
    assert opened.complaints == []


def test_an_empty_sweep_opens(open_page: OpenPage, tmp_path: Path) -> None:
    text = page_of(write_sweep(tmp_path / "r", grid_cells("smoke", [0], ["3"]), lambda cell: None))
    opened = open_page(text, width=390)
    assert opened.complaints == []
    assert opened.page.evaluate(OVERFLOWING) == []
    assert opened.page.locator("#verdict").get_attribute("class") == "verdict cannot-tell"

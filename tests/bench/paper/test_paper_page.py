"""The page and the Markdown: what stands on top, that nothing is fetched, that nothing from a file becomes markup."""

from __future__ import annotations

import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from html_page import Page
from paper_factory import grid_cells, plausible, scores_of, write_sweep

from daenr_bench.paper.analysis import analyse
from daenr_bench.paper.document import Document, document_of
from daenr_bench.paper.markdown import markdown, plain
from daenr_bench.paper.page import html_page
from daenr_train.sweep.grid import Cell
from daenr_train.sweep.results import read_results

HOSTILE = "<script>alert(1)</script>\"><img src=x onerror=alert(1)>{{ 7*7 }}'&`|@somebody[x](http://x)"


def document(path: Path) -> Document:
    return document_of(analyse(read_results(path), "average"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Document:
    cells = (*grid_cells("table2", range(3)), *grid_cells("table4", range(3)), *grid_cells("table3", range(3)))
    return document(write_sweep(tmp_path_factory.mktemp("whole") / "r", set(cells), plausible))


def test_the_answer_comes_first(whole: Document) -> None:
    text = Page(html_page(whole)).text.partition("daenr-bench · paper")[2]
    order = [
        "Does joint learning help?",
        "Reconstruction: yes. Neural similarity: yes.",
        "region1, region2 and region3: not the recordings of the paper",
        "The main claims, tested",
        "CAE-FR against CNN-FR",
        "“Shown” means",
        "Table 2. Reconstruction of the test images",
        "the 805 runs of the grid paper take",
        "the largest run held 500 MiB, which is within the 1536 MiB",
        "Definitions",
        "To cite this page",
    ]
    places = [text.index(fragment) for fragment in order]
    assert places == sorted(places)


def test_neurons_without_a_correlation_are_told(tmp_path: Path) -> None:
    def invent(cell: Cell) -> dict[str, object]:
        return scores_of(cell, mse=0.05, correlation=0.3, unscored=3 if cell.model == "cae-fr2" else 1)

    text = Page(html_page(document(write_sweep(tmp_path / "r", grid_cells("table4", [0], ["3"]), invent)))).text
    assert "has no correlation and is left out of the mean: at most 3 (CAE-FR2 on Region 3, seed 0)." in text


def test_every_table_and_figure_has_its_section(whole: Document) -> None:
    page = Page(html_page(whole))
    idents = [attributes["id"] for attributes in page.all("section")]
    assert idents == [
        "verdict", "table2", "figure2", "figure3", "table3", "figure4", "table4", "table5", "table6", "cost",
        "recordings", "definitions",
    ]  # fmt: skip
    assert {f"#{ident}" for ident in idents} <= {attributes["href"] for attributes in page.all("a")}
    assert len(page.all("img")) == 60
    assert "Nothing of this is in the sweep" not in page.text


def test_it_needs_nothing_from_elsewhere(whole: Document) -> None:
    page = Page(html_page(whole))
    page.assert_self_contained()
    page.assert_readable_without_eyes()


def test_the_size_is_bounded(whole: Document) -> None:
    assert len(html_page(whole).encode()) < 500_000
    assert len(markdown(whole, None)) < 100_000


@pytest.mark.parametrize(
    ("gains", "answer"),
    [
        ((0.01, 0.05), "Reconstruction: yes. Neural similarity: yes."),
        ((-0.01, -0.05), "Reconstruction: no, it harms. Neural similarity: no, it harms."),
        ((0.0, 0.0), "Reconstruction: not shown. Neural similarity: not shown."),
        ((0.01, -0.05), "Reconstruction: yes. Neural similarity: no, it harms."),
    ],
)
def test_the_answer_is_that_of_the_tests(tmp_path: Path, gains: tuple[float, float], answer: str) -> None:
    def invent(cell: Cell) -> dict[str, object]:
        joint = "-" in cell.model and not cell.model.startswith("cnn")
        noise = float(np.random.default_rng(zlib.crc32(str(cell).encode())).normal(0, 0.001))
        return scores_of(cell, mse=0.05 - gains[0] * joint + noise, correlation=0.4 + gains[1] * joint + noise)

    cells = {*grid_cells("table2", range(4), ["3"]), *grid_cells("table4", range(4), ["3"])}
    assert document(write_sweep(tmp_path / "r", cells, invent)).headline.answer == answer


def test_nothing_from_a_file_becomes_markup(tmp_path: Path) -> None:
    cells = [Cell(HOSTILE, model, "all", seed) for model in ("cae", "cae-fr1", "cnn-fr1") for seed in range(3)]

    def invent(cell: Cell) -> dict[str, object] | str:
        return HOSTILE if cell.model == "cae" and cell.seed else plausible(cell)

    path = write_sweep(tmp_path / "r", cells, invent, source=HOSTILE)
    content = json.loads((path / "results.json").read_text())
    content["code"] = HOSTILE
    for run in content["runs"]:
        run["training"][HOSTILE] = HOSTILE
    (path / "results.json").write_text(json.dumps(content))
    found = document(path)
    page = Page(html_page(found))
    assert not page.all("script")
    assert {(image["src"] or "")[:15] for image in page.all("img")} == {"data:image/png;"}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert "{{ 7*7 }}" in page.text
    library = pytest.importorskip("markdown_it")
    text = markdown(found, "figure2.png")
    tokens = library.MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    inline = [child for token in tokens for child in token.children or []]
    assert not [child for child in inline if child.type == "link_open"]
    assert [child.attrs["src"] for child in inline if child.type == "image"] == ["figure2.png"]
    outside = " ".join(
        token.content for token in [*tokens, *inline] if token.type in ("text", "html_inline", "html_block")
    )
    assert "alert(1)" not in outside
    assert "@somebody" not in outside


def test_tables_of_the_markdown_are_rectangular(whole: Document) -> None:
    text = markdown(whole, "figure2.png")
    tables = re.findall(r"(?:^\|.*\|\n)+", text, re.MULTILINE)
    assert len(tables) > 15
    for table in tables:
        assert len({line.count("|") for line in table.strip().splitlines()}) == 1
    assert "| CAE | 0.0" in text
    assert "**" in text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("PSNR ↑, 95 % (p ≤ 0.05)", "PSNR ↑, 95 % (p ≤ 0.05)"),
        ("a\n b", "a b"),
        ("n_images", "`n_images`"),
        ("see www.example.org", "`see www.example.org`"),
        ("**x**", "`**x**`"),
        ("", ""),
    ],
)
def test_what_could_be_markup_is_a_code_span(text: str, written: str) -> None:
    assert plain(text) == written

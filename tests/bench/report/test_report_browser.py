"""The page in headless Chromium: no complaint on the console, nothing fetched, nothing overflowing, light and dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import report_factory as factory
from report_factory import burst, paced, result_of, wrong

from daenr_bench.report.golden import GoldenCheck, Neurons, Pictures
from daenr_bench.report.page import html_page
from daenr_bench.report.source import Source
from daenr_bench.result_files import Report

WIDTHS = (390, 1280)
SCHEMES = ("light", "dark")

OVERFLOWING = """() => [...document.querySelectorAll('body *')].filter(e => {
    if (e.closest('.scroll') || e.closest('.skip') || e.closest('svg *') || e.closest('thead')) return false;
    const box = e.getBoundingClientRect();
    return box.width && (box.right > innerWidth + 1 || box.left < -1);
}).map(e => e.outerHTML.slice(0, 80))"""

# Texts of a chart that stick out of it on the left, or lie on top of each other on an axis.
CLIPPED = """() => [...document.querySelectorAll('figure svg')].flatMap(svg => {
    const frame = svg.getBoundingClientRect();
    return [...svg.querySelectorAll('text')].filter(t => {
        const box = t.getBoundingClientRect();
        return box.left < frame.left - 2 || box.right > frame.right + 12 || box.bottom > frame.bottom + 2;
    }).map(t => t.textContent);
})"""

# WCAG: contrast of texts with what is behind them.
CONTRAST = """() => {
    const parse = c => c.match(/[\\d.]+/g).map(Number);
    const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
    const light = c => { const [r, g, b] = c.map(v => linear(v / 255));
        return .2126 * r + .7152 * g + .0722 * b; };
    const behind = e => { for (; e; e = e.parentElement) {
        const c = parse(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] > 0) return c; }
        return [255, 255, 255]; };
    const found = new Map();
    for (const e of document.querySelectorAll('body *')) {
        if (![...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
        if (['title', 'desc'].includes(e.tagName)) continue;
        const style = getComputedStyle(e), ink = parse(e.closest('svg') ? style.fill : style.color);
        const [a, b] = [light(ink.slice(0, 3)), light(behind(e).slice(0, 3))].sort((x, y) => y - x);
        const name = `${e.tagName}.${e.className.baseVal ?? e.className}`;
        if ((a + .05) / (b + .05) < 4.5) found.set(name, (a + .05) / (b + .05));
    }
    return [...found.entries()];
}"""


@dataclass
class Opened:
    """A page in a browser, with all that the browser complained about or asked for."""

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture
def open_page(chromium: Any, tmp_path: Path) -> Iterator[Callable[..., Opened]]:
    contexts = []

    def open_page(text: str, *, width: int = 1280, scheme: str = "light", scripts: bool = True) -> Opened:
        path = tmp_path / "report.html"
        path.write_text(text, encoding="utf-8")
        context = chromium.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=scripts
        )
        contexts.append(context)
        opened = Opened(context.new_page())
        opened.page.on("console", lambda message: opened.complaints.append(message.text))
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.on("request", lambda request: opened.requests.append(request.url))
        opened.page.goto(path.as_uri())
        return opened

    yield open_page
    for context in contexts:
        context.close()


def golden() -> GoldenCheck:
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (8, 32, 32))
    neurons = Neurons(tuple(f"n{k}" for k in range(102)), rng.uniform(0, 1e-6, 102), 1 - rng.uniform(0, 1e-12, 102), 64)
    return GoldenCheck("openvino", None, neurons, Pictures(images, images / 2, images / 2))


def html_of(report: Report, check: GoldenCheck | None = None) -> str:
    return html_page(Source(report.result, report.samples, None, check))


@pytest.fixture(scope="module")
def whole() -> str:
    return html_of(factory.everything(), golden())


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_opens_without_a_complaint_and_fits(
    open_page: Callable[..., Opened], whole: str, width: int, scheme: str
) -> None:
    opened = open_page(whole, width=width, scheme=scheme)
    assert opened.complaints == []
    assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    assert opened.page.evaluate(OVERFLOWING) == []
    assert opened.page.evaluate(CLIPPED) == []
    assert opened.page.evaluate(CONTRAST) == []
    ink, paper = opened.page.evaluate("(s => [s.color, s.backgroundColor])(getComputedStyle(document.body))")
    assert (paper == "rgb(21, 24, 28)") is (scheme == "dark")
    assert ink != paper


def test_pictures_are_not_smoothed(open_page: Callable[..., Opened], whole: str) -> None:
    page = open_page(whole).page
    assert page.evaluate("getComputedStyle(document.querySelector('img')).imageRendering") == "pixelated"
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth === 32)")


def test_it_prints(open_page: Callable[..., Opened], whole: str) -> None:
    opened = open_page(whole, scheme="dark")
    opened.page.emulate_media(media="print")
    # Paper is white, whatever the screen is.
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert opened.page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    # A4 less its margins is 680 pixels wide, and what does not fit there is cut off.
    opened.page.set_viewport_size({"width": 680, "height": 1000})
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= 681
    pdf = opened.page.pdf(format="A4")
    assert pdf.startswith(b"%PDF")
    assert opened.complaints == []


def test_it_works_without_scripts(open_page: Callable[..., Opened], whole: str) -> None:
    page = open_page(whole, scripts=False).page
    assert page.locator(".answer").inner_text().startswith("Yes, with onnxruntime or openvino.")
    summary = page.locator("summary").first
    summary.click()
    assert page.locator("details table").first.is_visible()


STATES: dict[str, Callable[[], Report]] = {
    "fail": lambda: result_of([burst("joint")], [wrong()]),
    "fault": lambda: result_of([(replace(paced()[0], state="fault", problems=("died",), complete=False), paced()[1])]),
    "cannot-tell": lambda: result_of([burst()]),
    "empty": lambda: result_of([], []),
    "many": lambda: result_of([paced(backend=f"an-engine-with-a-long-name-{k}", late=600) for k in range(12)]),
    "incomplete": lambda: result_of([burst(), paced(late=400, skipped=600)], complete=False),
}


@pytest.mark.parametrize("state", STATES)
def test_every_state_opens(open_page: Callable[..., Opened], state: str) -> None:
    opened = open_page(html_of(STATES[state]()), width=390)
    assert opened.complaints == []
    assert opened.page.evaluate(OVERFLOWING) == []
    assert opened.page.evaluate(CLIPPED) == []
    colour = opened.page.locator("#verdict").get_attribute("class")
    assert colour == f"verdict {'fail' if state in ('fail', 'fault', 'many', 'incomplete') else 'cannot-tell'}"


def test_a_hostile_name_runs_nothing(open_page: Callable[..., Opened]) -> None:
    report = factory.everything()
    name = '<script>document.title = "taken"</script><img src=x onerror="document.title = \'taken\'">'
    bundle = replace(report.result.bundle, name=name * 3)
    opened = open_page(html_of(replace(report, result=replace(report.result, bundle=bundle))), width=390)
    assert "taken" not in opened.page.title().replace('"taken"', "").replace("'taken'", "")
    assert opened.page.evaluate("document.scripts.length") == 0
    assert opened.page.locator("h1").inner_text() == name * 3
    assert opened.page.evaluate(OVERFLOWING) == []
    assert opened.complaints == []

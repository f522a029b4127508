"""The page in headless Chromium: no complaint on the console, nothing fetched, nothing overflowing, light and dark."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import report_factory as factory
from browser import CLIPPED, CONTRAST, OVERFLOWING, Opened
from report_factory import burst, paced, result_of, right, wrong

from daenr_bench.report.golden import GoldenCheck, Pictures
from daenr_bench.report.page import html_page
from daenr_bench.report.source import Source
from daenr_bench.result_files import Report

WIDTHS = (390, 1280)
SCHEMES = ("light", "dark")


def golden() -> GoldenCheck:
    rng = np.random.default_rng(0)
    images = rng.uniform(-1, 1, (8, 32, 32))
    return GoldenCheck("openvino", None, Pictures(images, images / 2, images / 2))


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


def broken_margin() -> Report:
    """A margin that many neurons with long names break, and one that was not measured."""
    names = tuple(f"a-neuron-with-a-long-name-{number}" for number in range(40))
    broken = factory.finding(
        "correlation_with_reference", 0.2, "fail", broken=names, reason=f"of neuron {names[0]} is 0.2"
    )
    missing = factory.finding("recorded_correlation_drop", None, "cannot tell", reason="not measured: none was given")
    accuracy = right(science=(broken, missing), verdict="fail", problems=(f"responses: {broken.reason}",))
    return result_of([], [accuracy, right(backend="openvino")])


STATES: dict[str, Callable[[], Report]] = {
    "margin": broken_margin,
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
    assert (
        colour == f"verdict {'fail' if state in ('margin', 'fail', 'fault', 'many', 'incomplete') else 'cannot-tell'}"
    )


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

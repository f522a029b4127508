"""The page as a document: what stands in it, that nothing from a file becomes markup, and that nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import report_factory as factory
from html_page import Page
from report_factory import burst, paced, result_of, right, written, wrong

from daenr_bench.measurement import Device, Measurement
from daenr_bench.report.golden import GoldenCheck, Pictures
from daenr_bench.report.page import html_page
from daenr_bench.report.source import Source, read_source
from daenr_bench.result_files import Report
from daenr_bench.standard import Reference, ReferenceSpeed
from daenr_bench.statistics.summaries import latency_of


def page_of(report: Report, golden: GoldenCheck | None = None) -> Page:
    return Page(html_page(Source(report.result, report.samples, None, golden)))


@pytest.fixture(scope="module")
def whole() -> Page:
    return page_of(factory.everything())


def test_verdicts_come_first(whole: Page) -> None:
    text = whole.text
    assert text.index("May I trust this engine at 100 Hz?") < text.index("Yes, with onnxruntime or openvino")
    assert "torch" not in text[: text.index("Paced against burst")].replace("PyTorch", "")
    assert text.index("Every engine's answer") < text.index("Paced against burst")
    assert "Verdict of the whole run" in text


def test_every_scenario_has_its_section(whole: Page) -> None:
    idents = [attributes["id"] for attributes in whole.all("section")]
    assert idents == [
        "verdict", "accuracy", "paced-against-burst", "distributions", "frames", "jitter", "throughput", "cold-start",
        "soak", "loadgen", "skipped", "machine",
    ]  # fmt: skip
    linked = {attributes["href"] for attributes in whole.all("a")}
    assert {f"#{ident}" for ident in idents} <= linked


def test_peers_are_said_to_be_peers_and_how_they_were_run(whole: Page) -> None:
    text = whole.text
    assert "Peers are the same model in others' runtimes" in text
    assert "How each was run." in text
    assert "torch (peer) 1 20 ms torch as told; https://example.org/docs" in text
    assert "onnxruntime 1 20 ms a backend of the bundle" in text
    without = page_of(factory.result_of([burst(), paced()])).text
    assert "Peers are" not in without
    assert "How each was run." in without


def test_it_needs_nothing_from_elsewhere(whole: Page) -> None:
    whole.assert_self_contained()


def test_it_can_be_read_without_eyes_and_without_colours(whole: Page) -> None:
    assert len([svg for svg in whole.all("svg") if svg.get("aria-hidden") != "true"]) > 20
    whole.assert_readable_without_eyes()
    badges = [attributes for attributes in whole.all("span") if "badge" in (attributes.get("class") or "")]
    assert badges
    assert re.search(r"\bno\b", whole.text)


def test_axes_have_units(whole: Page) -> None:
    text = whole.text
    for label in (
        "100 µs",
        "1 ms",
        "10 ms",
        "time on the schedule, s",
        "images per second",
        "memory of the process, MiB",
        "time, min",
    ):
        assert label in text


def test_the_size_is_bounded() -> None:
    made = [burst(graph, f"engine-{k}") for k in range(12) for graph in factory.GRAPHS]
    for k in range(12):
        made += [paced(backend=f"engine-{k}", frames=20_000, late=5000 * (k == 0), warm=warm) for warm in (False, True)]
    report = result_of(made)
    assert len(html_page(Source(report.result, report.samples, None)).encode()) < 600_000


HOSTILE = "<script>alert(1)</script>\"><img src=x onerror=alert(1)>{{ 7*7 }}'&`|"


def hostile(m: Measurement) -> Measurement:
    return replace(
        m,
        graph=m.graph + HOSTILE,
        backend=m.backend + HOSTILE,
        timing_boundary=HOSTILE,
        problems=(HOSTILE,),
        state="fault",
    )


def test_nothing_from_a_file_becomes_markup() -> None:
    report = factory.everything()
    result = report.result
    names = {"fault": hostile(burst()[0]), "paced": replace(hostile(paced()[0]), state="pass", problems=())}
    images = np.zeros((2, 32, 32))
    golden = GoldenCheck(
        HOSTILE,
        HOSTILE,
        Pictures(images, images, images),
    )
    spoiled = replace(
        result,
        bundle=replace(result.bundle, name=HOSTILE, model=HOSTILE),
        started_at=HOSTILE,
        settings=replace(result.settings, percentile_definition=HOSTILE, scenarios={HOSTILE: {HOSTILE: HOSTILE}}),
        overhead={HOSTILE: result.overhead["burst"]},
        reference_backend=HOSTILE,
        standard=replace(factory.STANDARD, margins_file=HOSTILE, neuron_ids=(HOSTILE,) * factory.NEURONS),
        accuracy=(
            *result.accuracy,
            right(
                HOSTILE,
                HOSTILE,
                problems=(HOSTILE,),
                parity=(factory.parity(HOSTILE, 1),),
                science=(factory.finding("psnr_drop_db", None, "cannot tell", reason=HOSTILE),),
            ),
        ),
        measurements=(*result.measurements, *names.values()),
        skipped=(replace(result.skipped[0], backend=HOSTILE, graph=HOSTILE, reason=HOSTILE),),
        machine=replace(result.machine, processor=HOSTILE, system=HOSTILE, gpu=HOSTILE, governor=HOSTILE),
        packages={HOSTILE: HOSTILE},
    )
    page = page_of(replace(report, result=spoiled), golden)
    assert not page.all("script")
    assert {image["src"][:15] for image in page.all("img") if image["src"]} == {"data:image/png;"}
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]
    assert "{{ 7*7 }}" in page.text
    assert page.text.count("<script>alert(1)</script>") > 20


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: result_of([burst()], complete=False), "interrupted: not all was measured"),
        (lambda: result_of([burst()], [right(), wrong("joint")]), "Answers are wrong, so there is no latency: joint"),
        (lambda: result_of([(replace(burst()[0], state="fault", problems=("x",)), {})]), "Died while it was measured"),
        (lambda: result_of([(replace(burst()[0], state="cannot tell", latency=None), {})]), "Cannot tell."),
        (lambda: result_of([(replace(paced()[0], complete=False), paced()[1])]), "1 000 – incomplete"),
        (lambda: result_of([], []), "Nothing was measured."),
    ],
)  # fmt: skip
def test_states_are_said_in_words(make: Callable[[], Report], words: str) -> None:
    assert words in page_of(make()).text


def test_without_samples_it_says_so_and_draws_what_the_json_has(tmp_path: Path) -> None:
    path = written(result_of([burst(), paced()]), tmp_path)
    (tmp_path / "results.samples.npz").unlink()
    page = Page(html_page(read_source(path)))
    assert "Without raw samples: results.samples.npz is not beside the result" in page.text
    assert "distributions" in [attributes["id"] for attributes in page.all("section")]
    drawn = [attributes for attributes in page.all("path") if "line s0" in (attributes.get("class") or "")]
    assert len(drawn) >= 2
    assert "Time line of" not in page.text


def test_time_on_a_device_stands_beside_the_latency() -> None:
    made, arrays = burst()
    assert made.latency is not None
    on_device = replace(made, device=Device("CUDA events around the engine", latency_of(np.full(1000, 41_500))))
    text = page_of(result_of([(on_device, arrays)])).text
    assert re.search(r"Time on the device .* 41\.5 41\.5 \d+\.\d CUDA events around the engine", text)


def test_twelve_engines_have_twelve_lines() -> None:
    made = [burst(backend=f"an-engine-with-a-long-name-{k}") for k in range(12)]
    report = result_of(made)
    source = Source(report.result, report.samples, None)
    assert len({source.style(backend) for backend in source.backends}) == 12


def test_margins_come_first_and_neurons_are_shown() -> None:
    text = page_of(result_of([burst()])).text.replace("\u00a0", " ")
    assert "each neuron's correlation with the reference (≥ 0.999)" in text
    assert "1 − 4·10⁻¹³" in text
    assert text.index("Margins (daenr’s own)") < text.index("Largest error ÷ largest answer")
    assert "batch 1 batch 2 batch 3 batch 64" in text
    assert "responses: 102 neurons over 50 held-out images" in text
    assert "correlation with the recorded responses" in text
    assert re.search(r"region3-n101 – \S+ – –", text)  # it hardly varies
    assert "Which graph, and which neuron or image, decides" in text


def test_a_broken_margin_is_named_and_one_that_was_not_measured_too() -> None:
    science = (
        factory.finding("correlation_with_reference", 0.987, "fail", broken=("n7",)),
        factory.finding(
            "recorded_correlation_drop", None, "cannot tell", reason="not measured: no recording was given"
        ),
    )
    problem = "responses: correlation with the reference of neuron n7 is 0.987, at least 0.999 expected"
    page = page_of(result_of([], [right(science=science, verdict="fail", problems=(problem,))]))
    assert f"responses on onnxruntime: {problem}." in page.text
    assert "not measured: no recording was given." in page.text
    badges = [a["class"] for a in page.all("span") if "badge" in (a.get("class") or "")]
    assert {"badge fail", "badge cannot-tell"} <= set(badges)
    assert "0.9870" in page.text


def test_a_saved_run_of_another_machine_is_context_and_no_verdict() -> None:
    reference = Reference(
        "ci.json", "ab" * 32, "2026-11-20T08:00:00+00:00", {"responses": "torch"}, factory.MACHINE,
        (ReferenceSpeed("responses", "torch", "burst", 302_000),), "cannot tell",
        "another machine: processor is 'AMD EPYC' there and 'Xeon' here",
    )  # fmt: skip
    report = result_of([burst()], standard=replace(factory.STANDARD, reference=reference))
    text = page_of(report).text.replace("\u00a0", " ")
    assert "held against those of ci.json" in text
    assert "faster or slower than it: cannot tell, another machine: processor is 'AMD EPYC' there and 'Xeon'" in text
    assert "it took there: responses, burst: 302 µs (p50)" in text


def test_of_very_many_neurons_the_worst_are_shown() -> None:
    names = tuple(f"n{number}" for number in range(5000))
    a = right()
    error = np.linspace(1e-9, 1e-6, 5000)
    arrays = {a.by_neuron[name]: error if name == "error_over_largest" else 1 - error for name in factory.BY_NEURON}
    report = result_of([burst()], [a], standard=replace(factory.STANDARD, neuron_ids=names))
    text = html_page(Source(report.result, {**report.samples, **arrays}, None))
    assert "Of them, the 1000 that differ most are drawn" in text
    assert ">n4999<" in text
    assert ">n3999<" not in text
    assert len(text.encode()) < 500_000


def test_pictures_are_shown() -> None:
    original = np.random.default_rng(0).uniform(-1, 1, (4, 32, 32))
    check = GoldenCheck("openvino", None, Pictures(original, original * 0.5, original * 0.5))
    page = page_of(result_of([burst()]), check)
    alts = [attributes["alt"] for attributes in page.all("img")]
    assert len(alts) == 12
    assert alts[0] == "original of image 1"
    assert "golden reconstruction of image 4" in alts
    assert "PSNR to the original, dB" in page.text
    no_engine = page_of(result_of([burst()]), GoldenCheck(None, "no backend", Pictures(original, original, None)))
    assert "none can answer on this machine. no backend" in no_engine.text
    assert len(no_engine.all("img")) == 8


def test_a_result_of_version_1_is_shown(tmp_path: Path) -> None:
    made, arrays = burst()
    assert made.latency is not None
    old = replace(made, latency=replace(made.latency, histogram=None))
    text = page_of(result_of([(old, arrays)], [right(science=(), by_neuron={})], standard=None)).text
    assert "Latency distributions" in text
    assert "Cannot tell." in text

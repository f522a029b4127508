"""Scales, ticks, thinned points and pictures, against what they stand for."""

from __future__ import annotations

import base64
import io
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daenr_bench.report import words
from daenr_bench.report.drawing.chart import Chart
from daenr_bench.report.drawing.png import data_uri
from daenr_bench.report.drawing.scales import Scale, around, decades
from daenr_bench.report.drawing.thinning import COLUMNS, coarser, columns, exceedance, exceedance_of_histogram
from daenr_bench.statistics.histogram import histogram

Values = st.lists(st.floats(1e-9, 1e12), min_size=1, max_size=20)


@given(Values, st.booleans())
def test_every_value_has_a_place_and_an_axis_has_ticks(values: list[float], is_log: bool) -> None:
    scale = around("x", values, str, is_log=is_log)
    assert all(0 <= scale.at(value) <= 1 for value in values)
    assert scale.low < min(values) or (not is_log and scale.low == 0)
    assert scale.high > max(values)
    ticks = scale.ticks()
    assert 2 <= len(ticks) <= 12
    assert ticks == sorted(set(ticks))
    assert all(scale.low <= tick <= scale.high * (1 + 1e-9) for tick in ticks)


@given(Values)
def test_decades_are_powers_of_ten_around_all_values(values: list[float]) -> None:
    scale = decades("x", values, str)
    assert scale.low <= min(values) * (1 + 1e-9)
    assert scale.high >= max(values) * (1 - 1e-9)
    assert all(math.isclose(math.log10(tick), round(math.log10(tick)), abs_tol=1e-9) for tick in scale.ticks())
    assert 2 <= len(scale.ticks()) <= 8


def test_places_are_linear_or_logarithmic() -> None:
    assert Scale("x", 0, 10, str).at(2.5) == 0.25
    assert Scale("x", 1, 10_000, str, is_log=True).at(10) == pytest.approx(0.25)
    assert Scale("x", 1, 100, str, is_log=True).at(0) == 0
    assert Scale("x", 1, 100, str, is_log=True).at(1e9) == 1


@pytest.mark.parametrize("n", [1, 2, 39, 40, 41, 1000, 100_000])
@pytest.mark.parametrize("unanswered", [0, 7])
def test_a_thinned_distribution_is_the_distribution(n: int, unanswered: int) -> None:
    # No two alike: a curve has one point for each.
    values = np.random.default_rng(n).choice(10 * n, n, replace=False).astype(np.int64)
    points = exceedance(values, unanswered)
    assert len(points) <= 170
    total = n + unanswered
    for value, share in points[1:]:
        assert share == pytest.approx((np.sort(values) > value).sum() / total + unanswered / total, abs=1e-12)
    # The tail is there value by value.
    assert {float(value) for value in np.sort(values)[-39:]} <= {value for value, _ in points}
    assert points[-1] == (float(values.max()), unanswered / total)


def test_without_raw_samples_the_histogram_gives_nearly_the_same_curve() -> None:
    values = np.random.default_rng(0).lognormal(12, 0.5, 20_000).astype(np.int64)
    points = exceedance_of_histogram(histogram(values), unanswered=5)
    for value, share in points:
        exact = ((values > value).sum() + 5) / 20_005
        assert share == pytest.approx(exact, abs=1e-12) or value == points[0][0]
    assert points[-1][1] == pytest.approx(5 / 20_005)


@pytest.mark.parametrize("n", [1, 5, COLUMNS, COLUMNS + 1, 100_003])
def test_stretches_of_a_time_line_cover_every_frame_once(n: int) -> None:
    parts = columns(range(n))
    assert len(parts) == min(n, COLUMNS)
    assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
    assert parts[-1].stop == n
    assert all(part.stop > part.start for part in parts)


def test_coarser_histograms_keep_every_count() -> None:
    found = histogram(np.random.default_rng(0).lognormal(12, 1, 5000).astype(np.int64))
    bars = coarser(found)
    assert sum(n for _, _, n in bars) == 5000
    assert len(bars) < len(found.counts)
    assert all(high <= after * (1 + 0.02) for (_, high, _), (after, _, _) in pairwise(bars))


def test_pictures_are_pngs_of_the_pixels() -> None:
    image_module = pytest.importorskip("PIL.Image")
    image = np.linspace(-1.2, 1.2, 32 * 32).reshape(32, 32)
    head, _, data = data_uri(image).partition(",")
    assert head == "data:image/png;base64"
    pixels = np.asarray(image_module.open(io.BytesIO(base64.b64decode(data))))
    assert pixels.shape == (32, 32)
    assert np.abs(pixels - (np.clip(image, -1, 1) + 1) * 127.5).max() <= 0.5


def test_what_a_chart_is_told_cannot_become_markup() -> None:
    hostile = '<script>alert("1")</script>&'
    chart = Chart(hostile, hostile, Scale(hostile, 0, 1, lambda _: hostile), Scale(hostile, 0, 1, lambda _: hostile))
    chart.line([(0, 0), (1, 1)], "s0", hostile)
    chart.dot((0.5, 0.5), "dot", hostile)
    chart.level(0.5, hostile)
    chart.upright(0.5, hostile)
    text = chart.render("chart-1")
    assert "<script" not in text
    assert text.count("&lt;script&gt;") > 8


@pytest.mark.parametrize(
    ("value_ns", "text"),
    [
        (None, "–"), (0, "0 ns"), (850, "850 ns"), (999.9, "1 µs"), (93_100, "93.1 µs"), (999_600, "1 ms"),
        (3_132_000, "3.13 ms"), (10_000_000, "10 ms"), (1_200_000_000, "1.2 s"), (100_000_000, "100 ms"),
    ],
)  # fmt: skip
def test_times_have_the_unit_that_fits(value_ns: float | None, text: str) -> None:
    assert words.time(value_ns).replace("\u00a0", " ") == text


def test_other_figures_in_words() -> None:
    assert words.microseconds(93_149) == "93.1"
    assert words.microseconds(4_675_404) == "4\u202f675"
    assert words.scientific(4.1e-7) == "4·10⁻⁷"
    assert words.scientific(1e-14) == "10⁻¹⁴"
    assert words.share(0.01) == "1\u00a0%"
    assert words.share(0.0003) == "0.03\u00a0%"
    durations = [words.duration(seconds) for seconds in (20, 119, 120, 5400, 7200, 86_400)]
    assert durations == [d.replace(" ", "\u00a0") for d in ("20 s", "119 s", "2 min", "90 min", "2 h", "24 h")]
    sizes = [words.size(amount) for amount in (100, 2**20, 1.5 * 2**30, -4096)]
    assert sizes == [size.replace(" ", "\u00a0") for size in ("100 B", "1 MiB", "1.5 GiB", "-4 KiB")]
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"], "or") == "a, b or c"

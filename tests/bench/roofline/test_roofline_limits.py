"""From counts and rates to limits and shares, in closed form; caches from files; rounds on a fake clock."""

from __future__ import annotations

import pytest

from daenr_bench.measurement import Latency, Measurement
from daenr_bench.roofline import shares
from daenr_bench.roofline.caches import Cache, caches, level_of
from daenr_bench.roofline.counting import Work
from daenr_bench.roofline.document import Rate, Reading
from daenr_bench.roofline.limits import limit_of, sizes_of
from daenr_bench.roofline.measuring import ROUND_NS, Meter
from daenr_bench.roofline.shares import _share
from daenr_bench.statistics.percentiles import Percentile

WORKS = (Work("first", 1_000_000, 1_200_000, 1000, 10, 1), Work("second", 2000, 2000, 500_000, 0, 1))
FP32_BYTES = 4 * 1000 + 4 * 10 + 4 * 500_000


class KnownCore:
    """Two multiply-adds a nanosecond in fp32, eight in int8, no bf16; reads three bytes a nanosecond."""

    def peak(self, precision):
        return {"fp32": 2e9, "int8": 8e9}.get(precision)

    def reading(self, size):
        return Reading("L2", 1 << 21, size, Rate(3e9, 2e9, 1e9, 5))


def test_a_layer_takes_the_longer_of_computing_and_reading_and_layers_add_up():
    found = limit_of("responses", WORKS, KnownCore())
    first, second = (layer.limits["fp32"] for layer in found.layers)
    assert (first.compute_ns, first.read_ns) == pytest.approx((500_000, 4040 / 3))
    assert (second.compute_ns, second.read_ns) == pytest.approx((1000, 2_000_000 / 3))
    assert found.limits["fp32"].limit_ns == pytest.approx(500_000 + 2_000_000 / 3)
    assert found.limits["fp32"].weight_bytes == FP32_BYTES
    assert found.multiply_adds == 1_002_000


def test_a_weight_takes_its_bytes_in_each_precision_and_a_bias_always_four():
    assert sizes_of({"responses": WORKS}) == {FP32_BYTES, 2 * 501_000 + 40, 501_000 + 40}
    assert limit_of("responses", WORKS, KnownCore()).limits["int8"].limit_ns == pytest.approx(125_000 + 500_000 / 3)


def test_a_precision_without_a_peak_has_no_limit():
    found = limit_of("responses", WORKS, KnownCore())
    assert found.limits["bf16"].limit_ns is None
    assert all("bf16" not in layer.limits for layer in found.layers)


def share(backend="native", precision="fp32", p50_ns=2_333_333):
    latency = Latency(100, 0, p50_ns, p50_ns, p50_ns, {"p50": Percentile(p50_ns, p50_ns)}, None)
    measurement = Measurement("responses", backend, "burst", "", "pass", True, (), latency=latency)
    return _share(limit_of("responses", WORKS, KnownCore()), backend, precision, measurement)


def test_a_share_is_the_limit_over_the_median():
    assert share().share == pytest.approx(0.5, rel=1e-6)
    assert (share().threads, share().n, share().reason) == (1, 100, "")


def test_two_threads_have_two_cores():
    assert share("onnxruntime:threads=2").share == pytest.approx(0.25, rel=1e-6)


def test_a_share_that_cannot_be_told_says_why(monkeypatch):
    assert share(precision="bf16").reason == "the peak of bf16 on this core is not known"
    assert share(precision="fp16").share is None
    wrong = _share(limit_of("responses", WORKS, KnownCore()), "native", "fp32", None)
    assert (wrong.share, wrong.reason) == (None, "its answers are wrong")
    assert share("tensorrt").share is not None
    monkeypatch.setattr(shares, "why_no_gpu", lambda: None)
    assert share("native").share is not None
    told = share("tensorrt")
    assert (told.share, told.limit_ns) == (None, None)
    assert told.reason == "it may compute on the GPU, and the limit is a processor's"


@pytest.fixture
def folder(tmp_path):
    for index, (level, kind, size) in enumerate(
        [("1", "Data", "48K"), ("1", "Instruction", "64K"), ("3", "Unified", "32M"), ("2", "Unified", "2048K")]
    ):
        (tmp_path / f"index{index}").mkdir()
        for name, text in (("level", level), ("type", kind), ("size", size)):
            (tmp_path / f"index{index}" / name).write_text(f"{text}\n")
    return tmp_path


def test_caches_are_those_that_hold_data_from_the_nearest(folder):
    assert caches(folder) == (Cache("L1", 48 << 10), Cache("L2", 2 << 20), Cache("L3", 32 << 20))
    (folder / "index3" / "size").write_text("unknown\n")
    (folder / "index2" / "size").unlink()
    assert caches(folder) == (Cache("L1", 48 << 10),)
    assert caches(folder / "absent") == ()


@pytest.mark.parametrize(
    ("size", "level"), [(1, "L1"), (48 << 10, "L1"), ((48 << 10) + 1, "L2"), (3 << 20, "L3"), (1 << 30, "memory")]
)
def test_weights_fit_in_the_first_cache_that_is_large_enough(folder, size, level):
    assert level_of(size, caches(folder)) == level
    assert level_of(size, ()) is None


def test_the_best_round_counts_and_the_others_are_told():
    """Each repeat takes 1 µs and does 5; the clock stands still otherwise. Some rounds are interrupted."""
    now_ns, number = 0, 0

    def work(repeats):
        nonlocal now_ns, number
        number += 1
        now_ns += 1000 * repeats * (3 if number % 4 == 0 else 1)
        return 5 * repeats

    meter = Meter(work, lambda: now_ns)
    meter.measure(20)
    warm_up = number - 20
    assert 2 ** (warm_up // 2 - 1) * 1000 >= ROUND_NS
    meter.measure(20)
    assert number == warm_up + 40
    rate = meter.rate
    assert (rate.best, rate.median, rate.rounds) == pytest.approx((5e6, 5e6, 40))
    assert rate.worst == pytest.approx(5e6 / 3)

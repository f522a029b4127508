"""What is measured of the core, against libraries that others tuned; and backends, none of which beats its limit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

import daenr_export
from daenr_bench.roofline.caches import Cache, caches
from daenr_bench.roofline.core import LARGEST_BUFFER, SMALLEST_READ, Core
from daenr_bench.roofline.kernels import READ, Kernel, kernels
from daenr_bench.roofline.measuring import Meter
from daenr_bench.roofline.roofline import roofline
from daenr_export.native import native_target

pytest.importorskip("ziglang")

SIZES = (24 << 10, 384 << 10, 16 << 20)
"""Bytes that fit into the first, the second and the last cache of today's processors."""


@pytest.fixture(scope="module")
def core() -> Core:
    found = Core(kernels(), caches(), SIZES)
    found.measure()
    return found


def beside(core: Core, work: Callable[[int], float]) -> float:
    """The best round of other work, before and after which the core is measured again."""
    meter = Meter(work)
    meter.measure(100)
    core.measure()
    meter.measure(100)
    return meter.rate.best


@pytest.fixture
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.alone
@pytest.mark.usefixtures("one_thread")
def test_no_matrix_product_is_faster_than_the_peak_and_a_good_one_comes_near(core: Core) -> None:
    a, b, out = (torch.rand(384, 384) for _ in range(3))

    def multiply(repeats: int) -> float:
        for _ in range(repeats):
            torch.mm(a, b, out=out)
        return repeats * 384**3

    reached = beside(core, multiply)
    peak = core.peak("fp32")
    assert peak is not None
    assert 0.4 * peak < reached <= 1.02 * peak


@pytest.mark.alone
@pytest.mark.parametrize("size", SIZES)
def test_no_sum_over_a_buffer_is_faster_than_reading_it(core: Core, size: int) -> None:
    array = np.ones(size // 8, np.int64)

    def add(repeats: int) -> float:
        for _ in range(repeats):
            array.max()
        return repeats * size

    reached = beside(core, add)
    rate = core.reading(size).bytes_per_s
    assert rate is not None
    assert reached <= 1.05 * rate.best


@pytest.mark.alone
def test_wider_vectors_and_shorter_numbers_do_more_and_nearer_caches_give_more(core: Core) -> None:
    best = {peak.instructions: peak.multiply_adds_per_s.best for peak in core.peaks if peak.multiply_adds_per_s}
    if {"sse2", "avx2"} <= set(best):
        assert best["avx2"] > 1.5 * best["sse2"]
    if "avx512-vnni" in best:
        assert best["avx512-vnni"] > 2 * best["avx512"]
    if "amx-int8" in best:
        assert best["amx-int8"] > 2 * best["avx512-vnni"]
    near, middle, far = (core.reading(size).bytes_per_s for size in SIZES)
    assert near is not None
    assert middle is not None
    assert far is not None
    assert near.best > middle.best > far.best


def fakes() -> tuple[Kernel, ...]:
    """Kernels of a processor that has no dot products: one that it has, one that it lacks, and one that reads."""

    def run(repeats: int, address: int | None, size: int) -> float:
        time.sleep(0.001)
        return float(repeats * max(size, 1))

    def never(repeats: int, address: int | None, size: int) -> float:
        raise AssertionError("the processor does not have it")

    return (
        Kernel("fp32", "plain", True, run),
        Kernel("int8", "dots", False, never),
        Kernel(READ, "plain", True, run),
    )


def test_what_the_processor_lacks_is_named_and_never_run() -> None:
    found = Core(fakes(), (), (100,))
    found.measure()
    assert [(peak.precision, peak.instructions, peak.reason) for peak in found.peaks] == [
        ("fp32", "plain", ""),
        ("int8", "dots", "this processor, or its system, does not have it"),
        ("bf16", "", "dot products of this kind of processor are not measured"),
    ]
    assert found.peak("int8") is None
    assert found.peak("fp32") is not None


def test_without_known_caches_weights_are_read_from_wherever_they_are() -> None:
    found = Core(fakes(), (), (100, 5000))
    found.measure()
    assert found.readings == ()
    assert [found.reading(size).buffer_bytes for size in (100, 5000)] == [SMALLEST_READ, 2 * SMALLEST_READ]
    assert (found.reading(100).level, found.reading(100).level_bytes) == (None, None)


def test_each_cache_is_read_inside_of_it_and_outside_of_the_one_before() -> None:
    known = (Cache("L1", 32 << 10), Cache("L2", 1 << 20), Cache("L3", 32 << 20))
    found = Core(fakes(), known, ())
    found.measure()
    *levels, memory = found.readings
    assert [(r.level, r.buffer_bytes >> 10) for r in levels] == [("L1", 16), ("L2", 256), ("L3", 8192)]
    assert (memory.level, memory.level_bytes, memory.buffer_bytes) == ("memory", None, 128 << 20)
    found = Core(fakes(), (*known[:2], Cache("L3", LARGEST_BUFFER)), ())
    found.measure()
    *_, memory = found.readings
    assert (memory.bytes_per_s, memory.reason) == (None, "a buffer that no cache holds would be over 256 MiB")


@pytest.mark.alone
@pytest.mark.slow
def test_no_backend_beats_the_limit(tmp_path) -> None:
    """The limit is the direct method's. Compiled C may use Winograd's, which with tiles of 2 saves 7 products of 16."""
    from model_factory import write_checkpoint

    bundle = tmp_path / "cnn_fr2.daenr"
    daenr_export.export(write_checkpoint(tmp_path / "cnn_fr2.pt", "cnn-fr2"), bundle, native=True)
    found = roofline(bundle, samples=500)
    backends = {share.backend for share in found.shares}
    assert {"native", "onnxruntime"} <= backends, native_target()
    for share in found.shares:
        assert share.share is not None, share.reason
        most = 16 / 9 if share.backend == "native" else 1
        assert 0.01 < share.share <= 1.05 * most, share
    assert {graph.graph for graph in found.graphs} == {"encoder", "readout", "responses"}

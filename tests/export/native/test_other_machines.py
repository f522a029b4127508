"""Compiled C of other machines, run here by emulators: Arm's NEON by QEMU, the Windows library by Wine."""

from __future__ import annotations

import emulators
import native_graphs
import numpy as np
import pytest
from hypothesis import given
from native_graphs import GraphBuilder
from native_library import Loaded, assert_close, compile_graph, generated, shorter_sets_here
from test_native_graphs import graphs

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", autouse=True)
def wine(tmp_path_factory):
    with emulators.wine_of_its_own(tmp_path_factory.mktemp("wine") / "prefix"):
        yield


def codes_of_pixels() -> bytes:
    """Pixels in, codes and a map out, as of a VQ-VAE that takes uint8."""
    g = GraphBuilder(1, 16, 16, dtype="uint8", seed=3)
    features = g.activate(g.conv(g.activate(g.conv(g.pixels("image"), 24), "Elu"), 20), "Elu")
    codes, chosen = g.quantise(features, 32)
    return g.build(codes, g.activate(g.conv_transpose(chosen, 5), "Tanh"))


def standardised() -> bytes:
    """A linear-nonlinear model's dense layer behind z-scored pixels."""
    g = GraphBuilder(1, 8, 8, seed=4)
    return g.build(g.activate(g.dense(g.flatten(g.standardise("image")), 7), "Exp"))


GRAPHS = {"autoencoder": native_graphs.autoencoder, "codes": codes_of_pixels, "standardised": standardised}


@pytest.mark.parametrize("target", emulators.EMULATORS)
@pytest.mark.parametrize("graph", GRAPHS)
def test_it_answers_as_the_reference_evaluator_does(graph, target, tmp_path):
    emulators.emulator_of(target)
    content = GRAPHS[graph]()
    batch = native_graphs.images(content, 3, seed=1)
    library = compile_graph(content, tmp_path, target=target)
    assert_close(emulators.answers(content, library, target, batch), native_graphs.reference(content, batch))


@generated(12)
@given(content=graphs())
def test_random_graphs_on_neon(content, tmp_path_factory):
    emulators.emulator_of("aarch64-linux")
    batch = native_graphs.images(content, 3, seed=2)
    library = compile_graph(content, tmp_path_factory.mktemp("library"), target="aarch64-linux")
    found = emulators.answers(content, library, "aarch64-linux", batch, "neon")
    assert_close(found, native_graphs.reference(content, batch))


@pytest.mark.parametrize("target", emulators.EMULATORS)
def test_special_values_are_answered_and_nan_is_passed_on(target, tmp_path):
    emulators.emulator_of(target)
    content = native_graphs.autoencoder(channels=8)
    batch = np.zeros((5, 1, 32, 32), np.float32)
    batch[1], batch[2], batch[3], batch[4, 0, 7, 9] = 1, -1, 1e-40, np.nan
    library = compile_graph(content, tmp_path, target=target)
    responses, reconstruction = emulators.answers(content, library, target, batch)
    assert_close([responses[:4], reconstruction[:4]], native_graphs.reference(content, batch[:4]))
    assert np.isnan(responses[4]).any()
    assert np.isnan(reconstruction[4]).any()


def test_int8_on_windows(tmp_path):
    """By the dot products of AVX-512 VNNI, which Wine leaves to this processor: the same bits as on Linux."""
    emulators.emulator_of("x86_64-windows")
    if "avx512_vnni" not in shorter_sets_here():
        pytest.skip("this processor has no AVX-512 VNNI")
    content, only = native_graphs.autoencoder(), {"precision": "int8", "instruction_sets": ("avx512_vnni",)}
    batch = native_graphs.images(content, 3, seed=1)
    library = compile_graph(content, tmp_path, target="x86_64-windows", **only)
    found = emulators.answers(content, library, "x86_64-windows", batch, "avx512_vnni")
    for ours, theirs in zip(found, Loaded(compile_graph(content, tmp_path, **only)).run(batch), strict=True):
        np.testing.assert_array_equal(ours, theirs)

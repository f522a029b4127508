"""Values at the edges: zeros, extremes, denormals, infinities and NaN, and how exact the activations are."""

from __future__ import annotations

import native_graphs
import numpy as np
import pytest
from native_graphs import GraphBuilder
from native_library import Loaded, assert_close, compile_graph, instruction_sets_here
from scipy.special import log1p

SETS = ("avx512", "avx2", "baseline", "neon")


@pytest.fixture(scope="module", params=SETS)
def joint(request, tmp_path_factory):
    if request.param not in instruction_sets_here():
        pytest.skip(f"this processor has no {request.param}")
    content = native_graphs.autoencoder()
    path = compile_graph(content, tmp_path_factory.mktemp("joint"), instruction_sets=(request.param,))
    return content, Loaded(path)


@pytest.mark.parametrize("value", [0.0, -0.0, 1e-45, 1e-39, -1e-38, 1.0, -10.0, 1e15])
def test_constant_images(joint, value):
    content, loaded = joint
    batch = np.full((9, 1, 32, 32), value, np.float32)
    assert_close(loaded.run(batch), native_graphs.reference(content, batch))


@pytest.mark.parametrize("scale", [1e-44, 1e-38, 1e-20, 1e20, 1e30])
def test_scaled_images(joint, scale):
    content, loaded = joint
    batch = (native_graphs.images(content, 9, seed=5) * scale).astype(np.float32)
    assert_close(loaded.run(batch), native_graphs.reference(content, batch))


@pytest.mark.parametrize("count", [1, 9])
@pytest.mark.parametrize(("row", "column"), [(0, 0), (13, 20), (31, 31), (16, 15)])
def test_nan_goes_where_the_reference_has_it_and_no_further(joint, count, row, column):
    content, loaded = joint
    batch = native_graphs.images(content, count)
    batch[-1, 0, row, column] = np.nan
    found, expected = loaded.run(batch), native_graphs.reference(content, batch)
    assert_close(found, expected)
    assert np.isnan(expected[1][-1]).all()
    assert not np.isnan(expected[1][:-1]).any()


@pytest.mark.parametrize("value", [np.inf, -np.inf, 3.4e38, -3.4e38])
def test_infinities_and_the_largest_numbers_do_no_harm(joint, value):
    content, loaded = joint
    batch = native_graphs.images(content, 9)
    batch[4, 0, 10, 10] = value
    batch[5] = value
    found, expected = loaded.run(batch), native_graphs.reference(content, batch)
    untouched = [0, 1, 2, 3, 6, 7, 8]
    assert_close([f[untouched] for f in found], [e[untouched] for e in expected])
    for ours, theirs in zip(found, expected, strict=True):
        assert (np.isnan(ours) | ~np.isnan(theirs)).all()


@pytest.mark.parametrize("zeros", [0.7, 1.0])
def test_nan_reaches_neurons_whose_mask_is_zero_there(tmp_path, zeros):
    g = GraphBuilder(32, 4, 4)
    content = g.build(g.readout(g.activate("image", "Elu"), 23, zeros))
    loaded = Loaded(compile_graph(content, tmp_path))
    batch = native_graphs.images(content, 3)
    batch[1, 5, 2, 2] = np.nan
    batch[2, 31, 0, 3] = np.inf
    found, expected = loaded.run(batch), native_graphs.reference(content, batch)
    assert np.isnan(expected[0][1]).all()
    assert np.isnan(expected[0][2]).any()
    np.testing.assert_array_equal(np.isnan(found[0]), np.isnan(expected[0]))
    assert_close([found[0][:1]], [expected[0][:1]])


def test_codes_are_in_range_whatever_comes_in(tmp_path):
    g = GraphBuilder(16, 2, 3)
    content = g.build(*g.quantise("image", 8))
    loaded = Loaded(compile_graph(content, tmp_path))
    batch = native_graphs.images(content, 4)
    batch[0], batch[1], batch[2, 3, 1, 1] = np.nan, np.inf, np.nan
    codes, rows = loaded.run(batch)
    assert ((codes >= 0) & (codes < 8)).all()
    assert np.isfinite(rows).all()
    np.testing.assert_array_equal(codes[3:], native_graphs.reference(content, batch[3:])[0])


def test_the_first_of_equal_codes_is_taken(tmp_path):
    g = GraphBuilder(1, 1, 1)
    codes, _ = g.quantise("image", 3)
    for name, array in g.weights.items():
        if array.ndim:
            g.weights[name] = np.ones_like(array)
    content = g.build(codes)
    assert Loaded(compile_graph(content, tmp_path)).run(np.ones((1, 1, 1, 1), np.float32))[0].item() == 0


EXACT = {
    "Elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "Tanh": np.tanh,
    "Softplus": lambda x: np.maximum(x, 0) + log1p(np.exp(-np.abs(x))),
}


@pytest.mark.parametrize("kind", sorted(EXACT))
@pytest.mark.parametrize("name", SETS)
def test_activations_are_exact_to_a_few_units_in_the_last_place(tmp_path, kind, name):
    if name not in instruction_sets_here():
        pytest.skip(f"this processor has no {name}")
    g = GraphBuilder(4096)
    content = g.build(g.activate("image", kind))
    loaded = Loaded(compile_graph(content, tmp_path, instruction_sets=(name,)))
    magnitudes = np.geomspace(1e-30, 80, 32 * 4096).astype(np.float32).reshape(-1, 4096)
    x = np.concatenate([magnitudes, -magnitudes])
    exact = EXACT[kind](x.astype(np.float64))
    with np.errstate(under="ignore"):
        units = np.abs(loaded.run(x)[0] - exact) / np.spacing(np.abs(exact).astype(np.float32))
    assert units.max() < 4
    edges = np.resize(np.float32([0, -0.0, 1e38, -1e38, 1e-45, -1e-45, np.inf, -np.inf, np.nan]), (1, 4096))
    np.testing.assert_allclose(loaded.run(edges)[0], EXACT[kind](edges.astype(np.float64)), rtol=1e-6, atol=1e-37)

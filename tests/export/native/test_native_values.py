"""Values at the edges: zeros, extremes, denormals, infinities and NaN, and how exact the activations are."""

from __future__ import annotations

import native_graphs
import numpy as np
import pytest
from native_graphs import GraphBuilder
from native_library import ALL_SETS, Loaded, assert_close, compile_graph, skip_without
from scipy.special import log1p

CONSTANTS = np.float32([0.0, -0.0, 1e-45, 1e-39, -1e-38, 1.0, -10.0, 1e15])
SCALES = np.float32([1e-44, 1e-38, 1e-20, 1e20, 1e30])
PLACES = ((0, 0), (13, 20), (31, 31), (16, 15))


@pytest.fixture(scope="module", params=ALL_SETS)
def joint(request, tmp_path_factory):
    skip_without(request.param)
    content = native_graphs.autoencoder()
    path = compile_graph(content, tmp_path_factory.mktemp("joint"), instruction_sets=(request.param,))
    return content, Loaded(path)


def assert_images_close(found, expected):
    """Each image within the tolerance of its own scale."""
    for index in range(len(expected[0])):
        assert_close([f[index : index + 1] for f in found], [e[index : index + 1] for e in expected])


def test_constant_and_scaled_images(joint):
    content, loaded = joint
    constant = np.broadcast_to(CONSTANTS[:, None, None, None], (len(CONSTANTS), 1, 32, 32))
    scaled = native_graphs.images(content, len(SCALES), seed=5) * SCALES[:, None, None, None]
    batch = np.concatenate([constant, scaled])
    assert_images_close(loaded.run(batch), native_graphs.reference(content, batch))


def test_nan_goes_where_the_reference_has_it_and_no_further(joint):
    content, loaded = joint
    batch = native_graphs.images(content, 9)
    for index, (row, column) in enumerate(PLACES):
        batch[2 * index + 1, 0, row, column] = np.nan
    expected = native_graphs.reference(content, batch)
    assert np.isnan(expected[1][1::2]).all()
    assert not np.isnan(expected[1][::2]).any()
    for found in (loaded.run(batch), _one_by_one(loaded, batch)):
        assert_images_close(found, expected)


def _one_by_one(loaded, batch):
    answers = [loaded.run(batch[i : i + 1]) for i in range(len(batch))]
    return [np.concatenate(parts) for parts in zip(*answers, strict=True)]


def test_infinities_and_the_largest_numbers_do_no_harm(joint):
    content, loaded = joint
    batch = native_graphs.images(content, 19)
    batch[1:9:2, 0, 10, 10] = [np.inf, -np.inf, 3.4e38, -3.4e38]
    batch[9:17:2] = np.float32([np.inf, -np.inf, 3.4e38, -3.4e38])[:, None, None, None]
    found, expected = loaded.run(batch), native_graphs.reference(content, batch)
    assert_images_close([f[::2] for f in found], [e[::2] for e in expected])
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
    "Exp": np.exp,
    "Elu": lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
    "Tanh": np.tanh,
    "Softplus": lambda x: np.maximum(x, 0) + log1p(np.exp(-np.abs(x))),
}


@pytest.mark.parametrize("kind", sorted(EXACT))
@pytest.mark.parametrize("name", ALL_SETS)
def test_activations_are_exact_to_a_few_units_in_the_last_place(tmp_path, kind, name):
    skip_without(name)
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
    with np.errstate(over="ignore"):
        exact = EXACT[kind](edges.astype(np.float64))
    np.testing.assert_allclose(loaded.run(edges)[0], exact, rtol=1e-6, atol=1e-37)


def test_activations_are_applied_where_no_kernel_takes_them_along(tmp_path):
    """To pixels, after another activation, and to a standardised map."""
    g = GraphBuilder(2, 3, 5, dtype="uint8")
    squashed = g.activate(g.activate(g.pixels("image"), "Tanh"), "Elu")
    content = g.build(squashed, g.activate(g.standardise(squashed), "Tanh"))
    batch = native_graphs.images(content, 3)
    assert_close(Loaded(compile_graph(content, tmp_path)).run(batch), native_graphs.reference(content, batch))

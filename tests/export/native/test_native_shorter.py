"""Products of bfloat16 and int8: exact where every number is one of theirs, close elsewhere, alike in any batch."""

from __future__ import annotations

import native_graphs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from native_graphs import GraphBuilder
from native_library import Loaded, compile_graph, generated, shorter_sets_here
from test_native_graphs import geometries

from daenr_common.errors import ExportError
from daenr_export.native import layers_of
from daenr_export.native.targets import find_target
from daenr_export.native.writing.matrix import to_bf16

PRECISIONS = ("bf16", "int8")
WAYS = [("bf16", "amx"), ("int8", "amx"), ("int8", "avx512_vnni")]
MOST = {"bf16": 15, "int8": 127}
"""Products of two such integers are exact, and so are their sums in float32."""


def compile_shorter(content, folder, precision, machine="amx", **options):
    if machine not in shorter_sets_here():
        pytest.skip(f"this processor has no {machine}")
    return Loaded(compile_graph(content, folder, precision=precision, instruction_sets=(machine,), **options))


def whole_numbers(g: GraphBuilder, precision: str) -> None:
    """Weights become integers, of which each output channel has the largest, so that int8 rounds none of them."""
    for name, array in g.weights.items():
        if array.ndim == 4:
            array = np.clip(np.rint(array * 40), -MOST[precision], MOST[precision])
            array[:, 0, 0, 0] = MOST[precision]
            g.weights[name] = array.astype(np.float32)


def whole_images(content: bytes, count: int, precision: str) -> np.ndarray:
    images = np.rint(native_graphs.images(content, count, seed=5) * MOST[precision])
    images.reshape(count, -1)[:, 0] = MOST[precision]
    return images.astype(np.float32)


@st.composite
def layers(draw):
    """A graph, its output, and whether int8 holds its weights exactly: a transposed one has columns of its own."""
    g = GraphBuilder(draw(st.sampled_from([16, 20, 32, 40])), draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    transposed = draw(st.booleans())
    geometry = draw(geometries(g.shapes["image"][1:], transposed))
    count = draw(st.sampled_from([3, 16, 32, 40, 70, 130]))
    return g, (g.conv_transpose if transposed else g.conv)("image", count, **geometry), not transposed


@pytest.mark.slow
@generated(36)
@given(layer=layers(), way=st.sampled_from(WAYS))
def test_whole_numbers_are_multiplied_exactly(layer, way, tmp_path_factory):
    """Any map, kernel, stride, padding and number of channels; where int8 rounds a weight, by no more than that."""
    g, out, is_exact = layer
    precision, machine = way
    whole_numbers(g, precision)
    content = g.build(out)
    loaded = compile_shorter(content, tmp_path_factory.mktemp("layer"), precision, machine)
    assert loaded.instruction_set == machine
    batch = whole_images(content, 19, precision)
    (expected,) = native_graphs.reference(content, batch)
    (found,) = loaded.run(batch)
    if is_exact or precision == "bf16":
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-3)
    else:
        error = np.sqrt(((found - expected) ** 2).mean() / (expected**2).mean())
        assert error < 6e-3


@st.composite
def readouts(draw):
    g = GraphBuilder(draw(st.sampled_from([16, 20, 32, 48])), draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    return g, g.readout("image", draw(st.sampled_from([1, 15, 16, 17, 33, 103])), draw(st.sampled_from([0.0, 0.6])))


@pytest.mark.slow
@generated(10)
@given(readout=readouts())
def test_readouts_of_whole_numbers_are_exact(readout, tmp_path_factory):
    g, out = readout
    for name, array in g.weights.items():
        if array.dtype == np.float32:
            g.weights[name] = np.rint(array * 12).astype(np.float32)
    content = g.build(out)
    loaded = compile_shorter(content, tmp_path_factory.mktemp("readout"), "int8")
    batch = whole_images(content, 9, "bf16")
    np.testing.assert_allclose(loaded.run(batch)[0], native_graphs.reference(content, batch)[0], rtol=1e-6, atol=1e-3)


@pytest.mark.parametrize(("precision", "machine"), WAYS)
def test_a_network_is_as_close_as_its_numbers_are_and_the_same_in_any_batch(tmp_path, precision, machine):
    content = native_graphs.autoencoder()
    loaded = compile_shorter(content, tmp_path, precision, machine)
    assert loaded.graph.precision == precision.encode()
    assert loaded.self_test()[0] == 0
    batch = native_graphs.images(content, 21, seed=3)
    together = loaded.run(batch)
    for found, expected in zip(together, native_graphs.reference(content, batch), strict=True):
        error = np.sqrt(((found - expected) ** 2).mean() / (expected**2).mean())
        assert {"bf16": 1e-4, "int8": 1e-3}[precision] < error < {"bf16": 1e-2, "int8": 4e-2}[precision]
    for index in (0, 7, 8, 20):
        for alone, all_at_once in zip(loaded.run(batch[index : index + 1]), together, strict=True):
            np.testing.assert_array_equal(alone[0], all_at_once[index])


@pytest.mark.parametrize(("precision", "machine"), WAYS)
def test_nan_and_infinity_are_never_hidden_and_touch_only_their_image(tmp_path, precision, machine):
    g = GraphBuilder(16, 4, 4)
    content = g.build(g.conv("image", 20, kernel=(3, 3), stride=(1, 1)))
    loaded = compile_shorter(content, tmp_path, precision, machine)
    batch = native_graphs.images(content, 4)
    (clean,) = loaded.run(batch)
    batch[1, 3, 2, 2], batch[2, 3, 2, 2] = np.nan, np.inf
    (found,) = loaded.run(batch)
    assert np.isnan(found[1, :, 2, 2]).all()
    assert not np.isfinite(found[2, :, 2, 2]).any()
    np.testing.assert_array_equal(found[[0, 3]], clean[[0, 3]])


@pytest.mark.parametrize(("precision", "machine"), WAYS)
def test_an_image_of_zeros_gives_the_bias(tmp_path, precision, machine):
    g = GraphBuilder(16, 4, 4)
    content = g.build(g.conv("image", 20))
    batch = np.zeros((2, 16, 4, 4), np.float32)
    batch[1] = 1e-39
    (found,) = compile_shorter(content, tmp_path, precision, machine).run(batch)
    np.testing.assert_allclose(found, native_graphs.reference(content, batch)[0], rtol=1e-6, atol=1e-30)


def test_single_layers_can_stay_in_float32(tmp_path):
    content = native_graphs.autoencoder()
    able = layers_of(content, 64)
    names = list(able)
    readout = names[1]
    assert [layer.shortest for layer in able.values()] == ["int8", "bf16", *["int8"] * 7]
    assert able[readout].weights == 8 * 8 * 11 + 64 * 11
    batch = native_graphs.images(content, 3)
    expected = native_graphs.reference(content, batch)

    def error_of(layers):
        found = compile_shorter(content, tmp_path, "int8", layers=layers).run(batch)
        return [np.sqrt(((a - b) ** 2).mean()) for a, b in zip(found, expected, strict=True)]

    everything, first_exact = error_of({}), error_of({names[0]: "fp32", readout: "fp32"})
    assert everything[0] > 1e-3
    assert first_exact[0] < 1e-6  # the responses see no layer besides these and the first
    assert first_exact[0] < error_of({names[0]: "fp32"})[0] < everything[0]
    assert max(error_of(dict.fromkeys(names, "fp32"))) < 1e-6
    assert error_of(dict.fromkeys(names, "bf16"))[1] < everything[1] / 3


def test_bfloat16_is_rounded_to_the_nearest_and_to_even():
    """Against PyTorch's own conversion."""
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(0).normal(size=4096).astype(np.float32)
    values[:4] = [1 + 2**-8, 1 + 3 * 2**-8, 0.0, -0.0]
    expected = torch.from_numpy(values).to(torch.bfloat16).view(torch.uint16).numpy()
    np.testing.assert_array_equal(to_bf16(values), expected)


@pytest.mark.parametrize(
    ("target", "precision"), [("aarch64-linux", "int8"), ("x86_64-macos", "int8"), ("x86_64-windows", "bf16")]
)
def test_a_target_that_does_not_multiply_such_numbers_is_refused(target, precision):
    with pytest.raises(ExportError, match=rf"--precision {precision}: is not computed in by compiled C for {target}"):
        find_target(target).of_precision(precision)


def test_dot_products_and_tiles_give_the_same_sums(tmp_path):
    """Sums of int8 are whole numbers; what is around them is the same code."""
    content = native_graphs.autoencoder()
    exact = dict.fromkeys([name for name, layer in layers_of(content, 64).items() if layer.shortest == "bf16"], "fp32")
    batch = native_graphs.images(content, 9)
    tiles, dots = (compile_shorter(content, tmp_path, "int8", name, layers=exact) for name in ("amx", "avx512_vnni"))
    for one, other in zip(tiles.run(batch), dots.run(batch), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=2e-6 * abs(one).max())


def test_a_library_for_windows_is_made(tmp_path):
    path = compile_graph(native_graphs.autoencoder(), tmp_path, precision="int8", target="x86_64-windows")
    assert path.read_bytes()[:2] == b"MZ"


def test_an_input_may_lie_anywhere(tmp_path):
    """A vector is read where the caller has it, which need not be aligned."""
    g = GraphBuilder(32, 1, 1)
    content = g.build(g.dense(g.flatten("image"), 20))
    for precision, machine in WAYS:
        loaded = compile_shorter(content, tmp_path, precision, machine)
        batch = native_graphs.images(content, 3)
        memory = np.zeros(batch.nbytes + 16, np.uint8)[4 : 4 + batch.nbytes].view(np.float32).reshape(batch.shape)
        memory[:] = batch
        assert memory.ctypes.data % 64
        np.testing.assert_array_equal(loaded.run(memory)[0], loaded.run(batch)[0])


@pytest.mark.parametrize(
    ("precision", "layers", "problem"),
    [
        ("int8", {"none": "fp32"}, "layers none: cannot be chosen; choose of elu_3, "),
        ("int8", {"elu_3": "int4"}, "layers int4: cannot be chosen; choose of elu_3, "),
        ("fp32", {"elu_3": "int8"}, "precision fp32: is that of a library with shorter layers"),
    ],
)
def test_layers_that_cannot_be_are_refused(tmp_path, precision, layers, problem):
    if not find_target("x86_64-linux").shorter:
        pytest.skip("no target has tiles")
    with pytest.raises(ExportError, match=problem):
        compile_graph(native_graphs.autoencoder(), tmp_path, precision=precision, layers=layers, target="x86_64-linux")

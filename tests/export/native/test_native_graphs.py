"""Random graphs of the covered operations, in odd shapes: the library answers as the ONNX reference evaluator does."""

from __future__ import annotations

import native_graphs
import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from native_graphs import GraphBuilder
from native_library import ALL_SETS, Loaded, assert_close, compile_graph, generated, instruction_sets_here, skip_without

from daenr_export.native.planning import plan

sizes = st.integers(1, 5)


@st.composite
def geometries(draw, size: tuple[int, int], transposed: bool):
    """Kernel, stride and pads that leave something of a map, and not too much."""
    kernel = tuple(draw(sizes) for _ in size)
    stride = tuple(draw(st.integers(1, 3)) for _ in size)
    pads = tuple(draw(st.integers(0, 2)) for _ in range(4))
    for n, k, s, a, b in zip(size, kernel, stride, pads[:2], pads[2:], strict=True):
        out = (n - 1) * s + k - a - b if transposed else (n + a + b - k) // s + 1
        if not (1 <= out <= 24 and (transposed or n + a + b >= k)):
            return {"kernel": (1, 1), "stride": (1, 1), "pads": (0, 0, 0, 0)}
    return {"kernel": kernel, "stride": stride, "pads": pads}


@st.composite
def usual(draw, size: tuple[int, int]):
    """What Winograd's products take: 4 by 4 taps with stride 2, on an even map."""
    return {"kernel": (4, 4), "stride": (2, 2), "pads": draw(st.sampled_from([(1, 1, 1, 1), (0, 2, 2, 0)]))}


class Described(bytes):
    """A graph that a failing test can print."""

    def __repr__(self) -> str:
        graph = onnx.load_from_string(self).graph
        shape = [axis.dim_value for axis in graph.input[0].type.tensor_type.shape.dim[1:]]
        return f"{shape}: {'; '.join(onnx.printer.to_text(node) for node in graph.node)}"


@st.composite
def graphs(draw) -> bytes:
    """A chain of convolutions with one to three outputs."""
    dtype = draw(st.sampled_from(["float32", "float32", "uint8"]))
    channels = draw(st.sampled_from([1, 2, 5, 16, 32]))
    g = GraphBuilder(channels, draw(st.integers(1, 13)), draw(st.integers(1, 13)), dtype=dtype, seed=draw(sizes))
    x, outputs = g.pixels("image") if dtype == "uint8" else "image", []
    x = g.standardise(x) if draw(st.integers(0, 2)) == 0 else x
    x = g.activate(g.activate(x, "Tanh"), "Elu") if draw(st.integers(0, 4)) == 0 else x
    for _ in range(draw(st.integers(0, 3))):
        size = g.shapes[x][1:]
        transposed = draw(st.booleans())
        is_usual = draw(st.booleans()) and (transposed or all(n % 2 == 0 and n > 2 for n in size)) and max(size) < 13
        geometry = draw(usual(size) if is_usual else geometries(size, transposed))
        count = draw(st.sampled_from([1, 3, 16, 20, 32, 40]))
        x = (g.conv_transpose if transposed else g.conv)(x, count, **geometry)
        kind = draw(st.sampled_from(["Elu", "Tanh", "none"]))
        x = x if kind == "none" else g.activate(x, kind)
        if draw(st.integers(0, 3)) == 0:
            outputs.append(x)
    head = draw(st.sampled_from(["none", "dense", "readout", "quantise", "fold"]))
    if head == "dense":
        x = g.softplus(g.dense(g.flatten(x), draw(st.sampled_from([1, 7, 103]))))
    elif head == "readout":
        x = g.softplus(g.readout(x, draw(st.sampled_from([1, 4, 103])), draw(st.sampled_from([0.0, 0.6, 1.0]))))
    elif head == "quantise":
        codes, x = g.quantise(x, draw(st.sampled_from([1, 2, 32])))
        outputs.append(codes)
    elif head == "fold":
        x = g.conv_transpose(g.activate(g.fold(g.dense(g.flatten(x), 24), 6, 2, 2), "Elu"), 3)
    if x == "image" or not outputs or outputs[-1] != x:
        x = x if x != "image" else g.activate(x, "Tanh")
        outputs.append(x)
    return Described(g.build(*outputs[-3:]))


@pytest.mark.slow
@generated(40)
@given(content=graphs(), number=st.integers(0, 2), at_once=st.booleans())
def test_answers_are_those_of_the_reference(content, number, at_once, tmp_path_factory):
    name = instruction_sets_here()[number % len(instruction_sets_here())]
    with pytest.MonkeyPatch.context() as patch:
        if at_once:  # which layers of a small graph would not do by themselves
            patch.setattr(plan, "MANY_WEIGHTS", 1)
        path = compile_graph(content, tmp_path_factory.mktemp("random"), instruction_sets=(name,))
    loaded = Loaded(path)
    assert loaded.instruction_set == name
    assert loaded.self_test()[0] == 0
    batch = native_graphs.images(content, 19, seed=1)
    expected = native_graphs.reference(content, batch)
    together = loaded.run(batch)
    assert_close(together, expected)
    for count in (1, 2):
        for ours, all_at_once in zip(loaded.run(batch[:count]), together, strict=True):
            np.testing.assert_array_equal(ours, all_at_once[:count])


@pytest.mark.parametrize("name", ALL_SETS)
def test_each_instruction_set_answers_as_the_reference(name, tmp_path):
    skip_without(name)
    content = native_graphs.autoencoder()
    loaded = Loaded(compile_graph(content, tmp_path, instruction_sets=(name,), options=()))
    assert loaded.instruction_set == name
    batch = native_graphs.images(content, 21, seed=3)
    together = loaded.run(batch)
    assert_close(together, native_graphs.reference(content, batch))
    for index in (0, 7, 8, 20):
        for ours, all_at_once in zip(loaded.run(batch[index : index + 1]), together, strict=True):
            np.testing.assert_array_equal(ours[0], all_at_once[index])


def test_the_best_instruction_set_is_chosen(tmp_path):
    content = native_graphs.autoencoder()
    loaded = Loaded(compile_graph(content, tmp_path))
    assert loaded.instruction_set == instruction_sets_here()[0]
    batch = native_graphs.images(content, 3)
    assert_close(loaded.run(batch), native_graphs.reference(content, batch))

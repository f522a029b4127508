"""What a graph asks for: counted by hand, by arithmetic on ones, and by PyTorch's own counter."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
import pytest
import torch
from bundle_factory import onnx_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from model_factory import images, random_model
from onnx import numpy_helper
from torch.nn.functional import conv2d, conv_transpose2d, pad
from torch.utils.flop_counter import FlopCounterMode

from daenr_bench.roofline.counting import Work, count
from daenr_export.graphs.make import make_graphs
from daenr_export.native.reading.graph import read_network
from daenr_export.native.reading.operations import Convolution, Lookup, Nearest, Network, Readout, TransposedConvolution
from daenr_export.specs import TensorSpec
from daenr_train.models.dae_nr import inference_parts

NEURONS = 102
MODELS = ("cae-fr2", "vae-fc3", "vqvae-fm1")


@cache
def graphs_of(name):
    return {key: graph.onnx for key, graph in make_graphs(random_model(name, NEURONS)).items()}


def works_of(name, graph) -> tuple[Work, ...]:
    return count(read_network(graphs_of(name)[graph]))


def total(works, field) -> int:
    return sum(getattr(work, field) for work in works)


def test_responses_of_cae_fr2_are_2_65_million_multiply_adds_of_which_a_tenth_meets_only_padding():
    """By hand: an output pixel at the edge has three taps of four inside, at both ends of both axes."""
    first, second, readout = works_of("cae-fr2", "responses")
    assert first.nominal_multiply_adds == 16 * 16 * (4 * 4) * 1 * 32
    assert second.nominal_multiply_adds == 8 * 8 * (4 * 4) * 32 * 64
    assert readout.nominal_multiply_adds == 64 * NEURONS * (8 * 8) + 64 * NEURONS
    assert total((first, second, readout), "nominal_multiply_adds") == 2_652_544
    assert first.multiply_adds == (16 * 4 - 2) ** 2 * 1 * 32
    assert second.multiply_adds == (8 * 4 - 2) ** 2 * 32 * 64
    assert readout.multiply_adds == readout.nominal_multiply_adds
    assert total((first, second, readout), "multiply_adds") == 2_390_528


def test_bytes_of_responses_of_cae_fr2_by_hand():
    first, second, readout = works_of("cae-fr2", "responses")
    assert [(w.weights, w.biases) for w in (first, second)] == [(4 * 4 * 32, 32), (4 * 4 * 32 * 64, 64)]
    assert (readout.weights, readout.biases) == ((64 + 64) * NEURONS, NEURONS)
    assert second.weight_bytes(1) == 4 * 4 * 32 * 64 + 4 * 64
    assert first.activation_bytes == 4 * (1 * 32 * 32 + 32 * 16 * 16)
    assert readout.activation_bytes == 4 * (64 * 8 * 8 + NEURONS)
    assert first.layer == "1×32×32 → 32×16×16, Convolution, elu"


@pytest.mark.parametrize("graph", ["encoder", "decoder", "joint"])
def test_weights_are_all_that_the_file_holds(graph):
    model = onnx.load_from_string(graphs_of("cae-fr2")[graph])
    held = sum(a.size for t in model.graph.initializer if (a := numpy_helper.to_array(t)).dtype == np.float32)
    scalars = held - sum(work.weights + work.biases for work in works_of("cae-fr2", graph))
    assert 0 <= scalars <= 1  # the threshold of softplus


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_with_padding_counted_it_is_what_pytorch_counts(name, part):
    model = random_model(name, NEURONS)
    parts = inference_parts(model)
    x = torch.from_numpy(images(1))
    entry = x if part == "encoder" else parts["encoder"](x)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        parts[part](entry)
    # Before the codebook stands a convolution of 1×1 that is folded into the one before it: work that nobody has to do.
    folded = 256 * 256 * 2 * 2 if (name, part) == ("vqvae-fm1", "decoder") else 0
    assert 2 * (total(works_of(name, part), "nominal_multiply_adds") + folded) == counter.get_total_flops()


def network_of(operation, shapes) -> Network:
    entry = TensorSpec("x", "float32", shapes["x"])
    out = TensorSpec("y", "float32", shapes["y"])
    return Network("test", entry, (out,), shapes, (operation,))


sizes = st.integers(1, 4)
pads = st.integers(0, 3)


@settings(deadline=None, max_examples=100)
@given(st.tuples(sizes, sizes), st.tuples(sizes, sizes), st.tuples(sizes, sizes), st.tuples(*[pads] * 4))
def test_a_convolution_of_ones_sums_to_its_multiply_adds(kernel, stride, channels, around):
    """Where all numbers are one, each multiply-add that meets the image adds one to the sum of the output."""
    height, width = 5, 7
    top, left, bottom, right = around
    weight = torch.ones((channels[1], channels[0], *kernel), dtype=torch.float64)
    image = pad(torch.ones((1, channels[0], height, width), dtype=torch.float64), (left, right, top, bottom))
    answer = conv2d(image, weight, stride=stride)
    ones = weight.numpy().astype(np.float32)
    operation = Convolution("x", "y", ones, np.zeros(channels[1]), stride, ((top, left), (bottom, right)))
    (work,) = count(network_of(operation, {"x": (channels[0], height, width), "y": tuple(answer.shape[1:])}))
    assert work.multiply_adds == int(answer.sum())
    assert work.nominal_multiply_adds == answer.numel() * channels[0] * kernel[0] * kernel[1]


@settings(deadline=None, max_examples=100)
@given(st.tuples(sizes, sizes), st.tuples(sizes, sizes), st.tuples(sizes, sizes), st.data())
def test_a_transposed_convolution_of_ones_sums_to_its_multiply_adds(kernel, stride, channels, data):
    height, width = 5, 7
    cut = tuple(data.draw(st.integers(0, size - 1)) for size in kernel)
    weight = torch.ones((*channels, *kernel), dtype=torch.float64)
    image = torch.ones((1, channels[0], height, width), dtype=torch.float64)
    answer = conv_transpose2d(image, weight, stride=stride, padding=cut)
    ones = weight.numpy().astype(np.float32)
    operation = TransposedConvolution("x", "y", ones, np.zeros(channels[1]), stride, cut)
    (work,) = count(network_of(operation, {"x": (channels[0], height, width), "y": tuple(answer.shape[1:])}))
    assert work.multiply_adds == int(answer.sum())
    assert work.nominal_multiply_adds == height * width * weight.numel()


def test_zeros_of_masks_and_features_are_no_work():
    rng = np.random.default_rng(0)
    masks = (rng.random((12, 7)) < 0.4).astype(np.float32)
    features = (rng.random((5, 7)) < 0.7).astype(np.float32)
    operation = Readout("x", "y", masks, features, np.zeros(7, np.float32))
    (work,) = count(network_of(operation, {"x": (5, 3, 4), "y": (7,)}))
    pairs = sum(masks[p, n] * features[c, n] for p in range(12) for c in range(5) for n in range(7))
    assert work.multiply_adds == pairs + features.sum()
    assert work.nominal_multiply_adds == 5 * 12 * 7 + 5 * 7
    assert work.weights == masks.sum() + features.sum()


def test_a_fixed_mask_that_is_mostly_zero_is_counted_by_what_is_left():
    model = onnx.load_from_string(graphs_of("vqvae-fm1")["readout"])
    (tensor,) = [t for t in model.graph.initializer if tuple(t.dims) == (16 * 16, NEURONS)]
    mask = numpy_helper.to_array(tensor).copy()
    mask[mask < mask.max(0) / 2] = 0
    tensor.CopyFrom(numpy_helper.from_array(mask, tensor.name))
    (work,) = count(read_network(model.SerializeToString()))
    assert work.nominal_multiply_adds == 32 * 16 * 16 * NEURONS + 32 * NEURONS
    assert work.multiply_adds == np.count_nonzero(mask) * 32 + 32 * NEURONS
    assert work.multiply_adds < work.nominal_multiply_adds / 2


@pytest.mark.parametrize(("pixels", "rows"), [((2, 2), 4), ((8, 8), 32)])
def test_a_codebook_is_read_by_rows_and_none_twice(pixels, rows):
    table = np.zeros((32, 256), np.float32)
    shapes = {"x": (32, *pixels), "codes": pixels, "y": (256, *pixels)}
    steps = (Nearest("x", "codes"), Lookup("codes", "y", table))
    entry, out = TensorSpec("x", "float32", shapes["x"]), TensorSpec("y", "float32", shapes["y"])
    nearest, lookup = count(Network("test", entry, (out,), shapes, steps))
    assert (nearest.multiply_adds, nearest.weights, lookup.multiply_adds) == (0, 0, 0)
    assert lookup.weights == rows * 256
    area = pixels[0] * pixels[1]
    assert (nearest.activation_bytes, lookup.activation_bytes) == (area * (4 * 32 + 8), area * (8 + 4 * 256))


def test_scaling_pixels_is_one_multiply_add_each_and_reads_a_byte():
    (scaling, *_) = count(read_network(onnx_graph("encoder", pixels="uint8")))
    assert (scaling.multiply_adds, scaling.nominal_multiply_adds) == (1024, 1024)
    assert (scaling.weights, scaling.activation_bytes) == (0, 1024 + 4096)

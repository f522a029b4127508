"""A graph of pixels: `--input uint8` puts the scaling of 0…255 to [-1, 1] into the graph itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from daenr_export.specs import Array


@dataclass(frozen=True)
class Pixels:
    """How pixels of 0…255 become an image: `pixel · scale + offset`; 1 / 127.5 and -1 for images in [-1, 1]."""

    scale: float
    offset: float


def to_pixels(images: Array, pixels: Pixels) -> Array:
    """The nearest pixels, uint8, of images that were scaled so."""
    return np.clip(np.rint((images.astype(np.float64) - pixels.offset) / pixels.scale), 0, 255).astype(np.uint8)


_SCALED = "image.scaled"


def take_pixels(model: onnx.ModelProto, pixels: Pixels) -> onnx.ModelProto:
    """The same graph with a uint8 image for its input, scaled in float32.

    Args:
        model: a graph whose input is `image`, float32; not changed.
        pixels: the scaling.
    """
    new = onnx.ModelProto()
    new.CopyFrom(model)
    graph = new.graph
    for node in graph.node:
        node.input[:] = [_SCALED if name == "image" else name for name in node.input]
    graph.input[0].type.tensor_type.elem_type = TensorProto.UINT8
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(pixels.scale, np.float32), "pixel.scale"),
            numpy_helper.from_array(np.array(pixels.offset, np.float32), "pixel.offset"),
        ]
    )
    front = [
        helper.make_node("Cast", ["image"], ["pixel.float"], name="pixel_cast", to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pixel.float", "pixel.scale"], ["pixel.product"], name="pixel_scale"),
        helper.make_node("Add", ["pixel.product", "pixel.offset"], [_SCALED], name="pixel_offset"),
    ]
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*front, *rest])
    return new

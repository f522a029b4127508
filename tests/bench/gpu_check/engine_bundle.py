"""A small bundle with engines of both flavours, which the doubles run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import bundle_factory as factory
import numpy as np
from tensorrt_double import COMPUTE_CAPABILITY, make_plan

from daenr_export.bundle import EngineEntry, ModelEntry
from daenr_export.bundle.golden import key
from daenr_export.bundle.writer import write_bundle
from daenr_export.verification.parity import to_manifest
from daenr_train.spec import parse_model_name

FLAVOURS = ("tensorrt-rtx", "tensorrt")
GRAPHS = ("encoder", "readout", "responses")
"""All that a model without a decoder has."""

IMAGES = 8


def make_engine_bundle(path: Path, version: str, *, spoilt: Mapping[str, str] | None = None) -> Path:
    """Write a bundle of three graphs; `spoilt` names for a flavour the graph whose engine answers wrongly."""
    inputs = {"image": factory.some_images(IMAGES)}
    inputs["features"] = factory.reference("encoder", inputs["image"])["features"]
    golden = {"image": inputs["image"], key("encoder", "features"): inputs["features"]}
    engines = []
    with write_bundle(path) as writer:
        for name in GRAPHS:
            model = factory.onnx_graph(name)
            writer.add(f"graphs/{name}.onnx", model)
            for flavour in FLAVOURS:
                file = f"engines/{flavour}/{name}.fp32.engine"
                wrong = (spoilt or {}).get(flavour) == name
                writer.add(file, make_plan(_spoil(model) if wrong else model, version=version))
                engines.append(
                    EngineEntry(name, file, flavour, version, "fp32", "fp32", (COMPUTE_CAPABILITY,), factory.BATCH, 0.1)
                )
            answers = factory.reference(name, inputs[factory.GRAPHS[name][0]])
            golden |= {key(name, output): answer for output, answer in answers.items()}
        manifest = factory.manifest_of(GRAPHS, writer.add_golden(golden, images=IMAGES))
        model = ModelEntry("cnn-fr1", parse_model_name("cnn-fr1", n_neurons=factory.NEURONS).to_json())
        writer.finish(manifest._replace(model=model, engines=tuple(engines), tolerances=to_manifest(["fp32"])))
    return path


def _spoil(model: bytes) -> bytes:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load_from_string(model)
    weight = graph.graph.initializer[0]
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight) * np.float32(1.1), weight.name))
    return graph.SerializeToString()

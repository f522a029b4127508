"""What a bundle answers to its own golden images here and now, neuron by neuron and picture by picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daenr_bench.result import Result
from daenr_common.errors import BackendUnavailableError, DaenrError
from daenr_export.bundle import Bundle
from daenr_export.bundle.golden import Golden, key
from daenr_export.runtime import registry
from daenr_export.runtime.model import Model, load
from daenr_export.specs import Array
from daenr_export.verification.parity import TOLERANCES, answer_all, is_scored

PICTURES = 8
"""Images that are shown."""

_FEWEST_IMAGES = 3

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Neurons:
    """Predicted responses, engine against reference, for each of M neurons.

    Attributes:
        ids: their names.
        error: largest difference over the largest reference of that neuron, `(M,)`.
        correlation: over images, `(M,)`; NaN where the reference hardly changes.
        images: over how many.
    """

    ids: tuple[str, ...]
    error: Floats
    correlation: Floats
    images: int


@dataclass(frozen=True)
class Pictures:
    """Images, their golden reconstructions, and the engine's, each `(N, 32, 32)` in [-1, 1].

    Attributes:
        original: what the model was shown.
        golden: what PyTorch answered.
        answer: what the engine answered; None if none runs here.
    """

    original: Floats
    golden: Floats
    answer: Floats | None


@dataclass(frozen=True)
class GoldenCheck:
    """A bundle's golden images, answered here.

    Attributes:
        backend: that answered; None if none can run here.
        remark: why none can.
        neurons: None without a readout or a backend.
        pictures: None without a decoder.
    """

    backend: str | None
    remark: str | None
    neurons: Neurons | None
    pictures: Pictures | None


def check_golden(path: Path, result: Result) -> GoldenCheck:
    """Answer the golden images on the backend that was fastest in a result, or the one that a rig would get.

    Args:
        path: the bundle that was measured.
        result: what was measured.

    Raises:
        BundleError: the bundle is missing, incomplete, edited or of another schema version.
        DaenrError: it is another bundle than the one that was measured.
    """
    bundle = Bundle.open(path)
    if bundle.manifest.sha256 != result.bundle.manifest_sha256:
        problem = f"is not the bundle that was measured, {result.bundle.name}: their manifests differ"
        raise DaenrError(path, problem, "give that bundle, or measure this one")
    try:
        model = load(path, _fastest(result) or registry.AUTO)
    except BackendUnavailableError as error:
        return GoldenCheck(None, str(error), None, _pictures(bundle, None))
    with model:
        return GoldenCheck(model.backend, None, _neurons(bundle, model), _pictures(bundle, model))


def _fastest(result: Result) -> str | None:
    """The backend with the smallest median on the graph that a rig runs, among those that can run here."""
    here = {status.name for status in registry.backends() if status.available}
    medians = [
        (m.latency.percentiles["p50"].value_ns or np.inf, m.backend)
        for m in result.measurements
        if m.backend in here and m.latency is not None and m.state == "pass" and m.scenario == "burst"
        if m.graph in ("responses", "reconstruction")
    ]
    return min(medians)[1] if medians else None


def _answers(bundle: Bundle, model: Model, graph: str, output: str) -> tuple[Array, Array]:
    """What a backend answers to all golden images, and the reference."""
    spec = model.graphs[graph]
    golden = Golden(bundle.golden(), bundle.path / bundle.manifest.golden.file)
    names = [each.name for each in spec.outputs]

    def run(batch: Array) -> tuple[Array, ...]:
        return tuple(model.run(graph, batch).values())

    answers = answer_all(run, golden.inputs(spec), spec.batch.opt)
    return answers[names.index(output)], golden.references(spec)[output]


def _neurons(bundle: Bundle, model: Model) -> Neurons | None:
    if "responses" not in model.graphs:
        return None
    answer, reference = (a.astype(np.float64) for a in _answers(bundle, model, "responses", "responses"))
    largest = np.abs(reference).max(axis=0)
    error = np.abs(answer - reference).max(axis=0) / np.where(largest > 0, largest, 1)
    return Neurons(_ids(model.neuron_ids, reference), error, _correlation(answer, reference), len(reference))


def _ids(ids: Sequence[str], reference: Floats) -> tuple[str, ...]:
    n = reference.shape[1]
    return tuple(ids) if len(ids) == n else tuple(str(number) for number in range(n))


def _correlation(answer: Floats, reference: Floats) -> Floats:
    """Pearson correlation of each column; NaN where it would say nothing."""
    scored = is_scored(reference, TOLERANCES["fp32"].flat) & (len(reference) >= _FEWEST_IMAGES)
    a, r = answer - answer.mean(axis=0), reference - reference.mean(axis=0)
    # An answer that does not vary at all correlates with nothing.
    norms = np.maximum(np.linalg.norm(a, axis=0) * np.linalg.norm(r, axis=0), np.finfo(np.float64).tiny)
    return np.where(scored, (a * r).sum(axis=0) / norms, np.nan)


def _pictures(bundle: Bundle, model: Model | None) -> Pictures | None:
    arrays = bundle.golden()
    golden = arrays.get(key("reconstruction", "reconstruction"))
    if golden is None:
        return None
    original = arrays.get("image.scaled", arrays["image"])
    answer = None
    if model is not None and "reconstruction" in model.graphs:
        answer = _shown(_answers(bundle, model, "reconstruction", "reconstruction")[0])
    return Pictures(_shown(original), _shown(golden), answer)


def _shown(images: Array) -> Floats:
    return images[:PICTURES].astype(np.float64).reshape(-1, *images.shape[-2:])

"""What a bundle makes of its own golden images here and now, to be seen beside them."""

from __future__ import annotations

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
from daenr_export.verification.parity import answer_all

PICTURES = 8
"""Images that are shown."""

Floats = NDArray[np.float64]


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
        pictures: None without a decoder.
    """

    backend: str | None
    remark: str | None
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
    if "reconstruction" not in bundle.manifest.graphs:
        return GoldenCheck(None, None, None)
    try:
        model = load(path, _fastest(result) or registry.AUTO)
    except BackendUnavailableError as error:
        return GoldenCheck(None, str(error), _pictures(bundle, None))
    with model:
        return GoldenCheck(model.backend, None, _pictures(bundle, model))


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


def _reconstructions(bundle: Bundle, model: Model) -> Array:
    """What a backend makes of all golden images."""
    spec = model.graphs["reconstruction"]
    golden = Golden(bundle.golden(), bundle.path / bundle.manifest.golden.file)
    names = [each.name for each in spec.outputs]

    def run(batch: Array) -> tuple[Array, ...]:
        return tuple(model.run("reconstruction", batch).values())

    return answer_all(run, golden.inputs(spec), spec.batch.opt)[names.index("reconstruction")]


def _pictures(bundle: Bundle, model: Model | None) -> Pictures | None:
    arrays = bundle.golden()
    golden = arrays.get(key("reconstruction", "reconstruction"))
    if golden is None:
        return None
    original = arrays.get("image.scaled", arrays["image"])
    answer = None
    if model is not None:
        answer = _shown(_reconstructions(bundle, model))
    return Pictures(_shown(original), _shown(golden), answer)


def _shown(images: Array) -> Floats:
    return images[:PICTURES].astype(np.float64).reshape(-1, *images.shape[-2:])

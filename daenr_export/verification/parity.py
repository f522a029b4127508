"""Is an answer the reference's answer? Distances between tensors, and the same in the words of the science.

Tensors are compared by their largest error over the output's scale, which is the largest absolute reference value:
an element-wise relative error says nothing about values near zero. Beside it stand what a user of the model would lose:
the correlation of each neuron's responses, the PSNR between two reconstructions, the share of equal codes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from daenr_common.errors import BundleError
from daenr_export.bundle.golden import in_batches
from daenr_export.specs import Array

IMAGE_RANGE = 2.0
"""Images are in [-1, 1]."""

FEWEST_IMAGES = 3
"""Two points are always on a line."""

_LEAST_SQUARED_ERROR = 1e-20
"""Keeps the PSNR of equal images finite: it ends at 206 dB."""


@dataclass(frozen=True)
class Tolerance:
    """What answers of one precision may differ from the reference by.

    Attributes:
        max_error_over_scale: largest absolute error over the largest absolute reference value, for each output.
        correlation: least Pearson correlation over images, for each neuron that is not flat.
        flat: a neuron is flat, and has no correlation worth the name, if the standard deviation of its reference over
            the images is below this share of its largest response, or below 1e-4 of the population's largest.
        psnr_db: least PSNR between the two reconstructions.
        code_agreement: least share of equal codes of a VQ-VAE.
    """

    max_error_over_scale: float
    correlation: float
    flat: float
    psnr_db: float
    code_agreement: float = 0.99


TOLERANCES: dict[str, Tolerance] = {
    "fp32": Tolerance(max_error_over_scale=5e-5, correlation=0.9999, flat=1e-3, psnr_db=100.0),
    "tf32": Tolerance(max_error_over_scale=3e-2, correlation=0.99, flat=2e-2, psnr_db=50.0),
    "fp16": Tolerance(max_error_over_scale=3e-2, correlation=0.99, flat=2e-2, psnr_db=50.0),
    "bf16": Tolerance(max_error_over_scale=0.15, correlation=0.99, flat=5e-2, psnr_db=30.0, code_agreement=0.95),
    "int8": Tolerance(max_error_over_scale=0.25, correlation=0.99, flat=5e-2, psnr_db=30.0, code_agreement=0.95),
}
"""By precision; TF32 and float16 both keep ten bits of a factor, bfloat16 seven. What bfloat16 and int8 may cost is
decided by the margins of the science when a bundle is exported; these tolerances find an engine that is broken.

Over the 51 models with random weights and lively readouts (what goes into softplus varies with a standard deviation of
1.5 over images of noise), the largest errors of onnxruntime are, in float32: features 4e-7, reconstruction 6e-7,
responses 8e-6; in float16: features 3e-4, reconstruction 7e-4, responses 9e-3. Responses are worst because a readout
sums many features that are much alike in all images and keeps what differs. Correlations stay above 0.9999.
"""

_FLAT_IN_POPULATION = 1e-4


def to_manifest(precisions: Iterable[str]) -> dict[str, float]:
    """Tolerances as a manifest holds them: `{"fp32.max_error_over_scale": 1e-5, …}`."""
    return {f"{p}.{name}": value for p in precisions for name, value in asdict(TOLERANCES[p]).items()}


def from_manifest(tolerances: Mapping[str, float], precision: str) -> Tolerance:
    """The tolerance that a bundle was exported with.

    Raises:
        BundleError: the manifest has none for this precision.
    """
    try:
        return Tolerance(**{name: tolerances[f"{precision}.{name}"] for name in Tolerance.__dataclass_fields__})
    except KeyError as error:
        raise BundleError(
            f"tolerance {error.args[0]}", "is missing in the manifest", "export the bundle again from its checkpoint"
        ) from error


def widened(tolerances: Mapping[str, float], precision: str) -> list[str]:
    """Which tolerances of a manifest let more pass than this daenr does."""
    mine, theirs = asdict(TOLERANCES[precision]), asdict(from_manifest(tolerances, precision))
    looser = {
        name: theirs[name] < limit if name in ("correlation", "psnr_db") else theirs[name] > limit
        for name, limit in mine.items()
    }
    return [f"{precision}.{name} is {theirs[name]:g}, not {mine[name]:g}" for name, yes in looser.items() if yes]


@dataclass(frozen=True)
class Comparison:
    """How one output of a graph compares with its reference.

    Attributes:
        output: its name.
        metrics: what was measured, by name; empty if the answer could not be measured at all.
        problems: what is beyond tolerance; none if the output is good.
    """

    output: str
    metrics: dict[str, float]
    problems: tuple[str, ...]


def answer_all(run: Callable[[Array], tuple[Array, ...]], inputs: Array, batch: int) -> list[Array]:
    """Answer all inputs in batches of exactly `batch`; one array `(N, …)` for each output."""
    answers = zip(*(run(part) for part in in_batches(inputs, batch)), strict=True)
    return [np.concatenate(parts)[: len(inputs)] for parts in answers]


def compare(
    answers: Mapping[str, Array], references: Mapping[str, Array], tolerance: Tolerance
) -> tuple[Comparison, ...]:
    """Compare the outputs of one graph.

    Args:
        answers: by output, `(N, …)`.
        references: the same of the reference.
        tolerance: of the precision that answered.

    Returns:
        One comparison for each reference.
    """
    # A code that lies between two entries may fall to either side. It changes the whole image, so the reconstruction
    # is compared where the codes agree, and how often they agree is held against a tolerance of its own.
    same_codes = _same_codes(answers, references)
    return tuple(_compare(name, answers.get(name), references[name], same_codes, tolerance) for name in references)


def _same_codes(answers: Mapping[str, Array], references: Mapping[str, Array]) -> NDArray[np.bool_] | None:
    if "codes" not in references or "codes" not in answers or answers["codes"].shape != references["codes"].shape:
        return None
    equal = answers["codes"] == references["codes"]
    same: NDArray[np.bool_] = equal.reshape(len(equal), -1).all(1)
    return same


def _compare(
    name: str, answer: Array | None, reference: Array, same_codes: NDArray[np.bool_] | None, tolerance: Tolerance
) -> Comparison:
    if answer is None:
        return Comparison(name, {}, (f"{name} is missing",))
    if answer.shape != reference.shape or answer.dtype != reference.dtype:
        expected = f"{reference.dtype} {reference.shape}"
        return Comparison(name, {}, (f"{name} is {answer.dtype} {answer.shape}, expected {expected}",))
    if name == "codes":
        return _judge(name, {"code_agreement": float((answer == reference).mean())}, tolerance)
    if not np.isfinite(answer).all():
        return Comparison(name, {}, (f"{name} holds {np.count_nonzero(~np.isfinite(answer))} NaN or infinite values",))
    answer, reference = answer.astype(np.float64), reference.astype(np.float64)
    metrics: dict[str, float] = {}
    if name == "reconstruction":
        if same_codes is not None:
            answer, reference = answer[same_codes], reference[same_codes]
            metrics["images_compared"] = len(answer)
        if not len(answer):
            return Comparison(name, metrics, ("reconstruction: no image has the codes of the reference",))
        metrics["psnr_db"] = psnr_db(answer, reference)
    metrics |= distances(answer, reference)
    if name == "responses":
        metrics |= correlations(answer, reference, tolerance.flat)
    return _judge(name, metrics, tolerance)


def distances(answer: Array, reference: Array) -> dict[str, float]:
    """Largest error and RMS error, over the reference's largest absolute value and RMS, and the cosine."""
    error, scale = np.abs(answer - reference), np.abs(reference).max()
    norms = np.linalg.norm(answer) * np.linalg.norm(reference)
    return {
        "max_error_over_scale": float(error.max() / (scale or 1.0)),
        "relative_rms": float(np.linalg.norm(error) / (np.linalg.norm(reference) or 1.0)),
        "cosine": float((answer * reference).sum() / norms) if norms else float(not error.any()),
    }


def correlations(answer: Array, reference: Array, flat: float) -> dict[str, float]:
    """Least Pearson correlation over images among the neurons that are not flat, and how many are and are not.

    Nothing for fewer than three images, whose correlation would say nothing.

    Args:
        answer: `(N, M)`.
        reference: `(N, M)`.
        flat: see `Tolerance`.
    """
    if len(reference) < FEWEST_IMAGES:
        return {}
    by_neuron = correlation_by_neuron(answer, reference, flat)
    scored = np.isfinite(by_neuron)
    counts: dict[str, float] = {"neurons_scored": int(scored.sum()), "neurons_flat": int((~scored).sum())}
    return {"correlation": float(by_neuron[scored].min()), **counts} if scored.any() else counts


def correlation_by_neuron(answer: Array, reference: Array, flat: float) -> NDArray[np.float64]:
    """Pearson correlation over images of each neuron's responses with the reference's, `(M,)`; NaN for flat neurons.

    Args:
        answer: `(N, M)`.
        reference: `(N, M)`.
        flat: see `Tolerance`.
    """
    a, r = (values - values.mean(0) for values in (answer.astype(np.float64), reference.astype(np.float64)))
    # An answer that does not vary at all correlates with nothing.
    norms = np.maximum(np.linalg.norm(a, axis=0) * np.linalg.norm(r, axis=0), np.finfo(np.float64).tiny)
    return np.where(is_scored(reference, flat), (a * r).sum(0) / norms, np.nan)


def is_scored(reference: Array, flat: float) -> NDArray[np.bool_]:
    """Which neurons vary enough over images to have a correlation, `(M,)`; see `Tolerance.flat`.

    Args:
        reference: `(N, M)`.
        flat: see `Tolerance`.
    """
    largest = np.abs(reference).max(0)
    scored: NDArray[np.bool_] = reference.std(0) > np.maximum(
        flat * largest, _FLAT_IN_POPULATION * largest.max(initial=0.0)
    )
    return scored


def psnr_db(answer: Array, reference: Array) -> float:
    """Peak signal-to-noise ratio in decibels between images in [-1, 1]; at most 206 dB."""
    squared_error = max(float(np.square(answer - reference).mean()), _LEAST_SQUARED_ERROR)
    return float(10 * np.log10(IMAGE_RANGE**2 / squared_error))


def _judge(name: str, metrics: dict[str, float], tolerance: Tolerance) -> Comparison:
    problems = []
    if (worst := metrics.get("max_error_over_scale", 0.0)) > tolerance.max_error_over_scale:
        problems.append(f"{name}: error {worst:.1e} of its scale, tolerated {tolerance.max_error_over_scale:.0e}")
    for metric in ("correlation", "psnr_db", "code_agreement"):
        least = getattr(tolerance, metric)
        if metrics.get(metric, least) < least:
            problems.append(f"{name}: {metric} {metrics[metric]:.6g}, at least {least:g} expected")
    return Comparison(name, metrics, tuple(problems))

"""What a neuroscientist would lose by an engine: figures of the science on held-out images, held against margins.

Where `daenr_export.verification.parity` asks how far tensors are from each other, this asks whether the model still
predicts each neuron, and still reconstructs the images, as well as the reference does. Whatever makes an engine less
precise on purpose is accepted or refused by it. Needs no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from daenr_common.errors import BackendUnavailableError
from daenr_common.verdict import Verdict
from daenr_export.specs import Array
from daenr_export.verification.margins import AT_LEAST, Margins
from daenr_export.verification.parity import FEWEST_IMAGES, correlation_by_neuron, is_scored
from daenr_train.metrics import correlation_to_average, psnr, ssim

Floats = NDArray[np.float64]

FLAT = 1e-3
"""Neurons that vary less over the images have no correlation worth the name (`parity.Tolerance.flat`).

It is the same for all precisions: where an engine's rounding hides what a neuron does, the neuron is lost.
"""

_MOST_DB = 200.0
"""A PSNR beyond which reconstructions are exact for all purposes; keeps differences finite."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Images that the model was not fitted to, and what is known of them.

    Attributes:
        images: `(N, 1, 32, 32)` in [-1, 1]; rows are those of the answers.
        neuron_ids: M names.
        recorded: responses of the neurons to the images, `(repeats, N, M)`, NaN where there is none; None without.
        why_not_recorded: why there are none.
    """

    images: Array
    neuron_ids: tuple[str, ...] = ()
    recorded: Array | None = None
    why_not_recorded: str = "no recorded responses were given"


@dataclass(frozen=True)
class Finding:
    """A figure that was held against its margin.

    Attributes:
        output: `responses`, `reconstruction` or `codes`.
        metric: a name of `margins.METRICS`.
        value: of the worst neuron, or the mean over images; None where nothing could be measured.
        margin: that it was held against.
        verdict: `pass`, `fail` or `cannot tell`.
        reason: of the verdict; it names the neuron or image that is worst.
        broken: neurons that are beyond the margin.
        counted: neurons, images or codes that the figure is over.
        left_out: neurons that have no such figure, because the reference, or the recording, hardly varies.
    """

    output: str
    metric: str
    value: float | None
    margin: float
    verdict: str
    reason: str
    broken: tuple[str, ...] = ()
    counted: int = 0
    left_out: int = 0


@dataclass(frozen=True, eq=False)
class Science:
    """What was found out about the answers of a graph.

    Attributes:
        findings: one for each margin that its outputs have.
        by_neuron: by name, `(M,)`, NaN where a neuron has no such figure: `correlation_with_reference`,
            `error_over_largest`, and with recorded responses `recorded_correlation` and
            `recorded_correlation_of_reference`.
    """

    findings: tuple[Finding, ...] = ()
    by_neuron: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def problems(self) -> tuple[str, ...]:
        """What is beyond its margin, in words."""
        return tuple(f"{f.output}: {f.reason}" for f in self.findings if f.verdict == Verdict.FAIL.value)


def judge(
    answers: Mapping[str, Array], references: Mapping[str, Array], held_out: HeldOut, margins: Margins
) -> Science:
    """Hold the answers of one graph against margins.

    Args:
        answers: by output, `(N, …)`, of the references' shapes and finite.
        references: the same of the reference.
        held_out: the images, and the recorded responses to them.
        margins: what may be lost.
    """
    findings: list[Finding] = []
    by_neuron: dict[str, Floats] = {}
    if "responses" in answers:
        by_neuron = _by_neuron(answers["responses"], references["responses"], held_out)
        findings += _of_neurons(by_neuron, held_out, margins)
    if "reconstruction" in answers:
        findings += _of_images(answers["reconstruction"], references["reconstruction"], held_out.images, margins)
    if "codes" in answers:
        findings.append(_of_codes(answers["codes"], references["codes"], margins))
    return Science(tuple(findings), by_neuron)


def _by_neuron(answer: Array, reference: Array, held_out: HeldOut) -> dict[str, Floats]:
    answer, reference = answer.astype(np.float64), reference.astype(np.float64)
    largest = np.abs(reference).max(0)
    found = {
        "error_over_largest": np.abs(answer - reference).max(0) / np.where(largest > 0, largest, 1.0),
        "correlation_with_reference": correlation_by_neuron(answer, reference, FLAT),
    }
    if held_out.recorded is not None:
        of_reference = correlation_to_average(reference, held_out.recorded).per_neuron
        of_reference = np.where(is_scored(reference, FLAT), of_reference, np.nan)
        of_answer = correlation_to_average(answer, held_out.recorded).per_neuron
        # Where the reference tells something and the answer is constant, nothing is left of the correlation.
        of_answer = np.where(np.isfinite(of_reference), np.nan_to_num(of_answer), np.nan)
        found |= {"recorded_correlation_of_reference": of_reference, "recorded_correlation": of_answer}
    return found


def _of_neurons(by_neuron: Mapping[str, Floats], held_out: HeldOut, margins: Margins) -> Iterator[Finding]:
    n = len(held_out.images)
    if n < FEWEST_IMAGES:
        for metric in ("correlation_with_reference", "recorded_correlation_drop"):
            yield _cannot_tell("responses", metric, margins, f"{n} images are too few for a correlation")
        return
    names, correlation = held_out.neuron_ids, by_neuron["correlation_with_reference"]
    yield _worst_neuron("correlation_with_reference", correlation, names, margins)
    if held_out.recorded is None:
        reason = f"not measured: {held_out.why_not_recorded}"
        yield _cannot_tell("responses", "recorded_correlation_drop", margins, reason)
        return
    drop = by_neuron["recorded_correlation_of_reference"] - by_neuron["recorded_correlation"]
    yield _worst_neuron("recorded_correlation_drop", drop, names, margins)


def _worst_neuron(metric: str, values: Floats, neuron_ids: Sequence[str], margins: Margins) -> Finding:
    """The finding on a figure that every neuron has: it holds if it holds for each.

    Args:
        metric: its name.
        values: `(M,)`, NaN for neurons without.
        neuron_ids: their names.
        margins: with that of the metric.
    """
    scored = np.flatnonzero(np.isfinite(values))
    left_out = len(values) - len(scored)
    if not len(scored):
        reason = f"constant or silent: none of {len(values)} neurons varies enough over the images"
        return _cannot_tell("responses", metric, margins, reason, left_out)
    worst_first = scored[np.argsort(values[scored] if metric in AT_LEAST else -values[scored], kind="stable")]
    names = {index: neuron_ids[index] if index < len(neuron_ids) else str(index) for index in worst_first.tolist()}
    broken = tuple(name for index, name in names.items() if not margins.holds(metric, float(values[index])))
    value, worst = float(values[worst_first[0]]), names[int(worst_first[0])]
    more = f"; {len(broken)} of {len(scored)} neurons break it" if len(broken) > 1 else ""
    more += f" ({left_out} hardly vary and have none)" if left_out else ""
    subject = f"{_WORDS[metric]} of neuron {worst} is"
    return _held("responses", metric, value, margins, subject, more, broken, len(scored), left_out)


def _of_images(answer: Array, reference: Array, images: Array, margins: Margins) -> Iterator[Finding]:
    """Findings on reconstructions: means over images, because a paper reports means."""
    for metric, measure in (("psnr_drop_db", _psnr), ("ssim_drop", ssim)):
        try:
            drop = measure(images, reference) - measure(images, answer)
        except BackendUnavailableError as error:  # scikit-image is not installed
            yield _cannot_tell("reconstruction", metric, margins, f"not measured: {error}")
            continue
        more = f"; most, by {drop.max():.3g}, on image {drop.argmax()}"
        subject = f"{_WORDS[metric]}, in the mean over images, is"
        yield _held("reconstruction", metric, float(drop.mean()), margins, subject, more, counted=len(drop))


def _psnr(images: Array, reconstructions: Array) -> Floats:
    return np.minimum(psnr(images, reconstructions), _MOST_DB)


def _of_codes(answer: Array, reference: Array, margins: Margins) -> Finding:
    value, counted = float((answer == reference).mean()), int(answer.size)
    subject = f"{_WORDS['code_agreement']} is"
    return _held("codes", "code_agreement", value, margins, subject, counted=counted)


def _held(
    output: str,
    metric: str,
    value: float,
    margins: Margins,
    subject: str,
    more: str = "",
    broken: tuple[str, ...] = (),
    counted: int = 0,
    left_out: int = 0,
) -> Finding:
    """A figure with its verdict, and the reason in a sentence."""
    margin = margins.of(metric)
    limit = f"at least {margin:g} expected" if metric in AT_LEAST else f"at most {margin:g} allowed"
    verdict = Verdict.PASS if margins.holds(metric, value) else Verdict.FAIL
    reason = f"{subject} {value:.6g}, {limit}{more}"
    return Finding(output, metric, value, margin, verdict.value, reason, broken, counted, left_out)


def _cannot_tell(output: str, metric: str, margins: Margins, reason: str, left_out: int = 0) -> Finding:
    return Finding(output, metric, None, margins.of(metric), Verdict.CANNOT_TELL.value, reason, left_out=left_out)


_WORDS = {
    "correlation_with_reference": "correlation with the reference",
    "recorded_correlation_drop": "loss of correlation with the recorded responses",
    "psnr_drop_db": "loss of PSNR against the images, in dB",
    "ssim_drop": "loss of SSIM against the images",
    "code_agreement": "share of codes that are the reference's",
}

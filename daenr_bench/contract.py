"""The margins of a result on one page: each with the figure that comes nearest to it, or is farthest beyond it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from daenr_bench.report import words
from daenr_bench.result import Accuracy
from daenr_common.verdict import Verdict, overall
from daenr_export.verification.margins import AT_LEAST, METRICS
from daenr_export.verification.science import Finding

TITLES = {
    "correlation_with_reference": "each neuron's correlation with the reference",
    "recorded_correlation_drop": "each neuron's loss of correlation with its recorded responses",
    "psnr_drop_db": "loss of PSNR of reconstructions, dB",
    "ssim_drop": "loss of SSIM of reconstructions",
    "code_agreement": "codes equal to the reference's",
}
"""Metrics for readers."""

_SENTENCES = {
    "correlation_with_reference": "each neuron’s correlation with the reference is at least {}",
    "recorded_correlation_drop": "no neuron lost more than {} of its correlation with the recording",
    "psnr_drop_db": "reconstructions lost {} dB of PSNR",
    "ssim_drop": "reconstructions lost {} of SSIM",
    "code_agreement": "{} of the codes are equal",
}
_NOTHING_LOST = {
    "recorded_correlation_drop": "no neuron lost any of its correlation with the recording",
    "psnr_drop_db": "reconstructions lost no PSNR",
    "ssim_drop": "reconstructions lost no SSIM",
}


@dataclass(frozen=True)
class Kept:
    """A margin, and whether it is kept.

    Attributes:
        metric: its name.
        margin: in figures.
        verdict: over all that was compared; FAIL if it is broken once, CANNOT_TELL if it was measured nowhere.
        worst: the finding that decides.
        accuracy: that it belongs to.
    """

    metric: str
    margin: float
    verdict: Verdict
    worst: Finding
    accuracy: Accuracy


def contract_of(accuracy: Sequence[Accuracy]) -> list[Kept]:
    """All margins that something was held against, in their order."""
    kept = []
    for metric in METRICS:
        found = [(finding, a) for a in accuracy for finding in a.science if finding.metric == metric]
        if found:
            worst, where = min(found, key=lambda each: _badness(each[0]))
            verdict = overall(Verdict(finding.verdict) for finding, _ in found)
            kept.append(Kept(metric, worst.margin, verdict, worst, where))
    return kept


def _badness(finding: Finding) -> float:
    """The worst comes first; what could not be measured, last."""
    if finding.value is None:
        return float("inf")
    return finding.value if finding.metric in AT_LEAST else -finding.value


def limit(metric: str, margin: float) -> str:
    """A margin for readers: `≥ 0.999`."""
    sign = "≥" if metric in AT_LEAST else "≤"
    return f"{sign}\u00a0{words.share(margin) if metric == 'code_agreement' else f'{margin:g}'}"


def figure(metric: str, value: float | None) -> str:
    """A figure for readers; what is nearly 1 is read as its distance from 1."""
    if value is None:
        return words.NONE
    if metric == "code_agreement":
        return words.share(value)
    if metric != "correlation_with_reference":
        return words.digits(value).replace("-", "−")
    distance = 1 - value
    return f"{value:.4f}" if abs(distance) >= 1e-3 else f"1 − {words.scientific(max(distance, 0.0))}"


def in_words(kept: Sequence[Kept]) -> str:
    """What answers are worth, in a sentence or two; empty where nothing was held against a margin."""
    figures = [f"{_figure_in_words(k)} ({limit(k.metric, k.margin)})" for k in kept if k.worst.value is not None]
    missing = [TITLES[k.metric] for k in kept if k.worst.value is None]
    word = "break a margin" if any(k.verdict is Verdict.FAIL for k in kept) else "keep their margins"
    sentences = [f"Its answers {word}: {'; '.join(figures)}."] if figures else []
    sentences += [f"Not measured: {words.listed(missing)}."] if missing else []
    return " ".join(sentences)


def _figure_in_words(kept: Kept) -> str:
    value = kept.worst.value
    if kept.metric in _NOTHING_LOST and value is not None and value <= 0:
        return _NOTHING_LOST[kept.metric]
    return _SENTENCES[kept.metric].format(figure(kept.metric, value))

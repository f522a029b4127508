"""Missed deadlines: how many in a row, and whether they are few enough."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from daenr_bench.statistics.binomial import log_cdf
from daenr_bench.statistics.percentiles import CONFIDENCE
from daenr_common.verdict import Verdict

ALLOWED_SHARE = 0.01
"""Of frames that may miss their deadline: the deadline is held against p99."""


def longest_run(missed: NDArray[np.bool_]) -> int:
    """How many frames in a row missed at most."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], missed, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def judge_misses(misses: int, frames: int, allowed_share: float = ALLOWED_SHARE) -> tuple[Verdict, str]:
    """Whether the true share of misses is at most the allowed one, by an exact binomial test at 99 % confidence.

    Args:
        misses: that were counted.
        frames: among so many.
        allowed_share: above 0 and below 1.

    Returns:
        PASS if a larger share would hardly have shown so few misses, FAIL if the allowed share would hardly have shown
        so many, else CANNOT_TELL; and the reason.
    """
    counted = f"{misses} of {frames} frames missed, {allowed_share:.3g} of them may"
    if not frames:
        return Verdict.CANNOT_TELL, "no frame was due"
    log_at_most = log_cdf(frames, allowed_share, misses)
    if log_at_most[misses] <= math.log1p(-CONFIDENCE):
        return Verdict.PASS, counted
    if misses and log_at_most[misses - 1] >= math.log(CONFIDENCE):
        return Verdict.FAIL, counted
    return Verdict.CANNOT_TELL, f"{counted}: too few frames to tell with {CONFIDENCE:.0%} confidence"

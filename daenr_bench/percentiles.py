"""Moved to `daenr_bench.statistics.percentiles`."""

from __future__ import annotations

from daenr_bench.statistics.percentiles import DEFINITION, Percentile, percentiles

__all__ = ["DEFINITION", "Percentile", "percentiles"]

"""Measures a bundle: does it still do what the checkpoint did, and how fast.

    from daenr_bench import benchmark
    report = benchmark("cae_fr2.daenr", checkpoint="cae_fr2.pt")
    report.result.verdict, report.result.measurements

Importing this brings in neither torch nor any engine.
"""

from __future__ import annotations

from daenr_bench.plan import Plan
from daenr_bench.result import Result
from daenr_bench.result_files import Report
from daenr_bench.run import benchmark

__all__ = ["Plan", "Report", "Result", "benchmark"]

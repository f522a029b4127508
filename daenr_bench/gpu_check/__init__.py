"""`daenr-bench gpu-check`: everything that a machine with a GPU can show, in one archive to send back."""

from __future__ import annotations

from daenr_bench.gpu_check.check import gpu_check

__all__ = ["gpu_check"]

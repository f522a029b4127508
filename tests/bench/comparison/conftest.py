from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
# Engines of known latency, a bundle like a rig's, and the helpers of these tests.
sys.path[:0] = [str(ROOT / "tests" / "bench"), str(ROOT / "benchmarks"), str(Path(__file__).parent)]

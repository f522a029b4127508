from __future__ import annotations

import sys
from pathlib import Path

# Bundles are made by the factory of the bench's tests.
sys.path.insert(0, str(Path(__file__).parents[1]))

import sys
from pathlib import Path

_TESTS = Path(__file__).parents[2]
sys.path[:0] = [str(_TESTS / "doubles"), str(_TESTS / "export" / "tensorrt")]

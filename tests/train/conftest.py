from __future__ import annotations

import pytest
from small import make_small_recording

from daenr_train.data import Recording


@pytest.fixture(scope="session")
def small_recording() -> Recording:
    """A recording small enough to fit in seconds."""
    return make_small_recording()

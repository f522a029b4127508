"""What a loop refuses before its first frame."""

from __future__ import annotations

import numpy as np
import pytest
from loop_parts import SPEC, Collector, MeanSession

from daenr_common.errors import DaenrError
from daenr_export.loop.closed_loop import ClosedLoop
from daenr_export.specs import TensorSpec


class OtherGraph(MeanSession):
    spec = SPEC._replace(name="reconstruction", outputs=(TensorSpec("reconstruction", "float32", (1, 32, 32)),))


SESSION = MeanSession()
REFUSED = {
    "deadline 0": ({"deadline_ms": 0}, "deadline_ms: is 0; give a positive number of milliseconds"),
    "deadline NaN": ({"deadline_ms": float("nan")}, "deadline_ms: is nan; give a positive"),
    "deadline text": ({"deadline_ms": "8"}, "deadline_ms: is '8'; give a positive"),
    "policy": ({"policy": "newest"}, "policy: is 'newest'; give 'latest' or 'fifo'"),
    "queue": ({"queue": 0}, "queue: is 0; give a whole number of at least 1"),
    "max_faults": ({"max_faults": 2.5}, "max_faults: is 2.5; give a whole number of at least 1"),
    "budget": ({"hook": print, "hook_budget_ms": -1}, "hook_budget_ms: is -1; give a positive number"),
    "budget alone": ({"hook_budget_ms": 1}, "hook_budget_ms: is given without a hook; give the hook too, or neither"),
    "sink": ({"sink": []}, "sink: is a list; give something that can be called"),
    "hook": ({"hook": 3}, "hook: is a int; give something that can be called"),
    "fallback": ({"fallback": "last"}, "fallback: is 'last'; give 'hold', an array or a callable"),
    "fallback shape": (
        {"fallback": np.zeros(2, np.float32)},
        "fallback: has the shape (2,); give the answer's, (1, 2)",
    ),
    "standby itself": ({"standby": SESSION}, "standby: is the session that it stands by for; open another"),
    "standby graph": (
        {"standby": OtherGraph()},
        "standby: has other inputs or outputs: it answers the graph reconstruction, and the session responses; "
        "open the same graph for both",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_setting_that_cannot_be_is_refused_in_one_line(case) -> None:
    options, message = REFUSED[case]
    with pytest.raises(DaenrError) as refusal:
        ClosedLoop(**{"session": SESSION, "source": [], "sink": Collector(), "deadline_ms": 8} | options)
    assert str(refusal.value).startswith(message)


def test_with_a_hook_the_fallback_may_be_anything() -> None:
    ClosedLoop(SESSION, [], Collector(), deadline_ms=8, hook=lambda frame, outputs: 0.0, fallback=np.zeros(7))
    ClosedLoop(SESSION, [], Collector(), deadline_ms=8, hook=lambda frame, outputs: 0.0, fallback=0.0)

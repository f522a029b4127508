"""What a run measures: scenarios and their settings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from daenr_bench.scenarios.burst import Burst
from daenr_bench.scenarios.cold import Cold
from daenr_bench.scenarios.loadgen import Offline, SingleStream, require_loadgen
from daenr_bench.scenarios.paced import Paced, PacedWarm
from daenr_bench.scenarios.pacing import Pace
from daenr_bench.scenarios.soak import Soak
from daenr_bench.scenarios.throughput import Throughput
from daenr_bench.scenarios.tracks import Scenario

NAMES = ("burst", "paced", "paced-warm", "cold", "throughput", "soak")
DEFAULT = ("burst", "paced", "cold", "throughput")


@dataclass(frozen=True)
class Plan:
    """What is measured, in this order.

    Attributes:
        scenarios: with their settings.
        seed: decides which timed answers are compared.
    """

    scenarios: tuple[Scenario, ...] = (Burst(), Paced(), Cold(), Throughput())
    seed: int = 0


def plan_of(
    names: tuple[str, ...] = (),
    *,
    samples: int | None = None,
    rate_hz: float = 100.0,
    deadline_ms: float | None = None,
    keep_warm: bool = False,
    duration_s: float = 60.0,
    loadgen: bool = False,
    seed: int = 0,
) -> Plan:
    """A plan in the words of the command line.

    Args:
        names: of `NAMES`; none for `DEFAULT`.
        samples: timed calls in `burst` and frames in `paced`; None for the defaults of each.
        rate_hz: of `paced` and `soak`.
        deadline_ms: of each frame, and then a part of the verdict; None for the period.
        keep_warm: add `paced-warm` where `paced` is measured, and soak kept warm.
        duration_s: of `soak`, for each backend.
        loadgen: add MLPerf's LoadGen.
        seed: decides which timed answers are compared.

    Raises:
        DaenrError: the soak would be too long for its rate.
        MissingExtraError: LoadGen is not installed.
    """
    chosen = list(dict.fromkeys(names or DEFAULT))
    if keep_warm and "paced" in chosen and "paced-warm" not in chosen:
        chosen.insert(chosen.index("paced") + 1, "paced-warm")
    pace = Pace(rate_hz, None if deadline_ms is None else round(deadline_ms * 1e6))
    makers: dict[str, Callable[[], Scenario]] = {
        "burst": lambda: Burst() if samples is None else Burst(samples=samples),
        "paced": lambda: Paced(pace) if samples is None else Paced(pace, samples=samples),
        "paced-warm": lambda: PacedWarm(pace) if samples is None else PacedWarm(pace, samples=samples),
        "cold": Cold,
        "throughput": Throughput,
        "soak": lambda: Soak(pace, duration_s, keep_warm),
    }
    extra = _loadgen() if loadgen else ()
    return Plan((*(makers[name]() for name in chosen), *extra), seed)


def _loadgen() -> tuple[Scenario, ...]:
    require_loadgen()
    return SingleStream(), Offline()

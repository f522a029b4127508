"""The scenario "paced": single images on a fixed schedule, latency from the instant each was due.

It is what a rig feels. Between two frames the engine rests and processor and caches go cold, so it is several times
slower than in a burst; in "paced-warm" the engine runs while the loop waits (`RealtimeSession`, keep_warm).
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar

from daenr_bench.cells import BATCH, Cell
from daenr_bench.measurement import WarmUp
from daenr_bench.overhead import WAKING, doing_nothing, overhead_of
from daenr_bench.progress import Bar
from daenr_bench.result import Overhead
from daenr_bench.scenarios import calling
from daenr_bench.scenarios.calling import Call, quiet_gc
from daenr_bench.scenarios.device import DeviceTimes
from daenr_bench.scenarios.pacing import AT_100_HZ, Pace, blocks_of, figures_of, from_zero
from daenr_bench.scenarios.schedule import Ready, Schedule
from daenr_bench.scenarios.tracks import Bench, Outcome, Track, calls_to_keep, joined, turns
from daenr_bench.scenarios.warming import warm_up
from daenr_export.specs import Array

BOUNDARY = (
    f"from the instant the image was due to its answers; {calling.BOUNDARY.partition(': ')[2]}; frames are due on a "
    "fixed schedule, before each the loop sleeps and is awake for the last 0.2 ms, and the newest frame wins"
)
WARM_BOUNDARY = (
    "from the instant the image was due to its answers; from an image in host memory, through the runtime's check, to "
    "answers in host memory (RealtimeSession); frames are due on a fixed schedule, before each the engine runs on the "
    "last image so that it stays warm, and the newest frame wins"
)


@dataclass(frozen=True)
class Paced:
    """How much is measured.

    Attributes:
        pace: the schedule.
        samples: frames of each cell; rounded up to whole blocks.
        rounds: in which the cells take turns.
        lead_in: frames before each block that are not counted, because another cell has just had the caches.
    """

    name: ClassVar[str] = "paced"
    all_graphs: ClassVar[bool] = False
    rests: ClassVar[bool] = True
    """Whether the loop sleeps between frames, so that an engine that does nothing tells what waking up takes."""

    boundary: ClassVar[str] = BOUNDARY

    pace: Pace = AT_100_HZ
    samples: int = 700
    rounds: int = 5
    lead_in: int = 5

    @property
    def block(self) -> int:
        """Frames of a cell in a round."""
        return math.ceil(self.samples / self.rounds)

    def settings(self) -> dict[str, Any]:
        """Plain values for the result."""
        return {
            **self.pace.settings(),
            "batch": BATCH,
            "frames_per_round": self.block,
            "rounds": self.rounds,
            "lead_in_frames": self.lead_in,
        }

    def prepare(self, cell: Cell, bench: Bench, stack: ExitStack) -> Ready:
        """Take standing buffers, and warm up.

        Args:
            cell: that is measured.
            bench: with the clock.
            stack: takes over what must be closed.
        """
        del stack  # the cell's own session is used
        return rested(cell, bench)

    def on_device(self, cell: Cell) -> DeviceTimes | None:
        """The cell's own times on its device, if it tells them."""
        return DeviceTimes.of(cell.session)

    def measure(self, cells: Sequence[Cell], bench: Bench) -> Outcome:
        """Go through the schedule with the cells in turns."""
        with ExitStack() as stack:
            tracks = [_Paced(cell, self, bench, index) for index, cell in enumerate(cells)]
            idle = _Idle(cells[0].inputs, self, bench) if self.rests and cells else None
            steps = [partial(track.attempt, track.go_on) for track in tracks] + ([idle.go_on] if idle else [])
            complete = False
            try:
                with quiet_gc(), Bar(self.name, total=len(tracks) + self.rounds * len(steps), unit="block") as bar:
                    for track in tracks:
                        track.attempt(partial(track.prepare, stack))
                        bar.update()
                    for number in range(self.rounds):
                        for index in turns(len(steps), number, self.rounds):
                            steps[index]()
                            bar.update()
                complete = True
            except KeyboardInterrupt:
                pass
            outcome = joined([track.outcome(complete=complete) for track in tracks], complete=complete)
            return replace(outcome, overhead=idle.overhead) if idle else outcome


@dataclass(frozen=True)
class PacedWarm(Paced):
    """The same with the engine running while the loop waits."""

    name: ClassVar[str] = "paced-warm"
    boundary: ClassVar[str] = WARM_BOUNDARY
    rests: ClassVar[bool] = False

    def prepare(self, cell: Cell, bench: Bench, stack: ExitStack) -> Ready:
        """Open a real-time session, which warms itself up."""
        return kept_warm(cell, bench, stack)

    def on_device(self, cell: Cell) -> DeviceTimes | None:
        """None: the real-time session, which keeps the engine warm, does not tell its device's time."""
        del cell
        return None


def rested(cell: Cell, bench: Bench) -> Ready:
    """A cell whose engine rests while the loop waits."""
    call = Call.of(cell.session.bind(BATCH))
    return Ready(call, bench.clock.wait_until, warm_up(call, cell.inputs, bench.clock.read))


def kept_warm(cell: Cell, bench: Bench, stack: ExitStack) -> Ready:
    """A cell whose engine runs while the loop waits, in a session of its own."""
    from daenr_export.runtime.realtime import RealtimeOptions, open_realtime

    options = RealtimeOptions(
        cell.graph, BATCH, keep_warm=True, cpu=None, priority=None, lock_memory=False, freeze_gc=False
    )
    session = stack.enter_context(open_realtime(bench.bundle, cell.opened_on, options))
    standing = session(cell.inputs[0])
    read, waits, monotonic = bench.clock.read, session.wait_until, time.monotonic_ns

    def wait_until(due_ns: int) -> None:
        # The session's clock is another than ours on some systems.
        waits(monotonic() + due_ns - read())

    outputs = standing if isinstance(standing, tuple) else (standing,)
    report = session.warm_up_report
    return Ready(Call(session, outputs), wait_until, WarmUp(report.runs, report.stable))


class _Idle:
    """An engine that does nothing, on the same schedule: what is left is the machine's own share."""

    def __init__(self, inputs: Sequence[Array], plan: Paced, bench: Bench) -> None:
        self._inputs, self._plan = inputs, plan
        self._ready = doing_nothing(inputs[0], bench.clock.wait_until)
        self._schedule = Schedule(plan.rounds * plan.block, plan.pace.period_ns, bench.clock.read, (), {})

    def go_on(self) -> None:
        """Go through the frames of one round."""
        self._schedule.run(self._ready, self._inputs, self._plan.block, lead_in=self._plan.lead_in)

    @property
    def overhead(self) -> dict[str, Overhead]:
        """From due to answered; nothing where no round was reached."""
        latency_ns = self._schedule.frames.latency_ns
        return {WAKING: overhead_of(latency_ns)} if len(latency_ns) else {}


class _Paced(Track):
    """A cell's frames."""

    def __init__(self, cell: Cell, plan: Paced, bench: Bench, index: int) -> None:
        super().__init__(cell)
        self._plan, self._bench = plan, bench
        self._zero_ns = bench.clock.read()
        frames = plan.rounds * plan.block
        keep = calls_to_keep(frames, [bench.seed, index])
        self._schedule = Schedule(frames, plan.pace.period_ns, bench.clock.read, keep, self.kept)
        self._by_device = Schedule(frames, plan.pace.period_ns, bench.clock.read, (), {})

    def prepare(self, stack: ExitStack) -> None:
        """Get the engine ready."""
        self._ready = self._plan.prepare(self.cell, self._bench, stack)
        self.warm_up = self._ready.warm_up
        self.device = self._plan.on_device(self.cell)

    def go_on(self) -> None:
        """Go through the frames of one round; after them through as many that the device times, if it does."""
        inputs, block = self.cell.inputs, self._plan.block
        self._schedule.run(self._ready, inputs, block, lead_in=self._plan.lead_in)
        if self.device is not None:
            self.device.leave_out(self._plan.lead_in)
            ready = self._ready._replace(call=self.device.call)
            self._by_device.run(ready, inputs, block, lead_in=self._plan.lead_in)

    def outcome(self, *, complete: bool) -> Outcome:
        """What was measured, to the last frame."""
        plan, frames = self._plan, from_zero(self._schedule.frames, self._zero_ns)
        concluded = self.concluded(plan.name, plan.boundary, measured=len(frames.due_ns) > 0, complete=complete)
        if not len(frames.due_ns):
            return Outcome((concluded,), {}, complete)
        figures = figures_of(frames, plan.pace, plan.block, keep_warm=isinstance(plan, PacedWarm))
        blocks = blocks_of(frames, plan.pace, plan.block)
        return self.report(concluded, plan.name, frames._asdict(), blocks=blocks, **figures)

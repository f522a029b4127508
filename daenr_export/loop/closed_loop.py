"""The closed loop: frames in, answers out in time, and every frame accounted for."""

from __future__ import annotations

import inspect
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import final

from daenr_common.errors import DaenrError
from daenr_export.loop.contracts import Log, LoopSession
from daenr_export.loop.feeder import Feeder
from daenr_export.loop.frames import Hook, Sink, Source, Status
from daenr_export.loop.inference import Inference
from daenr_export.loop.ledger import Ledger
from daenr_export.loop.process_state import noting_collections, quick_switching, stopping_on_signals
from daenr_export.loop.settings import HOLD, Fallback, Policy, Settings
from daenr_export.loop.stop import StopSwitch
from daenr_export.loop.summary import Cause, Ending, Summary
from daenr_export.loop.tickets import Stage, TicketQueue
from daenr_export.loop.workers import HookWorker, SinkWorker, Watchdog
from daenr_export.runtime.realtime.thread_settings import escape

_PATIENCE_S = 0.5
"""How long the end of a loop waits for each thing that is not ours: source, hook, sink."""


@final
class ClosedLoop:
    """Answers the frames of a source, and gives each answer to a sink before its deadline, or the fallback at it.

    Source, hook and sink run in threads of their own, inference in the thread that calls `run`. None of them can stall
    the loop or end it without being counted. Every frame ends as ok, late, dropped or fault, with one row in the log.

    At a frame's deadline the fallback goes out, and an answer that comes later does not. A dropped frame is not
    answered; but while frames come in, the sink does not go without anything for longer than a deadline.

    Threads of the loop keep off the core and the priority that a session gave to its thread.

    Args:
        session: `model.realtime(...)`, opened in the thread that will call `run`.
        source: anything that yields `Frame`s (see `daenr_export.loop.frames.Source`).
        sink: is called with each `Answer`.
        deadline_ms: from a frame's `captured_ns` until the sink has taken its answer.
        policy: `latest`: wherever a frame waits, a newer one takes its place, so that answers are never old. `fifo`: in
            order, each wait holding up to `queue` frames; what comes when it is full is dropped.
        fallback: what the sink is given for a frame that is late or at fault: `hold`, the last good answer (None before
            there was one), a constant, or a callable that takes the frame's id. It should return at once: it runs in
            the sink's thread.
        hook: is called with the frame and the outputs; what it returns is the answer.
        hook_budget_ms: a hook that takes longer is a fault, and the fallback goes out then; None: at the deadline.
        standby: takes over for good, with the same frame, when the session fails on one that is not to blame.
        queue: frames that may wait under `fifo`.
        max_faults: after so many faults without a good answer between them, the loop ends.
        log: e.g. a `FrameLog`. Its `backends` should name the session's and the standby's.

    Source, sink and log are closed when the loop ends, if they can be; sessions belong to the caller.

    Raises:
        DaenrError: an argument cannot be.
    """

    def __init__(
        self,
        session: LoopSession,
        source: Source,
        sink: Sink,
        *,
        deadline_ms: float,
        policy: Policy = "latest",
        fallback: Fallback = HOLD,
        hook: Hook | None = None,
        hook_budget_ms: float | None = None,
        standby: LoopSession | None = None,
        queue: int = 64,
        max_faults: int = 100,
        log: Log | None = None,
    ) -> None:
        settings = Settings(
            session, source, sink, deadline_ms, policy, fallback, hook, hook_budget_ms, standby, queue, max_faults, log
        )
        self._settings = settings
        self._inbox = self._queue_before(Stage.INFERENCE_QUEUE)
        self._hook_queue = self._queue_before(Stage.HOOK_QUEUE, settings.hook_budget_ns or settings.deadline_ns)
        self._outbox = self._queue_before(Stage.SINK_QUEUE, settings.deadline_ns)
        self._stop = StopSwitch(self._inbox)
        self._ledger = Ledger(
            settings.deadline_ns,
            (self._inbox, self._hook_queue, self._outbox),
            log,
            max_faults,
            lambda: self._stop.now(Ending.TOO_MANY_FAULTS),
        )
        self._feeder = Feeder(source, self._inbox, self._ledger, self._stop, settings.deadline_ns)
        sessions = (session,) if standby is None else (session, standby)
        after = self._outbox if hook is None else self._hook_queue
        self._inference = Inference(sessions, self._inbox, after, self._ledger)
        self._sink_worker = SinkWorker(sink, fallback, self._outbox, self._ledger)
        self._watchdog = Watchdog(self._ledger)
        self._has_run = False

    def run(self) -> Summary:
        """Answer frames until the source ends, `stop` is called, SIGINT or SIGTERM comes, or faults are too many.

        Called from the main thread it handles the two signals: the first ends the loop in order, the second does
        what it would have done without the loop. Engines run in the calling thread.

        Returns:
            What became of the frames, and why the loop ended.

        Raises:
            DaenrError: this loop has run already.
        """
        if self._has_run:
            raise DaenrError("closed loop", "has run already, and its source and sink are closed", "make another")
        self._has_run = True
        start_ns = time.monotonic_ns()
        with (
            quick_switching(),
            noting_collections(self._ledger.note_collection),
            stopping_on_signals(self._stop.now),
            ExitStack() as at_the_end,  # each step is taken even if the one before is interrupted
        ):
            at_the_end.callback(self._close_books)
            at_the_end.callback(self._end_watchdog, _start("watchdog", self._watchdog.run))
            at_the_end.callback(self._end_sink, _start("sink", self._sink_worker.run))
            at_the_end.callback(self._end_hook, self._start_hook())
            at_the_end.callback(self._end_source, _start("source", self._feeder.run))
            self._inference.run(self._stop)
        return self._summary((time.monotonic_ns() - start_ns) / 1e9)

    def stop(self) -> None:
        """End the loop: frames that wait are dropped, `run` returns. From any thread or a signal handler; at once."""
        self._stop.now(Ending.STOPPED)

    def _queue_before(self, stage: Stage, patience_ns: int | None = None) -> TicketQueue:
        newest_wins = self._settings.policy == "latest"
        # A backlog may come through inference at once: behind it there is room for all of it, and the frame at work.
        capacity = 1 if newest_wins else self._settings.queue + (0 if stage is Stage.INFERENCE_QUEUE else 2)
        return TicketQueue(stage, capacity, newest_wins=newest_wins, patience_ns=patience_ns)

    def _start_hook(self) -> threading.Thread | None:
        if self._settings.hook is None:
            return None
        budget_ns = self._settings.hook_budget_ns
        worker = HookWorker(self._settings.hook, budget_ns, self._hook_queue, self._outbox, self._ledger)
        return _start("hook", worker.run)

    def _end_source(self, feeder: threading.Thread) -> None:
        if self._stop.ending is None:  # an exception, such as the second Ctrl-C
            self._stop.now(Ending.STOPPED)
        self._ledger.discard(self._inbox)
        source = self._settings.source
        # A generator is closed by the thread that runs it, when it comes back.
        if not inspect.isgenerator(source) and (close := getattr(source, "close", None)):
            self._call_with_patience(close, Cause.SOURCE)
            feeder.join(_PATIENCE_S)
        patience_s = min(self._settings.deadline_ns / 1e9, _PATIENCE_S)
        give_up = time.monotonic() + patience_s
        while not self._ledger.is_settled and time.monotonic() < give_up:
            time.sleep(0.001)

    def _end_hook(self, hook: threading.Thread | None) -> None:
        if hook is not None:
            self._hook_queue.close()
            hook.join(_PATIENCE_S)

    def _end_sink(self, sink: threading.Thread) -> None:
        self._outbox.close()
        sink.join(_PATIENCE_S)
        if sink.is_alive():  # closing a socket makes a call that blocks on it return
            self._call_with_patience(self._sink_worker.close_sink, Cause.SINK)
            sink.join(_PATIENCE_S)

    def _end_watchdog(self, watchdog: threading.Thread) -> None:
        self._watchdog.end()
        watchdog.join()

    def _close_books(self) -> None:
        self._ledger.close()
        if self._settings.log is not None:
            self._settings.log.close()
            if self._settings.log.lost:
                self._ledger.note(Cause.LOG, self._settings.log.error or "rows were lost")

    def _call_with_patience(self, function: Callable[[], object], cause: Cause) -> None:
        def call() -> None:
            try:
                function()
            except BaseException as error:
                self._ledger.note(cause, error)

        _start("closing", call).join(_PATIENCE_S)

    def _summary(self, seconds: float) -> Summary:
        counts, latencies, log = self._ledger.counts, self._ledger.latencies, self._settings.log
        return Summary(
            ending=self._stop.ending or Ending.STOPPED,
            frames=counts.frames,
            counts={status: counts.fates[status] for status in Status},
            faults=counts.faults,
            problems=counts.problems,
            fallbacks=counts.fallbacks,
            unsent=counts.unsent,
            sink_errors=counts.sink_errors,
            backend_index=self._inference.index,
            repeated_ids=counts.repeated_ids,
            backward_ids=counts.backward_ids,
            ahead_of_clock=counts.ahead_of_clock,
            collections=counts.collections,
            log_lost=log.lost if log is not None else 0,
            p50_ns=latencies.percentile(0.50),
            p99_ns=latencies.percentile(0.99),
            seconds=seconds,
        )


def _start(name: str, run: Callable[[], None]) -> threading.Thread:
    """Start a thread that does not keep the process alive, and does not share the core that inference is pinned to."""
    settle = escape()

    def settle_and_run() -> None:
        settle()
        run()

    thread = threading.Thread(target=settle_and_run, name=f"closed loop: {name}", daemon=True)
    thread.start()
    return thread

"""The session that answers frame by frame, from standing buffers and in one thread."""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import Any, final

import numpy as np

from daenr_common.errors import DaenrError
from daenr_export.runtime.gate import Gate
from daenr_export.runtime.protocol import Bound
from daenr_export.runtime.realtime.outputs import Out, copy_out, read_only
from daenr_export.runtime.realtime.waiting import Waiter
from daenr_export.runtime.realtime.warm_up import WarmUpReport
from daenr_export.specs import Array, GraphSpec


@final
class RealtimeSession:
    """Answers one frame after the other. Made by `Model.realtime`; only for the thread that opened it.

    Attributes:
        spec: input, outputs and batch range of the graph.
        batch: how many images a frame has.
        backend: the name of the backend that runs.
        bundle_sha256: the digest that the bundle's manifest carries, which covers every file of the bundle.
        keep_warm: whether the engine runs while the session waits.
        warm_up_report: how the warm-up went.
    """

    def __init__(
        self,
        spec: GraphSpec,
        bound: Bound,
        *,
        backend: str,
        bundle_sha256: str,
        keep_warm: bool,
        warm_up_report: WarmUpReport,
    ) -> None:
        self.spec = spec
        self.batch = len(bound.input)
        self.backend = backend
        self.bundle_sha256 = bundle_sha256
        self.keep_warm = keep_warm
        self.warm_up_report = warm_up_report
        self._subject = f"real-time session of the graph {spec.name} on {backend}"
        self._check = Gate(spec, self.batch).check
        self._input, self._outputs, self._run = bound.input, bound.outputs, bound.run
        self._standing = read_only(bound.outputs)
        self._ran_well = True
        self._rehearsed = bound.input.copy()
        self._rehearsed_out = tuple(np.empty_like(output) for output in bound.outputs)
        self._waiter = Waiter(warm_up_report.last_ns)
        # One comparison per frame refuses other threads, a closed session and a forked child alike.
        self._owner: int | None = get_ident()
        self._why_not = ("is closed", "open another one with model.realtime(...)")

    def __call__(self, image: Array, out: Out | None = None) -> Any:
        """Answer one frame.

        Args:
            image: `(batch, *spec.input.shape)` of the input's dtype, in any layout; checked as `Model.responses` does.
            out: where the answer is to go: an array `(batch, *output.shape)`, or a tuple of them where the graph has
                several outputs, in their order.

        Returns:
            `out`. Without it the session's own buffers, which cannot be written to and which the next frame
            overwrites: an array, or a tuple of them where the graph has several outputs.

        Raises:
            ImageError: the frame is unusable; the last answer still stands.
            DaenrError: `out` does not fit, the backend failed, the session is closed, or this is another thread or a
                forked process.
        """
        if get_ident() != self._owner:
            raise self._refusal()
        self._input[...] = self._check(image)
        self._ran_well = False
        try:
            self._run()
        except DaenrError:
            raise
        except Exception as error:
            problem = f"failed on a frame ({type(error).__name__}: {error})"
            raise DaenrError(self._subject, problem, "open the session again, or use another backend") from error
        self._ran_well = True
        if out is None:
            return self._standing
        copy_out(self._outputs, out)
        return out

    def wait_until(self, due_ns: int) -> None:
        """Wait for an instant, e.g. when the next frame is due; return at once if it has passed.

        With `keep_warm` the last frame is answered again and again meanwhile, up to the last moment where that is sure
        to end in time; else the thread sleeps, and spends the last 0.2 ms awake.

        Args:
            due_ns: on the clock of `time.monotonic_ns`.

        Raises:
            DaenrError: the instant is on another clock; the engine failed while it was kept warm; or as for a frame.
        """
        if get_ident() != self._owner:
            raise self._refusal()
        self._waiter.wait_until(due_ns, self._rehearsal())

    def wait_for(self, ready: Callable[[], bool], until_ns: int) -> bool:
        """Wait until something is ready, for frames that come at unknown instants.

        With `keep_warm` the last frame is answered again and again meanwhile, so that a new one waits for the rest of
        one answer at most; else `ready` is asked every millisecond.

        Args:
            ready: cheap; asked between answers.
            until_ns: when to give up, on the clock of `time.monotonic_ns`.

        Returns:
            What `ready` said last.

        Raises:
            DaenrError: the engine failed while it was kept warm; or as for a frame. What `ready` raises passes through.
        """
        if get_ident() != self._owner:
            raise self._refusal()
        return self._waiter.wait_for(ready, until_ns, self._rehearsal())

    def close(self) -> None:
        """Answer no more. Called when the `with` block ends."""
        self._owner = None

    def retire(self, problem: str, remedy: str) -> None:
        """Answer no more, and say why."""
        self._why_not = (problem, remedy)
        self._owner = None

    def _rehearsal(self) -> Callable[[], object] | None:
        """What to do while waiting; nothing after a failure, until a frame was answered again."""
        if not self.keep_warm or not self._ran_well:
            return None
        self._rehearsed[...] = self._input
        return self._rehearse

    def _rehearse(self) -> None:
        """Answer the last frame again, all the way; the standing outputs get the values that they have.

        Running the engine alone would not do: after 10 ms without them, the checks and copies take ten times as long.
        """
        self(self._rehearsed, self._rehearsed_out)

    def _refusal(self) -> DaenrError:
        if self._owner is not None:
            problem = "was used in another thread than the one that opened it"
            return DaenrError(self._subject, problem, "open one in each thread that answers frames")
        return DaenrError(self._subject, *self._why_not)

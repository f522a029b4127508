"""A video file as a source."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

from daenr_common.errors import TransportError
from daenr_common.extras import require
from daenr_export.loop.frames import Frame
from daenr_export.specs import Array
from daenr_export.transports.closing import Closing
from daenr_export.transports.graph_input import GraphInput
from daenr_export.transports.pacing import Pacer, play

_NS_PER_S = 1_000_000_000
_US_PER_S = 1_000_000
_MISSING_FRAMES = 3
_MISSING_FRACTION = 0.02
"""A file that ends earlier than its header says by more than both was cut off; durations in headers are not exact."""


@final
class VideoSource(Closing):
    """A source: the frames of a video file's first video stream, decoded in one thread.

    They are made grey (the luma of the file, in full range) and brought to the graph's input. Each iteration begins
    with the first frame.

    Args:
        path: the file, of any format that FFmpeg reads.
        graph_input: what the frames become; by default 32×32 float32 in [-1, 1].
        rate_hz: frames a second; None for the file's own times.

    Raises:
        MissingExtraError: PyAV is not installed.
        SpecError: the rate is not a positive number.
        TransportError: the file is missing, broken or no video. While it is iterated: it is damaged, or ends before
            its header says.
    """

    def __init__(
        self, path: Path | str, graph_input: GraphInput | None = None, *, rate_hz: float | None = None
    ) -> None:
        self._av: Any = require("av", extra="video", purpose="reading videos")
        self._path = Path(path)
        self._graph_input = graph_input or GraphInput()
        self._rate_hz = rate_hz
        self._pacer = Pacer(rate_hz)
        with self._opened():
            pass

    def __iter__(self) -> Iterator[Frame]:
        return play(self._images(), self._pacer)

    def close(self) -> None:
        """End the running iteration, even while it waits; later ones give no frame."""
        self._pacer.stop()

    def _images(self) -> Iterator[tuple[int, Array]]:
        with self._opened() as (container, stream):
            count, first_s, last_s = 0, 0.0, 0.0
            for frame in self._decoded(container, stream):
                if self._pacer.stopped:
                    return
                if frame.is_corrupt:
                    raise self._broken(f"is damaged at frame {count}")
                if frame.time is None and self._rate_hz is None:
                    raise TransportError(self._path, "has no time stamps", "pass rate_hz")
                last_s = frame.time or 0.0
                first_s = last_s if count == 0 else first_s
                own_ns = round((last_s - first_s) * _NS_PER_S)
                offset_ns = own_ns if self._rate_hz is None else self._pacer.offset_ns(count)
                yield offset_ns, self._graph_input(frame.to_ndarray(format="gray"))
                count += 1
            self._check_end(container, stream, count, first_s, last_s)

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, Any]]:
        # FFmpeg would take a path with a colon for the address of a device or a server.
        if not self._path.is_file():
            raise TransportError(self._path, "is not there, or is no file", "check the path")
        try:
            container = self._av.open(str(self._path.absolute()))
        except (self._av.FFmpegError, OSError, ValueError) as error:
            raise self._broken(f"cannot be read as a video ({_reason(error)})") from error
        with container:
            if not container.streams.video:
                raise self._broken("holds no video")
            stream = container.streams.video[0]
            stream.thread_count = 1  # the other cores are the rig's
            yield container, stream

    def _decoded(self, container: Any, stream: Any) -> Iterator[Any]:
        try:
            yield from container.decode(stream)
        except self._av.FFmpegError as error:
            raise self._broken(f"cannot be decoded to its end ({_reason(error)})") from error

    def _check_end(self, container: Any, stream: Any, count: int, first_s: float, last_s: float) -> None:
        """FFmpeg takes the end of a file that was cut off for the end of the video."""
        if not count:
            raise self._broken("holds no frames")
        if stream.duration is not None and stream.time_base is not None:
            claimed_s = float(stream.duration * stream.time_base)
        elif container.duration is not None and len(container.streams) == 1:
            claimed_s = container.duration / _US_PER_S
        else:
            return
        period_s = float(1 / stream.average_rate) if stream.average_rate else 0.0
        # Some formats count their duration from the first frame, others from zero.
        end_s = max(last_s, last_s - first_s) + period_s
        missing_s = claimed_s - end_s
        if missing_s > _MISSING_FRAMES * period_s and missing_s > _MISSING_FRACTION * claimed_s:
            raise self._broken(f"ends after {end_s:.3g} s, and its header says {claimed_s:.3g} s")

    def _broken(self, problem: str) -> TransportError:
        return TransportError(self._path, problem, "record or convert it again, and check it with ffprobe")


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)

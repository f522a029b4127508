"""Responses and frames over Lab Streaming Layer, on its clock: to and from the other programs of the lab."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Sequence
from threading import Event, Lock
from typing import Any, final

import numpy as np

from daenr_common.errors import SpecError, TransportError
from daenr_common.extras import require
from daenr_export.loop.frames import Answer, Frame
from daenr_export.specs import Array, TensorSpec
from daenr_export.transports.closing import Closing
from daenr_export.transports.graph_input import IMAGE

FRAME_ID, STATUS = "frame_id", "status"
"""The two channels after the neurons'; the numbers of `status` are those of `Status`."""

_NS_PER_S = 1_000_000_000
_READINGS = 16
_CLOCK_VALID_NS = 10 * _NS_PER_S
_CLOSING_S = 0.1
_BUFFER_S = 1
_FLOATS, _INTEGERS = ("float32", "float64"), ("int8", "int16", "int32", "int64")


@final
class LslClock:
    """Turns instants of `time.monotonic_ns` into those of LSL's `local_clock`, and back.

    The offset between the two is read off again every ten seconds, since they may be of different hardware.
    """

    def __init__(self, pylsl: Any) -> None:
        self._pylsl = pylsl
        self._measured_ns = 0
        self._offset_ns = 0
        self._measure()

    def to_lsl(self, instant_ns: int) -> float:
        """Seconds of `local_clock`."""
        self._measure()
        return (instant_ns + self._offset_ns) / _NS_PER_S

    def to_monotonic_ns(self, instant_s: float) -> int:
        """Nanoseconds of `time.monotonic_ns`."""
        self._measure()
        return round(instant_s * _NS_PER_S) - self._offset_ns

    def _measure(self) -> None:
        now_ns = time.monotonic_ns()
        if self._measured_ns and now_ns - self._measured_ns < _CLOCK_VALID_NS:
            return
        readings = []
        for _ in range(_READINGS):
            before_ns = time.monotonic_ns()
            lsl_s = self._pylsl.local_clock()
            after_ns = time.monotonic_ns()
            readings.append((after_ns - before_ns, round(lsl_s * _NS_PER_S) - (before_ns + after_ns) // 2))
        # The reading that was interrupted least.
        self._offset_ns = min(readings)[1]
        self._measured_ns = now_ns


@final
class ResponseOutlet(Closing):
    """A sink: a stream with a channel for each neuron, labelled with its id, and the channels `frame_id` and `status`.

    A sample's time stamp is the instant when its frame was taken. What the fallback gave is marked by its `status`
    (see `daenr_export.loop.frames.Status`); without any value, the neurons' channels are NaN.

    Args:
        neuron_ids: `model.neuron_ids`.
        name: of the stream.
        source_id: by which receivers find the stream again after a restart; None for the computer's and the stream's
            name.

    Raises:
        MissingExtraError: pylsl is not installed.
        TransportError: pylsl finds no liblsl.
        SpecError: there are no neurons.
    """

    def __init__(
        self, neuron_ids: Sequence[str], *, name: str = "daenr responses", source_id: str | None = None
    ) -> None:
        if not neuron_ids:
            raise SpecError("neuron_ids", "is empty", "give one for each column of the answers: model.neuron_ids")
        pylsl = _pylsl()
        labels = [*map(str, neuron_ids), FRAME_ID, STATUS]
        source = source_id or f"daenr/{platform.node()}/{name}"
        # Doubles, in which the numbers of frames stay exact.
        info = pylsl.StreamInfo(name, "Responses", len(labels), pylsl.IRREGULAR_RATE, "double64", source)
        info.set_channel_labels(labels)
        self._clock = LslClock(pylsl)
        self._name = name
        self._neurons = len(neuron_ids)
        self._lock = Lock()
        self._outlet: Any = pylsl.StreamOutlet(info, max_buffered=_BUFFER_S)

    def __call__(self, answer: Answer, /) -> None:
        """Send one answer; of a tuple, its first array.

        Raises:
            SpecError: it has another number of values than there are neurons.
            TransportError: the outlet is closed.
        """
        value = answer.value[0] if isinstance(answer.value, tuple) else answer.value
        rates = np.full(self._neurons, np.nan) if value is None else np.asarray(value, np.float64).ravel()
        if rates.size != self._neurons:
            problem = f"has {rates.size} values, and the stream {self._neurons} neurons"
            raise SpecError("answer", problem, "let the hook return the responses to one image, (1, M)")
        sample = [*rates.tolist(), float(answer.frame_id), float(answer.status)]
        with self._lock:
            if self._outlet is None:
                raise TransportError(f"LSL stream {self._name}", "was closed", "open it again")
            self._outlet.push_sample(sample, self._clock.to_lsl(answer.captured_ns))

    def close(self) -> None:
        """End the stream."""
        with self._lock:
            self._outlet = None


@final
class FrameInlet(Closing):
    """A source: the samples of a stream, each an image with one channel for each pixel, row by row.

    The values go to the graph as they are: a float stream to a float32 graph, a stream of whole numbers 0…255 to a
    uint8 graph. LSL numbers no samples, so frames are counted from 0. Time stamps are brought to this computer's clock
    by LSL's own correction, to some tenths of a millisecond. If the stream's program is restarted, frames go on.

    Args:
        name: of the stream.
        spec: what the graph takes, `model.graphs["responses"].input`.
        timeout_s: how long to look for the stream.

    Raises:
        MissingExtraError: pylsl is not installed.
        TransportError: pylsl finds no liblsl; there is no such stream, or several, or none that fits the graph. While
            it is iterated: the stream is lost for good.
    """

    def __init__(self, name: str, spec: TensorSpec = IMAGE, *, timeout_s: float = 5.0) -> None:
        self._pylsl = _pylsl()
        self._subject = f"LSL stream {name}"
        self._spec = spec
        self._stopped = Event()
        found = self._pylsl.resolve_byprop("name", name, 1, timeout_s)
        if len(found) != 1:
            hosts = ", ".join(info.hostname() for info in found)
            problem = f"is there {len(found)} times ({hosts})" if found else f"was not found within {timeout_s:g} s"
            remedy = "give each its own name" if found else "start its program, and let multicast pass the firewall"
            raise TransportError(self._subject, problem, remedy)
        self._inlet: Any = self._pylsl.StreamInlet(found[0], max_buflen=_BUFFER_S, as_numpy=True)
        self._check(np.dtype(self._inlet.np_dtype).name, self._inlet.channel_count)
        try:
            # The first correction takes the sender some exchanges; later ones are at hand.
            self._correction_s = self._inlet.time_correction(timeout_s)
            self._inlet.open_stream(timeout_s)
        except RuntimeError as error:  # what pylsl's errors derive from
            raise TransportError(self._subject, f"does not answer ({error})", "restart its program") from error
        self._clock = LslClock(self._pylsl)

    def __iter__(self) -> Iterator[Frame]:
        index = 0
        inlet = self._inlet
        while not self._stopped.is_set():
            try:
                sample, stamp_s = inlet.pull_sample(_CLOSING_S)
                self._correction_s = inlet.time_correction(_CLOSING_S)
            except self._pylsl.util.TimeoutError:
                pass  # the correction before is good for a while
            except RuntimeError as error:
                raise TransportError(self._subject, f"broke off ({error})", "restart its program") from error
            if sample is not None:
                yield Frame(index, self._image(sample), self._clock.to_monotonic_ns(stamp_s + self._correction_s))
                index += 1

    def close(self) -> None:
        """End the running iteration within a tenth of a second, and leave the stream."""
        self._stopped.set()
        self._inlet = None

    def _check(self, dtype: str, channels: int) -> None:
        pixels = int(np.prod(self._spec.shape))
        if channels != pixels:
            problem = f"has {channels} channels, and the graph takes {pixels} pixels"
            raise TransportError(
                self._subject, problem, "send the image that the graph takes, a channel for each pixel"
            )
        fitting = _INTEGERS if self._spec.dtype == "uint8" else _FLOATS
        if dtype not in fitting:
            problem = f"is of {dtype}, and the graph takes {self._spec.dtype}"
            raise TransportError(self._subject, problem, f"send one of {', '.join(fitting)}")

    def _image(self, sample: Array) -> Array:
        # What does not fit into bytes stays as it came, and the loop refuses it.
        if self._spec.dtype == "uint8" and (sample.min() < 0 or sample.max() > 255):
            return sample.reshape(1, *self._spec.shape)
        return sample.astype(self._spec.dtype).reshape(1, *self._spec.shape)


def _pylsl() -> Any:
    try:
        return require("pylsl", extra="lsl", purpose="Lab Streaming Layer")
    except RuntimeError as error:  # raised by its import
        remedy = "conda install -c conda-forge liblsl, or set PYLSL_LIB to a file of github.com/sccn/liblsl/releases"
        raise TransportError("pylsl", f"finds no library liblsl ({str(error).splitlines()[0]})", remedy) from error

"""Bundles with golden answers, and engines whose latency and answers a test decides, on a clock of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import bundle_factory as factory
import numpy as np

from daenr_bench.scenarios.tracks import Bench
from daenr_export.bundle import Bundle
from daenr_export.bundle.golden import Golden, key
from daenr_export.bundle.writer import write_bundle
from daenr_export.runtime.protocol import GraphSource
from daenr_export.runtime.session import CallSession
from daenr_export.specs import Array, BatchRange
from daenr_export.verification.parity import to_manifest

GRAPHS = ("encoder", "readout", "responses")
ALL_GRAPHS = (*GRAPHS, "decoder", "reconstruction", "joint")
IMAGES = 8
COMPARED = 8 + 4 + 3 + 1
"""Calls that compare the answers to eight images before anything is timed, in batches of 1, 2, 3 and 8."""


def make_timed_bundle(path: Path, *, graphs: Sequence[str] = GRAPHS, batch: BatchRange = factory.BATCH) -> Path:
    """A bundle whose golden file has the answers of all its graphs."""
    inputs = {"image": factory.some_images(IMAGES)}
    inputs["features"] = factory.reference("encoder", inputs["image"])["features"]
    golden = {"image": inputs["image"], key("encoder", "features"): inputs["features"]}
    with write_bundle(path) as writer:
        for name in graphs:
            writer.add(f"graphs/{name}.onnx", factory.onnx_graph(name))
            answers = factory.reference(name, inputs[factory.GRAPHS[name][0]])
            golden |= {key(name, output): answer for output, answer in answers.items()}
        manifest = factory.manifest_of(graphs, writer.add_golden(golden, images=IMAGES))
        entries = {name: entry._replace(batch=batch) for name, entry in manifest.graphs.items()}
        writer.finish(manifest._replace(graphs=entries, tolerances=to_manifest(["fp32"])))
    return path


class FakeClock:
    """A clock that goes only when an engine works or a loop waits."""

    name = "a fake"

    def __init__(self) -> None:
        self.now_ns = 0
        self.wall_ahead_ns = 0

    def read(self) -> int:
        return self.now_ns

    def wall(self) -> int:
        return self.now_ns + self.wall_ahead_ns

    def wait_until(self, due_ns: int) -> None:
        self.now_ns = max(self.now_ns, due_ns)


class FakeBackend:
    """Answers with the golden file, and lets the clock go on by what a call is said to take.

    Args:
        bundle: whose golden answers it gives.
        clock: that goes on.
        latency_ns: of a call, from its number (over all sessions) and the time in nanoseconds.
        per_image_ns: what each image of a batch adds to it.
        spoil: makes other answers of the right ones, from the number of the call.
        reason: why it cannot run.
    """

    def __init__(
        self,
        bundle: Path,
        clock: FakeClock,
        latency_ns: Callable[[int, int], int] = lambda number, now_ns: 100_000,
        *,
        name: str = "fake",
        per_image_ns: int = 0,
        spoil: Callable[[int, Array], Array] = lambda number, answer: answer,
        reason: str | None = None,
    ) -> None:
        self.name = name
        self.calls = 0
        self._golden = Golden(Bundle.open(bundle).golden())
        self._clock = clock
        self._latency_ns = latency_ns
        self._per_image_ns = per_image_ns
        self._spoil = spoil
        self._reason = reason

    def why_unavailable(self) -> str | None:
        return self._reason

    def open(self, graph: GraphSource) -> CallSession:
        spec = graph.spec
        references = self._golden.references(spec)
        number_of = {image.tobytes(): index for index, image in enumerate(self._golden.inputs(spec))}

        def answer(batch: Array) -> tuple[Array, ...]:
            number, self.calls = self.calls, self.calls + 1
            self._clock.now_ns += self._latency_ns(number, self._clock.now_ns) + self._per_image_ns * len(batch)
            asked = [number_of[image.tobytes()] for image in batch]
            return tuple(self._spoil(number, np.array(references[output.name][asked])) for output in spec.outputs)

        return CallSession(self.name, spec, answer)


def on_bench(bundle: Path, clock: FakeClock, *, seed: int = 0) -> Bench:
    """What scenarios share, on a clock of the test's."""
    return Bench(Bundle.open(bundle), clock, seed)  # type: ignore[arg-type]  # a name that is no ClassVar

"""MLPerf's LoadGen on our sessions: SingleStream and Offline, a second opinion on `burst` and `throughput`.

LoadGen calls back from a thread of its own and keeps its own time; the same images go into the same standing buffers.
"""

from __future__ import annotations

import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar, final

import numpy as np

from daenr_bench.cells import BATCH, Cell
from daenr_bench.measurement import LoadGenRun, State
from daenr_bench.progress import Bar
from daenr_bench.scenarios.calling import Call, quiet_gc, time_calls
from daenr_bench.scenarios.tracks import Bench, Outcome, Track, calls_to_keep_without_end, joined
from daenr_bench.scenarios.warming import warm_up
from daenr_bench.statistics.percentiles import LEVELS
from daenr_common.errors import DaenrError
from daenr_common.extras import require
from daenr_export.bundle.golden import in_batches
from daenr_export.specs import Array

_BOUNDARY = (
    "LoadGen's own: from issuing a query to its completion, in its thread; inside, {what} copied into the session's "
    "standing buffer and answered from host memory to host memory (Session.bind)"
)
SINGLE_STREAM_BOUNDARY = _BOUNDARY.format(what="one image (the next query comes when the last completed)")
OFFLINE_BOUNDARY = _BOUNDARY.format(what="all images at once, in batches of the size that engines are tuned for,")


@dataclass(frozen=True)
class LoadGenScenario(ABC):
    """What LoadGen's scenarios share.

    Attributes:
        queries: images at least.
        duration_ms: at least.
    """

    name: ClassVar[str]
    boundary: ClassVar[str]
    mlperf_name: ClassVar[str]
    all_graphs: ClassVar[bool] = False

    queries: int = 1000
    duration_ms: int = 1000

    def settings(self) -> dict[str, Any]:
        """Plain values for the result."""
        return {"min_query_count": self.queries, "min_duration_ms": self.duration_ms}

    def measure(self, cells: Sequence[Cell], bench: Bench) -> Outcome:
        """One cell after the other."""
        require_loadgen()
        tracks = [_LoadGen(cell, self, bench, index) for index, cell in enumerate(cells)]
        complete = False
        try:
            with quiet_gc(), Bar(self.name, total=len(cells), unit="backend") as bar:
                for track in tracks:
                    track.attempt(track.go_through)
                    bar.update()
            complete = True
        except KeyboardInterrupt:
            pass
        return joined([track.outcome(complete=complete) for track in tracks], complete=complete)

    @abstractmethod
    def batch_of(self, cell: Cell) -> int:
        """How many images a call has."""


@final
@dataclass(frozen=True)
class SingleStream(LoadGenScenario):
    """One image after the other."""

    name: ClassVar[str] = "loadgen-single-stream"
    boundary: ClassVar[str] = SINGLE_STREAM_BOUNDARY
    mlperf_name: ClassVar[str] = "SingleStream"

    def batch_of(self, cell: Cell) -> int:
        """One."""
        del cell
        return BATCH


@final
@dataclass(frozen=True)
class Offline(LoadGenScenario):
    """All images at once; the duration is kept by the rate that the warm-up suggests."""

    name: ClassVar[str] = "loadgen-offline"
    boundary: ClassVar[str] = OFFLINE_BOUNDARY
    mlperf_name: ClassVar[str] = "Offline"

    def batch_of(self, cell: Cell) -> int:
        """The size that engines are tuned for."""
        return cell.session.spec.batch.opt


def require_loadgen() -> Any:
    """The package.

    Raises:
        MissingExtraError: it is not installed.
    """
    return require("mlperf_loadgen", extra="loadgen", purpose="MLPerf's LoadGen")


class _LoadGen(Track):
    """A cell's run."""

    def __init__(self, cell: Cell, scenario: LoadGenScenario, bench: Bench, index: int) -> None:
        super().__init__(cell)
        self._scenario, self._bench = scenario, bench
        self._said: LoadGenRun | None = None
        self._error: BaseException | None = None
        self._keep = calls_to_keep_without_end([bench.seed, index])
        self._calls = 0

    def go_through(self) -> None:
        """Warm up, and let LoadGen ask."""
        library, batch = require_loadgen(), self._scenario.batch_of(self.cell)
        images = np.concatenate(self.cell.inputs)
        call = Call.of(self.cell.session.bind(batch))
        self.warm_up = warm_up(call, tuple(in_batches(images, batch)), self._bench.clock.read)
        few_ns = np.empty(20, np.int64)
        time_calls(call, tuple(in_batches(images, batch)), few_ns, self._bench.clock.read)
        settings = self._settings(library, int(few_ns.min()), batch)
        with tempfile.TemporaryDirectory(prefix="daenr-loadgen-") as folder:
            output, log = library.LogOutputSettings(), library.LogSettings()
            output.outdir, output.copy_summary_to_stdout = folder, False
            log.log_output, log.enable_trace = output, False
            system = library.ConstructSUT(lambda samples: self._answer(library, call, images, samples), _nothing)
            images_of = library.ConstructQSL(len(images), len(images), _nothing, _nothing)
            try:
                library.StartTestWithLogSettings(system, images_of, settings, log)
            finally:
                library.DestroyQSL(images_of)
                library.DestroySUT(system)
            if self._error is not None:
                raise self._error
            self._said = read_summary(Path(folder, "mlperf_log_summary.txt").read_text("utf-8"))

    def _settings(self, library: Any, fastest_ns: int, batch: int) -> Any:
        settings = library.TestSettings()
        settings.scenario = getattr(library.TestScenario, self._scenario.mlperf_name)
        settings.mode = library.TestMode.PerformanceOnly
        settings.min_query_count = self._scenario.queries
        settings.min_duration_ms = self._scenario.duration_ms
        # Expectations decide how many queries LoadGen prepares: rather too many than too few.
        settings.single_stream_expected_latency_ns = max(fastest_ns // 2, 1)
        settings.offline_expected_qps = batch * 1e9 / max(fastest_ns, 1)
        return settings

    def _answer(self, library: Any, call: Call, images: Array, samples: Sequence[Any]) -> None:
        """Answer a query. LoadGen is C++ and waits for every sample, so an error is kept until it has had them all."""
        size = self._scenario.batch_of(self.cell)
        for first in range(0, len(samples), size):
            some = samples[first : first + size]
            indices = [sample.index for sample in some]
            try:
                if self._error is None:
                    call.run(images[indices + indices[:1] * (size - len(indices))])
            except BaseException as error:
                self._error = error
            library.QuerySamplesComplete([library.QuerySampleResponse(sample.id, 0, 0) for sample in some])
            # The next query comes when this function has returned, so this is in no latency.
            if self._calls in self._keep and self._error is None:
                self.keep_rows(call.kept(), indices)
            self._calls += 1

    def outcome(self, *, complete: bool) -> Outcome:
        """What LoadGen said."""
        scenario, said = self._scenario, self._said
        concluded = self.concluded(scenario.name, scenario.boundary, measured=said is not None, complete=complete)
        if said is None or concluded.state == State.FAIL.value:
            return Outcome((concluded,), {}, complete)
        return Outcome((replace(concluded, loadgen=said),), {}, complete)


def _nothing(*_: object) -> None:
    pass


def read_summary(text: str) -> LoadGenRun:
    """What LoadGen's summary file says.

    Raises:
        DaenrError: it is no summary of a performance run.
    """

    def find(pattern: str) -> str | None:
        found = re.search(rf"^[ *]*{pattern}\s*: *(\S+)", text, re.MULTILINE)
        return None if found is None else found.group(1)

    scenario, valid = find("Scenario"), find("Result is")
    rate = find("Samples per second") or find("QPS w/o loadgen overhead")
    if scenario is None or valid is None or rate is None:
        raise DaenrError("LoadGen's summary", "lacks its scenario, its verdict or its rate", "see its release notes")
    per_level = {name: f"{level * 100:.2f}" for name, level in LEVELS.items()}
    times = {name: find(rf"{shown} percentile latency \(ns\)") for name, shown in per_level.items()}
    bounds = {name: find(f"Early stopping {level * 100:.1f}th percentile estimate") for name, level in LEVELS.items()}
    queries = re.search(r"Processed at least \d+ queries \((\d+)\)", text)
    is_offline = scenario == Offline.mlperf_name
    return LoadGenRun(
        version=version("mlcommons-loadgen"),
        scenario=scenario,
        valid=valid == "VALID",
        samples=int(queries.group(1) if queries else find("samples_per_query") or 0),
        # In Offline all samples are issued at once, and a latency is how far down the list an image was.
        percentiles_ns={} if is_offline else {name: int(value) for name, value in times.items() if value},
        upper_bounds_ns={name: int(value) for name, value in bounds.items() if value},
        samples_per_s=float(rate),
    )

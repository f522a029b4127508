"""What `daenr-train sweep` does, from names and paths to a table on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from daenr_common.errors import SpecError
from daenr_train.data import Recording, open_recording, simulate
from daenr_train.fit.config import PROCESSORS, TrainingConfig
from daenr_train.fit.interruption import stop_on_signals
from daenr_train.fit.recipes import recipe_of
from daenr_train.sweep.code_version import code_version
from daenr_train.sweep.driver import Driver, Options
from daenr_train.sweep.engine import Engine
from daenr_train.sweep.folder import Plan, open_folder
from daenr_train.sweep.grid import GRIDS, Grid
from daenr_train.sweep.grid_file import read_grid
from daenr_train.sweep.local import LocalEngine
from daenr_train.sweep.plan import PlannedCell, RecordingFacts, plan_runs
from daenr_train.sweep.progress import progress_bar
from daenr_train.sweep.ray_engine import RayEngine
from daenr_train.sweep.table import Table


@dataclass(frozen=True)
class SweepRequest:
    """What to sweep, over which data, and with what.

    Attributes:
        grid: a name of GRIDS or a file.
        data: recordings; None simulates the regions.
        regions: instead of the grid's; empty for those.
        seeds: how many, from 0; None for the grid's.
        output: the sweep's folder.
        engine: `local` or `ray`.
        processes: runs at the same time; None for as many as there is room for.
        address: of a Ray cluster.
        cpus_per_run: processors that Ray reserves for a run; None for the run's threads.
        resume: go on with what the folder holds.
        options: how the runs are driven.
    """

    grid: str
    data: Path | None
    output: Path
    regions: tuple[str, ...] = ()
    seeds: int | None = None
    engine: Literal["local", "ray"] = "local"
    processes: int | None = None
    address: str | None = None
    cpus_per_run: float | None = None
    resume: bool = False
    options: Options = field(default_factory=Options)


def run_sweep(request: SweepRequest, settings: Mapping[str, Any]) -> Table:
    """Execute what is missing of a grid, and write its table.

    Args:
        request: what, over which data, with what.
        settings: fields of TrainingConfig from the command line; they come before the grid's.

    Raises:
        DaenrError: an input cannot be used, the output cannot be written, another sweep is using it, or the cluster
            cannot be reached.
        Interrupted: the user stopped the sweep.
    """
    grid = named_grid(request.grid)
    if request.regions:
        grid = grid.on_regions(request.regions)
    seeds = grid.seeds if request.seeds is None else tuple(range(request.seeds))
    configs = _configurations(grid, settings)
    _check_engine(request)
    recordings = _recordings(grid.regions, request.data)
    cells = grid.cells({name: recording.region for name, recording in recordings.items()}, seeds)
    facts = {recording.region: RecordingFacts.of(recording) for recording in recordings.values()}
    planned = tuple(
        PlannedCell(cell.region, cell.model, cell.neurons, cell.seed, configs[cell.model] | {"seed": cell.seed})
        for cell in cells
    )
    with open_folder(request.output, Plan(facts, planned), resume=request.resume) as folder:
        runs = plan_runs(folder.plan.cells, folder.plan.recordings, code_version())
        by_fingerprint = {recording.fingerprint: recording for recording in recordings.values()}
        threads = max(config["threads"] for config in configs.values())
        # the engine first: Ray has handlers of its own
        with closing(_engine(request, by_fingerprint, threads)) as engine, stop_on_signals() as stop:
            driver = Driver(folder, runs, cells, engine, request.options)
            with progress_bar(len(cells), len(cells) - len(driver.waiting)) as progress:
                driver.drive(stop, progress)
    return driver.table


def named_grid(name: str) -> Grid:
    """A grid by its name, or from a file.

    Raises:
        SpecError: there is no such grid, or the file does not hold one.
    """
    if name in GRIDS:
        return GRIDS[name]
    path = Path(name)
    if path.suffix in (".toml", ".json"):
        return read_grid(path)
    raise SpecError(f"grid {name!r}", "does not exist", f"use {', '.join(GRIDS)}, or a .toml or .json file")


def _configurations(grid: Grid, settings: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The training configuration of each model, as plain values; the seed is the cell's."""
    models = dict.fromkeys(model for block in grid.blocks for model in block.models)
    # one thread: two fits on one thread each get more done than one after the other on two
    return {
        model: TrainingConfig(
            **{
                "threads": 1,
                **recipe_of(model),
                **grid.settings,
                **grid.model_settings.get(model, {}),
                **settings,
            }
        ).to_json()
        for model in models
    }


def _recordings(regions: Sequence[str], data: Path | None) -> dict[str, Recording]:
    """The regions' recordings by the names that the grid calls them."""
    found: dict[str, Recording] = {}
    for name in regions:
        found[name] = open_recording(data, name) if data is not None else _simulated(name)
        same = [other for other, recording in found.items() if recording.region == found[name].region]
        if len(same) > 1:
            raise SpecError("regions", f"{' and '.join(same)} are the same region", "name it once")
    return found


def _simulated(name: str) -> Recording:
    number = name.removeprefix("region")
    if number not in ("1", "2", "3"):
        raise SpecError(f"region {name!r}", "is none of the simulated ones", "use 1, 2 or 3, or give --data")
    return simulate(int(number), seed=0)


def _check_engine(request: SweepRequest) -> None:
    if request.engine == "ray":
        return
    if request.address is not None or request.cpus_per_run is not None:
        given = "--address" if request.address is not None else "--cpus-per-run"
        raise SpecError(given, "is for Ray", "add --engine ray")
    if (request.processes or 1) > PROCESSORS:
        problem = f"is {request.processes}, and this machine has {PROCESSORS} processors"
        raise SpecError("--processes", problem, f"use at most {PROCESSORS}")


def _engine(request: SweepRequest, recordings: Mapping[str, Recording], threads: int) -> Engine:
    if request.engine == "ray":
        cpus = request.cpus_per_run or float(threads)
        return RayEngine(
            recordings, address=request.address, cpus_per_run=cpus, threads=threads, processes=request.processes
        )
    return LocalEngine(recordings, request.processes or max(PROCESSORS // threads, 1), threads)

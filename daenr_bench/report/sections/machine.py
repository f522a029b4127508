"""Where and how it was measured, and what was not."""

from __future__ import annotations

from typing import Any

from daenr_bench.overhead import OF_THE_MACHINE, WAKING
from daenr_bench.report import words
from daenr_bench.report.blocks import Block, Cell, Column, Facts, Section, Table
from daenr_bench.report.sections.common import named
from daenr_bench.report.source import Source
from daenr_bench.result import Overhead, Result


def skipped(source: Source) -> Section | None:
    """Backends that were not measured, and why."""
    if not source.result.skipped:
        return None
    by_reason: dict[str, list[str]] = {}
    for skip in source.result.skipped:
        name = skip.backend if skip.graph is None else f"{skip.graph} on {skip.backend}"
        by_reason.setdefault(skip.reason.removeprefix(f"{skip.backend}: "), []).append(name)
    rows: tuple[tuple[Cell, ...], ...] = tuple((words.listed(names), reason) for reason, names in by_reason.items())
    table = Table("Not measured", (Column("engine"), Column("why", is_prose=True)), rows)
    lead = "A backend that cannot run is skipped with its reason. It is never replaced by another one in silence."
    return Section("skipped", "Not measured", lead, (table,))


def machine(source: Source) -> Section:
    """The machine, the settings, the clock, the packages, the digests."""
    result = source.result
    m = result.machine
    facts = (
        ("processor", m.processor),
        ("cores", f"{m.usable_cores} of {m.cores} usable, {m.architecture}"),
        ("virtual machine", {True: "yes", False: "no", None: "not known"}[m.is_virtual]),
        ("clock governor", m.governor or "not known"),
        ("load before the run", words.NONE if m.load_average is None else f"{m.load_average:g}"),
        ("GPU", m.gpu),
        ("system", m.system),
        ("Python", m.python),
    )
    blocks: list[Block] = [
        Facts("Machine", facts),
        Facts("Clock and harness", _clock(result)),
        _scenarios(result),
        Facts("Definitions", _definitions(result)),
        Facts("Packages", tuple(sorted(result.packages.items()))),
        Facts("Files", _files(source)),
    ]
    lead = "Figures hold for this machine in this state. On the rig, run it again there."
    return Section("machine", "Machine and settings", lead, tuple(blocks))


def _overhead(loop: str, overhead: Overhead) -> tuple[str, str]:
    figures = f"p50 {words.time(overhead.p50_ns)}, p99 {words.time(overhead.p99_ns)}"
    if loop == WAKING:
        return "paced, with no engine at all", f"{figures} for each frame; {OF_THE_MACHINE}"
    return f"harness, {loop}", f"{figures} for each call; part of every latency"


def _clock(result: Result) -> tuple[tuple[str, str], ...]:
    clock = result.clock
    overhead = [_overhead(name, overhead) for name, overhead in result.overhead.items()]
    step = clock.wall_clock_step_s
    return (
        ("clock", clock.name),
        ("resolution", "not known" if clock.resolution_ns is None else words.time(clock.resolution_ns)),
        (
            "wall clock",
            f"was set by {step:.3g} s during the run, which changes no figure"
            if step
            else "was not set during the run",
        ),
        *overhead,
    )


def _scenarios(result: Result) -> Table:
    boundaries = {m.scenario: m.timing_boundary for m in result.measurements}
    names = list(dict.fromkeys([*result.settings.scenarios, *boundaries]))
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (named(name), _settings(result.settings.scenarios.get(name, {})), boundaries.get(name, words.NONE))
        for name in names
    )
    columns = (
        Column("scenario"),
        Column("settings", is_prose=True),
        Column("where its clock starts and stops", is_prose=True),
    )
    return Table("Scenarios", columns, rows)


def _settings(values: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {_plain(value)}" for name, value in values.items()) or words.NONE


def _plain(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _definitions(result: Result) -> tuple[tuple[str, str], ...]:
    settings = result.settings
    return (
        ("percentile", settings.percentile_definition),
        ("at most", settings.upper_bound_definition),
        ("seed", str(settings.seed)),
    )


def _files(source: Source) -> tuple[tuple[str, str], ...]:
    result = source.result
    samples = "none" if result.samples is None else f"{result.samples.file}, sha256 {result.samples.sha256}"
    return (
        ("bundle", f"{result.bundle.name}, manifest sha256 {result.bundle.manifest_sha256}"),
        ("checkpoint", f"sha256 {result.bundle.checkpoint_sha256}"),
        ("raw samples", samples if source.no_samples is None else f"{samples} (not used: {source.no_samples})"),
        ("schema of the result", f"version {result.schema_version}"),
    )

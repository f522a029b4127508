"""Exports and verifications as tables for a terminal or a log."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator

import click

from daenr_common.cli import print_table
from daenr_common.verdict import Check, Verdict, overall
from daenr_export.bundle import EngineEntry, Manifest, NativeEntry
from daenr_export.exporting.export import ExportReport
from daenr_export.graphs.names import in_order
from daenr_export.verification.runs import Run
from daenr_export.verification.verify import VerifyReport

NONE = "–"


def print_export(report: ExportReport) -> None:
    """What was made, whether it is right, and what to do next."""
    manifest, path = report.manifest, report.bundle
    click.echo(f"{path}: {manifest.model.name}, {size(sum(file.bytes for file in manifest.files.values()))}\n")
    print_graphs(manifest)
    print_contract(manifest)
    click.echo()
    print_verification(report.verification)
    click.echo(f"\nmade in {sum(report.seconds.values()):.1f} s; slowest: {_slowest(report.seconds)}")
    if report.verification.verdict is not Verdict.FAIL:
        click.echo(
            f"next: daenr-bench run {path}  ·  daenr-export inspect {path}  ·  python: daenr_export.load({str(path)!r})"
        )


def print_graphs(manifest: Manifest) -> None:
    """Each graph with its parity, and what it was compiled to."""
    rows: list[list[str]] = []
    for name in in_order(manifest.graphs):
        graph = manifest.graphs[name]
        parity = max((p.max_error_over_scale for p in graph.parity if p.precision == "fp32"), default=None)
        bytes_ = size(manifest.files[graph.file].bytes)
        head = [name, bytes_, NONE if parity is None else f"{parity:.1e}"]
        entries: list[EngineEntry | NativeEntry] = [*manifest.engines, *manifest.natives]
        compiled = [entry for entry in entries if entry.graph == name]
        rows += [[*head, *_compiled(manifest, entry)] for entry in compiled] or [[*head, *[NONE] * 5]]
    headers = ["graph", "size", "parity", "engine", "size", "asked for", "actual", "built in"]
    print_table(headers, rows)
    click.echo("parity: largest error of the graph over the largest answer of PyTorch in float64")


def print_contract(manifest: Manifest) -> None:
    """What shorter numbers cost, and which layers had to do without; nothing where all is float32."""
    found = [(native.file, native.contract) for native in manifest.natives if native.contract]
    for graph in manifest.graphs.values():
        found += [(graph.variants.get(p, graph.file), contract) for p, contract in graph.contracts.items()]
    for file, contract in found:
        if not contract.layers and not contract.kept:
            continue
        counts = Counter(contract.layers.values())
        layers = [f"{count} of {len(contract.layers)} layers {precision}" for precision, count in counts.items()]
        click.echo(f"{file}: {', '.join(layers) or 'under contract'}")
        for sentence in contract.fallbacks:
            click.echo(f"  fell back: {sentence}")
        for sentence in contract.kept:
            click.echo(f"  kept: {sentence}")
        for sentence in contract.not_measured:
            click.echo(f"  not measured: {sentence}")


def _compiled(manifest: Manifest, entry: EngineEntry | NativeEntry) -> list[str]:
    what = f"{entry.flavour} {entry.tensorrt_version}" if isinstance(entry, EngineEntry) else f"native {entry.target}"
    return [
        what,
        size(manifest.files[entry.file].bytes),
        entry.precision_requested,
        entry.precision_actual,
        f"{entry.build_seconds:.2f} s",
    ]


def print_verification(report: VerifyReport) -> None:
    """One row for each backend, and one for each check; what was found for several files alike is put together."""
    print_table(["verified", "verdict", "why"], [*_summaries(report.runs), *_put_together(report.checks)])
    click.echo("error: over the largest answer of PyTorch in float64; correlation: the least of all neurons'")
    ran = list(dict.fromkeys(run.backend for run in report.runs))
    on = f" on {', '.join(ran)}" if ran else ""
    click.echo(f"\n{report.bundle}: {report.verdict.value}{on}{_not_run(report)}")


def _not_run(report: VerifyReport) -> str:
    """A pass must not be taken for more than it is: how many engines nobody could run here."""
    engines = {check.subject.partition(":")[0] for check in report.checks if check.subject.startswith("engines/")}
    flavours = {run.backend for run in report.runs}
    waiting = [engine for engine in engines if engine.split("/")[1] not in flavours]
    return f"; {len(waiting)} engines could not be run here" if waiting else ""


def _put_together(checks: Iterable[Check]) -> Iterator[tuple[str, str, str]]:
    """Checks of files have a subject of the form `file: aspect`; those of one aspect and verdict become one row."""
    groups: dict[tuple[str, Verdict], list[Check]] = {}
    for check in checks:
        aspect = check.subject.rpartition(": ")[2] if check.verdict is not Verdict.FAIL else check.subject
        groups.setdefault((aspect, check.verdict), []).append(check)
    for (aspect, verdict), group in groups.items():
        subject = aspect if aspect == group[0].subject else f"{aspect} of {len(group)} engines"
        reasons = list(dict.fromkeys(check.reason for check in group))
        yield subject, verdict.value, reasons[0] if len(reasons) == 1 else f"e.g. {reasons[0]}"


def _summaries(runs: Iterable[Run]) -> Iterator[tuple[str, str, str]]:
    by_backend: dict[str, list[Run]] = {}
    for run in runs:
        by_backend.setdefault(run.backend, []).append(run)
    for backend, mine in by_backend.items():
        verdict = overall(run.verdict for run in mine)
        failed = [run.check for run in mine if run.verdict is not Verdict.PASS]
        yield backend, verdict.value, _measured(mine) if not failed else f"{len(failed)} of {len(mine)} runs are wrong"
        yield from ((f"  {check.subject}", check.verdict.value, check.reason) for check in failed)


def _measured(runs: list[Run]) -> str:
    graphs = dict.fromkeys(run.graph for run in runs)
    batches = ", ".join(str(batch) for batch in sorted({run.batch for run in runs}))
    precisions = "/".join(dict.fromkeys(run.precision for run in runs))
    text = [f"{len(graphs)} graphs at batch {batches} in {precisions}"]
    errors = [error for run in runs if (error := run.worst("max_error_over_scale")) is not None]
    if errors:
        text.append(f"error ≤ {max(errors):.1e} of scale")
    for metric, words, digits in (
        ("correlation", "correlation ≥ {:.6f}", 6),
        ("psnr_db", "PSNR ≥ {:.0f} dB", 0),
        ("code_agreement", "equal codes ≥ {:.3f}", 3),
    ):
        values = [c.metrics[metric] for run in runs for c in run.comparisons if metric in c.metrics]
        if values:
            # Rounded down: "≥ 1.000000" would be more than was measured.
            text.append(words.format(math.floor(min(values) * 10**digits) / 10**digits))
    if any("neurons_flat" in c.metrics and not c.metrics["neurons_scored"] for run in runs for c in run.comparisons):
        text.append("no neuron varies enough to correlate")
    return ", ".join(text)


def _slowest(seconds: dict[str, float]) -> str:
    name = max(seconds, key=lambda step: seconds[step])
    return f"{name}, {seconds[name]:.1f} s"


def size(count: int) -> str:
    """Bytes for people: `812 B`, `53.9 kB`, `5.7 MB`."""
    for limit, unit in ((1e6, "MB"), (1e3, "kB")):
        if count >= limit:
            return f"{count / limit:.1f} {unit}"
    return f"{count} B"

"""How fast are the engines of a bundle on this GPU, host to host and by CUDA events, beside all peers?"""

from __future__ import annotations

from pathlib import Path

from daenr_bench.gpu_check.engines import AS_CUDA_GRAPHS, ON_A_GPU
from daenr_bench.gpu_check.parts import Checkup, Finding
from daenr_bench.plan import Plan
from daenr_bench.report.write import report_source, write_report
from daenr_bench.result import Result
from daenr_bench.run import benchmark
from daenr_bench.scenarios.burst import Burst
from daenr_bench.scenarios.cold import Cold
from daenr_bench.scenarios.paced import Paced, PacedWarm
from daenr_bench.scenarios.throughput import Throughput
from daenr_common.verdict import Verdict

PLAN = Plan((Burst(), Paced(), PacedWarm(), Cold(repeats=3), Throughput()))


def check_latency(checkup: Checkup, bundle: Path, checkpoint: Path | None, folder: str, plan: Plan) -> Finding:
    """Measure with all peers, and write the result, its raw samples and its report."""
    report = benchmark(bundle, checkpoint=checkpoint, peers=True, plan=plan)
    results = checkup.folder / folder / "results.json"
    results.parent.mkdir(parents=True, exist_ok=True)
    written = report.write(results)
    write_report(report_source(results, bundle), results.with_name("report.html"), results.with_name("report.md"))
    if not written.complete:
        raise KeyboardInterrupt
    figures = list(_figures(written))
    if written.verdict is Verdict.FAIL:
        wrong = [f"{m.graph} on {m.backend} ({m.scenario}): {'; '.join(m.problems)}" for m in written.measurements]
        return Verdict.FAIL, "; ".join([*_wrong(written), *(line for line in wrong if not line.endswith(": "))])
    if not figures:
        return Verdict.CANNOT_TELL, "nothing was timed on the GPU; see what was skipped"
    return Verdict.PASS, f"{figures[0]}; {len(figures)} more" if len(figures) > 1 else figures[0]


def _figures(result: Result) -> list[str]:
    """The medians of a burst on the GPU, by both clocks."""
    lines = []
    for m in result.measurements:
        if m.scenario == "burst" and m.backend in (*ON_A_GPU, *AS_CUDA_GRAPHS) and m.latency is not None:
            device = None if m.device is None else m.device.latency.percentiles["p50"].value_ns
            host = m.latency.percentiles["p50"].value_ns
            on_device = "" if device is None else f", on the device {device / 1000:.1f} µs"
            lines.append(f"{m.graph} on {m.backend}: p50 {(host or 0) / 1000:.1f} µs{on_device}")
    return lines


def _wrong(result: Result) -> list[str]:
    return [f"{a.graph} on {a.backend}: {'; '.join(a.problems)}" for a in result.accuracy if a.problems]

"""Results of all scenarios and states, with samples of a known shape, as `daenr-bench run` would write them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daenr_bench.machine import Machine
from daenr_bench.measurement import (
    Block,
    Cold,
    LoadGenRun,
    Measurement,
    Soak,
    Throughput,
    ThroughputPoint,
    WarmUp,
)
from daenr_bench.peers.registry import PEERS
from daenr_bench.result import Accuracy, BundleId, ClockUse, Entrant, Overhead, Parity, Result, Settings, Skip
from daenr_bench.result_files import Report
from daenr_bench.scenarios.pacing import Pace, blocks_of, figures_of
from daenr_bench.scenarios.schedule import Frames
from daenr_bench.standard import Standard
from daenr_bench.statistics.percentiles import BOUND_DEFINITION, DEFINITION
from daenr_bench.statistics.summaries import block_of, latency_of, spread_of
from daenr_export.verification.margins import own_margins
from daenr_export.verification.recorded import RecordingId
from daenr_export.verification.science import Finding

Arrays = dict[str, NDArray[np.int64]]
Made = tuple[Measurement, Arrays]

BACKENDS = ("torch", "onnxruntime", "openvino")
GRAPHS = ("encoder", "decoder", "readout", "responses", "reconstruction", "joint")

MACHINE = Machine("AMD EPYC", "x86_64", "Linux 6.1", "3.11.7 (CPython)", 2, 2, None, True, 0.3, "none: no CUDA driver")


def measurement(graph: str, backend: str, scenario: str, **fields: Any) -> Measurement:
    state = fields.pop("state", "pass")
    boundary = f"where the clock of {scenario} starts and stops"
    fields = {"problems": (), "complete": True, "timed_answers_compared": 16, "warm_up": WarmUp(75, True)} | fields
    return Measurement(graph, backend, scenario, boundary, state, **fields)


def latencies(median_us: float, n: int, seed: int = 0) -> NDArray[np.int64]:
    """Latencies with a tail: one in a hundred is several times slower."""
    rng = np.random.default_rng([seed, n])
    slow = np.where(rng.random(n) < 0.01, rng.uniform(2, 6, n), 1.0)
    return (median_us * 1000 * np.exp(rng.normal(0, 0.12, n)) * slow).astype(np.int64)


def burst(graph: str = "responses", backend: str = "onnxruntime", median_us: float = 93.0, n: int = 1000) -> Made:
    rounds = latencies(median_us, n, len(backend)).reshape(10, -1)
    key = f"{graph}.{backend}.burst.latency_ns"
    made = measurement(
        graph, backend, "burst",
        latency=latency_of(rounds), blocks=tuple(block_of(r, start_s=float(i)) for i, r in enumerate(rounds)),
        times_faster=316 / median_us, samples={"latency_ns": key},
    )  # fmt: skip
    return made, {key: rounds}


def paced(
    graph: str = "responses",
    backend: str = "onnxruntime",
    median_us: float = 340.0,
    *,
    frames: int = 1000,
    late: int = 0,
    skipped: int = 0,
    warm: bool = False,
    gate: bool = False,
    **fields: Any,
) -> Made:
    """Frames at 100 Hz, in two stretches; the first of them are late or never answered."""
    pace, scenario = Pace(100.0, 10_000_000 if gate else None), "paced-warm" if warm else "paced"
    due_ns = np.arange(frames, dtype=np.int64) * pace.period_ns
    due_ns[frames // 2 :] += 3_000_000_000
    start_ns = due_ns + latencies(median_us / 3, frames, 1)
    end_ns = start_ns + latencies(median_us * 2 / 3, frames, 2)
    end_ns[:late] = due_ns[:late] + 12_000_000
    start_ns[late : late + skipped] = end_ns[late : late + skipped] = -1
    instants = Frames(due_ns, start_ns, end_ns)
    keys = {name: f"{graph}.{backend}.{scenario}.{name}" for name in instants._fields}
    figures = figures_of(instants, pace, frames // 2, keep_warm=warm)
    blocks = blocks_of(instants, pace, frames // 2)
    made = measurement(graph, backend, scenario, blocks=blocks, samples=keys, **figures)
    return replace(made, **fields), {keys[name]: array for name, array in instants._asdict().items()}


def cold(backend: str = "onnxruntime", scale: float = 1.0) -> Made:
    stages = {"interpreter": 0.05, "import": 0.4, "open": 0.1, "first answer": 0.01}
    spreads = {
        name: spread_of((np.array([0.9, 1, 1.1, 1.2, 1.5]) * s * scale * 1e9).astype(int)) for name, s in stages.items()
    }
    both = [spread_of((np.array([0.9, 1, 1.1, 1.2, 1.5]) * s * scale * 1e9).astype(int)) for s in (0.56, 0.11)]
    return measurement("responses", backend, "cold", cold=Cold(5, *both, spreads), warm_up=None), {}


def throughput(backend: str = "onnxruntime", best: float = 60_000.0) -> Made:
    batches = [2**power for power in range(7)]
    rates = [best * batch / (batch + 6) for batch in batches]
    points = tuple(ThroughputPoint(b, 100, r, round(b / r * 1e9)) for b, r in zip(batches, rates, strict=True))
    return measurement("responses", backend, "throughput", throughput=Throughput(points, 32, 0.95)), {}


def soak(backend: str = "onnxruntime", minutes: int = 60, **fields: Any) -> Made:
    made, _ = paced(backend=backend, frames=6000, late=2)
    blocks = tuple(
        Block(
            10.0 * k,
            1000,
            340_000 + 100 * k,
            700_000,
            1_500_000 + 9_000_000 * (k == 77),
            int(k == 77),
            2**28 + 4096 * k,
        )
        for k in range(6 * minutes)
    )
    figures = Soak(60.0 * minutes, 60.0 * minutes, 1.09, 1.5e6)
    return replace(made, scenario="soak", blocks=blocks, soak=figures, samples={}, **fields), {}


def loadgen(backend: str = "onnxruntime") -> Made:
    run = LoadGenRun("6.0.17", "SingleStream", True, 5000, {"p50": 91_000, "p90": 130_000}, {"p90": 133_000}, 10_500.0)
    return measurement("responses", backend, "loadgen-single-stream", loadgen=run), {}


NEURONS = 102
MARGINS = own_margins()


def parity(output: str, batch: int, error: float = 4e-7) -> Parity:
    metrics = {"max_error_over_scale": error, "relative_rms": error * 0.6, "cosine": 1 - error**2}
    return Parity(output, batch, metrics, {"max_error_over_scale": 5e-5}, "pass", ())


def finding(metric: str, value: float | None, verdict: str = "pass", **fields: Any) -> Finding:
    """A margin that is kept, or not."""
    outputs = {"correlation_with_reference": "responses", "recorded_correlation_drop": "responses"}
    output = outputs.get(metric, "codes" if metric == "code_agreement" else "reconstruction")
    made = Finding(output, metric, value, MARGINS.of(metric), verdict, f"{metric} of neuron n7 is {value}", counted=97)
    return replace(made, **fields)


FINDINGS = {
    "responses": (
        finding("correlation_with_reference", 1 - 4e-13),
        finding("recorded_correlation_drop", 3e-8),
    ),
    "reconstruction": (finding("psnr_drop_db", 2e-7), finding("ssim_drop", -3e-9)),
}
FINDINGS["joint"] = FINDINGS["responses"] + FINDINGS["reconstruction"]


def right(graph: str = "responses", backend: str = "onnxruntime", **fields: Any) -> Accuracy:
    made = Accuracy(
        graph,
        backend,
        "fp32",
        "golden file",
        "pass",
        (),
        tuple(parity(graph, batch) for batch in (1, 2, 3, 64)),
        FINDINGS.get(graph, ()),
        {name: f"accuracy.{graph}.{backend}.{name}" for name in BY_NEURON} if graph == "responses" else {},
    )
    return replace(made, **fields)


BY_NEURON = (
    "error_over_largest", "correlation_with_reference", "recorded_correlation_of_reference", "recorded_correlation"
)  # fmt: skip


def by_neuron(accuracy: Accuracy, seed: int = 0) -> dict[str, NDArray[np.float64]]:
    """Figures of 102 neurons, the last five of which hardly vary."""
    random = np.random.default_rng(seed)
    recorded = np.clip(random.normal(0.6, 0.2, NEURONS), -0.1, 0.95)
    values = {
        "error_over_largest": random.uniform(0, 1e-6, NEURONS),
        "correlation_with_reference": 1 - random.uniform(0, 1e-12, NEURONS),
        "recorded_correlation_of_reference": recorded,
        "recorded_correlation": recorded + random.normal(0, 1e-8, NEURONS),
    }
    for name in BY_NEURON[1:]:
        values[name][-5:] = np.nan
    return {accuracy.by_neuron[name]: values[name] for name in accuracy.by_neuron}


def wrong(graph: str = "responses", backend: str = "onnxruntime") -> Accuracy:
    return right(graph, backend, verdict="fail", problems=(f"{graph}: error 3.1e-02 of its scale, tolerated 5e-05",))


STANDARD = Standard(
    margins=MARGINS,
    margins_file=None,
    images=50,
    inputs_sha256={"image": "12" * 32},
    neuron_ids=tuple(f"region3-n{number:03d}" for number in range(NEURONS)),
    recording=RecordingId("region3", "ef" * 32, True, 12),
    reference=None,
)


def entrant(backend: str, **fields: Any) -> Entrant:
    """What took part: PyTorch as a peer, all else as a backend of the bundle."""
    known = Entrant(backend, False, None, None, 1, {"responses": 0.02})
    if backend in PEERS:
        known = replace(known, is_peer=True, settings=f"{backend} as told", documentation="https://example.org/docs")
    return replace(known, **fields)


def result_of(made: Sequence[Made], accuracy: Sequence[Accuracy] | None = None, **fields: Any) -> Report:
    """A result with its samples. Where no accuracy is given, everything that was measured was right before."""
    measurements = tuple(m for m, _ in made)
    cells = dict.fromkeys((m.graph, m.backend) for m in measurements)
    known = Result(
        bundle=BundleId("cae_fr2.daenr", "cae-fr2", "ab" * 32, "cd" * 32),
        started_at="2026-11-24T01:15:00+00:00",
        complete=True,
        settings=Settings(
            0, DEFINITION, BOUND_DEFINITION, {"burst": {"batch": 1, "rounds": 10}, "paced": {"rate_hz": 100.0}}
        ),
        overhead={"burst": Overhead(5000, 78, 140), "paced": Overhead(5000, 95, 180)},
        clock=ClockUse("time.perf_counter_ns", 1, 0.0),
        reference_backend="torch",
        standard=STANDARD,
        entrants=tuple(entrant(backend) for backend in dict.fromkeys(backend for _, backend in cells)),
        accuracy=tuple(accuracy) if accuracy is not None else tuple(right(*cell) for cell in cells),
        measurements=measurements,
        skipped=(Skip("tensorrt", None, "tensorrt: no CUDA driver on this machine; choose a backend for the CPU"),),
        machine=MACHINE,
        packages={"daenr": "0.1.0", "numpy": "2.4.6"},
    )
    result = replace(known, **fields)
    samples = {key: array for _, arrays in made for key, array in arrays.items()}
    neurons = {key: array for a in result.accuracy for key, array in by_neuron(a).items()}
    return Report(result, {**samples, **neurons})


def everything(**fields: Any) -> Report:
    """All scenarios on three backends, one of which misses its deadlines."""
    speed = {"torch": 316.0, "onnxruntime": 93.0, "openvino": 70.0}
    made = [
        burst(graph, backend, speed[backend] * (1 + 5 * (graph == "joint"))) for graph in GRAPHS for backend in BACKENDS
    ]
    for backend, us in speed.items():
        made.append(
            paced(backend=backend, median_us=us * 4, late=40 * (backend == "torch"), skipped=3 * (backend == "torch"))
        )
        made.append(paced(backend=backend, median_us=us * 1.2, warm=True))
        made += [cold(backend, us / 70), throughput(backend, 4e6 / us)]
    return result_of([*made, soak(), loadgen()], **fields)


def written(report: Report, folder: Path) -> Path:
    """The result and its samples as files."""
    path = folder / "results.json"
    report.write(path)
    return path

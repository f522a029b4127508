"""torch.compile as a peer: compiled when it opens a graph and never in a timed call."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from bench_factory import FakeClock

from daenr_bench import Plan, benchmark
from daenr_bench.peers.registry import make
from daenr_bench.scenarios.burst import Burst
from daenr_common.errors import BackendUnavailableError
from daenr_export.bundle import Bundle
from daenr_export.bundle.golden import Golden, in_batches
from daenr_export.specs import BatchRange


@pytest.fixture
def compiles() -> None:
    """Skip where there is no C++ compiler."""
    from torch._inductor import config, cpp_builder

    try:
        cpp_builder.get_cpp_compiler()
    except Exception as error:
        pytest.skip(f"no C++ compiler for torch.compile ({config.cpp.cxx}): {error}")


def graphs_compiled() -> int:
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


@pytest.mark.slow
def test_it_is_compiled_when_opened_and_answers_right(compiles: None, checkpoint: Path, torch_bundle: Path) -> None:
    bundle, peer = Bundle.open(torch_bundle), make("torch-compile", checkpoint)
    golden = Golden(bundle.golden())
    for name in ("responses", "readout"):
        with peer.open(bundle.graph(name)) as session:
            compiled = graphs_compiled()
            assert compiled > 0
            assert session.spec.batch == BatchRange(1, 1, 1)
            images = golden.inputs(session.spec)
            answers = [session.run(image)[0] for image in in_batches(images, 1)]
            assert graphs_compiled() == compiled  # nothing was compiled since it was opened
        np.testing.assert_allclose(np.concatenate(answers), golden.references(session.spec)["responses"], atol=1e-5)


def test_without_a_compiler_it_is_skipped_with_the_reason(
    checkpoint: Path, torch_bundle: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from torch._inductor import config, cpp_builder

    monkeypatch.setattr(config.cpp, "cxx", ("no-such-compiler",))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))  # what was compiled before would be found there
    for cached in (cpp_builder.get_cpp_compiler, getattr(cpp_builder, "_find_compiler", None)):
        if hasattr(cached, "cache_clear"):
            cached.cache_clear()
    monkeypatch.setattr("daenr_export.runtime.registry.backends", lambda: ())
    plan, clock = Plan((Burst(samples=10),)), FakeClock()
    result = benchmark(torch_bundle, checkpoint=checkpoint, peers=True, plan=plan, clock=clock).result
    reason = next(skip.reason for skip in result.skipped if skip.backend == "torch-compile")
    assert "\n" not in reason
    assert "cannot prepare the graph responses" in reason
    assert len(reason) < 400
    assert {m.backend for m in result.measurements} >= {"torch", "torchscript"}
    with pytest.raises(BackendUnavailableError, match="torch-compile: cannot prepare the graph responses"):
        benchmark(torch_bundle, checkpoint=checkpoint, backends=["torch-compile"], plan=plan, clock=clock)

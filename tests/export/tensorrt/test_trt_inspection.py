"""Engines that cannot be run are checked as far as that goes, and what is wrong with them is found."""

from __future__ import annotations

import re
import sys

import pytest
from bundle_factory import onnx_graph
from engine_factory import built, half_graph, record_of, spec_of, with_other_weights

from daenr_common.errors import BackendUnavailableError
from daenr_common.verdict import Check, Verdict
from daenr_export.bundle.manifest import EngineEntry
from daenr_export.specs import BatchRange, TensorSpec
from daenr_export.tensorrt import BuiltEngine, inspection, reproduction, why_no_gpu
from daenr_export.tensorrt.inspection import inspect_engine
from daenr_export.tensorrt.plan import PlanRefusedError

tensorrt_rtx = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx-cu12 is not installed")

PASS, FAIL, CANNOT_TELL = Verdict.PASS, Verdict.FAIL, Verdict.CANNOT_TELL
ASPECTS = ["version", "source", "tensors", "precision", "reproduction", "deserialisation"]
without_gpu = pytest.mark.skipif(why_no_gpu() is None, reason="measured without a GPU")


@pytest.fixture(scope="module")
def engine() -> BuiltEngine:
    return built("responses")


@pytest.fixture
def record(engine: BuiltEngine) -> EngineEntry:
    return record_of(engine, "responses")


def inspected(plan: bytes, record: EngineEntry, *, onnx: bytes | None = None, **arguments: object) -> dict[str, Check]:
    """The checks by aspect."""
    source = onnx_graph("responses") if onnx is None else onnx
    checks = inspect_engine(plan, source, record, arguments.get("graph", spec_of("responses")))
    for check in checks:
        assert check.subject.startswith(f"{record.file}: ")
        assert check.reason
        assert "\n" not in check.reason
    return {check.subject.removeprefix(f"{record.file}: "): check for check in checks}


def verdicts(checks: dict[str, Check]) -> dict[str, Verdict]:
    return {aspect: check.verdict for aspect, check in checks.items()}


@without_gpu
def test_an_engine_as_it_was_built(engine: BuiltEngine, record: EngineEntry) -> None:
    checks = inspected(engine.plan, record)

    assert verdicts(checks) == {**dict.fromkeys(ASPECTS, PASS), "deserialisation": CANNOT_TELL}
    assert checks["reproduction"].reason == f"rebuilt from the source: the same {len(engine.plan)} bytes"
    assert checks["deserialisation"].reason == why_no_gpu()


@pytest.mark.parametrize("precision", ["tf32", "fp16"])
def test_other_precisions(precision: str) -> None:
    engine = built("encoder", precision)
    source = half_graph("encoder") if precision == "fp16" else onnx_graph("encoder")
    checks = inspected(engine.plan, record_of(engine, "encoder"), onnx=source, graph=spec_of("encoder"))

    assert checks["precision"].reason == f"the source computes in {precision}, as the manifest says"
    assert checks["reproduction"].verdict is PASS


def test_an_engine_for_other_gpus_than_recorded_is_no_pass(engine: BuiltEngine, record: EngineEntry) -> None:
    checks = inspected(engine.plan, record._replace(compute_capabilities=("8.6",)))

    assert checks["reproduction"].verdict is not PASS


def test_an_edited_byte_is_no_pass(engine: BuiltEngine, record: EngineEntry) -> None:
    plan = bytearray(engine.plan)
    plan[len(plan) // 2] ^= 1
    check = inspected(bytes(plan), record)["reproduction"]

    assert check.verdict is CANNOT_TELL
    assert check.reason.startswith(f"1 of {len(plan)} bytes differ from the nearest of 4 builds from the source")


@without_gpu
def test_a_truncated_plan_fails(engine: BuiltEngine, record: EngineEntry) -> None:
    check = inspected(engine.plan[:-8], record)["reproduction"]

    assert check.verdict is FAIL
    # One build in many is of another size.
    found = re.fullmatch(rf"it has {len(engine.plan) - 8} bytes, and rebuilt from the source (.*)", check.reason)
    assert str(len(engine.plan)) in found[1].split(" or ")


@without_gpu
def test_an_engine_of_other_weights_fails(engine: BuiltEngine, record: EngineEntry) -> None:
    other = with_other_weights(onnx_graph("responses"), "weights")

    assert inspected(engine.plan, record, onnx=other)["reproduction"].verdict is FAIL


@without_gpu
def test_an_engine_for_another_batch_range_fails(engine: BuiltEngine, record: EngineEntry) -> None:
    assert inspected(engine.plan, record._replace(batch=BatchRange(1, 2, 8)))["reproduction"].verdict is FAIL


@pytest.mark.parametrize(("is_really", "said", "word"), [("fp32", "tf32", "without"), ("tf32", "fp32", "with")])
def test_an_engine_of_the_other_setting_of_tf32_fails(is_really: str, said: str, word: str) -> None:
    engine = built("responses", is_really)
    record = record_of(engine, "responses")._replace(precision_requested=said, precision_actual=said)
    check = inspected(engine.plan, record)["reproduction"]

    assert check.verdict is FAIL
    assert check.reason == f"it is what the source builds to {word} TF32, which the manifest does not say"


def test_where_builds_were_not_compared_a_difference_is_no_failure(
    engine: BuiltEngine, record: EngineEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reproduction, "why_no_gpu", lambda: None)

    assert inspected(engine.plan[:-8], record)["reproduction"].verdict is CANNOT_TELL


def test_another_version_cannot_tell_and_names_both(engine: BuiltEngine, record: EngineEntry) -> None:
    checks = inspected(engine.plan, record._replace(tensorrt_version="1.2.0.54"))

    assert list(checks) == ["version", "source", "tensors", "precision"]
    assert checks["version"].verdict is CANNOT_TELL
    assert "1.2.0.54" in checks["version"].reason
    assert tensorrt_rtx.__version__ in checks["version"].reason


def test_a_flavour_that_is_not_installed_cannot_tell(
    engine: BuiltEngine, record: EngineEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    checks = inspected(engine.plan, record._replace(flavour="tensorrt"))

    assert verdicts(checks) == {"version": CANNOT_TELL}
    assert "pip install 'daenr[gpu]'" in checks["version"].reason


def test_a_source_that_tensorrt_does_not_take_fails(engine: BuiltEngine, record: EngineEntry) -> None:
    checks = inspected(engine.plan, record, onnx=b"not a graph")

    assert verdicts(checks) == {"version": PASS, "source": FAIL}


def test_a_source_with_other_tensors_fails(engine: BuiltEngine, record: EngineEntry) -> None:
    graph = spec_of("responses")._replace(outputs=(TensorSpec("responses", "float32", (7,)),))
    checks = inspected(engine.plan, record, graph=graph)

    assert checks["tensors"].verdict is FAIL
    assert "output responses ('float32', -1, 5) instead of ('float32', -1, 7)" in checks["tensors"].reason
    assert checks["reproduction"].verdict is FAIL


def test_an_fp32_graph_recorded_as_fp16_fails(engine: BuiltEngine, record: EngineEntry) -> None:
    check = inspected(engine.plan, record._replace(precision_requested="fp16", precision_actual="fp16"))["precision"]

    assert check.verdict is FAIL
    assert check.reason == "the manifest says fp16, and the source computes in fp32"


def test_builds_of_enterprise_are_not_compared(engine: BuiltEngine, record: EngineEntry) -> None:
    verdict, reason = reproduction.reproduce(
        engine.plan, onnx_graph("responses"), record._replace(flavour="tensorrt"), spec_of("responses")
    )

    assert verdict is CANNOT_TELL
    assert "no two builds are alike" in reason


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (None, PASS),
        (PlanRefusedError("engine", "is refused: MALFORMED_ENGINE", ("MALFORMED_ENGINE",)), FAIL),
        (PlanRefusedError("engine", "is refused: UNSUPPORTED_CC", ("UNSUPPORTED_CC",)), CANNOT_TELL),
        (BackendUnavailableError("engine", "has other tensors", "export it again"), FAIL),
    ],
)
def test_deserialisation_on_a_gpu(
    engine: BuiltEngine,
    record: EngineEntry,
    monkeypatch: pytest.MonkeyPatch,
    error: BackendUnavailableError | None,
    verdict: Verdict,
) -> None:
    def opened(*_: object) -> None:
        if error is not None:
            raise error

    monkeypatch.setattr(inspection, "why_no_gpu", lambda: None)
    monkeypatch.setattr(inspection, "open_plan", opened)
    check = inspected(engine.plan, record)["deserialisation"]

    assert check.verdict is verdict
    if error is not None:
        assert check.reason == error.problem


@pytest.mark.gpu
@pytest.mark.skipif(why_no_gpu() is not None, reason=str(why_no_gpu()))
def test_deserialisation_for_real(engine: BuiltEngine, record: EngineEntry) -> None:
    check = inspected(engine.plan, record)["deserialisation"]

    assert check.verdict is PASS or "UNSUPPORTED_CC" in check.reason

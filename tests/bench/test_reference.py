"""A saved run as the reference: computed in one place, compared in another; its speeds decide nothing."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accuracy_factory import make_recording
from bench_checks import assert_one_line
from bench_factory import GRAPHS, FakeBackend, FakeClock
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from daenr_bench import Plan, Report, benchmark
from daenr_bench.cells import Cell
from daenr_bench.cli import main
from daenr_bench.judge import answers_to_save
from daenr_bench.notes import notes
from daenr_bench.result import Result, schema
from daenr_bench.scenarios.burst import Burst
from daenr_bench.scenarios.paced import Paced
from daenr_bench.yardstick import Against, yardstick_of
from daenr_common.errors import DaenrError
from daenr_common.hashing import sha256_of
from daenr_common.verdict import Verdict
from daenr_export.bundle import Bundle
from daenr_export.runtime import registry
from daenr_export.runtime.registry import BackendStatus
from daenr_export.specs import Array

OLD = Path(__file__).parent / "result_of_schema_1.json"
Edit = Callable[[dict[str, Any]], object]


def measure(bundle: Path, *backends: tuple[str, int], against: Against, **options: Any) -> Report:
    """A run of engines that take so many nanoseconds."""
    clock = FakeClock()
    spoil = options.pop("spoil", lambda number, answer: answer)
    engines = [FakeBackend(bundle, clock, lambda *_, ns=ns: ns, name=name, spoil=spoil) for name, ns in backends]
    plan = Plan((Burst(samples=700), Paced(samples=700)))
    return benchmark(bundle, backends=engines, plan=plan, clock=clock, against=against, **options)


@pytest.fixture
def saved(shared_timed_bundle: Path, tmp_path: Path) -> Path:
    """A run in CI: PyTorch, which is the reference, and an engine beside it."""
    report = measure(
        shared_timed_bundle, ("native", 50_000), ("torch", 300_000), against=Against(save_answers=True)
    )  # fmt: skip
    path = tmp_path / "ci.json"
    report.write(path)
    return path


def edited(path: Path, edit: Edit) -> Path:
    document = json.loads(path.read_text("utf-8"))
    edit(document)
    path.write_text(json.dumps(document), "utf-8")
    return path


def on_the_rig(bundle: Path, reference: Path, **options: Any) -> Result:
    report = measure(bundle, ("tensorrt", 80_000), against=Against(reference=reference), **options)
    document = json.loads(report.result.json_text())
    assert [error.message for error in Draft202012Validator(schema()).iter_errors(document)] == []
    assert Result.from_json(report.result.json_text()) == report.result
    return report.result


def test_the_answers_of_the_first_reference_are_saved(saved: Path) -> None:
    result = Result.from_json(saved.read_text("utf-8"))
    assert result.standard is not None
    assert result.standard.answers == dict.fromkeys(GRAPHS, "torch")
    with np.load(saved.with_suffix(".samples.npz"), allow_pickle=False) as arrays:
        found = {key: arrays[key].shape for key in arrays.files if key.startswith("answers.")}
    assert found == {
        "answers.encoder.features": (8, 4, 8, 8),
        "answers.readout.responses": (8, 5),
        "answers.responses.responses": (8, 5),
    }


def test_engines_elsewhere_are_compared_with_it(shared_timed_bundle: Path, saved: Path) -> None:
    result = on_the_rig(shared_timed_bundle, saved)
    assert result.verdict is Verdict.PASS
    assert {a.against for a in result.accuracy} == {"saved run"}
    wrong = on_the_rig(shared_timed_bundle, saved, spoil=lambda number, answer: answer * 1.01)
    assert {a.verdict for a in wrong.accuracy} == {"fail"}


def test_the_speeds_of_another_machine_are_context_and_no_verdict(shared_timed_bundle: Path, saved: Path) -> None:
    result = on_the_rig(shared_timed_bundle, edited(saved, lambda d: d["machine"].update(processor="6502", cores=1)))
    assert result.standard is not None
    reference = result.standard.reference
    assert reference is not None
    assert (reference.file, reference.backends) == ("ci.json", dict.fromkeys(GRAPHS, "torch"))
    speeds = {(speed.graph, speed.backend, speed.scenario): speed.p50_ns for speed in reference.speeds}
    assert speeds == {(graph, "torch", "burst"): 300_000 for graph in GRAPHS} | {
        ("responses", "torch", "paced"): 300_000
    }
    assert reference.speed_verdict == "cannot tell"
    assert reference.speed_reason.startswith("another machine: processor is '6502' there and ")
    assert "; another machine: cores is 1 there and " in reference.speed_reason
    assert [m.times_faster for m in result.measurements] == [None] * 4  # 80 µs here are not 3.75 × faster
    assert result.reference_backend is None
    text = "\n".join(notes(result))
    assert "answers are compared with those of ci.json (encoder by torch, readout by torch, responses by torch)" in text
    assert "context: there, torch took 300.0 µs (p50) for responses in paced, on 6502" in text
    assert "faster or slower than the reference: cannot tell: another machine: processor is '6502' there" in text


def test_not_even_the_same_machine_at_another_time_tells(shared_timed_bundle: Path, saved: Path) -> None:
    standard = on_the_rig(shared_timed_bundle, saved).standard
    assert standard is not None
    assert standard.reference is not None
    assert standard.reference.speed_verdict == "cannot tell"
    assert standard.reference.speed_reason.startswith("measured at another time")


def test_a_bundle_of_the_same_checkpoint_with_other_engines_may_use_it(shared_timed_bundle: Path, saved: Path) -> None:
    """A rig builds its own engines, so its manifest is another one."""
    edited(saved, lambda d: d["bundle"].update(manifest_sha256="0" * 64))
    assert on_the_rig(shared_timed_bundle, saved).verdict is Verdict.PASS


def test_graphs_that_it_does_not_hold_are_compared_with_the_golden_file(shared_timed_bundle: Path, saved: Path) -> None:
    edited(saved, lambda d: d["standard"]["answers"].pop("encoder"))
    against = {a.graph: a.against for a in on_the_rig(shared_timed_bundle, saved).accuracy}
    assert against == {"encoder": "golden file", "readout": "saved run", "responses": "saved run"}


def test_it_carries_the_recorded_responses(shared_timed_bundle: Path, tmp_path: Path) -> None:
    """The rig needs no recording to see whether the fit to it is kept."""
    recording = make_recording(tmp_path / "recording.npz")
    path = tmp_path / "ci.json"
    in_ci = measure(shared_timed_bundle, ("torch", 1000), against=Against(data=recording, save_answers=True))
    in_ci.write(path)
    there, here = in_ci.result, on_the_rig(shared_timed_bundle, path)
    drops = [
        finding for result in (there, here) for a in result.accuracy for finding in a.science
        if finding.metric == "recorded_correlation_drop"
    ]  # fmt: skip
    assert [drop.verdict for drop in drops] == ["pass"] * 4
    assert {drop.counted for drop in drops} == {5}
    assert there.standard is not None
    assert here.standard is not None
    assert here.standard.recording == there.standard.recording
    report = measure(shared_timed_bundle, ("tensorrt", 1000), against=Against(reference=path))
    keys = [
        next(a.by_neuron["recorded_correlation_of_reference"] for a in result.accuracy if a.graph == "responses")
        for result in (there, report.result)
    ]
    np.testing.assert_allclose(in_ci.samples[keys[0]], report.samples[keys[1]], rtol=1e-6)


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (
            lambda d: d["bundle"].update(checkpoint_sha256="0" * 64, model="vae-fr1"),
            r"is of another checkpoint \(vae-fr1, sha256 0000000000000000…\) than the bundle \(vqvae-fr1, sha256 abab",
        ),
        (
            lambda d: d["standard"]["inputs_sha256"].update(image="0" * 64),
            "was asked other image than the bundle's golden file has; give a run of a bundle that was exported alike",
        ),
        (lambda d: d.update(schema_version=99), "schema_version is 99, this daenr reads 1, 2; give a file that"),
        (lambda d: d["standard"].update(answers={}), "holds no answers; run it again with --save-answers"),
        (lambda d: d["standard"]["answers"].update(responses="torch", joint="torch"), None),
        (lambda d: d.update(samples=None), "holds no answers: the result was written without its raw samples"),
    ],
)
def test_a_run_that_is_no_reference_is_refused(
    shared_timed_bundle: Path, saved: Path, edit: Edit, problem: str | None
) -> None:
    edited(saved, edit)
    if problem is None:  # it may hold graphs that the bundle lacks
        assert on_the_rig(shared_timed_bundle, saved).verdict is Verdict.PASS
        return
    with pytest.raises(DaenrError, match=problem) as refused:
        on_the_rig(shared_timed_bundle, saved)
    assert str(refused.value).startswith(f"{saved}: ")
    assert "\n" not in str(refused.value)


def test_a_result_of_version_1_holds_no_answers(shared_timed_bundle: Path, tmp_path: Path) -> None:
    old = edited(
        Path(tmp_path, "old.json").write_text(OLD.read_text("utf-8")) and tmp_path / "old.json",
        lambda d: d["bundle"].update(checkpoint_sha256="ab" * 32),
    )
    with pytest.raises(DaenrError, match=r"old\.json: holds no answers; run it again with --save-answers"):
        on_the_rig(shared_timed_bundle, old)


def resealed(path: Path, change: Callable[[dict[str, Array]], object]) -> None:
    """Other arrays in the npz, with a digest that is right."""
    npz = path.with_suffix(".samples.npz")
    with np.load(npz, allow_pickle=False) as file:
        arrays = dict(file)
    change(arrays)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    npz.write_bytes(buffer.getvalue())
    edited(path, lambda d: d["samples"].update(sha256=sha256_of(buffer.getvalue())))


RESPONSES = "answers.responses.responses"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda arrays: arrays.update({RESPONSES: arrays[RESPONSES] * 1.01}),
            "is wrong itself: its answers of responses are not the golden ones (responses: error 1.0e-02 of its scale",
        ),
        (lambda arrays: arrays.pop(RESPONSES), "holds no responses.responses; run it again with --save-answers"),
        (
            lambda arrays: arrays.update({RESPONSES: arrays[RESPONSES][:, :2]}),
            "holds responses.responses as float32 (8, 2), and the manifest says float32 (N, 5)",
        ),
        (lambda arrays: arrays.update({RESPONSES: arrays[RESPONSES] * np.nan}), "holds NaN or infinity in responses."),
        (lambda arrays: arrays.update({RESPONSES: arrays[RESPONSES][:3]}), "is wrong itself"),
        (
            lambda arrays: arrays.update({"recorded.responses": np.zeros((1, 2, 3))}),
            "holds recorded responses of the shape (1, 2, 3), expected (1, 8, 5)",
        ),
    ],
)
def test_a_reference_that_is_wrong_itself_is_refused(
    shared_timed_bundle: Path, saved: Path, change: Callable[[dict[str, Array]], object], problem: str
) -> None:
    resealed(saved, change)
    with pytest.raises(DaenrError) as refused:
        on_the_rig(shared_timed_bundle, saved)
    assert str(refused.value).startswith(f"{saved}: {problem}")


def test_only_right_answers_in_float32_are_saved(opened: Callable[..., list[Cell]], shared_timed_bundle: Path) -> None:
    clock, yardstick = FakeClock(), yardstick_of(Bundle.open(shared_timed_bundle))
    cells = opened(*(FakeBackend(shared_timed_bundle, clock, name=name) for name in ("tensorrt", "native")))
    assert answers_to_save([replace(cell, precision="fp16") for cell in cells], yardstick) == ({}, {})
    half = [replace(cells[0], precision="fp16"), cells[1]]
    assert answers_to_save(half, yardstick)[0] == {"responses": "native"}
    wrong = measure(
        shared_timed_bundle,
        ("torch", 1000),
        against=Against(save_answers=True),
        spoil=lambda number, answer: answer * 1.01,
    ).result
    assert wrong.standard is not None
    assert wrong.standard.answers == {}


Invoke = Callable[..., Any]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared_timed_bundle: Path) -> Invoke:
    monkeypatch.chdir(tmp_path)
    backend = FakeBackend(shared_timed_bundle, FakeClock())
    monkeypatch.setattr(registry, "backends", lambda: (BackendStatus("fake", True),))
    monkeypatch.setattr(registry, "_make", {"fake": backend}.__getitem__)
    arguments = ["run", str(shared_timed_bundle), "--scenario", "burst", "--samples", "20"]
    return lambda *more: CliRunner().invoke(main, [*arguments, *map(str, more)])


def test_from_ci_to_the_rig(invoke: Invoke, tmp_path: Path) -> None:
    assert invoke("--save-answers", "--json", "ci.json").exit_code == 0
    (tmp_path / "copied").mkdir()
    for name in ("ci.json", "ci.samples.npz"):
        (tmp_path / name).rename(tmp_path / "copied" / name)
    result = invoke("--reference", "copied/ci.json", "--json", "rig.json")
    assert result.exit_code == 0, result.output
    assert "note: answers are compared with those of ci.json (encoder by fake, " in result.stdout
    page = CliRunner().invoke(main, ["report", "rig.json", "--html", "report.html"])
    assert page.exit_code == 0, page.output
    assert "held against those of ci.json" in (tmp_path / "report.html").read_text("utf-8")


def test_that_no_answers_could_be_saved_is_said(
    invoke: Invoke, shared_timed_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = FakeBackend(shared_timed_bundle, FakeClock(), spoil=lambda number, answer: answer + 1)
    monkeypatch.setattr(registry, "_make", {"fake": wrong}.__getitem__)
    result = invoke("--save-answers", "--json", "ci.json")
    assert result.exit_code == 1
    assert "saved no answers: no engine that computes in fp32 gave right ones" in result.stdout


def test_bad_references_are_one_line(invoke: Invoke, saved: Path, tmp_path: Path) -> None:
    whole = saved.read_text("utf-8")
    (tmp_path / "cut.json").write_text(whole[: len(whole) // 2], "utf-8")
    assert_one_line(invoke("--reference", "cut.json"), "cut.json: ", "give a file that daenr-bench run wrote")
    assert_one_line(invoke("--reference", "absent.json"), "absent.json: does not exist; give the JSON that daenr-bench")
    assert_one_line(invoke("--reference", "ci.samples.npz"), "ci.samples.npz: cannot be read (it is not text)")
    assert_one_line(
        invoke("--reference", "ci.json", "--json", "ci.json", "--force"), "ci.json: is the reference itself"
    )
    assert_one_line(invoke("--save-answers"), "--save-answers: puts answers beside the result, and none is written")
    npz = tmp_path / "ci.samples.npz"
    npz.write_bytes(npz.read_bytes()[:-100])
    assert_one_line(
        invoke("--reference", "ci.json", "--json", "r.json"),
        "ci.json: holds no answers: ci.samples.npz is not the file that belongs to this result: its sha256 differs",
        "copy both files, or run it again with --save-answers",
    )
    npz.unlink()
    assert_one_line(invoke("--reference", "ci.json"), "ci.samples.npz is not beside the result")
    assert not (tmp_path / "r.json").exists()

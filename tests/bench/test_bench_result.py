"""The JSON file: its schema, and reading back what was written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench_checks import assert_says_all
from bench_factory import FakeBackend, FakeClock
from jsonschema import Draft202012Validator

from daenr_bench import Plan, Report, Result, benchmark
from daenr_bench.result import schema
from daenr_bench.scenarios.burst import Burst
from daenr_common.errors import DaenrError


def faults(value: Any) -> list[str]:
    """What JSON Schema finds wrong with a document."""
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema()).iter_errors(value)]


def measured(bundle: Path, **options: Any) -> Report:
    clock = FakeClock()
    spoil = options.pop("spoil", lambda number, answer: answer)
    backends = [FakeBackend(bundle, clock), FakeBackend(bundle, clock, name="other", spoil=spoil)]
    return benchmark(bundle, backends=backends, clock=clock, plan=Plan((Burst(samples=50),)), **options)


@pytest.fixture(scope="module")
def result(shared_timed_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    return measured(shared_timed_bundle).write(tmp_path_factory.mktemp("results") / "results.json")


def test_a_result_fits_the_schema(result: Result) -> None:
    assert faults(json.loads(result.json_text())) == []


def test_a_failed_result_without_samples_fits_the_schema(shared_timed_bundle: Path) -> None:
    failed = measured(shared_timed_bundle, spoil=lambda number, answer: -answer).result
    document = json.loads(failed.json_text())
    assert document["verdict"] == "fail"
    assert document["samples"] is None
    assert faults(document) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"schema_version": 3}, "$.schema_version: 2 was expected"),
        ({"complete": 1}, "$.complete: 1 is not of type 'boolean'"),
        ({"host": "rig"}, "$: Additional properties are not allowed ('host' was unexpected)"),
        ({"verdict": "good"}, "$.verdict: 'good' is not one of ['pass', 'fail', 'cannot tell']"),
        ({"packages": {"numpy": 2}}, "$.packages.numpy: 2 is not of type 'string'"),
    ],
)
def test_the_schema_refuses_other_documents(result: Result, change: dict[str, Any], fault: str) -> None:
    assert faults(json.loads(result.json_text()) | change) == [fault]


def test_every_object_of_the_schema_says_all_that_it_may_hold() -> None:
    assert_says_all(schema())


def test_what_was_written_is_read_back(result: Result) -> None:
    again = Result.from_json(result.json_text())
    assert again == result
    assert again.json_text() == result.json_text()


def damaged(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.update(changes)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (damaged(schema_version=3), "schema_version is 3, this daenr reads 1, 2"),
        (damaged(schema_version=True), "schema_version is True, this daenr reads 1, 2"),
        (damaged(schema_version=1), "lacks what schema version 1 has"),
        (damaged(verdict="fail"), "verdict is 'fail', and the measurements say 'pass'"),
        (damaged(surprise=1), "surprise is unknown"),
        (damaged(complete="yes"), "complete is 'yes', expected true or false"),
        (lambda document: document.pop("machine"), "machine is missing"),
        (lambda document: document["measurements"][0].pop("graph"), r"measurements\[0\].graph is missing"),
        (lambda document: document["measurements"][0].update(state="maybe"), "'maybe' is not a valid State"),
    ],
)
def test_another_document_is_refused(result: Result, damage: Callable[[dict[str, Any]], Any], problem: str) -> None:
    document = json.loads(result.json_text())
    damage(document)
    with pytest.raises(DaenrError, match=problem) as refused:
        Result.from_json(json.dumps(document), source="results.json")
    assert str(refused.value).startswith("results.json: ")
    assert "run it again" in str(refused.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(DaenrError, match=r"results\.json: .*; give a file that daenr-bench run wrote"):
        Result.from_json(text, source="results.json")


OLD = Path(__file__).parent / "result_of_schema_1.json"


def test_a_result_of_version_1_is_brought_to_the_present() -> None:
    """The file was written when the schema had version 1, with an engine among three that was wrong."""
    old = json.loads(OLD.read_text("utf-8"))
    result = Result.from_json(OLD.read_text("utf-8"), source=OLD)
    assert faults(json.loads(result.json_text())) == []
    assert Result.from_json(result.json_text()) == result
    wrong, *timed = old["measurements"]
    assert [(a.graph, a.backend, a.verdict) for a in result.accuracy] == [
        (m["graph"], m["backend"], m["verdict"]) for m in old["measurements"]
    ]
    assert result.accuracy[0].problems == tuple(wrong["problems"])
    for measurement, before in zip(result.measurements, timed, strict=True):
        assert measurement.scenario == "burst"
        assert measurement.complete
        assert measurement.timing_boundary == old["settings"]["timing_boundary"]
        assert measurement.latency is not None
        assert measurement.latency.max_ns == before["latency"]["max_ns"]
        assert [block.p50_ns for block in measurement.blocks] == before["latency"]["round_p50_ns"]
        assert measurement.times_faster == before["latency"]["times_faster"]
        assert measurement.samples["latency_ns"] == f"{before['graph']}.{before['backend']}"

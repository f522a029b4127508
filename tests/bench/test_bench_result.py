"""The JSON file: its schema, and reading back what was written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bench_factory import FakeBackend, FakeClock

from daenr_bench import Plan, Report, Result, benchmark
from daenr_bench.result import schema
from daenr_common.errors import DaenrError

KINDS: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "null": lambda value: value is None,
}
KNOWN_WORDS = {
    "$ref", "type", "const", "enum", "pattern", "minimum", "required", "properties", "additionalProperties", "items",
    "title", "description", "$schema", "$defs",
}  # fmt: skip


def faults(value: Any, rule: dict[str, Any], root: dict[str, Any], where: str = "$") -> list[str]:
    """What a schema finds wrong with a value. Knows the words of JSON Schema that our schema uses, and no others."""
    assert rule.keys() <= KNOWN_WORDS
    if "$ref" in rule:
        rule = root["$defs"][rule["$ref"].removeprefix("#/$defs/")]
    kinds = rule.get("type", [])
    if kinds and not any(KINDS[kind](value) for kind in ([kinds] if isinstance(kinds, str) else kinds)):
        return [f"{where} is not {kinds}"]
    if isinstance(value, list):
        return [fault for i, item in enumerate(value) for fault in faults(item, rule["items"], root, f"{where}[{i}]")]
    return (
        _faults_of_object(value, rule, root, where) if isinstance(value, dict) else _faults_of_value(value, rule, where)
    )


def _faults_of_value(value: Any, rule: dict[str, Any], where: str) -> list[str]:
    good = {
        "const": lambda wanted: value == wanted,
        "enum": lambda wanted: value in wanted,
        "pattern": lambda wanted: re.search(wanted, value) is not None,
        "minimum": lambda wanted: value is None or value >= wanted,
    }
    return [
        f"{where} is {value!r}, {word}: {rule[word]}" for word in good if word in rule and not good[word](rule[word])
    ]


def _faults_of_object(value: dict[str, Any], rule: dict[str, Any], root: dict[str, Any], where: str) -> list[str]:
    properties, others = rule.get("properties", {}), rule["additionalProperties"]
    found = [f"{where}.{name} is missing" for name in rule.get("required", []) if name not in value]
    for name, item in value.items():
        if name not in properties and others is False:
            found.append(f"{where}.{name} is unknown")
        else:
            found += faults(item, properties.get(name, others), root, f"{where}.{name}")
    return found


def measured(bundle: Path, **options: Any) -> Report:
    clock = FakeClock()
    spoil = options.pop("spoil", lambda number, answer: answer)
    backends = [FakeBackend(bundle, clock), FakeBackend(bundle, clock, name="other", spoil=spoil)]
    return benchmark(bundle, backends=backends, clock=clock, plan=Plan(samples=50), **options)


@pytest.fixture(scope="module")
def result(shared_timed_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    return measured(shared_timed_bundle).write(tmp_path_factory.mktemp("results") / "results.json")


def test_a_result_fits_the_schema(result: Result) -> None:
    assert faults(json.loads(result.json_text()), schema(), schema()) == []


def test_a_failed_result_without_samples_fits_the_schema(shared_timed_bundle: Path) -> None:
    failed = measured(shared_timed_bundle, spoil=lambda number, answer: -answer).result
    document = json.loads(failed.json_text())
    assert document["verdict"] == "fail"
    assert document["samples"] is None
    assert faults(document, schema(), schema()) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"schema_version": 2}, "$.schema_version is 2, const: 1"),
        ({"complete": 1}, "$.complete is not boolean"),
        ({"host": "rig"}, "$.host is unknown"),
        ({"verdict": "good"}, "$.verdict is 'good', enum: ['pass', 'fail', 'cannot tell']"),
        ({"packages": {"numpy": 2}}, "$.packages.numpy is not string"),
    ],
)
def test_the_schema_refuses_other_documents(result: Result, change: dict[str, Any], fault: str) -> None:
    assert faults(json.loads(result.json_text()) | change, schema(), schema()) == [fault]


def test_every_object_of_the_schema_says_all_that_it_may_hold() -> None:
    def check(rule: dict[str, Any]) -> None:
        if "properties" in rule:
            assert rule["additionalProperties"] is False
            assert sorted(rule["required"]) == sorted(rule["properties"])
        parts = [*rule.get("properties", {}).values(), *rule.get("$defs", {}).values(), rule.get("items")]
        for part in filter(None, parts):
            check(part)

    check(schema())


def test_what_was_written_is_read_back(result: Result) -> None:
    again = Result.from_json(result.json_text())
    assert again == result
    assert again.json_text() == result.json_text()


def damaged(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda document: document.update(changes)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (damaged(schema_version=2), "schema_version is 2, this daenr reads 1"),
        (damaged(verdict="fail"), "verdict is 'fail', and the measurements say 'pass'"),
        (damaged(surprise=1), "surprise is unknown"),
        (damaged(complete="yes"), "complete is 'yes', expected true or false"),
        (lambda document: document.pop("machine"), "machine is missing"),
        (lambda document: document["measurements"][0].pop("graph"), r"measurements\[0\].graph is missing"),
        (lambda document: document["measurements"][0].update(verdict="maybe"), "'maybe' is not a valid Verdict"),
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

"""What several tests of `daenr-bench` assert in the same way."""

from __future__ import annotations

from typing import Any

from click.testing import Result


def assert_one_line(result: Result, *fragments: str) -> None:
    """Unusable input: exit code 2, one line of daenr-bench's, nothing else."""
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("daenr-bench")
    for fragment in fragments:
        assert fragment in line


def assert_says_all(rule: dict[str, Any]) -> None:
    """Every object of a JSON Schema requires all that it may hold, and refuses anything else."""
    if "properties" in rule:
        assert rule["additionalProperties"] is False
        assert sorted(rule["required"]) == sorted(rule["properties"])
    parts = [*rule.get("properties", {}).values(), *rule.get("$defs", {}).values(), rule.get("items")]
    for part in filter(None, parts):
        assert_says_all(part)

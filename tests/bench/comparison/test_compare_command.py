"""`daenr-bench compare` from end to end: what it prints and writes, its exit codes, bad input in one line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from bench_checks import assert_one_line, assert_says_all
from click.testing import CliRunner, Result
from two_bundles import TwoSpeeds, constant

from daenr_bench.cli import main
from daenr_bench.comparison.document import schema
from daenr_bench.result import schema as result_schema
from daenr_export.runtime import registry
from daenr_export.runtime.registry import BackendStatus

Bundles = tuple[Path, Path]
Invoke = Callable[..., Result]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Invoke:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, ["compare", *map(str, arguments)])


@pytest.fixture
def let_run(monkeypatch: pytest.MonkeyPatch) -> Callable[[TwoSpeeds], TwoSpeeds]:
    """Let a backend be the only one, on its own clock."""

    def let_run(backend: TwoSpeeds) -> TwoSpeeds:
        monkeypatch.setattr(registry, "backends", lambda: (BackendStatus("fake", True),))
        monkeypatch.setattr(registry, "_make", {"fake": backend}.__getitem__)
        monkeypatch.setattr("daenr_bench.comparison.compare.__kwdefaults__", {**_DEFAULTS, "clock": backend.clock})
        return backend

    return let_run


_DEFAULTS = {"graph": None, "backends": None, "plan": None}


def test_two_real_bundles_are_compared_from_end_to_end(invoke: Invoke, bundles: Bundles, tmp_path: Path) -> None:
    """A tiny graph answers within the floor of any other, whatever else runs here."""
    pytest.importorskip("onnxruntime")
    arguments = (*bundles, "--backend", "onnxruntime", "--rounds", 5, "--floor-us", 1e6)
    result = invoke(*arguments, "--json", "out.json", "--markdown", "out.md")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("responses, burst: HEAD head.daenr (vqvae-fr1), BASE base.daenr (vqvae-fr1)\n")
    assert re.search(
        r"^onnxruntime +p50 +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+ … [\d.]+ +±\d+\.\d% +5 +same$", result.stdout, re.M
    )
    assert "note: BASE and HEAD are the same bundle" in result.stdout
    assert result.stdout.endswith("head.daenr: same\nwrote out.json\nwrote out.md\n")
    document = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert (document["schema_version"], document["verdict"], document["word"]) == (1, "pass", "same")
    assert len(document["pairs"][0]["head_p50_ns"]) == 5
    text = (tmp_path / "out.md").read_text("utf-8")
    assert text.startswith("### head.daenr: same\n")
    assert "| onnxruntime | p50 " in text
    assert_one_line(invoke(*arguments, "--json", "out.json"), "out.json: exists already", "--force")
    assert invoke(*arguments, "--json", "out.json", "--force").exit_code == 0


def test_every_object_of_the_schema_says_all_that_it_may_hold() -> None:
    assert_says_all(schema())
    assert schema()["properties"]["machine"] == result_schema()["$defs"]["machine"]


@pytest.mark.parametrize(("head_ns", "word", "code"), [(90_000, "faster", 0), (115_000, "slower", 1)])
def test_exit_codes(
    invoke: Invoke, bundles: Bundles, let_run: Callable[[TwoSpeeds], TwoSpeeds], head_ns: int, word: str, code: int
) -> None:
    let_run(TwoSpeeds(bundles[0], constant(100_000), constant(head_ns)))
    result = invoke(*bundles, "--rounds", 5)
    assert result.exit_code == code, result.output
    assert result.stdout.endswith(f"\nhead.daenr: {word}\n")


def test_wrong_answers_are_exit_code_1(
    invoke: Invoke, bundles: Bundles, let_run: Callable[[TwoSpeeds], TwoSpeeds]
) -> None:
    let_run(TwoSpeeds(bundles[0], constant(100_000), constant(10), spoil_head=lambda number, answer: answer + 1))
    result = invoke(*bundles)
    assert result.exit_code == 1
    assert re.search(r"^fake +–( +–)+ +wrong$", result.stdout, re.M)
    assert "wrong on fake: HEAD: responses: error" in result.stdout
    assert result.stdout.endswith("head.daenr: wrong\n")


def test_ctrl_c_is_exit_code_130_with_what_was_measured(
    invoke: Invoke, bundles: Bundles, let_run: Callable[[TwoSpeeds], TwoSpeeds], tmp_path: Path
) -> None:
    def interrupted(number: int, _: int) -> int:
        if number == 1500:
            raise KeyboardInterrupt
        return 100_000

    let_run(TwoSpeeds(bundles[0], constant(100_000), interrupted))
    result = invoke(*bundles, "--json", "out.json")
    assert result.exit_code == 130, result.output
    assert "cannot tell p50 on fake, p99 on fake: interrupted before it was decided" in result.stdout
    assert "head.daenr: cannot tell (interrupted: not all was measured)" in result.stdout
    document = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert document["complete"] is False
    assert document["pairs"][0]["rounds"] > 0


def test_nothing_that_can_run_is_exit_code_3(invoke: Invoke, bundles: Bundles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "backends", lambda: (BackendStatus("fake", False, "no driver"),))
    result = invoke(*bundles)
    assert result.exit_code == 3
    assert "skipped: fake" in result.stdout
    assert result.stdout.endswith("head.daenr: cannot tell\n")


def test_bad_input_is_one_line(invoke: Invoke, bundles: Bundles, tmp_path: Path) -> None:
    base, head = bundles
    result = tmp_path / "results.json"
    result.write_text("{}")
    assert_one_line(invoke(base), "Missing argument 'HEAD'")
    assert_one_line(invoke(base, tmp_path / "absent"), "absent: does not exist; give two bundles")
    assert_one_line(invoke(base, result), "is a result and", "is a bundle")
    assert_one_line(invoke(result, result), "results.json: schema_version is None")
    assert_one_line(invoke(result, result, "--rounds", 10), "--rounds and --rate are for bundles")
    assert_one_line(invoke(base, head, "--rounds", 4), "--rounds")
    assert_one_line(invoke(base, head, "--rate", 10), "--rate is for --scenario paced")
    assert_one_line(invoke(base, head, "--margin", 0), "--margin")
    assert_one_line(invoke(base, head, "--backend", "opnvino"), "did you mean openvino?")
    assert_one_line(invoke(base, head, "--graph", "joint"), "has no graph 'joint', only encoder, readout")
    assert_one_line(invoke(base, head, "--json", tmp_path), "is a folder")
    (head / "golden.npz").write_bytes(b"")
    assert_one_line(invoke(base, head), "golden.npz: has 0 bytes")

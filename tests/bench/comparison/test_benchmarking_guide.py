"""The guide and the example workflow are true: commands exist with these options, figures are what the code says."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import asdict
from pathlib import Path

import click
import pytest

import daenr_bench.cli
import daenr_export.cli
from daenr_bench.comparison import Criteria, Effect, Plan
from daenr_bench.comparison.document import State
from daenr_bench.comparison.looks import Looks
from daenr_bench.statistics.percentiles import LEVELS, min_samples
from daenr_export.verification.margins import METRICS, own_margins

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs" / "benchmarking.md").read_text("utf-8")
WORKFLOW = (ROOT / "examples" / "ci" / "github-actions.yml").read_text("utf-8")
GROUPS: dict[str, click.Group] = {"daenr-bench": daenr_bench.cli.main, "daenr-export": daenr_export.cli.main}


def commands() -> list[str]:
    in_guide = re.findall(r"`(daenr-bench [a-z]+ [^`A-Z…]+)`", GUIDE)
    in_workflow = re.findall(r"^ +(daenr-(?:bench|export) .*)$", WORKFLOW, re.MULTILINE)
    return [*in_guide, *in_workflow]


def test_there_are_commands() -> None:
    assert len([command for command in commands() if " compare " in command]) == 4


@pytest.mark.parametrize("command", commands())
def test_commands_have_these_options(command: str) -> None:
    name, *arguments = shlex.split(command.partition(" ||")[0])
    group = GROUPS[name]
    context = group.make_context(name, list(arguments))
    if not arguments[0].startswith("-"):
        chosen = group.get_command(context, arguments[0])
        assert chosen is not None
        if arguments[1:]:
            chosen.make_context(arguments[0], arguments[1:], parent=context)


def test_every_verdict_is_explained() -> None:
    words = [effect.value for effect in Effect] + [State.WRONG.value, State.HEAD_FAULT.value, State.BASE_FAULT.value]
    explained = GUIDE.partition("## How to read a verdict")[2]
    for word in words:
        assert f"*{word}*" in explained, word


def test_figures_are_those_of_the_code() -> None:
    assert f"least samples | {' | '.join(str(min_samples(level)) for level in LEVELS.values())} |" in GUIDE
    assert "| percentile | " + " | ".join(LEVELS) + " |" in GUIDE
    assert (Plan().rounds, Criteria().margin, Criteria().floor_ns) == (10, 0.05, 5000)
    assert [round(at / 10, 1) for at in Looks(10).at] == [1.0, 1.5, 2.3, 3.4, 5.1]
    assert Looks(10).confidence == pytest.approx(0.99)


def test_the_margins_are_daenrs_own() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    assert json.loads(block) == asdict(own_margins())
    for name in METRICS:
        assert re.search(rf"^\| `{name}` \| .* \| [≤≥] {own_margins().of(name):g}( dB)? \|$", GUIDE, re.MULTILINE), name


def test_the_workflow_measures_both_in_one_job() -> None:
    assert "\t" not in WORKFLOW
    for job in re.split(r"^  (?:compare|rig):$", WORKFLOW, flags=re.MULTILINE)[1:]:
        assert len(re.findall(r"daenr-export --checkpoint \"(?:base|head)/\$CHECKPOINT\"", job)) == 2
        assert "daenr-bench compare base.daenr head.daenr" in job

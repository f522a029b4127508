"""docs/baselines.md is true: its definitions are those of the code, its commands have the options that it names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from daenr_train.cli import main
from daenr_train.metrics import DEFINITIONS
from daenr_train.spec import BASELINES

PAGE = (Path(__file__).parents[2] / "docs" / "baselines.md").read_text(encoding="utf-8")
COMMANDS = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]


def test_the_definitions_are_those_of_the_code():
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE.split("## Ceilings")[1].split("## Searching")[0], re.MULTILINE)
    assert dict(rows) == DEFINITIONS


def test_the_baselines_are_all_there():
    for section in PAGE.split("## Ceilings")[0].split("| name |")[1:]:
        assert set(BASELINES) <= set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE))


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_can_be_given_as_it_stands(command):
    program, name, *arguments = shlex.split(command)
    assert program == "daenr-train"
    assert isinstance(main.commands[name], click.Command)
    main.commands[name].make_context(name, arguments)  # parses, and complains of what it does not know

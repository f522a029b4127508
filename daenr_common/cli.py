"""The edge between the library and a terminal: errors become one line and an exit code, rows become a table."""

from __future__ import annotations

import shutil
import sys
import traceback
from collections.abc import Iterable, Sequence
from typing import Any

import click
from tabulate import tabulate

from daenr_common.errors import DaenrError, Interrupted

DEFECT = 70
"""Exit code of an unexpected exception (EX_SOFTWARE of sysexits.h), so that it is not taken for the verdict *fail*."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells use it: 128 + SIGINT."""


class Group(click.Group):
    """A group of commands whose expected failures print one line on standard error and exit with 2.

    Any other exception is a defect of daenr and keeps its traceback.
    """

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run a command line and leave with its exit code."""
        kwargs.setdefault("prog_name", self.name)
        try:
            kwargs["standalone_mode"] = False
            sys.exit(super().main(*args, **kwargs) or 0)
        except DaenrError as error:
            _fail(f"{self.name}: {error}", 2)
        except click.exceptions.NoArgsIsHelpError as error:
            click.echo(error.format_message())
            sys.exit(2)
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else self.name
            _fail(f"{command}: {' '.join(error.format_message().split())} (see {command} --help)", 2)
        except click.ClickException as error:
            _fail(f"{self.name}: {error.format_message()}", 2)
        except Interrupted as stop:
            _fail(f"{self.name}: {stop}", INTERRUPTED)
        except (click.Abort, KeyboardInterrupt):
            _fail(f"{self.name}: interrupted", INTERRUPTED)
        except Exception:
            traceback.print_exc()
            sys.exit(DEFECT)


def _fail(line: str, code: int) -> None:
    click.echo(line, err=True)
    sys.exit(code)


def print_table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows under headers on standard output, plain enough to be read in a log."""
    cells = [[str(cell) for cell in row] for row in rows]
    # disable_numparse: our numbers come as finished strings, and "1e-06" must not become "1e-6".
    text = tabulate(cells, headers=list(headers), disable_numparse=True, maxcolwidths=_widths(headers, cells))
    click.echo(text)


def _widths(headers: Sequence[str], cells: list[list[str]]) -> list[int | None] | None:
    """Wrap the last column so that the table fits a terminal; files and pipes get whole lines."""
    if not sys.stdout.isatty() or not cells:
        return None
    others = [max(len(header), *(len(row[i]) for row in cells)) for i, header in enumerate(headers[:-1])]
    rest = shutil.get_terminal_size().columns - sum(others) - 2 * len(others)
    return [*[None] * len(others), max(rest, 24)]

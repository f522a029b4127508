"""Which files a log is converted to, looked at before the work and written after it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from daenr_bench.frame_log.summary import Summary
from daenr_bench.frame_log.write_csv import write_csv
from daenr_bench.frame_log.write_nwb import nwb_module, write_nwb
from daenr_bench.frame_log.write_parquet import parquet_module, write_parquet
from daenr_common.errors import DaenrError
from daenr_common.files import atomic_file, check_output_file
from daenr_export.loop.log import LoggedRun


@dataclass(frozen=True)
class Outputs:
    """Files to write; None for those that are not wanted."""

    json: Path | None = None
    csv: Path | None = None
    parquet: Path | None = None
    nwb: Path | None = None

    def check(self, log: Path, *, force: bool) -> None:
        """See before any work whether all of them can be written.

        Raises:
            OutputExistsError: a file exists and `force` is false.
            MissingExtraError: a format needs a package that is not installed.
            DaenrError: a file cannot be written, is asked for twice, or is the log itself.
        """
        taken = {log.resolve(): "the log itself"}
        for name, path in self._wanted():
            if (other := taken.setdefault(path.resolve(), f"the {name} file too")) != f"the {name} file too":
                raise DaenrError(path, f"is {other}", f"give another file to --{name}")
            check_output_file(path, force=force)
        if self.parquet:
            parquet_module()
        if self.nwb:
            nwb_module()

    def write(self, run: LoggedRun, summary: Summary) -> Iterator[Path]:
        """Write them, each whole or not at all; yield each that is written.

        Raises:
            DaenrError: a file cannot be written.
        """
        for name, path in self._wanted():
            if name == "json":
                with atomic_file(path) as temporary:
                    temporary.write_text(summary.json_text(), encoding="utf-8")
            else:
                {"csv": write_csv, "parquet": write_parquet, "nwb": write_nwb}[name](run, path)
            yield path

    def _wanted(self) -> list[tuple[str, Path]]:
        return [(field.name, path) for field in fields(self) if (path := getattr(self, field.name)) is not None]

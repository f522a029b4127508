"""`daenr-bench report`: a result as a page, as Markdown, or both."""

from __future__ import annotations

from pathlib import Path

from daenr_bench.report.golden import check_golden
from daenr_bench.report.markdown import markdown
from daenr_bench.report.page import html_page
from daenr_bench.report.source import Source, read_source
from daenr_common.errors import DaenrError
from daenr_common.files import atomic_file, check_output_file


def report_source(results: Path, bundle: Path | None) -> Source:
    """Read a result, and answer the golden images of its bundle if that is given.

    Raises:
        DaenrError: a file is unusable, or the bundle is not the one that was measured.
    """
    source = read_source(results)
    if bundle is None:
        return source
    return Source(source.result, source.samples, source.no_samples, check_golden(bundle, source.result))


def check_outputs(results: Path, outputs: list[Path], *, force: bool) -> None:
    """See before any work whether the files can be written.

    Raises:
        DaenrError: one exists and is not to be replaced, cannot be written, is named twice, or is the result itself.
    """
    if len({path.absolute() for path in outputs}) < len(outputs):
        raise DaenrError(outputs[0], "is named twice", "give two files")
    for path in outputs:
        if path.absolute() == results.absolute():
            raise DaenrError(path, "is the result itself", "choose another output")
        check_output_file(path, force=force)


def write_report(source: Source, html: Path | None, markdown_file: Path | None) -> list[Path]:
    """Write what was asked for, each file whole or not at all, and return their paths."""
    written = []
    for path, make in ((html, html_page), (markdown_file, markdown)):
        if path is not None:
            text = make(source)
            with atomic_file(path) as temporary:
                temporary.write_text(text, encoding="utf-8")
            written.append(path)
    return written

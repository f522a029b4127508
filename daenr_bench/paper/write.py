"""`daenr-bench paper`: a sweep's folder in, a folder with the report out, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from daenr_bench.paper.analysis import Analysis, analyse
from daenr_bench.paper.csv_files import csv_files
from daenr_bench.paper.document import document_of
from daenr_bench.paper.markdown import markdown
from daenr_bench.paper.page import html_page
from daenr_common.errors import OutputExistsError
from daenr_common.files import atomic_directory, check_writable, refuse_to_overwrite
from daenr_train.sweep.results import read_results

PAGE, TEXT, PICTURE = "report.html", "report.md", "figure2.png"


def write_paper(results: Path, output: Path, correlation: str, *, force: bool) -> Analysis:
    """Write the report on a sweep.

    Args:
        results: the sweep's folder.
        output: the folder to write.
        correlation: a key of `CORRELATIONS`.
        force: whether a report that is there already is replaced.

    Raises:
        DaenrError: the results cannot be used, or the output exists or cannot be written.
        MissingExtraError: SciPy or Jinja2 is not installed.
    """
    check_output(output, force=force)
    analysis = analyse(read_results(results), correlation)
    files = _files(analysis)
    with atomic_directory(output, force=force) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
    return analysis


def check_output(output: Path, *, force: bool) -> None:
    """See before any work whether the folder can be written. `force` replaces a report, and nothing else.

    Raises:
        DaenrError: it exists and is not to be replaced, holds something else, or cannot be written.
    """
    refuse_to_overwrite(output, force=force)
    if output.exists():
        if not output.is_dir():
            raise OutputExistsError(output, "is not a folder", "choose another --output")
        foreign = sorted(path.name for path in output.iterdir() if not _is_ours(path))
        if foreign:
            problem = f"holds files that are not of a report ({foreign[0]})"
            raise OutputExistsError(output, problem, "choose another --output")
    check_writable(output)


def _is_ours(path: Path) -> bool:
    stem = path.stem
    is_csv = path.suffix == ".csv" and (stem == "claims" or stem[:-1] in ("table", "figure"))
    return path.is_file() and (is_csv or path.name in (PAGE, TEXT, PICTURE))


def _files(analysis: Analysis) -> dict[str, bytes]:
    document = document_of(analysis)
    files = {name: text.encode() for name, text in csv_files(analysis).items()}
    if analysis.sheet.strips:
        files[PICTURE] = analysis.sheet.as_png()
    files[TEXT] = markdown(document, PICTURE if PICTURE in files else None).encode()
    files[PAGE] = html_page(document).encode()
    return files

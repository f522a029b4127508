"""The check-up as a whole: the doctor, for each flavour of TensorRT its engines and how fast they are, the tests."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from daenr_bench.doctor import diagnose
from daenr_bench.gpu_check.archive import write_archive
from daenr_bench.gpu_check.engines import ON_A_GPU, check_cuda_graphs, check_engines
from daenr_bench.gpu_check.latency import PLAN, check_latency
from daenr_bench.gpu_check.parts import Checkup, Finding
from daenr_bench.gpu_check.suite import check_tests
from daenr_bench.peers.checkpoint import check_checkpoint
from daenr_bench.plan import Plan
from daenr_bench.subject import make_checkpoint
from daenr_common.verdict import Verdict
from daenr_export import export
from daenr_export.bundle import Bundle
from daenr_export.tensorrt.flavour import FLAVOURS, RTX


class _Subject(NamedTuple):
    """A bundle to check, where its files go in the archive, and what it was exported from if that is known."""

    name: str
    bundle: Path
    checkpoint: Path | None


def gpu_check(
    output: Path,
    bundle: Path | None = None,
    *,
    checkpoint: Path | None = None,
    tests: Path | None = None,
    plan: Plan = PLAN,
    tell: Callable[[str], None] = lambda _: None,
) -> Checkup:
    """Find out what this machine's GPU does with engines, and write all of it into one archive.

    A part that fails does not keep the others from being tried. Ctrl-C ends the check-up; what was found until then is
    written.

    Args:
        output: the archive, `.tar.gz`.
        bundle: to check; None to export one for each flavour of TensorRT that is installed.
        checkpoint: what the bundle was exported from, so that PyTorch takes part.
        tests: folder of the tests; None to leave them out.
        plan: what is measured.
        tell: is told each part as it ends, in a line.

    Raises:
        BundleError: the bundle is damaged.
        CheckpointError: it was not made from this checkpoint.
        DaenrError: the archive cannot be written.
    """
    if bundle is not None:
        opened = Bundle.open(bundle)
        if checkpoint is not None:
            check_checkpoint(checkpoint, opened.manifest)
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    with tempfile.TemporaryDirectory(prefix="daenr-gpu-check-") as work:
        places = [folder.absolute().parent for folder in (bundle, tests) if folder is not None]
        checkup = Checkup(Path(work) / "files", tell, (Path(work), *places))
        checkup.folder.mkdir()
        try:
            checkup.attempt("doctor", partial(_doctor, checkup))
            given = None if bundle is None else _Subject("bundle", bundle, checkpoint)
            for subject in _made(checkup, Path(work)) if given is None else iter([given]):
                _check(checkup, subject, plan)
            checkup.attempt("tests", partial(check_tests, checkup, tests))
            checkup.complete = True
        except KeyboardInterrupt:
            tell("interrupted: what was found until then is written")
        checkup.write("summary.json", checkup.summary(started_at))
        write_archive(checkup.folder, output)
    return checkup


def _doctor(checkup: Checkup) -> Finding:
    found = diagnose()
    checkup.write("doctor.json", found.json_text())
    able = [status.name for status in found.backends if status.available and status.name in ON_A_GPU]
    if not able:
        return Verdict.CANNOT_TELL, "no backend can run on the GPU; doctor.json says what to install"
    return Verdict.PASS, f"{', '.join(able)} can run on the GPU"


def _made(checkup: Checkup, folder: Path) -> Iterator[_Subject]:
    """A bundle for each flavour that is installed, exported here; without any, one of ONNX graphs only."""
    path = make_checkpoint(folder)
    names = [flavour.name for flavour in FLAVOURS.values() if flavour.is_installed()]
    for name in names or ["onnx"]:
        subject = _Subject(name, folder / f"{name}.daenr", path)
        if checkup.attempt(f"{name}/export", partial(_export, checkup, subject)) is Verdict.PASS:
            yield subject


def _export(checkup: Checkup, subject: _Subject) -> Finding:
    assert subject.checkpoint is not None
    if subject.name in FLAVOURS:
        choice = "rtx" if subject.name == RTX.name else "enterprise"
        report = export(subject.checkpoint, subject.bundle, trt=True, trt_flavour=choice)
    else:
        report = export(subject.checkpoint, subject.bundle)
    checkup.write(f"{subject.name}/manifest.json", (subject.bundle / "manifest.json").read_text("utf-8"))
    engines = len(report.manifest.engines)
    return Verdict.PASS, f"{len(report.manifest.graphs)} graphs, {engines} engines"


def _check(checkup: Checkup, subject: _Subject, plan: Plan) -> None:
    bundle = Bundle.open(subject.bundle)
    name = subject.name
    checkup.attempt(f"{name}/engines", partial(check_engines, checkup, bundle, f"{name}/verify.json"))
    checkup.attempt(f"{name}/cuda-graphs", partial(check_cuda_graphs, checkup, bundle, f"{name}/cuda_graphs.json"))
    checkup.attempt(f"{name}/latency", partial(check_latency, checkup, subject.bundle, subject.checkpoint, name, plan))

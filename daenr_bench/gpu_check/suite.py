"""The tests that need a GPU, where this is a checkout of the repository."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import daenr_bench
from daenr_bench.gpu_check.parts import Checkup, Finding
from daenr_common.verdict import Verdict

_TIMEOUT_S = 3600.0


def tests_of_checkout() -> Path | None:
    """The folder of the tests; None for an installed package, which has none."""
    folder = Path(daenr_bench.__file__).parents[1] / "tests"
    return folder if (folder / "conftest.py").is_file() else None


def check_tests(checkup: Checkup, tests: Path | None) -> Finding:
    """Run the tests marked `gpu`, and keep their log."""
    if tests is None:
        return Verdict.CANNOT_TELL, "there are no tests beside this installation: run it in a checkout"
    report = checkup.folder / "tests.xml"
    arguments = ["-m", "gpu", "-rs", "-p", "no:cacheprovider", f"--junitxml={report}", str(tests)]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *arguments],
            env={**os.environ, "PYTEST_ADDOPTS": ""}, cwd=tests.parent, capture_output=True, text=True, check=False,
            timeout=_TIMEOUT_S,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Verdict.FAIL, f"the tests did not end within {_TIMEOUT_S / 60:.0f} minutes"
    checkup.write("tests.log", f"{done.stdout}\n{done.stderr}")
    if not report.is_file():
        last = (done.stderr.strip().splitlines() or done.stdout.strip().splitlines() or ["no message"])[-1]
        return Verdict.CANNOT_TELL, f"pytest did not start ({last})"
    checkup.write(report.name, report.read_text("utf-8"))
    return _judged(report)


def _judged(report: Path) -> Finding:
    counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        for name in counts:
            counts[name] += int(suite.get(name, "0"))
    bad = counts["failures"] + counts["errors"]
    passed = counts["tests"] - bad - counts["skipped"]
    words = f"{passed} passed, {bad} failed, {counts['skipped']} skipped"
    if bad:
        return Verdict.FAIL, f"{words}: see tests.log"
    return (Verdict.PASS if passed else Verdict.CANNOT_TELL), words

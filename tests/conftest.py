"""What holds for all tests."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests found out and recorded, whichever process they ran in: some results are reported, not judged."""
    reports = terminalreporter.getreports("passed")
    found = [(report.nodeid, *entry) for report in reports if report.when == "call" for entry in report.user_properties]
    if found:
        terminalreporter.section("recorded")
        for test, name, value in found:
            terminalreporter.write_line(f"{test.partition('::')[2]}: {name} = {value}")

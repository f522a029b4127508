"""Margins in a file: daenr's own are the contract, and whatever else is in a file is refused in one line."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from daenr_common.errors import DaenrError
from daenr_export.verification.margins import AT_LEAST, METRICS, own_margins, read_margins, schema

CONTRACT = {
    "correlation_with_reference": 0.999,
    "recorded_correlation_drop": 0.005,
    "psnr_drop_db": 0.1,
    "ssim_drop": 0.005,
    "code_agreement": 0.99,
    "schema_version": 1,
}


def written(folder: Path, document: Any) -> Path:
    path = folder / "margins.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document), "utf-8")
    return path


def test_daenrs_own_are_the_contract(tmp_path: Path) -> None:
    assert asdict(own_margins()) == CONTRACT
    assert set(METRICS) == CONTRACT.keys() - {"schema_version"}
    assert read_margins(written(tmp_path, CONTRACT)) == own_margins()
    assert list(Draft202012Validator(schema()).iter_errors(CONTRACT)) == []


def test_a_figure_at_its_margin_is_within_it() -> None:
    margins = own_margins()
    for metric in METRICS:
        at = margins.of(metric)
        beyond = at - 1e-9 if metric in AT_LEAST else at + 1e-9
        assert margins.holds(metric, at)
        assert not margins.holds(metric, beyond)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"psnr_drop": 0.1}, "psnr_drop is unknown (known here: code_agreement, correlation_with_reference, "),
        ({"ssim_drop": None}, "ssim_drop is None, expected a number"),
        ({"psnr_drop_db": "0.1"}, "psnr_drop_db is '0.1', expected a number"),
        ({"psnr_drop_db": True}, "psnr_drop_db is True, expected a number"),
        ({"psnr_drop_db": -0.1}, "psnr_drop_db is -0.1, expected at least 0"),
        ({"recorded_correlation_drop": -1}, "recorded_correlation_drop is -1, expected at least 0"),
        ({"correlation_with_reference": 1.5}, "correlation_with_reference is 1.5, expected -1 to 1"),
        ({"code_agreement": 99}, "code_agreement is 99, expected 0 to 1"),
        ({"schema_version": 2}, "schema_version is 2, this daenr reads 1"),
    ],
)
def test_other_values_are_one_line_and_the_schema_refuses_them_too(
    tmp_path: Path, change: dict[str, Any], problem: str
) -> None:
    document = CONTRACT | change
    with pytest.raises(DaenrError) as refused:
        read_margins(written(tmp_path, document))
    text = str(refused.value)
    assert text.startswith(f"{tmp_path}/margins.json: {problem}")
    assert text.endswith("; declare all margins, as docs/benchmarking.md shows them")
    assert list(Draft202012Validator(schema()).iter_errors(document)) != []


@pytest.mark.parametrize("name", CONTRACT)
def test_a_margin_that_is_not_declared_is_no_margin(tmp_path: Path, name: str) -> None:
    document = {key: value for key, value in CONTRACT.items() if key != name}
    with pytest.raises(DaenrError, match=f"{name} is missing"):
        read_margins(written(tmp_path, document))
    assert list(Draft202012Validator(schema()).iter_errors(document)) != []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "Expecting value"),
        ('{"psnr_drop_db": 0.1', "Expecting ',' delimiter"),
        ("[]", r"the document is \[\], expected an object"),
        ('{"schema_version": 1, "psnr_drop_db": NaN}', "is missing|expected a finite number"),
    ],
)
def test_what_is_no_document_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(DaenrError, match=problem):
        read_margins(written(tmp_path, text))


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DaenrError, match=r"absent\.json: does not exist; declare all margins"):
        read_margins(tmp_path / "absent.json")
    with pytest.raises(DaenrError, match="cannot be read"):
        read_margins(tmp_path)

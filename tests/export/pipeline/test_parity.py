from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from daenr_common.errors import BundleError
from daenr_export.verification.parity import (
    TOLERANCES,
    Tolerance,
    answer_all,
    compare,
    correlations,
    distances,
    from_manifest,
    psnr_db,
    to_manifest,
)

FP32 = TOLERANCES["fp32"]


@pytest.fixture
def references():
    random = np.random.default_rng(0)
    return {
        "responses": random.gamma(1.0, 1.0, (20, 4)).astype(np.float32),
        "reconstruction": random.uniform(-1, 1, (20, 1, 4, 4)).astype(np.float32),
        "codes": random.integers(0, 32, (20, 2, 2)),
    }


def problems(answers, references, tolerance=FP32):
    return [problem for comparison in compare(answers, references, tolerance) for problem in comparison.problems]


def test_the_reference_itself_passes_with_nothing_to_spare(references):
    found = {comparison.output: comparison for comparison in compare(references, references, FP32)}
    assert problems(references, references) == []
    assert found["responses"].metrics["max_error_over_scale"] == 0
    assert found["responses"].metrics["correlation"] == pytest.approx(1)
    assert found["responses"].metrics["neurons_scored"] == 4
    assert found["reconstruction"].metrics["psnr_db"] == pytest.approx(10 * np.log10(4 / 1e-20))
    assert found["codes"].metrics == {"code_agreement": 1.0}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_number_that_is_none_fails(references, value):
    broken = references["responses"].copy()
    broken[7, 2] = value
    assert problems(references | {"responses": broken}, references) == ["responses holds 1 NaN or infinite values"]


def test_an_answer_of_another_form_fails(references):
    wide = references | {"responses": references["responses"].astype(np.float64)}
    assert problems(wide, references) == ["responses is float64 (20, 4), expected float32 (20, 4)"]
    short = references | {"codes": references["codes"][:3]}
    assert problems(short, references) == ["codes is int64 (3, 2, 2), expected int64 (20, 2, 2)"]
    del short["codes"]
    assert problems(short, references) == ["codes is missing"]


def test_the_error_is_measured_by_the_scale_of_the_output():
    reference = np.array([[100.0, 1e-6], [-50.0, 0.0]])
    answer = reference + np.array([[0.0, 1e-3], [0.0, 0.0]])
    found = distances(answer, reference)
    assert found["max_error_over_scale"] == pytest.approx(1e-5)
    assert found["relative_rms"] == pytest.approx(1e-3 / np.sqrt(100**2 + 50**2))
    assert found["cosine"] == pytest.approx(1)


def test_a_reference_of_zeros_has_the_scale_one():
    zeros = np.zeros((3, 2))
    assert distances(zeros, zeros) == {"max_error_over_scale": 0.0, "relative_rms": 0.0, "cosine": 1.0}
    assert distances(zeros + 0.5, zeros)["max_error_over_scale"] == 0.5
    assert distances(zeros + 0.5, zeros)["cosine"] == 0.0


def test_correlation_finds_a_quiet_neuron_that_the_scale_hides(references):
    reference = references["responses"] * np.array([1, 1, 1, 1e-3], np.float32)
    answer = reference.copy()
    answer[:, 3] = answer[::-1, 3]
    loose = replace(FP32, max_error_over_scale=0.1)
    (problem,) = problems({"responses": answer}, {"responses": reference}, loose)
    assert problem.startswith("responses: correlation -")


def test_flat_neurons_are_counted_and_not_scored():
    random = np.random.default_rng(1)
    reference = random.gamma(1.0, 1.0, (30, 3))
    reference[:, 1] = 2.0
    answer = reference + random.normal(0, 1e-9, reference.shape)
    found = correlations(answer, reference, 1e-3)
    assert (found["neurons_scored"], found["neurons_flat"]) == (2, 1)
    assert found["correlation"] > 0.999999
    flat = correlations(answer, np.full_like(reference, 2.0), 1e-3)
    assert flat == {"neurons_scored": 0, "neurons_flat": 3}
    assert correlations(answer[:2], reference[:2], 1e-3) == {}


def test_an_answer_that_never_varies_correlates_with_nothing():
    reference = np.random.default_rng(1).gamma(1.0, 1.0, (30, 3))
    assert correlations(np.ones_like(reference), reference, 1e-3)["correlation"] == 0


def test_psnr_counts_from_a_range_of_two():
    zeros = np.zeros((2, 1, 4, 4))
    assert psnr_db(zeros + 0.02, zeros) == pytest.approx(40)


def test_a_flipped_code_excuses_its_own_image_and_no_other(references):
    codes, images = references["codes"].copy(), references["reconstruction"].copy()
    codes[3, 0, 0] += 1
    images[3] = 0.5
    tolerance = replace(FP32, code_agreement=0.98)
    assert problems(references | {"codes": codes, "reconstruction": images}, references, tolerance) == []
    images[4] = 0.5
    found = problems(references | {"codes": codes, "reconstruction": images}, references, tolerance)
    assert any(problem.startswith("reconstruction: error") for problem in found)


def test_codes_must_agree_in_all_but_one_of_a_hundred(references):
    codes = references["codes"].copy()
    codes[3, 0, 0] += 1
    assert problems(references | {"codes": codes}, references) == [
        "codes: code_agreement 0.9875, at least 0.99 expected"
    ]
    found = problems(references | {"codes": codes + 1}, references)
    assert found[0] == "reconstruction: no image has the codes of the reference"


def test_answers_are_put_together_from_full_batches():
    inputs, seen = np.arange(7.0), []

    def run(batch):
        seen.append(batch.tolist())
        return batch * 2, -batch

    doubled, negated = answer_all(run, inputs, 3)
    assert seen == [[0, 1, 2], [3, 4, 5], [6, 0, 1]]
    np.testing.assert_array_equal(doubled, inputs * 2)
    np.testing.assert_array_equal(negated, -inputs)


def test_a_batch_may_be_larger_than_the_inputs():
    (found,) = answer_all(lambda batch: (batch,), np.arange(3.0), 8)
    np.testing.assert_array_equal(found, np.arange(3.0))


def test_tolerances_travel_in_the_manifest():
    written = to_manifest(["fp32", "fp16"])
    assert from_manifest(written, "fp32") == FP32
    assert from_manifest(written, "fp16") == TOLERANCES["fp16"]
    assert set(written) == {f"{p}.{name}" for p in ("fp32", "fp16") for name in Tolerance.__dataclass_fields__}
    with pytest.raises(BundleError, match=r"tolerance tf32.max_error_over_scale: is missing in the manifest"):
        from_manifest(written, "tf32")

"""`daenr-bench run` with margins and recordings: what is printed, and bad input in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bundle_factory as factory
import numpy as np
import pytest
from accuracy_factory import make_recording, write_margins
from bench_checks import assert_one_line
from bench_factory import FakeBackend, FakeClock
from click.testing import CliRunner

from daenr_bench.cli import main
from daenr_bench.yardstick import recorded_of
from daenr_common.errors import RecordingError
from daenr_export.bundle import Bundle
from daenr_export.bundle.golden import Golden
from daenr_export.runtime import registry
from daenr_export.runtime.registry import BackendStatus


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_recording(tmp_path_factory.mktemp("recordings") / "recording.npz")


Invoke = Callable[..., Any]


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared_timed_bundle: Path) -> Invoke:
    """`daenr-bench run` on a small bundle and an engine that is right."""
    monkeypatch.chdir(tmp_path)
    backend = FakeBackend(shared_timed_bundle, FakeClock())
    monkeypatch.setattr(registry, "backends", lambda: (BackendStatus("fake", True),))
    monkeypatch.setattr(registry, "_make", {"fake": backend}.__getitem__)
    arguments = ["run", str(shared_timed_bundle), "--graph", "responses", "--scenario", "burst", "--samples", "20"]
    return lambda *more: CliRunner().invoke(main, [*arguments, *map(str, more)])


def test_the_table_of_margins_is_printed(invoke: Invoke, recording: Path, tmp_path: Path) -> None:
    margins = write_margins(tmp_path / "mine.json", recorded_correlation_drop=0.01)
    result = invoke("--data", recording, "--region", "1", "--margins", margins)
    assert result.exit_code == 0, result.output
    text = result.stdout.replace("\u00a0", " ")
    assert "margins (mine.json), 8 images; the worst of all engines" in text
    assert "each neuron's loss of correlation with its recorded responses  ≤ 0.01    0 " in text
    assert "cannot tell" in invoke().stdout
    assert "not measured: no recorded responses were given" in invoke().stdout


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"psnr_drop": 1}, "psnr_drop is unknown (known here: "),
        ({"ssim_drop": "none"}, "ssim_drop is 'none', expected a number"),
        ({"code_agreement": 2}, "code_agreement is 2, expected 0 to 1"),
        ({"schema_version": 7}, "schema_version is 7, this daenr reads 1"),
    ],
)
def test_margins_that_are_none_are_one_line(
    invoke: Invoke, tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    path = write_margins(tmp_path / "m.json", **changes)
    assert_one_line(invoke("--margins", path, "--json", "r.json"), f"m.json: {problem}", "declare all margins")
    assert not (tmp_path / "r.json").exists()


def test_margins_that_are_not_there_are_one_line(invoke: Invoke, tmp_path: Path) -> None:
    assert_one_line(invoke("--margins", "absent.json"), "absent.json: does not exist")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"neuron_ids": tuple("abcde")}, "has 5 neurons in region1 that are not the bundle's 5; give the recording"),
        (
            {"test_images": factory.some_images(10, seed=9)},
            "has 0 of the bundle's 8 golden images among its test images; give the recording that the model was",
        ),
        ({"region": "region2"}, "holds region2, not region1"),
    ],
)
def test_another_recording_is_one_line(invoke: Invoke, tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    path = make_recording(tmp_path / "other.npz", **changes)
    assert_one_line(invoke("--data", path), f"other.npz: {problem}")


def test_other_bad_recordings_are_one_line(invoke: Invoke, tmp_path: Path, recording: Path) -> None:
    assert_one_line(invoke("--region", "1"), "region 1: is given without a recording; add --data")
    assert_one_line(invoke("--data", tmp_path / "absent.npz"), "absent.npz: does not exist")
    cut = tmp_path / "cut.npz"
    cut.write_bytes(recording.read_bytes()[:5000])
    assert_one_line(invoke("--data", cut), "cut.npz: ")


def test_a_model_without_a_readout_has_no_use_for_a_recording(shared_timed_bundle: Path, recording: Path) -> None:
    bundle = Bundle.open(shared_timed_bundle)
    images = Golden(bundle.golden()).images
    with pytest.raises(RecordingError, match="and the bundle's model predicts none; leave --data out"):
        recorded_of(bundle.manifest._replace(neuron_ids=()), recording, None, images)


def test_images_that_were_rounded_to_pixels_are_found(shared_timed_bundle: Path, recording: Path) -> None:
    bundle = Bundle.open(shared_timed_bundle)
    exact = Golden(bundle.golden()).images
    manifest = bundle.manifest._replace(preprocessing=bundle.manifest.preprocessing._replace(input_dtype="uint8"))
    rounded = (np.rint((exact + 1) * 127.5) / 127.5 - 1).astype(np.float32)
    found = recorded_of(manifest, recording, None, rounded)
    expected = recorded_of(bundle.manifest, recording, None, exact)
    np.testing.assert_array_equal(found.responses, expected.responses)
    assert found.responses.shape == (6, 8, 5)
    with pytest.raises(RecordingError, match="has 0 of the bundle's 8 golden images"):
        recorded_of(bundle.manifest, recording, None, rounded)

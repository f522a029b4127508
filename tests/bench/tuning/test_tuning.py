"""Which backend is best here: the choice, the profile that keeps it, and `load` that follows it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from click.testing import CliRunner

import daenr_export
from daenr_bench.tuning.candidates import candidates
from daenr_bench.tuning.choice import choose
from daenr_bench.tuning.tune import tune
from daenr_common.errors import DaenrError
from daenr_export.bundle import Bundle
from daenr_export.cli import main
from daenr_export.runtime.profile import Evidence, MachineProfile, profile_path, read_profile, this_kind


def paced(backend, p50_us, p99_us, *, warm=False, problem=""):
    p99_ns = None if p99_us is None else p99_us * 1000
    return Evidence(backend, "paced-warm" if warm else "paced", 700, p50_us * 1000, p99_ns, problem)


def test_the_shortest_tail_wins_not_the_shortest_median():
    assert choose([paced("median", 50, 900), paced("tail", 100, 200)]).backend == "tail"


def test_among_tails_that_are_alike_a_resting_engine_goes_before_one_that_takes_a_core():
    resting, warm = paced("a", 120, 205), paced("a", 60, 200, warm=True)
    assert not choose([warm, resting]).keep_warm
    assert choose([warm, replace(resting, p99_ns=400_000)]).keep_warm


def test_among_resting_tails_that_are_alike_the_median_decides():
    assert choose([paced("slow", 120, 200), paced("quick", 90, 210)]).backend == "quick"


def test_wrong_answers_and_missing_tails_are_out_of_the_question():
    evidence = [paced("wrong", 1, 2, problem="answers differ"), paced("few", 1, None), paced("right", 100, 200)]
    assert choose(evidence).backend == "right"
    with pytest.raises(DaenrError, match="no candidate has a p99 in the paced loop; give more --samples"):
        choose(evidence[:2])


def test_candidates_are_backends_that_can_run_here_with_their_threads():
    names, skipped = candidates()
    assert {"native", "onnxruntime", "openvino"} <= set(names)
    assert not {name.partition(":")[0] for name in names} & {skip.backend for skip in skipped}


@pytest.mark.alone
def test_a_profile_names_the_choice_and_load_follows_it(timed_bundle):
    bundle, tuned = timed_bundle, tune(timed_bundle, rate_hz=400, samples=680)
    profile = tuned.profile
    assert profile.backend in {evidence.backend for evidence in profile.evidence}
    assert {"burst", "paced", "paced-warm"} == {evidence.scenario for evidence in profile.evidence}
    assert all(evidence.n >= 600 for evidence in profile.evidence)
    assert [skip.backend for skip in tuned.skipped][-1] == "native"  # the small bundle holds no library
    assert read_profile(Bundle.open(bundle)) == profile
    with daenr_export.load(bundle) as model:
        assert (model.backend, model.profile) == (profile.backend, profile)
    with daenr_export.load(bundle, backend="onnxruntime") as model:
        assert (model.backend, model.profile) == ("onnxruntime", None)


def write(bundle, change) -> None:
    path = profile_path(Bundle.open(bundle))
    document = json.loads(path.read_text(encoding="utf-8"))
    change(document)
    path.write_text(json.dumps(document), encoding="utf-8")


@pytest.fixture
def profiled(timed_bundle):
    """A bundle with a profile that chose OpenVINO on this machine."""
    bundle = Bundle.open(timed_bundle)
    profile = MachineProfile(
        manifest_sha256=bundle.manifest.sha256,
        machine=this_kind(),
        graph="responses",
        rate_hz=100.0,
        backend="openvino",
        keep_warm=True,
        reason="a test says so",
        evidence=(paced("openvino", 50, 100, warm=True),),
        tuned_at="2026-01-01T00:00:00+00:00",
    )
    profile.write(profile_path(bundle))
    return timed_bundle


def test_load_follows_a_profile_unless_a_backend_is_named(profiled):
    with daenr_export.load(profiled) as model:
        assert (model.backend, model.profile.keep_warm) == ("openvino", True)
    with daenr_export.load(profiled, backend="onnxruntime") as model:
        assert (model.backend, model.profile) == ("onnxruntime", None)


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document["machine"].update(processor="another"),
        lambda document: document.update(manifest_sha256="0" * 64),
        lambda document: document.update(schema_version=2),
    ],
)
def test_a_profile_of_another_machine_bundle_or_version_is_passed_over(profiled, change):
    write(profiled, change)
    assert read_profile(Bundle.open(profiled)) is None
    with daenr_export.load(profiled) as model:
        assert (model.backend, model.profile) == ("onnxruntime", None)


def test_a_choice_that_no_longer_runs_gives_way_to_the_next_and_says_so(profiled):
    write(profiled, lambda document: document.update(backend="tensorrt"))
    with daenr_export.load(profiled) as model:
        assert model.backend == "onnxruntime"
        assert model.skipped[0].name == "tensorrt"


@pytest.mark.parametrize("content", [b"{", b'{"schema_version": 1}', b"\xff"])
def test_a_damaged_profile_is_an_error_and_not_a_slower_answer(profiled, content):
    path = profile_path(Bundle.open(profiled))
    path.write_bytes(content)
    with pytest.raises(DaenrError) as caught:
        daenr_export.load(profiled)
    assert str(caught.value).startswith(f"{path}: is not a machine profile (")
    assert "remove it, or run daenr-export tune again" in str(caught.value)


def test_this_machine_is_the_same_twice():
    assert this_kind() == this_kind()


@pytest.mark.alone
def test_the_command_prints_the_evidence_and_where_the_profile_is(timed_bundle):
    result = CliRunner().invoke(
        main, ["tune", str(timed_bundle), "--rate", "400", "--samples", "680", "--no-keep-warm"]
    )
    assert result.exit_code == 0, result.output
    assert "onnxruntime:threads=2" in result.stdout
    assert "paced-warm" not in result.stdout
    assert f"wrote {timed_bundle}.cache/machine_profile.json" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--samples", "20"], "no candidate has a p99 in the paced loop"),
        (["--graph", "nothing"], "has no graph 'nothing'"),
    ],
)
def test_what_cannot_be_tuned_is_one_line(timed_bundle, arguments, problem):
    result = CliRunner().invoke(main, ["tune", str(timed_bundle), "--rate", "4000", *arguments])
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert problem in line
    assert not profile_path(Bundle.open(timed_bundle)).exists()

"""What the summary of a frame log counts and measures."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_factory import HEADER, MS, START_NS, WALL_NS, drop, make_anchors, make_rows, write_log

from daenr_bench.frame_log.stages import STAGES, durations, measure_stages
from daenr_bench.frame_log.summary import Backends, Ids, Summary, _longest_run, judge, name_of, summarize
from daenr_bench.frame_log.wall_clock import Step, look_at, on_wall_clock
from daenr_common.verdict import Verdict
from daenr_export.loop.frames import Status
from daenr_export.loop.log import LoggedRun, read_log
from daenr_export.loop.log.reader import Ending
from daenr_export.loop.log.records import Rows


def run_of(rows: Rows, *, lost: int = 0, closed: bool = True, cut_bytes: int = 0) -> LoggedRun:
    ending = Ending(len(rows), lost, None) if closed else None
    return LoggedRun(Path("a.dlog"), HEADER, rows, make_anchors(lost=lost), ending, cut_bytes)


def summary_of(rows: Rows) -> Summary:
    return summarize(run_of(rows))


def test_frames_are_counted_by_their_fate() -> None:
    rows = make_rows(101)
    rows["status"][10:13] = Status.LATE
    drop(rows, 13, 50)
    rows["status"][14] = Status.FAULT
    rows["gc_ran"][[0, 7]] = True
    summary = summary_of(rows)
    assert summary.frames == 101
    assert summary.by_status == {"ok": 95, "late": 3, "dropped": 2, "fault": 1}
    assert (summary.deadline_misses, summary.longest_run_unanswered, summary.gc_frames) == (3, 5, 2)
    assert (summary.seconds, summary.frames_per_second) == (1.0, 100.0)
    assert (summary.verdict, summary.reason) == ("pass", "every frame is accounted for")


@given(st.lists(st.booleans(), max_size=50))
def test_the_longest_run(missed: list[bool]) -> None:
    runs = [len(list(group)) for is_missed, group in itertools.groupby(missed) if is_missed]
    assert _longest_run(np.array(missed, bool)) == max(runs, default=0)


def test_stages_lie_between_the_instants_that_came() -> None:
    rows = make_rows(100)
    drop(rows, 3, 4)
    stages = measure_stages(rows)
    expected_ms = {"capture_to_enqueue": 0.1, "wait": 0.2, "inference": 2, "hook": 0.5, "emit": 0.2}
    for name, milliseconds in {**expected_ms, "age_at_start": 0.3, "age_at_emit": 3}.items():
        assert stages[name].n == (100 if name == "capture_to_enqueue" else 98)
        assert stages[name].percentiles["p50"].value_ns == milliseconds * MS
        assert stages[name].min_ns == stages[name].max_ns == milliseconds * MS


def test_percentiles_are_those_of_numpy_and_refused_for_few_frames() -> None:
    rows = make_rows(700)
    rows["emitted_ns"] += np.random.default_rng(0).integers(0, 5 * MS, 700)
    stage = measure_stages(rows)["age_at_emit"]
    ages_ns = rows["emitted_ns"] - rows["captured_ns"]
    for level, name in ((50, "p50"), (90, "p90"), (99, "p99")):
        assert stage.percentiles[name].value_ns == np.percentile(ages_ns, level, method="inverted_cdf")
    refused = stage.percentiles["p99.9"]
    assert (refused.value_ns, refused.refused) == (None, "700 samples, at least 6636 are needed")


def test_late_frames_count_in_the_stages_that_they_went_through() -> None:
    rows = make_rows(20)
    rows["status"] = Status.LATE
    rows["emitted_ns"] = rows["started_ns"] + MS  # the fallback went out while the engine ran
    assert len(durations(rows, "emit")) == 0
    assert durations(rows, "inference").tolist() == [2 * MS] * 20
    assert durations(rows, "age_at_emit").tolist() == [MS * 13 // 10] * 20


def test_without_a_hook_the_emission_follows_the_inference() -> None:
    rows = make_rows(2)
    rows["hooked_ns"] = 0
    assert durations(rows, "hook").tolist() == []
    assert durations(rows, "emit").tolist() == [7 * MS // 10] * 2


def test_a_fallback_beside_a_hook_that_never_returned_has_no_stage_emit() -> None:
    rows = make_rows(2)
    rows["hooked_ns"][0] = 0
    assert durations(rows, "emit").tolist() == [2 * MS // 10]


@pytest.mark.parametrize(
    ("ids", "found"),
    [
        ([], Ids(None, None, 0, 0, 0)),
        ([5], Ids(5, 5, 0, 0, 0)),
        ([3, 4, 5], Ids(3, 5, 0, 0, 0)),
        ([3, 4, 8], Ids(3, 8, 3, 0, 0)),
        ([3, 4, 4, 5], Ids(3, 5, 0, 1, 0)),
        ([3, 5, 4, 6], Ids(3, 6, 0, 0, 1)),
        ([-(2**63), 2**63 - 1], Ids(-(2**63), 2**63 - 1, 2**64 - 2, 0, 0)),
    ],
)
def test_ids(ids: list[int], found: Ids) -> None:
    rows = make_rows(len(ids))
    rows["frame_id"] = ids
    assert summary_of(rows).ids == found
    assert found.contiguous == (ids in ([], [5], [3, 4, 5]))


def test_ids_and_runs_are_by_arrival_whatever_the_order_of_the_rows() -> None:
    rows = make_rows(30)
    rows["status"][10:14] = Status.FAULT
    shuffled = rows[np.random.default_rng(0).permutation(30)]
    summary = summary_of(shuffled)
    assert summary.ids.contiguous
    assert summary.longest_run_unanswered == 4


def test_backends_and_their_switches() -> None:
    rows = make_rows(10)
    rows["backend_index"][5:] = 1
    drop(rows, 5, 6)
    assert summary_of(rows).backends == Backends({"onnxruntime": 5, "openvino": 3}, 1)
    rows["backend_index"] = -1
    assert summary_of(rows).backends == Backends({}, 0)
    assert [name_of(i, ("cpu", "cpu", "gpu")) for i in range(4)] == ["cpu (0)", "cpu (1)", "gpu", "3"]


def test_a_steady_wall_clock() -> None:
    anchors = make_anchors(100)
    anchors["wall_ns"] += np.arange(100) * 100_000  # 100 ppm
    clock = look_at(anchors)
    assert (clock.anchors, clock.steps, clock.drift_ns) == (100, (), 9_900_000)
    assert clock.opened_at == "2026-11-18T11:06:40.000+00:00"


def test_a_wall_clock_that_jumps() -> None:
    clock = look_at(make_anchors(10, {3: 2_000 * MS, 7: -50 * MS}))
    assert clock.steps == (Step(2.0, 2_000 * MS), Step(6.0, -50 * MS))
    assert clock.drift_ns == 0


def test_instants_on_the_wall_clock_are_by_the_anchor_before_them() -> None:
    anchors = make_anchors(3, {1: 500 * MS})
    instants = START_NS + np.array([-MS, 0, 999 * MS, 1000 * MS, 5000 * MS])
    expected = WALL_NS + np.array([-MS, 0, 999 * MS, 1500 * MS, 5500 * MS])
    np.testing.assert_array_equal(on_wall_clock(instants, anchors), expected)


def test_a_clock_of_the_source_that_is_another_one_is_noticed() -> None:
    rows = make_rows(10)
    rows["captured_ns"] += 1_000_000 * MS
    assert summary_of(rows).captured_after_arrival == 10
    assert summary_of(make_rows(10)).captured_after_arrival == 0


@pytest.mark.parametrize(
    ("run", "verdict", "reason"),
    [
        (run_of(make_rows(3)), Verdict.PASS, "every frame is accounted for"),
        (run_of(make_rows(3), lost=2), Verdict.FAIL, "2 rows are lost"),
        (run_of(make_rows(3), lost=2, closed=False), Verdict.FAIL, "2 rows are lost"),
        (run_of(make_rows(3), closed=False), Verdict.CANNOT_TELL, "the log was not closed: what came after"),
        (
            run_of(make_rows(3), closed=False, cut_bytes=9),
            Verdict.CANNOT_TELL,
            "the log was not closed, and 9 bytes at its end cannot be read: what",
        ),
        (run_of(make_rows(3), cut_bytes=9), Verdict.CANNOT_TELL, "the file was changed after the log was closed"),
        (run_of(make_rows(0)), Verdict.CANNOT_TELL, "the log holds no frame"),
    ],
)
def test_verdicts(run: LoggedRun, verdict: Verdict, reason: str) -> None:
    found, why = judge(run)
    assert (found, why[: len(reason)]) == (verdict, reason)


def test_a_log_without_frames_and_anchors_has_a_summary(tmp_path: Path) -> None:
    summary = summarize(read_log(write_log(tmp_path / "a.dlog", make_rows(0), make_anchors(0))))
    assert (summary.seconds, summary.frames_per_second, summary.longest_run_unanswered) == (None, None, 0)
    assert summary.wall_clock.opened_at is None
    assert {stage.n for stage in summary.stages.values()} == {0}
    assert set(summary.stages) == set(STAGES)
    assert '"contiguous": true' in summary.json_text()

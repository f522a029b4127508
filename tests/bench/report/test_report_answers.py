"""The verdict on top: yes only where answers are right and in time, and "cannot tell" is never "yes"."""

from __future__ import annotations

from dataclasses import replace

import pytest
import report_factory as factory
from report_factory import Made, burst, paced, result_of, right, soak, wrong

from daenr_bench.measurement import WarmUp
from daenr_bench.report.answers import Answer, Headline, answers_of, headline_of
from daenr_bench.report.source import Source
from daenr_bench.result_files import Report
from daenr_common.verdict import Verdict


def ask(report: Report) -> tuple[Headline, list[Answer]]:
    source = Source(report.result, report.samples, None)
    answers = answers_of(source)
    plain = [
        replace(a, reason=_plain(a.reason), loop=a.loop and _plain(a.loop), timing=_plain(a.timing)) for a in answers
    ]
    headline = headline_of(answers)
    return replace(headline, question=_plain(headline.question), detail=_plain(headline.detail)), plain


def _plain(text: str) -> str:
    """With ordinary spaces between figures and units."""
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def test_right_and_in_time_is_yes() -> None:
    headline, (answer,) = ask(result_of([burst(), paced()]))
    assert headline.question == "May I trust this engine at 100 Hz?"
    assert (headline.verdict, headline.answer) == (Verdict.PASS, "Yes, with onnxruntime.")
    assert answer.reason == "0 of 1 000 frames missed the deadline of 10 ms (1 % may)."
    assert answer.timing.startswith("99 of 100 answers were there within ")
    assert "with 99 % confidence" in headline.detail


def test_what_the_answers_are_worth_stands_in_the_box() -> None:
    headline, _ = ask(result_of([burst(), paced()], [right(), right("joint")]))
    assert _plain(headline.accuracy) == (
        "Its answers keep their margins: each neuron’s correlation with the reference is at least 1 − 4·10⁻¹³ "
        "(≥ 0.999); no neuron lost more than 3·10⁻⁸ of its correlation with the recording (≤ 0.005); "
        "reconstructions lost 2·10⁻⁷ dB of PSNR (≤ 0.1); reconstructions lost no SSIM (≤ 0.005)."
    )
    missing = factory.finding("recorded_correlation_drop", None, "cannot tell")
    headline, _ = ask(result_of([paced()], [right(science=(missing,))]))
    assert headline.accuracy == "Not measured: each neuron's loss of correlation with its recorded responses."
    assert ask(result_of([paced()], [right(science=())]))[0].accuracy == ""


@pytest.mark.parametrize(
    ("made", "verdict", "answer", "reason"),
    [
        ([burst()], Verdict.CANNOT_TELL, "Cannot tell.", "It was not measured on a schedule"),
        ([burst(), paced(frames=100)], Verdict.CANNOT_TELL, "Cannot tell.", "too few frames to tell"),
        ([burst(), paced(late=30, skipped=20)], Verdict.FAIL, "No.", "50 of 1 000 frames missed"),
    ],
)
def test_no_and_cannot_tell(made: list[Made], verdict: Verdict, answer: str, reason: str) -> None:
    headline, (only,) = ask(result_of(made))
    assert (headline.verdict, headline.answer) == (verdict, answer)
    assert reason in only.reason
    assert reason in headline.detail


def test_wrong_answers_are_no_however_fast() -> None:
    headline, (answer,) = ask(result_of([], [wrong()]))
    assert (headline.verdict, headline.answer) == (Verdict.FAIL, "No.")
    assert "Its answers are not those of the checkpoint: responses: error 3.1e-02" in answer.reason


@pytest.mark.parametrize("state", ["fail", "fault"])
def test_a_fault_in_one_scenario_spoils_the_engine(state: str) -> None:
    died = (replace(burst()[0], state=state, problems=("out of memory",), latency=None), {})
    headline, answers = ask(result_of([died, paced()]))
    assert headline.answer == "No."
    assert all(answer.verdict is Verdict.FAIL and "out of memory" in answer.reason for answer in answers)


def test_engines_are_named_one_by_one() -> None:
    made = [
        paced(backend="native"), paced(backend="onnxruntime", late=50), paced(backend="onnxruntime", warm=True),
        paced(backend="tensorrt", late=50), burst(backend="openvino"),
    ]  # fmt: skip
    headline, _ = ask(result_of(made))
    assert headline.verdict is Verdict.PASS
    assert headline.answer == (
        "Yes, with native. With onnxruntime only when kept warm between frames. Not with tensorrt. "
        "Cannot tell for openvino."
    )


def test_nobody_asks_whether_to_trust_a_peer() -> None:
    made = [paced(backend="torch"), paced(backend="onnxruntime", late=50), paced(backend="onnxruntime-default")]
    headline, answers = ask(result_of(made))
    assert headline.answer == "No."
    assert [answer.backend for answer in answers] == ["onnxruntime"]
    headline, answers = ask(result_of([paced(backend="torch")]))
    assert (headline.verdict, answers) == (Verdict.CANNOT_TELL, [])


def test_a_soak_that_fails_takes_the_yes_of_the_same_loop_back() -> None:
    made, arrays = paced(late=300)
    long = replace(soak()[0], paced=made.paced, latency=made.latency)
    headline, answers = ask(result_of([paced(), (long, arrays)]))
    assert headline.answer == "No."
    assert [answer.verdict for answer in answers] == [Verdict.PASS, Verdict.FAIL]
    assert answers[1].loop == "rests, soak of 60 min"


def test_what_limits_the_trust_is_said() -> None:
    made, arrays = paced(complete=False, warm_up=WarmUp(1000, False), timed_answers_compared=0)
    _, (answer,) = ask(result_of([(made, arrays)]))
    assert answer.caveats == (
        "was cut short: not all frames were measured",
        "had not settled after its warm-up",
        "has no timed answer that was compared",
    )


def test_nothing_measured_is_cannot_tell() -> None:
    headline, answers = ask(result_of([], []))
    assert (headline.verdict, headline.answer, answers) == (Verdict.CANNOT_TELL, "Cannot tell.", [])


def test_an_engine_that_was_compared_and_never_timed_is_cannot_tell() -> None:
    headline, _ = ask(result_of([paced()], [right(), right(backend="openvino")]))
    assert headline.answer == "Yes, with onnxruntime. Cannot tell for openvino."


def test_it_asks_about_the_rate_that_was_measured() -> None:
    made, arrays = paced()
    assert made.paced is not None
    faster = replace(made, paced=replace(made.paced, rate_hz=500.0, deadline_ns=2_000_000))
    headline, _ = ask(result_of([(faster, arrays)]))
    assert headline.question == "May I trust this engine at 500 Hz?"
    assert "the deadline of 2 ms" in headline.detail


def test_the_verdict_of_the_run_is_the_results_own() -> None:
    report = factory.everything()
    assert report.result.verdict is Verdict.PASS

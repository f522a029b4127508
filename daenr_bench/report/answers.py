"""May an engine be trusted at a rate? The answer in plain words, with its reason. "Cannot tell" is not "yes"."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from daenr_bench.contract import contract_of, in_words
from daenr_bench.measurement import Latency, Measurement, Paced
from daenr_bench.report import words
from daenr_bench.report.source import Source
from daenr_bench.result import Accuracy
from daenr_common.verdict import Verdict, overall

ASSUMED_HZ = 100.0
"""The rate that is asked about where none was measured."""

LOOPS = {
    "paced": "rests",
    "paced-warm": "kept warm",
    "soak": "soak",
}
"""Scenarios on a schedule, and what the engine does in them."""

_BEST_LAST = (Verdict.FAIL, Verdict.CANNOT_TELL, Verdict.PASS)

WORDS = {Verdict.PASS: "yes", Verdict.FAIL: "no", Verdict.CANNOT_TELL: "cannot tell"}


@dataclass(frozen=True)
class Answer:
    """Whether a backend may be trusted with a graph at a rate.

    Attributes:
        graph: its name.
        backend: its name.
        rate_hz: of the frames.
        loop: what the engine does between frames, in words; None if it was not measured on a schedule.
        verdict: PASS only if its answers are right and it was in time.
        reason: why, in a sentence.
        timing: how fast, in a sentence; empty where it does not matter.
        caveats: what limits the trust in it.
        measurement: that it rests on; None if there is none.
        accuracy: what its answers are worth, in a sentence; empty where that was not measured.
    """

    graph: str
    backend: str
    rate_hz: float
    loop: str | None
    verdict: Verdict
    reason: str
    timing: str = ""
    caveats: tuple[str, ...] = ()
    measurement: Measurement | None = None
    accuracy: str = ""


@dataclass(frozen=True)
class Headline:
    """The answer to everything that a result asks.

    Attributes:
        question: as a reader asks it.
        verdict: PASS if at least one backend may be trusted.
        answer: in a few words, with the names of backends.
        detail: the reason, of the best one.
        accuracy: what its answers are worth, in a sentence; empty where that was not measured.
    """

    question: str
    verdict: Verdict
    answer: str
    detail: str
    accuracy: str = ""


def answers_of(source: Source) -> list[Answer]:
    """An answer for each backend and loop, on each graph that was measured on a schedule, else on the rig's graph.

    Nobody asks whether to trust a peer: it is there for comparison.
    """
    scheduled = [m for m in source.of(*LOOPS) if m.backend not in source.result.peers]
    graphs = list(dict.fromkeys(m.graph for m in scheduled)) or _rig_graph(source)
    rates = list(dict.fromkeys(m.paced.rate_hz for m in scheduled if m.paced is not None)) or [ASSUMED_HZ]
    worth = {
        name: in_words(contract_of([a for a in source.result.accuracy if a.backend == name]))
        for name in source.backends
    }
    return [
        replace(answer, accuracy=worth[backend])
        for graph in graphs
        for backend in source.backends
        if backend not in source.result.peers
        for answer in _answers(source, graph, backend, rates[0])
    ]


def headline_of(answers: Sequence[Answer], quoted: Callable[[str], str] = str) -> Headline:
    """The answer on top of the page.

    Args:
        answers: of all engines.
        quoted: how a name that comes from a file is written.
    """
    rate_hz = answers[0].rate_hz if answers else ASSUMED_HZ
    question = f"May I trust this engine at {words.rate(rate_hz)}?"
    if not answers:
        return Headline(question, Verdict.CANNOT_TELL, "Cannot tell.", "Nothing was measured.")
    backends = dict.fromkeys(answer.backend for answer in answers)
    judged = {b: _by_loop([answer for answer in answers if answer.backend == b]) for b in backends}
    all_verdicts = [verdict for verdicts in judged.values() for verdict in verdicts.values()]
    # One engine that may be trusted is enough for a yes: its name is in the answer.
    verdict = Verdict.PASS if Verdict.PASS in all_verdicts else overall(all_verdicts)
    best = min((a for a in answers if judged[a.backend][_in_loop(a)] is verdict), key=_bound)
    detail = f"{quoted(best.backend)}{_in_loop(best)}: {best.reason} {best.timing}".strip()
    return Headline(question, verdict, _verdict_in_words(judged, quoted), detail, best.accuracy)


def _verdict_in_words(judged: dict[str, dict[str, Verdict]], quoted: Callable[[str], str]) -> str:
    """Which engines may be trusted, which only in one of their loops, which not, and for which nobody can tell."""
    found: dict[str, list[str]] = {"yes": [], "partly": [], "no": [], "unknown": []}
    for backend, verdicts in judged.items():
        trusted = [loop.strip() for loop, verdict in verdicts.items() if verdict is Verdict.PASS]
        if len(trusted) == len(verdicts):
            found["yes"].append(quoted(backend))
        elif trusted:
            found["partly"].append(f"{quoted(backend)} only {words.listed(trusted, 'or')}")
        else:
            found["no" if Verdict.FAIL in verdicts.values() else "unknown"].append(quoted(backend))
    if not any(found[kind] for kind in ("yes", "partly", "unknown")):
        return "No."
    if not any(found[kind] for kind in ("yes", "partly", "no")):
        return "Cannot tell."
    sentences = [f"Yes, with {words.listed(found['yes'], 'or')}."] if found["yes"] else []
    sentences += [f"{'With' if sentences else 'Yes, with'} {words.listed(found['partly'])}."] if found["partly"] else []
    sentences += [f"Not with {words.listed(found['no'], 'or')}."] if found["no"] else []
    sentences += [f"Cannot tell for {words.listed(found['unknown'])}."] if found["unknown"] else []
    return " ".join(sentences)


def _by_loop(answers: Sequence[Answer]) -> dict[str, Verdict]:
    """One verdict for each loop of a backend, however often it was measured: the worst."""
    found: dict[str, Verdict] = {}
    for answer in answers:
        loop = _in_loop(answer)
        found[loop] = min(found.get(loop, answer.verdict), answer.verdict, key=_BEST_LAST.index)
    return found


def _in_loop(answer: Answer) -> str:
    """Which of an engine's loops an answer is about, as a part of a sentence."""
    m = answer.measurement
    if m is None or m.paced is None:
        return ""
    return f" when {'kept warm' if m.paced.keep_warm else 'resting'} between frames"


def subject(of: Answer | Measurement | Accuracy) -> str:
    """Graph and backend in words."""
    return f"{of.graph} on {of.backend}"


def _rig_graph(source: Source) -> list[str]:
    graphs = source.graphs
    return ["responses"] if "responses" in graphs else graphs[:1]


def _answers(source: Source, graph: str, backend: str, rate_hz: float) -> list[Answer]:
    accuracy = [a for a in source.result.accuracy if (a.graph, a.backend) == (graph, backend)]
    measured = [m for m in source.result.measurements if (m.graph, m.backend) == (graph, backend)]
    if not accuracy and not measured:
        return []
    wrong = _what_is_wrong(accuracy, measured)
    scheduled = [m for m in measured if m.scenario in LOOPS and m.paced is not None]
    if scheduled:
        return [_on_schedule(m, m.paced, wrong) for m in scheduled if m.paced is not None]
    if wrong:
        return [Answer(graph, backend, rate_hz, None, Verdict.FAIL, wrong)]
    unfinished = [m for m in measured if m.scenario in LOOPS]
    reason = "It was not measured on a schedule, and back-to-back figures do not tell what a loop that waits gets."
    if unfinished:
        reason = f"The run ended before it was measured on a schedule. {' '.join(unfinished[0].problems)}".strip()
    return [Answer(graph, backend, rate_hz, None, Verdict.CANNOT_TELL, reason)]


def _what_is_wrong(accuracy: Sequence[Accuracy], measured: Sequence[Measurement]) -> str | None:
    """Why a backend cannot be trusted at all; None if nothing is known against it."""
    for each in accuracy:
        if each.verdict == "fail":
            return f"Its answers are not those of the checkpoint: {'; '.join(each.problems)}."
    for m in measured:
        if m.state == "fail":
            return f"Answers of timed calls were wrong ({m.scenario}): {'; '.join(m.problems)}."
        if m.state == "fault":
            return f"It died on the way ({m.scenario}): {'; '.join(m.problems)}."
    return None


def _on_schedule(m: Measurement, paced: Paced, wrong: str | None) -> Answer:
    verdict, reason, timing = Verdict(paced.verdict), _misses(paced), _timing(m.latency)
    if wrong:
        verdict, reason, timing = Verdict.FAIL, wrong, ""
    loop = LOOPS[m.scenario]
    if m.soak is not None:
        loop = f"{LOOPS['paced-warm' if paced.keep_warm else 'paced']}, soak of {words.duration(m.soak.measured_s)}"
    return Answer(m.graph, m.backend, paced.rate_hz, loop, verdict, reason, timing, _caveats(m), m)


def _misses(paced: Paced) -> str:
    missed = f"{words.count(paced.misses)} of {words.count(paced.frames)} frames missed the deadline of "
    missed += f"{words.time(paced.deadline_ns)} ({words.share(paced.allowed_share)} may)"
    if Verdict(paced.verdict) is Verdict.CANNOT_TELL:
        return f"{missed}: too few frames to tell."
    if paced.misses > 1:
        return f"{missed}, at most {words.count(paced.longest_run_of_misses)} in a row."
    return f"{missed}."


def _timing(latency: Latency | None) -> str:
    p99 = latency.percentiles["p99"] if latency is not None else None
    if p99 is None or p99.value_ns is None:
        return ""
    bound = f" (at most {words.time(p99.upper_bound_ns)}, with 99 % confidence)" if p99.upper_bound_ns else ""
    return f"99 of 100 answers were there within {words.time(p99.value_ns)} of the instant a frame was due{bound}."


def _caveats(m: Measurement) -> tuple[str, ...]:
    found = []
    if not m.complete:
        found.append("was cut short: not all frames were measured")
    if m.warm_up is not None and not m.warm_up.settled:
        found.append("had not settled after its warm-up")
    if m.timed_answers_compared == 0:
        found.append("has no timed answer that was compared")
    return tuple(found)


def _bound(answer: Answer) -> float:
    """The upper bound of p99, by which passing answers are ordered."""
    latency = answer.measurement.latency if answer.measurement is not None else None
    bound = latency.percentiles["p99"].upper_bound_ns if latency is not None else None
    return float("inf") if bound is None else bound

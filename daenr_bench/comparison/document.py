"""What a comparison found out: each class is one object of its JSON file (`comparison.schema.json`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any

from daenr_bench.comparison.effect import Effect
from daenr_bench.machine import Machine
from daenr_bench.result import Skip
from daenr_common.strict_json import encode, packaged
from daenr_common.verdict import Verdict

SCHEMA_VERSION = 1


class State(Enum):
    """How a pair ended."""

    COMPARED = "compared"
    """There are figures of both."""
    WRONG = "wrong"
    """BASE or HEAD answers wrongly. There is no figure, however fast it is."""
    HEAD_FAULT = "HEAD died"
    """A fail, like a wrong answer."""
    BASE_FAULT = "BASE died"
    """Cannot tell: that is no fault of HEAD, and there is nothing to compare it with."""
    NOT_COMPARED = "not compared"
    """Cannot tell: one of them was not measured, or not in the same way."""


@dataclass(frozen=True)
class Side:
    """BASE or HEAD: its name, its model, the digests of its bundle's manifest and checkpoint, when it was measured."""

    name: str
    model: str
    manifest_sha256: str
    checkpoint_sha256: str
    measured_at: str


@dataclass(frozen=True)
class Line:
    """One figure of both, and the verdict on it. Times are in nanoseconds.

    Attributes:
        figure: `p50` or `p99`.
        effect: a value of `Effect`.
        reason: why it is `cannot tell`; else empty.
        base_ns: of BASE; None where there is none.
        head_ns: of HEAD.
        ratio: HEAD over BASE. For p50 the trimmed mean of the rounds' ratios.
        low: lower end of its interval.
        high: upper end.
        margin: share from which a difference counts here: the margin, or the floor if that is more.
    """

    figure: str
    effect: str
    reason: str
    base_ns: float | None = None
    head_ns: float | None = None
    ratio: float | None = None
    low: float | None = None
    high: float | None = None
    margin: float | None = None


@dataclass(frozen=True)
class Pair:
    """A graph on a backend, in BASE and in HEAD.

    Attributes:
        graph: its name.
        backend: its name.
        state: a value of `State`.
        complete: false after Ctrl-C or a fault.
        problems: what is wrong, died, or stands against comparing.
        rounds: that were measured; of the one that has fewer.
        calls: that were timed, of each.
        answers_compared: answers of timed calls that were held against the golden ones, of both.
        lines: p50 and p99; none without figures.
        base_p50_ns: median of each round.
        head_p50_ns: the same of HEAD.
    """

    graph: str
    backend: str
    state: str
    complete: bool = True
    problems: tuple[str, ...] = ()
    rounds: int = 0
    calls: int = 0
    answers_compared: int = 0
    lines: tuple[Line, ...] = ()
    base_p50_ns: tuple[float, ...] = ()
    head_p50_ns: tuple[float, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """FAIL if it is wrong, HEAD died, or p50 or p99 is slower; else what p50 says.

        A p99 that cannot be told does not spoil a p50 that can: it takes far more calls.
        """
        if self.state in (State.WRONG.value, State.HEAD_FAULT.value):
            return Verdict.FAIL
        effects = [Effect(line.effect) for line in self.lines]
        if Effect.SLOWER in effects:
            return Verdict.FAIL
        is_compared = self.state == State.COMPARED.value and effects
        return effects[0].verdict if is_compared else Verdict.CANNOT_TELL

    @property
    def word(self) -> str:
        """The verdict in a word or two."""
        if self.state in (State.WRONG.value, State.HEAD_FAULT.value, State.BASE_FAULT.value):
            return self.state
        if self.verdict is Verdict.FAIL:
            return Effect.SLOWER.value
        return Effect.CANNOT_TELL.value if self.verdict is Verdict.CANNOT_TELL else self.lines[0].effect


@dataclass(frozen=True)
class Comparison:
    """The content of the JSON file.

    Attributes:
        base: what HEAD is compared with.
        head: what is judged.
        measured: `together`, in interleaved rounds, or `apart`: both come from results.
        scenario: `burst` or `paced`.
        timing_boundary: where the clock starts and stops, in words.
        settings: what decides the verdict: margin, floor, rounds, confidence and what is specific to the scenario.
        complete: false after Ctrl-C.
        pairs: one for each backend.
        skipped: backends that neither could be compared on, and why.
        notes: what a reader has to know.
        machine: that it was measured on.
        packages: versions by name.
        schema_version: of this layout.
    """

    base: Side
    head: Side
    measured: str
    scenario: str
    timing_boundary: str
    settings: dict[str, Any]
    complete: bool
    pairs: tuple[Pair, ...]
    skipped: tuple[Skip, ...]
    notes: tuple[str, ...]
    machine: Machine
    packages: dict[str, str]
    schema_version: int = SCHEMA_VERSION

    @property
    def verdict(self) -> Verdict:
        """FAIL if any pair fails, else CANNOT_TELL if any pair, or nothing at all, could be told; else PASS."""
        verdicts = {pair.verdict for pair in self.pairs}
        if Verdict.FAIL in verdicts:
            return Verdict.FAIL
        return Verdict.PASS if verdicts == {Verdict.PASS} else Verdict.CANNOT_TELL

    @property
    def word(self) -> str:
        """The verdict as a reader of a pull request wants it."""
        words = [pair.word for pair in self.pairs if pair.verdict is self.verdict]
        for word in (State.WRONG.value, State.HEAD_FAULT.value, Effect.SLOWER.value, State.BASE_FAULT.value):
            if word in words:
                return word
        if self.verdict is Verdict.CANNOT_TELL:
            return Effect.CANNOT_TELL.value
        return words[0] if len(set(words)) == 1 else "same or faster"

    def json_text(self) -> str:
        """The comparison as a JSON document."""
        pairs = [encode(pair) | {"verdict": pair.verdict.value} for pair in self.pairs]
        document = encode(self) | {"pairs": pairs, "verdict": self.verdict.value, "word": self.word}
        return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def schema() -> dict[str, Any]:
    """The JSON Schema of the file."""
    return packaged(__package__, "comparison.schema.json")

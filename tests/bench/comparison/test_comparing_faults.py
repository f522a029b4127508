"""What ends a comparison early: wrong answers, a backend that dies or has nothing to run, Ctrl-C."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_factory import COMPARED
from two_bundles import Spoil, TwoSpeeds, constant, only, run

from daenr_common.errors import BackendUnavailableError
from daenr_common.verdict import Verdict
from daenr_export.runtime import registry
from daenr_export.specs import Array

Bundles = tuple[Path, Path]


def wrong(number: int, answer: Array) -> Array:
    return answer * 1.01


@pytest.mark.parametrize(("side", "spoiled"), [("BASE", "spoil_base"), ("HEAD", "spoil_head")])
def test_a_bundle_that_answers_wrongly_fails_and_is_not_timed(bundles: Bundles, side: str, spoiled: str) -> None:
    spoil: dict[str, Spoil] = {spoiled: wrong}
    backend = TwoSpeeds(bundles[0], constant(100_000), constant(10), **spoil)  # type: ignore[arg-type]
    comparison = run(bundles, backend)
    (pair,) = comparison.pairs
    assert (comparison.word, comparison.verdict, pair.lines) == ("wrong", Verdict.FAIL, ())
    assert pair.problems[0].startswith(f"{side}: responses: error 1.0e-02 of its scale")
    assert all(engine.calls == COMPARED for engine in backend.engines.values())


def test_a_head_that_is_right_until_it_is_timed_fails(bundles: Bundles) -> None:
    pair = only(
        bundles,
        constant(100_000),
        constant(10),
        spoil_head=lambda number, answer: answer if number < COMPARED else answer[::-1] * 0,
    )
    assert (pair.word, pair.lines) == ("wrong", ())
    assert pair.problems[0].startswith("HEAD: in timed calls: responses: error")


@pytest.mark.parametrize(
    ("spoiled", "word", "verdict"),
    [("spoil_head", "HEAD died", Verdict.FAIL), ("spoil_base", "BASE died", Verdict.CANNOT_TELL)],
)
def test_a_backend_that_dies_is_named_and_its_rounds_are_kept(
    bundles: Bundles, spoiled: str, word: str, verdict: Verdict
) -> None:
    def dies(number: int, answer: Array) -> Array:
        if number > 700:
            raise RuntimeError("the device\nis lost")
        return answer

    spoil: dict[str, Spoil] = {spoiled: dies}
    backend = TwoSpeeds(bundles[0], constant(100_000), constant(200_000), **spoil)  # type: ignore[arg-type]
    comparison = run(bundles, backend)
    (pair,) = comparison.pairs
    assert (comparison.word, comparison.verdict) == (word, verdict)
    assert pair.problems[0].startswith(f"{word[:4]}: fake session of the graph responses: could not answer")
    assert "the device is lost" in pair.problems[0]
    assert 0 < pair.rounds < 10
    assert not pair.complete
    assert pair.lines[0].ratio == pytest.approx(2)
    assert pair.lines[0].effect == "cannot tell"


def test_an_engine_that_dies_when_it_is_opened_again_is_a_fault(bundles: Bundles) -> None:
    backend = TwoSpeeds(bundles[0], constant(100_000), constant(100_000))
    opening = backend.engines["head.daenr.cache"].open

    def lost(graph: object) -> object:
        if len(backend.opened) > 8:
            raise MemoryError("no room")
        return opening(graph)  # type: ignore[arg-type]

    backend.engines["head.daenr.cache"].open = lost  # type: ignore[method-assign, assignment]
    (pair,) = run(bundles, backend).pairs
    assert pair.problems == ("HEAD: MemoryError: no room",)
    assert pair.verdict is Verdict.FAIL


def test_ctrl_c_reports_what_was_measured(bundles: Bundles) -> None:
    def interrupted(number: int, _: int) -> int:
        if number == 700:
            raise KeyboardInterrupt
        return 200_000

    comparison = run(bundles, TwoSpeeds(bundles[0], constant(100_000), interrupted))
    (pair,) = comparison.pairs
    assert not comparison.complete
    assert not pair.complete
    assert 0 < pair.rounds < 10
    assert pair.lines[0].ratio == pytest.approx(2)
    assert pair.lines[0].reason == "interrupted before it was decided"
    assert comparison.word == "cannot tell"


def test_what_base_can_and_head_cannot_is_no_pass(
    bundles: Bundles, monkeypatch: pytest.MonkeyPatch, shared_timed_bundle: Path
) -> None:
    def known(**options: tuple[str, ...]) -> TwoSpeeds:
        backend = TwoSpeeds(shared_timed_bundle, constant(100_000), constant(100_000), **options)  # type: ignore[arg-type]
        status = registry.BackendStatus("fake", True)
        monkeypatch.setattr(registry, "backends", lambda: (status,))
        monkeypatch.setattr(registry, "_make", {"fake": backend}.__getitem__)
        return backend

    comparison = run(bundles, known(lacks=("head.daenr",)), backends=None)
    (pair,) = comparison.pairs
    assert (pair.state, comparison.verdict) == ("not compared", Verdict.CANNOT_TELL)
    assert pair.problems == ("HEAD: head.daenr: holds no engine; export one",)
    comparison = run(bundles, known(lacks=("base.daenr",)), backends=None)
    assert comparison.pairs == ()
    assert comparison.verdict is Verdict.CANNOT_TELL
    assert comparison.skipped[0].reason == "BASE: base.daenr: holds no engine; export one"
    with pytest.raises(BackendUnavailableError, match="holds no engine"):
        run(bundles, known(lacks=("head.daenr",)), backends=["fake"])

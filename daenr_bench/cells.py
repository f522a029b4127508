"""Cells: a graph of a bundle, opened on a backend and compared with its reference. Only a right one is timed."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np

from daenr_bench.progress import Bar
from daenr_bench.result import Skip
from daenr_bench.scenarios.calling import Answers
from daenr_bench.yardstick import Yardstick, yardstick_of
from daenr_common.errors import BackendUnavailableError
from daenr_export.bundle import Bundle
from daenr_export.bundle.golden import batch_sizes, in_batches
from daenr_export.runtime.protocol import Backend, Session
from daenr_export.specs import Array
from daenr_export.verification.parity import Comparison, Tolerance, compare, from_manifest
from daenr_export.verification.runs import Witness, answer_and_compare, precision_of
from daenr_export.verification.science import Science, judge

BATCH = 1
"""A rig answers one image at a time."""


@dataclass(frozen=True)
class Cell:
    """A graph on a backend.

    Attributes:
        graph: its name.
        backend: its name.
        precision: what is run computes in.
        opened_on: the backend itself.
        session: open.
        opening_s: how long opening it took, with all that was compiled.
        inputs: all golden inputs, each a batch of one.
        answers: what the session answered to them one by one, by output; empty if it could not.
        comparisons: of its answers with the reference, by batch size.
        tolerance: that they were held against.
        against: where the reference comes from, as `Yardstick.references` says it.
        science: what is left of the science in its answers.
    """

    graph: str
    backend: str
    precision: str
    opened_on: Backend
    session: Session
    opening_s: float
    inputs: tuple[Array, ...]
    answers: Mapping[str, Array]
    comparisons: Mapping[int, tuple[Comparison, ...]]
    tolerance: Tolerance
    against: str
    science: Science

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the answers; none if they are the reference's."""
        found: dict[str, list[int]] = {}
        for batch, comparisons in self.comparisons.items():
            for problem in (problem for comparison in comparisons for problem in comparison.problems):
                found.setdefault(problem, []).append(batch)
        everywhere = len(self.comparisons)
        tensors = (
            problem if len(batches) == everywhere else f"{problem} (in batches of {', '.join(map(str, batches))})"
            for problem, batches in found.items()
        )
        return (*tensors, *self.science.problems)

    def compare_timed(self, kept: Mapping[int, Answers]) -> tuple[str, ...]:
        """What is wrong with the answers of timed calls, which must be those that were compared with the golden file.

        Args:
            kept: answers by the number of their call.
        """
        if not kept:
            return ()
        asked = [number % len(self.inputs) for number in kept]
        expected = {name: answers[asked] for name, answers in self.answers.items()}
        try:
            timed = [np.concatenate(parts) for parts in zip(*kept.values(), strict=True)]
        except ValueError as error:
            return (f"timed calls answered with arrays that do not go together ({error})",)
        comparisons = compare(dict(zip(expected, timed, strict=False)), expected, self.tolerance)
        problems = [problem for comparison in comparisons for problem in comparison.problems]
        return tuple(f"in timed calls: {problem}" for problem in problems)


def open_cells(
    bundle: Bundle,
    backends: Sequence[Backend],
    graphs: Sequence[str],
    stack: ExitStack,
    *,
    must_run: Collection[str],
    yardstick: Yardstick | None = None,
) -> tuple[list[Cell], list[Skip]]:
    """Open graphs on backends, and compare all answers with the reference, at each batch size.

    Args:
        bundle: whose graphs are opened.
        backends: that can run here.
        graphs: their names.
        stack: takes over the open sessions.
        must_run: names of backends for which a graph that is not opened is an error.
        yardstick: what answers are held against; None for the golden file and daenr's own margins.

    Returns:
        The cells, and where there is none, why.

    Raises:
        BackendUnavailableError: a graph is not opened by one of `must_run`.
        BundleError: the golden file does not fit the graphs.
    """
    opener = _Opener(bundle, stack, yardstick or yardstick_of(bundle))
    cells: list[Cell] = []
    skipped: list[Skip] = []
    with Bar("comparing answers", total=len(backends) * len(graphs), unit="graph") as bar:
        for backend in backends:
            skips = []
            for name in graphs:
                try:
                    cells.append(opener.open(backend, name))
                except BackendUnavailableError as error:
                    if backend.name in must_run:
                        raise
                    skips.append(Skip(backend.name, name, str(error)))
                bar.update()
            skipped += _put_together(skips, len(graphs))
    return cells, skipped


def _put_together(skips: list[Skip], n_graphs: int) -> list[Skip]:
    """One skip in place of many that say the same of all graphs."""
    if len(skips) == n_graphs and len({skip.reason for skip in skips}) == 1:
        return [replace(skips[0], graph=None)]
    return skips


class _Opener:
    def __init__(self, bundle: Bundle, stack: ExitStack, yardstick: Yardstick) -> None:
        self._bundle = bundle
        self._stack = stack
        self._yardstick = yardstick

    def open(self, backend: Backend, name: str) -> Cell:
        manifest = self._bundle.manifest
        graph = Witness(self._bundle.graph(name), manifest)
        spec = graph.spec
        if not spec.batch.min <= BATCH <= spec.batch.max:
            problem = f"takes batches of {spec.batch.min} to {spec.batch.max}, and single images are timed"
            raise BackendUnavailableError(f"graph {name}", problem, "export it with --batch 1:1:64")
        start_s = time.perf_counter()
        session = self._stack.enter_context(backend.open(graph))
        opening_s = time.perf_counter() - start_s
        precision = precision_of(session, graph)
        tolerance = from_manifest(manifest.tolerances, precision)
        inputs = self._yardstick.golden.inputs(spec)
        references, against = self._yardstick.references(spec)
        answers, comparisons = _compare(session, inputs, references, tolerance)
        return Cell(
            graph=name,
            backend=backend.name,
            precision=precision,
            opened_on=backend,
            session=session,
            opening_s=opening_s,
            inputs=tuple(in_batches(inputs, BATCH)),
            answers=answers,
            comparisons=comparisons,
            tolerance=tolerance,
            against=against,
            science=self._judge(answers, references, comparisons[BATCH]),
        )

    def _judge(
        self, answers: Mapping[str, Array], references: Mapping[str, Array], comparisons: tuple[Comparison, ...]
    ) -> Science:
        """The science of those outputs that are numbers in the reference's shape."""
        comparable = {c.output: answers[c.output] for c in comparisons if c.metrics}
        return judge(comparable, references, self._yardstick.held_out, self._yardstick.margins)


def _compare(
    session: Session, inputs: Array, references: Mapping[str, Array], tolerance: Tolerance
) -> tuple[dict[str, Array], dict[int, tuple[Comparison, ...]]]:
    """The answers to single images, and how the answers at each batch size compare with the reference.

    Engines that are right for single images have been seen to be wrong for two. One that cannot answer a single image
    is not asked for more.
    """
    answers, comparisons = answer_and_compare(session, inputs, BATCH, references, tolerance)
    found = {BATCH: comparisons}
    for batch in batch_sizes(session.spec.batch) if answers else ():
        if batch != BATCH:
            found[batch] = answer_and_compare(session, inputs, batch, references, tolerance)[1]
    return answers, dict(sorted(found.items()))

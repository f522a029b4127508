"""Cells: a graph of a bundle, opened on a backend and compared with the golden file. Only a right one is timed."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np

from daenr_bench.progress import Bar
from daenr_bench.result import Skip
from daenr_bench.scenarios.calling import Answers
from daenr_common.errors import BackendUnavailableError, DaenrError
from daenr_export.bundle import Bundle
from daenr_export.bundle.golden import Golden, in_batches
from daenr_export.runtime.protocol import Backend, Session
from daenr_export.specs import Array
from daenr_export.verification.parity import Comparison, Tolerance, answer_all, compare, from_manifest
from daenr_export.verification.runs import Witness

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
        answers: what the session answered to them, by output; empty if it could not.
        comparisons: of these answers with the golden file.
        tolerance: that they were held against.
    """

    graph: str
    backend: str
    precision: str
    opened_on: Backend
    session: Session
    opening_s: float
    inputs: tuple[Array, ...]
    answers: Mapping[str, Array]
    comparisons: tuple[Comparison, ...]
    tolerance: Tolerance

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the answers; none if they are the reference's."""
        return tuple(problem for comparison in self.comparisons for problem in comparison.problems)

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
    bundle: Bundle, backends: Sequence[Backend], graphs: Sequence[str], stack: ExitStack, *, must_run: Collection[str]
) -> tuple[list[Cell], list[Skip]]:
    """Open graphs on backends, and compare all answers with the golden file.

    Args:
        bundle: whose graphs are opened.
        backends: that can run here.
        graphs: their names.
        stack: takes over the open sessions.
        must_run: names of backends for which a graph that is not opened is an error.

    Returns:
        The cells, and where there is none, why.

    Raises:
        BackendUnavailableError: a graph is not opened by one of `must_run`.
        BundleError: the golden file does not fit the graphs.
    """
    opener = _Opener(bundle, stack)
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
    def __init__(self, bundle: Bundle, stack: ExitStack) -> None:
        self._bundle = bundle
        self._stack = stack
        self._golden = Golden(bundle.golden(), bundle.path / bundle.manifest.golden.file)

    def open(self, backend: Backend, name: str) -> Cell:
        manifest = self._bundle.manifest
        graph = Witness(self._bundle.graph(name), manifest.precision_requested)
        spec = graph.spec
        if not spec.batch.min <= BATCH <= spec.batch.max:
            problem = f"takes batches of {spec.batch.min} to {spec.batch.max}, and single images are timed"
            raise BackendUnavailableError(f"graph {name}", problem, "export it with --batch 1:1:64")
        start_s = time.perf_counter()
        session = self._stack.enter_context(backend.open(graph))
        opening_s = time.perf_counter() - start_s
        tolerance = from_manifest(manifest.tolerances, graph.precision)
        inputs, references = self._golden.inputs(spec), self._golden.references(spec)
        try:
            arrays = answer_all(session.run, inputs, BATCH)
            answers = dict(zip((output.name for output in spec.outputs), arrays, strict=True))
            comparisons = compare(answers, references, tolerance)
        except (DaenrError, ValueError) as error:
            answers, comparisons = {}, (Comparison(spec.outputs[0].name, {}, (str(error),)),)
        batches = tuple(in_batches(inputs, BATCH))
        return Cell(
            name, backend.name, graph.precision, backend, session, opening_s, batches, answers, comparisons, tolerance
        )

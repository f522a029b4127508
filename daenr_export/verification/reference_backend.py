"""onnx's own reference evaluator as a backend: a third opinion that shares no code with PyTorch or any engine.

It is written in plain numpy and takes milliseconds to seconds for an image, so it serves to check graphs, not to run a
rig, and is not among the backends that `load` offers.
"""

from __future__ import annotations

from typing import final

from daenr_common.errors import BackendUnavailableError
from daenr_common.extras import require
from daenr_export.runtime.protocol import GraphSource
from daenr_export.runtime.session import CallSession
from daenr_export.specs import Array

NAME = "onnx-reference"

_PURPOSE = "a third opinion on the graphs"


@final
class ReferenceBackend:
    """Opens graphs with `onnx.reference` (see `daenr_export.runtime.protocol.Backend`)."""

    @property
    def name(self) -> str:
        """The name a user asks for."""
        return NAME

    def why_unavailable(self) -> str | None:
        """None where onnx is installed; otherwise what is missing."""
        try:
            require("onnx.reference", extra="export", purpose=_PURPOSE)
        except BackendUnavailableError as error:
            return str(error)
        return None

    def open(self, graph: GraphSource) -> CallSession:
        """Open a graph.

        Raises:
            BackendUnavailableError: onnx is not installed, or cannot read the graph.
        """
        evaluator_of = require("onnx.reference", extra="export", purpose=_PURPOSE).ReferenceEvaluator
        content = graph.onnx()
        try:
            evaluator = evaluator_of(content)
        except Exception as error:
            problem = f"does not open the graph {graph.spec.name} ({error})"
            raise BackendUnavailableError(NAME, problem, "choose another backend") from error
        names, source = [output.name for output in graph.spec.outputs], graph.spec.input.name

        def answer(batch: Array) -> tuple[Array, ...]:
            return tuple(evaluator.run(names, {source: batch}))

        return CallSession(NAME, graph.spec, answer)

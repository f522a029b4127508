"""The session that backends hand out when answering a batch is one call of a library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self, final

import numpy as np

from daenr_common.errors import BackendUnavailableError, DaenrError
from daenr_export.runtime.protocol import Bound, Session
from daenr_export.specs import Array, GraphSpec

Answer = Callable[[Array], tuple[Array, ...]]
Bind = Callable[[int], Bound]


@final
class CallSession:
    """A session made of a function (see `daenr_export.runtime.protocol.Session`). For one thread at a time.

    Args:
        backend: its name, for messages.
        spec: the graph that is open.
        answer: takes a batch, returns the outputs in the order of `spec.outputs`. Dropping it must free what it holds.
        bind: takes standing buffers of the library's own; None where it has no way to.
        precision: that it computes in here, where that is another than what was compiled was made for.
    """

    def __init__(
        self, backend: str, spec: GraphSpec, answer: Answer, bind: Bind | None = None, *, precision: str | None = None
    ) -> None:
        self.precision = precision
        self._subject = f"{backend} session of the graph {spec.name}"
        self._spec = spec
        self._answer = answer
        self._bind: Bind = bind or (lambda batch: bind_by_copying(self, batch))

    @property
    def spec(self) -> GraphSpec:
        """Input, outputs and batch range of the graph that is open."""
        return self._spec

    def run(self, batch: Array) -> tuple[Array, ...]:
        """Answer one batch `(B, *input.shape)` with arrays `(B, *output.shape)` that belong to the caller.

        Raises:
            DaenrError: the session is closed, or the library refused the batch.
        """
        try:
            return self._answer(batch)
        except DaenrError:
            raise
        except Exception as error:
            problem = f"could not answer a batch of {batch.dtype} {batch.shape} ({error})"
            raise DaenrError(self._subject, problem, "check the batch against the manifest") from error

    def bind(self, batch: int) -> Bound:
        """Take standing buffers for a batch size.

        Raises:
            DaenrError: the session is closed.
        """
        return self._bind(batch)

    def close(self) -> None:
        """Free what the session holds. Closing twice is allowed."""
        self._answer = self._refuse
        self._bind = self._refuse

    def _refuse(self, _: object) -> Any:
        raise DaenrError(self._subject, "is closed", "open the graph again")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.close()


def empty_buffers(spec: GraphSpec, batch: int) -> tuple[Array, tuple[Array, ...]]:
    """Zeroed arrays in the shapes of a graph's input and outputs at a batch size."""
    first, *rest = (np.zeros((batch, *tensor.shape), tensor.numpy_dtype) for tensor in (spec.input, *spec.outputs))
    return first, tuple(rest)


def bind_by_copying(session: Session, batch: int) -> Bound:
    """Standing buffers for a session whose library returns arrays of its own: each answer is copied into them."""
    source, outputs = empty_buffers(session.spec, batch)

    def run() -> None:
        for standing, answer in zip(outputs, session.run(source), strict=True):
            np.copyto(standing, answer, casting="no")

    return Bound(source, outputs, run)


def check_names(backend: str, spec: GraphSpec, inputs: Sequence[set[str]], outputs: Sequence[set[str]]) -> None:
    """Raise BackendUnavailableError if an opened graph's tensors are not those of its specification, in its order.

    Args:
        backend: its name, for messages.
        spec: what the manifest says.
        inputs: the names that each input of the opened graph goes by.
        outputs: the same for the outputs.
    """
    wanted = [spec.input.name], [output.name for output in spec.outputs]
    for names, found in zip(wanted, (inputs, outputs), strict=True):
        if len(names) != len(found) or not all(name in known for name, known in zip(names, found, strict=True)):
            raise BackendUnavailableError(
                f"graph {spec.name}",
                f"has the tensors {[sorted(known) for known in found]} on {backend}, and the manifest says {names}",
                "export the bundle again from its checkpoint",
            )

"""The contract of shorter numbers than float32: what answers from them is held against, and layers that fall back.

Answers to the golden images are held against the margins of the science (`daenr_export.verification.science`). Where
they break one, of the layers with the shortest numbers that with the fewest weights gets longer ones, and all is tried
again: what is given up first costs the least time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from daenr_common.verdict import Verdict
from daenr_export.bundle import ContractEntry
from daenr_export.bundle.golden import Golden
from daenr_export.runtime.backends.onnxruntime import OnnxRuntimeBackend
from daenr_export.runtime.protocol import Session
from daenr_export.specs import Array, GraphSpec
from daenr_export.verification.margins import Margins
from daenr_export.verification.parity import TOLERANCES, answer_all
from daenr_export.verification.runs import OnnxGraph, answer_and_compare
from daenr_export.verification.science import Floats, HeldOut, judge

BY_LENGTH = ("int8", "bf16", "fp16", "fp32")
"""Precisions, the shortest numbers first."""

Open = Callable[[Mapping[str, str]], Session]
"""Opens a graph whose layers have these precisions, by name."""


@dataclass(frozen=True, eq=False)
class Contract:
    """What answers from shorter numbers must keep to.

    Attributes:
        golden: images, and what the model answers.
        held_out: the same images, and the responses that were recorded to them, if there are any.
        margins: what may be lost.
        behind: the float32 graphs of features, which tell what features that are a little wrong cost.
    """

    golden: Golden
    held_out: HeldOut
    margins: Margins
    behind: tuple[OnnxGraph, ...] = ()


@dataclass(frozen=True)
class Held:
    """What is found about answers.

    Attributes:
        kept: margins that hold, in sentences.
        not_measured: margins that nothing could be said of.
        broken: those that do not hold; and outputs of which nothing could be measured.
        best_image: the image that is answered most nearly as the model does.
    """

    kept: tuple[str, ...] = ()
    not_measured: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    best_image: int = 0


@dataclass(frozen=True)
class Shortened:
    """A graph under contract.

    Attributes:
        layers: the precision of each layer, by name.
        held: what was found about its answers.
        fallbacks: what was given up, and what had broken the contract.
    """

    layers: dict[str, str] = field(default_factory=dict)
    held: Held = field(default_factory=Held)
    fallbacks: tuple[str, ...] = ()

    @property
    def precision(self) -> str:
        """The shortest of all; `fp32` where none could be shorter."""
        return shortest(self.layers)

    @property
    def entry(self) -> ContractEntry:
        """As a manifest holds it."""
        return ContractEntry(self.layers, self.held.kept, self.held.not_measured, self.fallbacks)


def shortest(layers: Mapping[str, str]) -> str:
    """The shortest precision among layers; `fp32` without any."""
    return next((precision for precision in BY_LENGTH if precision in layers.values()), "fp32")


def fall_back(
    spec: GraphSpec,
    weights: Mapping[str, int],
    start: Mapping[str, str],
    longer: Mapping[str, str],
    contract: Contract,
    open_: Open,
) -> Shortened:
    """Start with short numbers in all layers, and give layers longer ones until the contract holds.

    Args:
        spec: of the graph.
        weights: how many each layer has, by name.
        start: the precision of each to start with.
        longer: what each precision falls back to, down to `fp32`.
        contract: to keep.
        open_: what is tried.
    """
    layers = dict(start)
    fallbacks: list[str] = []
    while (now := shortest(layers)) != "fp32":
        with open_(layers) as session:
            held = hold(session, spec, now, contract)
        if not held.broken:
            return Shortened(layers, held, tuple(fallbacks))
        name = min((name for name in layers if layers[name] == now), key=lambda name: weights[name])
        fallbacks.append(f"{name} from {now} to {longer[now]}: {'; '.join(held.broken)}")
        layers[name] = longer[now]
    return Shortened(layers, fallbacks=tuple(fallbacks))


def hold(session: Session, spec: GraphSpec, precision: str, contract: Contract) -> Held:
    """Let a session answer the golden images, and hold its answers to the tolerances of tensors and to the margins.

    Raises:
        BackendUnavailableError: onnxruntime, which answers from features, is not installed.
    """
    inputs, references = contract.golden.inputs(spec), contract.golden.references(spec)
    answers, comparisons = answer_and_compare(session, inputs, spec.batch.max, references, TOLERANCES[precision])
    broken = [f"{item.output}: {problem}" for item in comparisons for problem in item.problems]
    if not answers:
        return Held(broken=tuple(broken))
    best_image = int(_distances(answers, references).argmin())
    if "features" in answers:
        answers, references = _behind(answers["features"], contract)
    science = judge(answers, references, contract.held_out, contract.margins)
    kept = [f"{f.output}: {f.reason}" for f in science.findings if f.verdict == Verdict.PASS.value]
    unknown = [f"{f.output}: {f.reason}" for f in science.findings if f.verdict == Verdict.CANNOT_TELL.value]
    measured = {f.output for f in science.findings if f.verdict != Verdict.CANNOT_TELL.value}
    nothing = [f"{output}: no margin could be measured" for output in answers if output not in measured]
    return Held(tuple(kept), tuple(unknown), (*science.problems, *broken, *nothing), best_image)


def _behind(features: Array, contract: Contract) -> tuple[dict[str, Array], dict[str, Array]]:
    """What the rest of the model makes of features, and what it should, by output."""
    answers: dict[str, Array] = {}
    references: dict[str, Array] = {}
    for graph in contract.behind:
        names = [output.name for output in graph.spec.outputs]
        with OnnxRuntimeBackend().open(graph) as session:
            answers |= dict(zip(names, answer_all(session.run, features, graph.spec.batch.max), strict=True))
        references |= contract.golden.references(graph.spec)
    return answers, references


def _distances(answers: Mapping[str, Array], references: Mapping[str, Array]) -> Floats:
    """How far the answers to each image are from the references, all outputs taken together."""
    total = np.zeros(len(next(iter(answers.values()))))
    for name, answer in answers.items():
        reference = references[name].astype(np.float64).reshape(len(answer), -1)
        error = answer.astype(np.float64).reshape(len(answer), -1) - reference
        total += (error**2).mean(1) / max((reference**2).mean(), 1e-30)
    return total

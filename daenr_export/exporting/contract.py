"""The contract of shorter numbers than float32: what answers from them is held against, and layers that fall back.

Answers to the golden images are held against the margins of the science (`daenr_export.verification.science`). Where
they break one, of the layers with the shortest numbers that with the fewest weights gets longer ones, and all is tried
again: what is given up first costs the least time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from daenr_export.bundle import ContractEntry
from daenr_export.bundle.golden import Golden
from daenr_export.runtime.protocol import Session
from daenr_export.specs import GraphSpec
from daenr_export.verification.margins import Margins
from daenr_export.verification.parity import TOLERANCES
from daenr_export.verification.runs import answer_and_compare
from daenr_export.verification.science import HeldOut, judge

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
    """

    golden: Golden
    held_out: HeldOut
    margins: Margins


@dataclass(frozen=True)
class Shortened:
    """A graph under contract.

    Attributes:
        layers: the precision of each layer, by name.
        contract: what was found, a sentence for each margin.
        fallbacks: what was given up, and what had broken the contract.
    """

    layers: dict[str, str] = field(default_factory=dict)
    contract: tuple[str, ...] = ()
    fallbacks: tuple[str, ...] = ()

    @property
    def precision(self) -> str:
        """The shortest of all; `fp32` where none could be shorter."""
        return shortest(self.layers)

    @property
    def entry(self) -> ContractEntry:
        """As a manifest holds it."""
        return ContractEntry(self.layers, self.contract, self.fallbacks)


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
            found, broken = hold(session, spec, now, contract)
        if not broken:
            return Shortened(layers, found, tuple(fallbacks))
        name = min((name for name in layers if layers[name] == now), key=lambda name: weights[name])
        fallbacks.append(f"{name} from {now} to {longer[now]}: {'; '.join(broken)}")
        layers[name] = longer[now]
    return Shortened(layers, (), tuple(fallbacks))


def hold(session: Session, spec: GraphSpec, precision: str, contract: Contract) -> tuple[tuple[str, ...], list[str]]:
    """What is found about the answers of a session, in sentences; and those that break the contract."""
    inputs, references = contract.golden.inputs(spec), contract.golden.references(spec)
    answers, comparisons = answer_and_compare(session, inputs, spec.batch.max, references, TOLERANCES[precision])
    broken = [f"{item.output}: {problem}" for item in comparisons for problem in item.problems]
    if not answers:
        return (), broken
    science = judge(answers, references, contract.held_out, contract.margins)
    found = tuple(f"{finding.output}: {finding.reason}" for finding in science.findings)
    return found, [*science.problems, *broken]

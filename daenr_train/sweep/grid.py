"""Which fits an experiment consists of: models × regions × neurons × seeds, and the grids of the paper's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from daenr_train.spec import AUTOENCODERS, LAYERS, READOUTS, model_names

Neurons = Literal["all", "significant", "insignificant"]
NEURON_CLASSES: tuple[Neurons, ...] = get_args(Neurons)
"""`all`, or the second stage of table 3: the neurons that a first fit predicted significantly, or those it did not."""

DEFAULT_SEEDS = 5


@dataclass(frozen=True, order=True)
class Cell:
    """One fit of an experiment.

    Attributes:
        region: name of the recording's region.
        model: one of `model_names()`.
        neurons: which neurons of the region are fitted.
        seed: of the fit.
    """

    region: str
    model: str
    neurons: str
    seed: int

    def __str__(self) -> str:
        """As it is named in messages."""
        which = "" if self.neurons == "all" else f", {self.neurons} neurons"
        return f"{self.model} on {self.region}{which}, seed {self.seed}"

    @property
    def first_stage(self) -> Cell | None:
        """The fit to all neurons that tells which are significant; None for a fit to all neurons."""
        return None if self.neurons == "all" else Cell(self.region, self.model, "all", self.seed)


@dataclass(frozen=True)
class Block:
    """All combinations of some models, regions and classes of neurons."""

    models: tuple[str, ...]
    regions: tuple[str, ...]
    neurons: tuple[Neurons, ...] = ("all",)


@dataclass(frozen=True)
class Grid:
    """An experiment: blocks of fits, each with every seed.

    Attributes:
        blocks: what is fitted; blocks may overlap.
        seeds: the seeds, unless the command line names a number of them.
        settings: fields of TrainingConfig that differ from the defaults.
        model_settings: further ones for single models, by name.
    """

    blocks: tuple[Block, ...]
    seeds: tuple[int, ...] = tuple(range(DEFAULT_SEEDS))
    settings: Mapping[str, Any] = field(default_factory=dict)
    model_settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions in the order of their first mention."""
        return tuple(dict.fromkeys(region for block in self.blocks for region in block.regions))

    def cells(self, names: Mapping[str, str], seeds: Sequence[int]) -> tuple[Cell, ...]:
        """The fits, each once, sorted, first stages before second stages.

        Args:
            names: the names of the regions' recordings by the names that the grid calls them.
            seeds: the seeds.
        """
        wanted = {
            Cell(names[region], model, neurons, seed)
            for block in self.blocks
            for region in block.regions
            if region in names
            for model in block.models
            for neurons in block.neurons
            for seed in seeds
        }
        wanted |= {first for cell in wanted if (first := cell.first_stage)}
        return tuple(sorted(wanted))

    def on_regions(self, regions: Sequence[str]) -> Grid:
        """The same models on other regions."""
        blocks = (Block(block.models, tuple(regions), block.neurons) for block in self.blocks)
        return Grid(tuple(blocks), self.seeds, self.settings, self.model_settings)


def _layers(*stems: str) -> tuple[str, ...]:
    return tuple(f"{stem}{layer}" for stem in stems for layer in LAYERS)


_ALL_REGIONS = ("1", "2", "3")
_JOINT = tuple(name for name in model_names() if "-" in name and not name.startswith("cnn"))
_AUTOENCODER_AND_JOINT = ("cae", *_layers("cae-fr"))
_ENCODER_AND_JOINT = _layers("cnn-fr", "cae-fr")
_SECOND_STAGE = Block(_layers("cae-fr"), ("3",), ("significant", "insignificant"))

_SMOKE_MODELS = ("cae", "vae", "vqvae", "cnn-fr2", "cnn-fc2", "cnn-fm2", "cae-fr2", "cae-fc2", "cae-fm2")
_SMOKE = Grid(
    (
        Block((*_SMOKE_MODELS, "vae-fr2", "vqvae-fr2"), ("3",)),
        Block(("cae-fr2",), ("3",), ("significant", "insignificant")),
    ),
    seeds=(0, 1),
    settings={"max_steps": 60, "batch_size": 16, "validate_every": 20},
)

GRIDS: dict[str, Grid] = {
    "paper": Grid((Block(tuple(model_names()), _ALL_REGIONS), _SECOND_STAGE)),
    "table2": Grid((Block(_AUTOENCODER_AND_JOINT, _ALL_REGIONS),)),
    "table3": Grid((_SECOND_STAGE,)),
    "table4": Grid((Block(_ENCODER_AND_JOINT, _ALL_REGIONS),)),
    "table5": Grid((Block((*AUTOENCODERS, *_JOINT), ("3",)),)),
    "table6": Grid((Block((*_layers(*(f"cnn-{readout}" for readout in READOUTS)), *_JOINT), _ALL_REGIONS),)),
    "figure2": Grid((Block(_AUTOENCODER_AND_JOINT, ("3",)),)),
    "figure3": Grid((Block(_ENCODER_AND_JOINT, _ALL_REGIONS),)),
    "figure4": Grid((Block(_layers("cae-fr"), ("3",)),)),
    "evidence": Grid(
        (Block(_AUTOENCODER_AND_JOINT, _ALL_REGIONS), Block(_ENCODER_AND_JOINT, _ALL_REGIONS)),
        seeds=(0, 1, 2),
        settings={"max_steps": 4000},
    ),
    "smoke": _SMOKE,
}
"""The grids that have a name. `paper` holds the cells of all others; `evidence` and `smoke` fit them for less long."""

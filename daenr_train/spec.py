"""Names and sizes of the paper's 51 models, and of the baselines beside them. Needs no torch.

A name tells a model's parts: `cae-fr2` is a CAE whose layer-2 features feed a factorized readout. The grammar is
`{cae|vae|vqvae}-{fr|fc|fm}{1..4}` for the 36 DAE-NR models, `{cae|vae|vqvae}` for the three autoencoder baselines and
`cnn-{fr|fc|fm}{1..4}` for the twelve neural-only baselines (the paper's table 1 and section 4.1). `klindt`, `lnp` and
`mean` are models that the field measures itself against.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import asdict, dataclass
from typing import Any, Literal

from daenr_common.errors import SpecError

Autoencoder = Literal["cae", "vae", "vqvae"]
Readout = Literal["fr", "fc", "fm"]
Baseline = Literal["klindt", "lnp", "mean"]

AUTOENCODERS: dict[Autoencoder, str] = {
    "cae": "convolutional autoencoder",
    "vae": "variational autoencoder",
    "vqvae": "vector-quantised autoencoder",
}
READOUTS: dict[Readout, str] = {
    "fr": "factorized readout",
    "fc": "fully connected readout",
    "fm": "fixed-mask readout",
}
BASELINES: dict[Baseline, str] = {
    "klindt": "factorized CNN of Klindt et al. 2017",
    "lnp": "linear-nonlinear Poisson model",
    "mean": "mean response, whatever the image",
}
"""Models beside the paper's 51. All standardise the pixels; `lnp` and `mean` read them with a filter and an exponential
(the filter of `mean` is zero)."""

LAYERS = (1, 2, 3, 4)
IMAGE_SIZE = 32

_BASELINE_FEATURES: dict[Baseline, tuple[Readout, int, tuple[int, int, int]]] = {
    "klindt": ("fr", 3, (48, 20, 20)),
    "lnp": ("fc", 0, (1, IMAGE_SIZE, IMAGE_SIZE)),
    "mean": ("fc", 0, (1, IMAGE_SIZE, IMAGE_SIZE)),
}
"""Readout, layer and shape of the features that it reads."""

KLINDT_KERNELS = (13, 3, 3)
"""Edges of the square filters of `klindt`: those of the network that Klindt et al. found best for regions 1 and 2."""

_GRAMMAR = re.compile(r"(?P<trunk>cae|vae|vqvae|cnn)(?:-(?P<readout>fr|fc|fm)(?P<layer>[1-4]))?")


@dataclass(frozen=True)
class ModelSpec:
    """What a model is made of; enough to build it again.

    Kernel, stride and channels are not in the published paper (its appendix is not public), so they are fields here.

    Attributes:
        autoencoder: `cae`, `vae` or `vqvae`; None for the neural-only baselines.
        readout: `fr`, `fc` or `fm`; None for the autoencoder baselines.
        layer: the encoder stage, 1 to 4, whose output is the features `h_i`; 4 for the autoencoder baselines, 0 where
            the features are the pixels.
        n_neurons: number of neurons that the readout predicts; 0 without a readout.
        channels: output channels of the four encoder stages.
        kernel: edge of the square convolution kernels.
        stride: stride of each stage.
        latent_units: size of the latent code of CAE and VAE.
        n_codes: number of entries in the codebook of VQ-VAE, each of `channels[-1]` dimensions.
        non_negative: whether the spatial mask and the feature weights of the factorized readout are kept ≥ 0.
        baseline: one of BASELINES, whose encoder is the published one, so that the sizes above do not count; None for
            the paper's models. `baseline_spec` makes these.

    Raises:
        SpecError: the parts do not make one of the paper's models, or the sizes do not fit 32×32 images.
    """

    autoencoder: Autoencoder | None
    readout: Readout | None
    layer: int
    n_neurons: int
    channels: tuple[int, int, int, int] = (32, 64, 128, 256)
    kernel: int = 4
    stride: int = 2
    latent_units: int = 100
    n_codes: int = 32
    non_negative: bool = True
    baseline: Baseline | None = None

    def __post_init__(self) -> None:
        if self.baseline is not None:
            self._check_baseline()
            return
        if self.autoencoder is None and self.readout is None:
            raise SpecError("model", "has neither an autoencoder nor a readout", "give it at least one")
        if self.autoencoder not in (None, *AUTOENCODERS) or self.readout not in (None, *READOUTS):
            raise SpecError("model", f"unknown parts {self.autoencoder!r}, {self.readout!r}", _KNOWN_NAMES)
        if self.layer not in LAYERS:
            raise SpecError("layer", f"is {self.layer}, expected 1 to 4", "choose one of the four encoder stages")
        if (self.readout is None) != (self.n_neurons == 0) or self.n_neurons < 0:
            raise SpecError(
                "n_neurons", f"is {self.n_neurons} with readout {self.readout!r}", "give the number of neurons read out"
            )
        if (
            self.stride < 1
            or (self.kernel - self.stride) % 2
            or self.kernel < self.stride
            or IMAGE_SIZE % self.stride**4
        ):
            raise SpecError(
                "kernel and stride",
                f"are {self.kernel} and {self.stride}",
                "kernel − stride must be even and ≥ 0, and stride⁴ must divide 32",
            )
        if len(self.channels) != 4 or min(*self.channels, self.latent_units, self.n_codes) < 1:
            raise SpecError("channels, latent_units, n_codes", "must be positive, channels four", "correct the sizes")

    def _check_baseline(self) -> None:
        known = _BASELINE_FEATURES.get(self.baseline) if self.baseline else None
        if known is None or (self.autoencoder, self.readout, self.layer) != (None, *known[:2]):
            raise SpecError(f"baseline {self.baseline!r}", "is not one of these models", _KNOWN_NAMES)
        if self.n_neurons < 1:
            raise SpecError("n_neurons", f"is {self.n_neurons}", "give the number of neurons read out")

    @property
    def name(self) -> str:
        """The model's name, e.g. `cae-fr2`."""
        if self.baseline:
            return self.baseline
        trunk = self.autoencoder or "cnn"
        return f"{trunk}-{self.readout}{self.layer}" if self.readout else trunk

    @property
    def padding(self) -> int:
        """Padding that makes a stage divide the edge by exactly the stride."""
        return (self.kernel - self.stride) // 2

    def features_shape(self, layer: int | None = None) -> tuple[int, int, int]:
        """Shape `(C, H, W)` of the features of a stage (the model's own when `layer` is None)."""
        if self.baseline:
            return _BASELINE_FEATURES[self.baseline][2]
        layer = layer or self.layer
        edge = IMAGE_SIZE // self.stride**layer
        return self.channels[layer - 1], edge, edge

    def to_json(self) -> dict[str, Any]:
        """Plain values that `from_json` turns back into this spec."""
        if self.baseline:
            return {"baseline": self.baseline, "n_neurons": self.n_neurons}
        values = asdict(self) | {"channels": list(self.channels)}
        del values["baseline"]
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> ModelSpec:
        """The spec that `to_json` wrote.

        Raises:
            SpecError: fields are missing, unknown or out of range.
        """
        try:
            if "baseline" in values:
                return baseline_spec(**values)
            return cls(**(values | {"channels": tuple(values["channels"])}))
        except (TypeError, KeyError) as error:
            raise SpecError("model spec", f"does not have the expected fields ({error})", "export it again") from error


def parse_model_name(name: str, *, n_neurons: int) -> ModelSpec:
    """The spec of one of the 51 models, or of a baseline.

    Args:
        name: e.g. `cae-fr2`, `vqvae`, `cnn_fc4`, `klindt`; underscores are accepted in place of hyphens.
        n_neurons: neurons of the recording; not used by the autoencoder baselines.

    Raises:
        SpecError: no such model; the nearest names are suggested.
    """
    plain = name.lower().replace("_", "-")
    if plain in BASELINES:
        return baseline_spec(plain, n_neurons)
    found = _GRAMMAR.fullmatch(plain)
    if found is None or (found["trunk"] == "cnn" and found["readout"] is None):
        near = difflib.get_close_matches(plain, [*model_names(), *BASELINES], n=1, cutoff=0.3)
        raise SpecError(f"model {name!r}", "does not exist", f"did you mean {near[0]}?" if near else _KNOWN_NAMES)
    return ModelSpec(
        autoencoder=None if found["trunk"] == "cnn" else found["trunk"],  # type: ignore[arg-type]
        readout=found["readout"],  # type: ignore[arg-type]
        layer=int(found["layer"] or 4),
        n_neurons=n_neurons if found["readout"] else 0,
    )


def baseline_spec(baseline: Baseline, n_neurons: int) -> ModelSpec:
    """The spec of a baseline.

    Raises:
        SpecError: there is no such baseline, or no neuron.
    """
    if baseline not in _BASELINE_FEATURES:
        raise SpecError(f"baseline {baseline!r}", "does not exist", f"use {', '.join(BASELINES)}")
    readout, layer, _ = _BASELINE_FEATURES[baseline]
    return ModelSpec(None, readout, layer, n_neurons, baseline=baseline)


def model_names() -> list[str]:
    """The 51 names: 36 DAE-NR models, 3 autoencoders, 12 neural-only baselines."""
    readouts = [f"{readout}{layer}" for readout in READOUTS for layer in LAYERS]
    joint = [f"{autoencoder}-{readout}" for autoencoder in AUTOENCODERS for readout in readouts]
    return [*joint, *AUTOENCODERS, *(f"cnn-{readout}" for readout in readouts)]


_KNOWN_NAMES = "see daenr-train models for the names"

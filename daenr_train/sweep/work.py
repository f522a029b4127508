"""What a fit costs on paper: the multiplications and additions of its layers, counted from the model's sizes."""

from __future__ import annotations

from daenr_train.spec import KLINDT_KERNELS, LAYERS, ModelSpec

_PASSES = 3
"""Forward once; backward once for the gradients of features, once for those of weights."""


def multiply_adds(spec: ModelSpec) -> int:
    """Of one image, forward; convolutions and matrix products, not what is done element by element."""
    if spec.baseline:
        return _published_stages(spec) + _readout(spec)
    encoded = spec.layer if spec.autoencoder is None else len(LAYERS)
    # A transposed convolution does what the convolution that it mirrors does.
    stages = sum(_stage(spec, layer) for layer in range(1, encoded + 1))
    decoder = sum(_stage(spec, layer) for layer in LAYERS) + _latent(spec) if spec.autoencoder else 0
    return stages + decoder + _readout(spec)


def gflop_per_step(spec: ModelSpec, batch_size: int) -> float:
    """10⁹ operations of a step of fitting; a multiplication and an addition are two."""
    return 2 * _PASSES * multiply_adds(spec) * batch_size / 1e9


def _stage(spec: ModelSpec, layer: int) -> int:
    channels, height, width = spec.features_shape(layer)
    before = 1 if layer == 1 else spec.channels[layer - 2]
    return channels * before * spec.kernel**2 * height * width


def _published_stages(spec: ModelSpec) -> int:
    """The convolutions of the factorized CNN, all of whose maps have the size of its features; none for the others."""
    channels, height, width = spec.features_shape()
    taps = [kernel**2 * (channels if number else 1) for number, kernel in enumerate(KLINDT_KERNELS[: spec.layer])]
    return channels * height * width * sum(taps)


def _latent(spec: ModelSpec) -> int:
    channels, height, width = spec.features_shape(len(LAYERS))
    features = channels * height * width
    if spec.autoencoder == "vqvae":
        return features * (channels + spec.n_codes)
    return features * spec.latent_units * (3 if spec.autoencoder == "vae" else 2)


def _readout(spec: ModelSpec) -> int:
    channels, height, width = spec.features_shape()
    return channels * height * width * spec.n_neurons

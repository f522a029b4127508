"""How good a model is, and how good it could be: images, responses, and the ceilings that noise sets."""

from daenr_train.metrics.ceilings import (
    cc_max,
    fraction_explainable,
    noise_variance,
    normalised_noise_power,
    oracle_jackknife,
    oracle_jackknife_per_repeat,
    signal_power,
    total_variance,
)
from daenr_train.metrics.images import ImageScores, mse, psnr, score_images, ssim
from daenr_train.metrics.responses import (
    correlation_normalised,
    correlation_single_trial,
    correlation_to_average,
    feve_klindt,
    feve_sensorium,
    poisson_loss,
    poisson_loss_per_neuron,
    score_responses,
)
from daenr_train.metrics.scores import NeuronScores, ResponseScores

__all__ = [
    "ImageScores",
    "NeuronScores",
    "ResponseScores",
    "cc_max",
    "correlation_normalised",
    "correlation_single_trial",
    "correlation_to_average",
    "feve_klindt",
    "feve_sensorium",
    "fraction_explainable",
    "mse",
    "noise_variance",
    "normalised_noise_power",
    "oracle_jackknife",
    "oracle_jackknife_per_repeat",
    "poisson_loss",
    "poisson_loss_per_neuron",
    "psnr",
    "score_images",
    "score_responses",
    "signal_power",
    "ssim",
    "total_variance",
]

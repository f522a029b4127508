"""How good a model is, and how good it could be: images, responses, and the ceilings that noise sets."""

from daenr_train.metrics.ceilings import (
    cc_max,
    fraction_explainable,
    noise_power,
    noise_variance,
    normalised_noise_power,
    oracle_conservative,
    oracle_jackknife,
    oracle_jackknife_per_repeat,
    signal_power,
    snr_neuralpredictors,
    total_variance,
)
from daenr_train.metrics.definitions import DEFINITIONS, score_ceilings, score_responses
from daenr_train.metrics.explained import (
    feve_klindt,
    feve_neuralpredictors,
    feve_open_retina,
    feve_open_retina_kept,
    feve_sensorium,
    signal_power_explained,
    ve_klindt,
)
from daenr_train.metrics.images import ImageScores, mse, psnr, score_images, ssim
from daenr_train.metrics.responses import (
    correlation_normalised,
    correlation_single_trial,
    correlation_to_average,
    poisson_loss,
    poisson_loss_per_neuron,
)
from daenr_train.metrics.scores import NeuronScores, ResponseScores

__all__ = [
    "DEFINITIONS",
    "ImageScores",
    "NeuronScores",
    "ResponseScores",
    "cc_max",
    "correlation_normalised",
    "correlation_single_trial",
    "correlation_to_average",
    "feve_klindt",
    "feve_neuralpredictors",
    "feve_open_retina",
    "feve_open_retina_kept",
    "feve_sensorium",
    "fraction_explainable",
    "mse",
    "noise_power",
    "noise_variance",
    "normalised_noise_power",
    "oracle_conservative",
    "oracle_jackknife",
    "oracle_jackknife_per_repeat",
    "poisson_loss",
    "poisson_loss_per_neuron",
    "psnr",
    "score_ceilings",
    "score_images",
    "score_responses",
    "signal_power",
    "signal_power_explained",
    "snr_neuralpredictors",
    "ssim",
    "total_variance",
    "ve_klindt",
]

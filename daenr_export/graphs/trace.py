"""The model as one ONNX graph: `image → features, responses, reconstruction[, codes]`.

One trace instead of one for each part: tracing is the slow step of an export, and graphs that are cut from the same
trace are exactly each other's parts.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator

import onnx
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from daenr_common.errors import ExportError
from daenr_export.graphs.names import BATCH_AXIS, tensor_names
from daenr_train.models import DaeNr, inference_parts

_EXAMPLE_BATCH = 2
"""At a batch of 1 the tracer would take the batch axis for a constant."""


class _WholeModel(nn.Module):
    """The deployed parts behind one another; outputs in the order of `tensor_names`."""

    def __init__(self, parts: dict[str, nn.Module]) -> None:
        super().__init__()
        self.encoder, self.decoder, self.readout = parts["encoder"], parts.get("decoder"), parts.get("readout")

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        features = self.encoder(image)
        responses = () if self.readout is None else (self.readout(features),)
        decoded = () if self.decoder is None else self.decoder(features)
        return (features, *responses, *decoded)


def trace(model: DaeNr) -> onnx.ModelProto:
    """Trace a model in float32 with a dynamic batch axis.

    Raises:
        ExportError: the exporter of PyTorch could not translate it.
    """
    whole = _WholeModel(inference_parts(model)).eval()
    fold_batch_norm(whole)
    try:
        with _quiet_exporter():
            program = torch.onnx.export(
                whole,
                (torch.zeros(_EXAMPLE_BATCH, 1, 32, 32),),
                dynamo=True,
                external_data=False,
                input_names=["image"],
                output_names=list(tensor_names(model.spec)),
                dynamic_shapes=({0: torch.export.Dim(BATCH_AXIS)},),
                verbose=False,
            )
    except (RuntimeError, TypeError, ValueError) as error:
        raise ExportError(
            f"model {model.spec.name}",
            f"could not be translated to ONNX by torch {torch.__version__} ({error})",
            "install versions of torch and onnxscript that belong together",
        ) from error
    assert program is not None
    return program.model_proto


def fold_batch_norm(module: nn.Module) -> None:
    """Fold each batch norm into the convolution, transposed or not, before it, in place.

    The product is taken in float64 and rounded once. The exporter would fold too, in float32, and not in every version.
    """
    for stage in [child for child in module.modules() if isinstance(child, nn.Sequential)]:
        for index in reversed(range(len(stage) - 1)):
            convolution, norm = stage[index], stage[index + 1]
            if isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d):
                is_transposed = isinstance(convolution, nn.ConvTranspose2d)
                fused = fuse_conv_bn_eval(convolution.double(), norm.double(), transpose=is_transposed)
                stage[index] = fused.float().requires_grad_(False)
                del stage[index + 1]
    assert not any(isinstance(child, nn.BatchNorm2d) for child in module.modules())


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep the exporter's remarks about its own internals from the user: nothing can be done about them."""
    registry = logging.getLogger("torch.onnx._internal.exporter._registration")  # "torchvision is not installed"
    level = registry.level
    registry.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*LeafSpec.*", FutureWarning)
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            yield
    finally:
        registry.setLevel(level)

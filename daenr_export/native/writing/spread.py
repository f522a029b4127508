"""The C of a transposed convolution with few output channels."""

from __future__ import annotations

from daenr_export.native.planning.spread import Spread
from daenr_export.native.writing.convolution import one_image
from daenr_export.native.writing.writer import StepCode, Writer


def write_spread(step: Spread, writer: Writer) -> StepCode:
    """The function of a step, image by image."""
    products, scratch = step.products, step.products.target.floats
    bias = writer.constants.add(step.bias)
    shape = (
        f"(overlap){{.margin_y = {step.margin[0]}, .margin_x = {step.margin[1]}, "
        f".products_row = {products.target.row}, .taps = {products.target.pixel}, "
        f".taps_y = {step.taps[0]}, .taps_x = {step.taps[1]}, "
        f".stride_y = {step.stride[0]}, .stride_x = {step.stride[1]}, "
        f".pad_y = {step.pads[0]}, .pad_x = {step.pads[1]}, "
        f".height = {step.target.height}, .width = {step.target.width}, .channels = {step.target.channels}, "
        f".kind = {step.activation.upper()}}}"
    )
    body = (
        f"clear_margins({shape}, {products.source.height}, {products.source.width}, scratch);\n"
        f"{one_image(products, writer)}(in, scratch);\n"
        f"overlap_products({shape}, scratch, weights_at({bias}), out);"
    )
    parameters = "const float *restrict in, float *restrict out, float *restrict scratch"
    return StepCode(writer.function("spread", parameters, body, products.title), scratch=scratch)

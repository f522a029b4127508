"""TensorRT engines: which flavour is here, building them from ONNX, and checking them where they cannot run."""

from daenr_export.tensorrt.builder import BuiltEngine, Precision, build_engine, build_usual_engine
from daenr_export.tensorrt.flavour import ENTERPRISE, FLAVOURS, RTX, Flavour, choose_flavour
from daenr_export.tensorrt.gpu import why_no_gpu

__all__ = [
    "ENTERPRISE",
    "FLAVOURS",
    "RTX",
    "BuiltEngine",
    "Flavour",
    "Precision",
    "build_engine",
    "build_usual_engine",
    "choose_flavour",
    "why_no_gpu",
]

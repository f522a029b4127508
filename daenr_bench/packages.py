"""Installed versions of the packages that decide what runs and how fast. Nothing is imported to find out."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

NAMES = (
    "daenr",
    "numpy",
    "torch",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "onnxruntime-gpu",
    "onnxruntime-ep-nv-tensorrt-rtx",
    "openvino",
    "tensorrt",
    "tensorrt-rtx-cu12",
    "pycuda",
    "cuda-bindings",
    "scipy",
)


def installed() -> dict[str, str]:
    """Versions by name, of those of `NAMES` that are installed."""
    found = {}
    for name in NAMES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def conflicts(packages: dict[str, str], no_gpu: str | None) -> tuple[str, ...]:
    """What goes wrong with these packages together, each with the remedy.

    Args:
        packages: versions by name.
        no_gpu: why no GPU can be used; None if one can.
    """
    found = []
    if "onnxruntime" in packages and "onnxruntime-gpu" in packages:
        found.append(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other's files; "
            "pip uninstall both, then install one"
        )
    elif "onnxruntime-gpu" in packages and no_gpu is not None:
        found.append(
            f"onnxruntime-gpu is installed and only its CPU provider can run: {no_gpu}; "
            "pip uninstall onnxruntime-gpu, then pip install 'daenr[cpu]'"
        )
    return tuple(found)

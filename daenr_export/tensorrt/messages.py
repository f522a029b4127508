"""TensorRT reports through a logger and answers None or False; this turns what it logged into one line."""

from __future__ import annotations

import re
from functools import cache
from types import ModuleType
from typing import Any

_PLACE_IN_SOURCE = re.compile(r"\s*In \w+ at /\S+?:\d+")
_NO_DRIVER = re.compile(r"\s*\[checkMacros\.cpp::catchCudaError.*?\(cudaError 35.*?\)\)")
"""Logged beside every other error where there is no driver; it explains nothing."""


@cache
def _logger_class(trt: ModuleType) -> Any:
    """A class that derives from ILogger, whose module is known only at run time."""

    class Collecting(trt.ILogger):  # type: ignore[misc, name-defined]
        """Keeps errors, prints nothing."""

        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors.append(message)

    return Collecting


def collecting_logger(trt: ModuleType) -> Any:
    """A logger for TensorRT that keeps the errors it is told, in its list `errors`."""
    return _logger_class(trt)()


def what_went_wrong(logger: Any) -> str:
    """The error that explains a failure: the first that says something."""
    errors = [_tidy(message) for message in logger.errors]
    return next((message for message in errors if message), "it gave no reason")


def parser_errors(parser: Any) -> str:
    """What the ONNX parser objects to, each with the node it is about."""
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    return "; ".join(_of_node(error) + _tidy(error.desc()) for error in errors) or "it gave no reason"


def _of_node(error: Any) -> str:
    if not error.node_operator():
        return ""
    return f"node {error.node_name() or error.node()} ({error.node_operator()}): "


def _tidy(message: str) -> str:
    return _PLACE_IN_SOURCE.sub("", _NO_DRIVER.sub("", message)).strip()

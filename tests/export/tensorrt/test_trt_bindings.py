"""The double of TensorRT has nothing that the real bindings lack, so what runs on it calls what exists."""

from __future__ import annotations

import inspect
import re

import pytest

trt = pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx-cu12 is not installed")

import tensorrt_double  # noqa: E402

DOUBLED = ["Runtime", "ICudaEngine", "IExecutionContext", "IRuntimeConfig", "IRuntimeCache"]
OF_THE_DOUBLE = {"content", "compile_kernels"}  # of the runtime cache and its configuration; no caller's business
ONLY_RTX = {"get_engine_validity"}


def public(double: type) -> dict[str, object]:
    members = {name: member for base in reversed(double.__mro__[:-1]) for name, member in vars(base).items()}
    return {name: member for name, member in members.items() if not name.startswith("_")}


@pytest.mark.parametrize("name", DOUBLED)
def test_methods_exist_and_take_the_same_arguments(name: str) -> None:
    real = getattr(trt, name)
    for method, member in public(getattr(tensorrt_double, name)).items():
        if method in OF_THE_DOUBLE:
            continue
        assert hasattr(real, method), f"{name} has no {method}"
        if inspect.isfunction(member):
            assert list(inspect.signature(member).parameters)[1:] in arguments_of(getattr(real, method))
        else:
            assert isinstance(member, property)
            assert isinstance(getattr(real, method), property)


def arguments_of(method: object) -> list[list[str]]:
    """The names of the arguments of a method of the bindings, for each of its overloads."""
    documented = re.findall(rf"{method.__name__}\(self: [^,)]+(.*)\) ->", method.__doc__)
    assert documented, f"{method.__name__} has no signature"
    return [re.findall(r", (\w+): ", rest) for rest in documented]


def test_the_configuration_has_the_strategies_that_are_set() -> None:
    assert {"DISABLED", "WHOLE_GRAPH_CAPTURE"} <= set(trt.CudaGraphStrategy.__members__)
    assert {"LAZY", "EAGER", "NONE"} <= set(trt.DynamicShapesKernelSpecializationStrategy.__members__)


def test_what_is_asked_of_enumerations_exists() -> None:
    assert {"INPUT", "OUTPUT", "NONE"} <= set(trt.TensorIOMode.__members__)
    assert {"VALID", "INVALID", "SUBOPTIMAL"} == set(trt.EngineValidity.__members__)
    assert {"VERSION_MISMATCH", "UNSUPPORTED_CC", "MALFORMED_ENGINE"} <= set(
        trt.EngineInvalidityDiagnostics.__members__
    )
    assert {"FLOAT", "HALF", "UINT8", "INT64"} <= set(trt.DataType.__members__)


def test_the_double_of_enterprise_lacks_what_only_rtx_has() -> None:
    assert not ONLY_RTX & public(tensorrt_double.EnterpriseRuntime).keys()
    assert public(tensorrt_double.Runtime).keys() >= ONLY_RTX

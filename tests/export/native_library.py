"""A compiled library as a program would use it: through the C interface, by ctypes."""

from __future__ import annotations

import ctypes
import functools
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import native_graphs
import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, Phase, settings

from daenr_export.native import make_library, native_target
from daenr_export.native.targets import find_target

FAST = ("-O1",)
"""For tests of many graphs; the same kernels, only compiled in less time."""

ALL_SETS = tuple(machine.name for machine in find_target(native_target()).instruction_sets)
"""The instruction sets of this kind of machine; not every processor has them all."""

DTYPES = {1: np.float32, 2: np.uint8, 7: np.int64}
DONE, BATCH_OUT_OF_RANGE, BAD_STATE, NO_INSTRUCTION_SET, DAMAGED_WEIGHTS, WRONG_ANSWERS = range(6)


class CTensor(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("dtype", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("dims", ctypes.c_int64 * 4),
    )

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.dims[: self.rank])


class CGraph(ctypes.Structure):
    _fields_ = (
        ("abi", ctypes.c_int32),
        ("n_outputs", ctypes.c_int32),
        ("name", ctypes.c_char_p),
        ("precision", ctypes.c_char_p),
        ("target", ctypes.c_char_p),
        ("source", ctypes.c_char_p),
        ("max_batch", ctypes.c_int64),
        ("state_bytes", ctypes.c_int64),
        ("input", CTensor),
        ("outputs", CTensor * 4),
    )


class Loaded:
    """A library with a state of its own, filled with NaN so that nothing is read before it was written."""

    def __init__(self, path: Path) -> None:
        self.library = ctypes.CDLL(str(path))
        self.library.daenr_describe.restype = ctypes.POINTER(CGraph)
        self.library.daenr_instruction_set.restype = ctypes.c_char_p
        self.graph: CGraph = self.library.daenr_describe().contents
        self.memory = np.full(self.graph.state_bytes + 64, 255, np.uint8)
        self.state = self.memory.ctypes.data + -self.memory.ctypes.data % 64

    @property
    def instruction_set(self) -> str | None:
        name = self.library.daenr_instruction_set()
        return name and name.decode()

    def call(
        self, batch: np.ndarray, count: int | None = None, state: int | None = None
    ) -> tuple[int, list[np.ndarray]]:
        """What daenr_run answers, and the outputs."""
        count = len(batch) if count is None else count
        tensors = self.graph.outputs[: self.graph.n_outputs]
        outputs = [np.full((len(batch), *t.shape), 77, DTYPES[t.dtype]) for t in tensors]
        pointers = (ctypes.c_void_p * 4)(*[output.ctypes.data for output in outputs])
        batch = np.ascontiguousarray(batch)
        code = self.library.daenr_run(
            ctypes.c_void_p(self.state if state is None else state),
            ctypes.c_int64(count),
            ctypes.c_void_p(batch.ctypes.data),
            pointers,
        )
        return code, outputs

    def run(self, batch: np.ndarray) -> list[np.ndarray]:
        code, outputs = self.call(batch)
        assert code == DONE
        return outputs

    def self_test(self) -> tuple[int, float]:
        worst = ctypes.c_double(np.nan)
        return self.library.daenr_self_test(ctypes.c_void_p(self.state), ctypes.byref(worst)), worst.value


def compile_graph(
    content: bytes,
    folder: Path,
    *,
    instruction_sets: tuple[str, ...] | None = None,
    options: Sequence[str] = FAST,
    max_batch: int = 64,
    target: str | None = None,
    answers: Sequence[np.ndarray] | None = None,
    precision: str = "fp32",
    layers: Mapping[str, str] | None = None,
) -> Path:
    """A library in a file of its own: a process loads each path once."""
    golden = native_graphs.images(content, 1)
    names = [value.name for value in onnx.load_from_string(content).graph.output]
    answers = native_graphs.reference(content, golden) if answers is None else answers
    target = target or native_target()
    path = folder / f"graph_{len(list(folder.iterdir()))}{find_target(target).suffix}"
    made = make_library(
        content,
        graph_name="test",
        precision=precision,
        target=target,
        golden_input=golden,
        golden_outputs=dict(zip(names, answers, strict=True)),
        max_batch=max_batch,
        destination=path,
        layers=layers,
        instruction_sets=instruction_sets,
        compiler_options=options,
    )
    assert made.path == path
    assert made.bytes == path.stat().st_size
    return path


@functools.cache
def instruction_sets_here() -> tuple[str, ...]:
    """Those that this processor has."""
    g = native_graphs.GraphBuilder(3)
    content = g.build(g.activate("image", "Elu"))
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: compile_graph(content, Path(folder), instruction_sets=(name,)) for name in ALL_SETS}
        return tuple(name for name, path in paths.items() if Loaded(path).instruction_set == name)


@functools.cache
def shorter_sets_here() -> tuple[str, ...]:
    """The instruction sets of this processor that multiply shorter numbers than float32."""
    g = native_graphs.GraphBuilder(3)
    content = g.build(g.activate("image", "Elu"))
    found = []
    for machine in find_target(native_target()).shorter:
        with tempfile.TemporaryDirectory() as folder:
            path = compile_graph(content, Path(folder), instruction_sets=(machine.name,), precision="int8")
            found += [machine.name] if Loaded(path).instruction_set == machine.name else []
    return tuple(found)


def has_tiles() -> bool:
    """Whether this processor multiplies matrices of bfloat16 and int8."""
    return "amx" in shorter_sets_here()


def best_here() -> tuple[str]:
    """The instruction set that a library would choose on this processor."""
    return instruction_sets_here()[:1]


def generated(count: int) -> settings:
    """So many examples of hypothesis, the same in every run: each is compiled, so none is looked for twice."""
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def skip_without(name: str) -> None:
    if name not in instruction_sets_here():
        pytest.skip(f"this processor has no {name}")


def assert_close(found: Sequence[np.ndarray], expected: Sequence[np.ndarray], tolerance: float = 1e-5) -> None:
    """Within the tolerance of each output's largest absolute value, and NaN where the other is."""
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
        scale = max(float(np.nanmax(np.abs(theirs), initial=0)), 1e-30)
        np.testing.assert_allclose(ours / scale, theirs / scale, rtol=0, atol=tolerance)

"""Standing buffers for onnxruntime: tensors at fixed addresses, on the host or on a GPU."""

from __future__ import annotations

from functools import partial
from typing import Any, final

import numpy as np

from daenr_export.runtime.protocol import Bound
from daenr_export.runtime.session import empty_buffers
from daenr_export.specs import Array, GraphSpec


def bind_on_host(session: Any, spec: GraphSpec, batch: int) -> Bound:
    """Bind arrays of the host. A provider on a GPU copies from and to them by itself."""
    source, outputs = empty_buffers(spec, batch)
    binding = session.io_binding()
    for bind, tensors, arrays in (
        (binding.bind_input, (spec.input,), (source,)),
        (binding.bind_output, spec.outputs, outputs),
    ):
        for tensor, array in zip(tensors, arrays, strict=True):
            bind(tensor.name, "cpu", 0, array.dtype.type, array.shape, array.ctypes.data)
    return Bound(source, outputs, partial(session.run_with_iobinding, binding))


@final
class DeviceBinding:
    """Tensors that stay on a device at fixed addresses, as a captured CUDA graph needs them, for one batch size.

    Args:
        library: the module onnxruntime.
        session: an `InferenceSession`.
        spec: its graph.
        batch: size.
        device: as onnxruntime calls it.
        capture: what onnxruntime tells apart the CUDA graphs of a session by: one for each binding.
    """

    def __init__(self, library: Any, session: Any, spec: GraphSpec, batch: int, device: str, capture: int) -> None:
        def on_device(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
            return library.OrtValue.ortvalue_from_shape_and_type((batch, *shape), dtype.type, device, 0)

        self._input = on_device(spec.input.shape, spec.input.numpy_dtype)
        self._outputs = [on_device(output.shape, output.numpy_dtype) for output in spec.outputs]
        binding = session.io_binding()
        binding.bind_ortvalue_input(spec.input.name, self._input)
        for output, tensor in zip(spec.outputs, self._outputs, strict=True):
            binding.bind_ortvalue_output(output.name, tensor)
        options = library.RunOptions()
        options.add_run_config_entry("gpu_graph_id", str(capture))
        self._run = partial(session.run_with_iobinding, binding, options)

    def answer(self, batch: Array) -> tuple[Array, ...]:
        """Copy a batch in, run, and copy the outputs out into arrays that belong to the caller."""
        self._input.update_inplace(batch)
        self._run()
        return tuple(tensor.numpy() for tensor in self._outputs)

    def bound(self, spec: GraphSpec, batch: int) -> Bound:
        """Standing arrays of the host in front of the tensors. The first run, which captures, is done here."""
        source, outputs = empty_buffers(spec, batch)
        take, run, tensors = self._input.update_inplace, self._run, self._outputs

        def answer() -> None:
            take(source)
            run()
            for standing, tensor in zip(outputs, tensors, strict=True):
                np.copyto(standing, tensor.numpy(), casting="no")

        answer()
        return Bound(source, outputs, answer)


@final
class DeviceBindings:
    """The bindings of a session whose runs are captured: one for each batch size and one for each Bound.

    Args:
        library: the module onnxruntime.
        session: an `InferenceSession` whose provider captures CUDA graphs.
        spec: its graph.
        device: as onnxruntime calls it.
    """

    def __init__(self, library: Any, session: Any, spec: GraphSpec, device: str) -> None:
        self._make = partial(DeviceBinding, library, session, spec)
        self._spec = spec
        self._device = device
        self._of_size: dict[int, DeviceBinding] = {}
        self._count = 0

    def answer(self, batch: Array) -> tuple[Array, ...]:
        """Answer a batch; the first of its size takes memory and captures."""
        tensor, size = self._spec.input, len(batch)
        if batch.shape[1:] != tensor.shape or batch.dtype != tensor.numpy_dtype:
            # OrtValue.update_inplace copies as many bytes as there are, whatever they mean.
            raise ValueError(f"expected {tensor.dtype} {('B', *tensor.shape)}")
        binding = self._of_size.get(size) or self._of_size.setdefault(size, self._new(size))
        return binding.answer(batch)

    def bind(self, batch: int) -> Bound:
        """Standing buffers for a batch size, captured and ready."""
        return self._new(batch).bound(self._spec, batch)

    def _new(self, size: int) -> DeviceBinding:
        self._count += 1
        return self._make(size, self._device, self._count)

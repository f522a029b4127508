"""Backends with options in their name."""

from __future__ import annotations

import numpy as np
import pytest

import daenr_export
from daenr_common.errors import BackendUnavailableError
from daenr_export.runtime import registry
from daenr_export.runtime.backend_options import split


def test_a_name_is_split_into_backend_and_options():
    assert split("onnxruntime") == ("onnxruntime", {})
    assert split("onnxruntime:threads=2,spinning=true") == ("onnxruntime", {"threads": 2, "spinning": True})


def test_a_backend_with_options_runs_under_its_whole_name(shared_tiny_bundle):
    with daenr_export.load(shared_tiny_bundle, backend="onnxruntime:threads=2") as model:
        assert model.backend == "onnxruntime:threads=2"
        image = model.golden["image"][:1]
        with daenr_export.load(shared_tiny_bundle, backend="onnxruntime") as plain:
            assert np.allclose(model.responses(image), plain.responses(image), atol=1e-6)


def test_backends_say_which_options_they_have():
    assert registry.options_of("onnxruntime") == ("threads", "spinning", "cuda_graphs")
    assert registry.options_of("openvino") == ("threads",)
    assert registry.options_of("native") == ()
    assert registry.options_of("unheard-of") == ()


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("onnxruntime:threads", "has the option 'threads', which cannot be read; write e.g. onnxruntime:threads=2"),
        ("onnxruntime:threads=two", "has the option 'threads=two', which cannot be read"),
        ("onnxruntime:speed=2", "has no option speed, only threads, spinning"),
        ("native:threads=2", "has no option threads, none at all; leave it out"),
        ("onnxruntim:threads=2", "is not known"),
    ],
)
def test_wrong_options_are_named(name, problem):
    with pytest.raises(BackendUnavailableError) as caught:
        registry.pick(name)
    assert problem in str(caught.value)

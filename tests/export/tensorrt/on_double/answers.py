"""Inputs for every graph, and what a session has to answer to them."""

from __future__ import annotations

import numpy as np
from bundle_factory import GRAPHS, reference, some_images, tensor

from daenr_export.runtime.protocol import Session


def some_input(name: str, count: int, seed: int = 0) -> np.ndarray:
    if GRAPHS[name][0] == "image":
        return some_images(count, seed=seed)
    return np.random.default_rng(seed).normal(size=(count, *tensor("features").shape)).astype(np.float32)


def check_answers(session: Session, name: str, batch: np.ndarray, pixels: str = "float32") -> None:
    answers = session.run(batch)
    expected = reference(name, batch, pixels)
    assert len(answers) == len(expected)
    for answer, (output, array) in zip(answers, expected.items(), strict=True):
        assert answer.flags.owndata
        assert answer.dtype == tensor(output).numpy_dtype
        np.testing.assert_array_equal(answer, array)

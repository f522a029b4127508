"""The one in-memory form of data: images, responses to them, and repeated responses to the test images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import InitVar, dataclass

import numpy as np
from numpy.typing import NDArray

from daenr_train.data import checks
from daenr_train.data.content import canonical_bytes

Float32Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Recording:
    """Images that were shown, and what the neurons of one region answered.

    Every field is checked on construction, so whoever holds a recording may rely on the shapes and ranges below.
    Floating arrays of another precision, and whole-number responses, are converted to float32.

    Args:
        images: (N, 1, 32, 32) training images in [-1, 1]; -1 is black, 1 is white.
        responses: (N, M) one response per training image and neuron, ≥ 0, in the unit of the source
            (for calcium imaging an inferred activity, not a spike count).
        test_images: (I, 1, 32, 32) images that were shown repeatedly and are none of the training images.
        test_responses: (R, I, M) response of each repeat, ≥ 0, NaN where a repeat is missing.
        neuron_ids: M names, all different.
        region: name of the brain region or session.
        true_test_rates: (I, M) expected responses to the test images, known only for a simulated region.
        source: where the data came from, for messages and reports; not part of the fingerprint.
        files: the file that each field was read from, to be named when the field is at fault.

    Raises:
        RecordingError: a field has the wrong shape, type or range, the fields disagree, or a test image is also a
            training image.
    """

    images: Float32Array
    responses: Float32Array
    test_images: Float32Array
    test_responses: Float32Array
    neuron_ids: tuple[str, ...]
    region: str
    true_test_rates: Float32Array | None = None
    source: str | None = None
    files: InitVar[Mapping[str, str] | None] = None

    def __post_init__(self, files: Mapping[str, str] | None) -> None:
        where = checks.Where(self.source, files or {})
        images = checks.images(self.images, "images", where)
        test_images = checks.images(self.test_images, "test_images", where)
        neuron_ids = checks.neuron_ids(self.neuron_ids, where)
        n, i, m = len(images), len(test_images), len(neuron_ids)
        checks.name(self.region, "region", where)
        responses = checks.responses(self.responses, "responses", (n, m), where)
        test_responses = checks.repeated_responses(self.test_responses, (i, m), where)
        rates = self.true_test_rates
        if rates is not None:
            rates = checks.responses(rates, "true_test_rates", (i, m), where)
        checks.no_common_image(images, test_images, where)
        converted = {"images": images, "responses": responses, "test_images": test_images}
        converted |= {"test_responses": test_responses}
        for field, value in converted.items():
            object.__setattr__(self, field, value)
        object.__setattr__(self, "neuron_ids", neuron_ids)
        object.__setattr__(self, "true_test_rates", rates)

    @property
    def n_images(self) -> int:
        """Number of training images, N."""
        return len(self.images)

    @property
    def n_neurons(self) -> int:
        """Number of neurons, M."""
        return len(self.neuron_ids)

    @property
    def n_test_images(self) -> int:
        """Number of test images, I."""
        return len(self.test_images)

    @property
    def n_repeats(self) -> int:
        """Largest number of repeats of a test image, R."""
        return len(self.test_responses)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the content, as 64 hexadecimal digits: the same data give the same digits on every machine.

        It covers the arrays, the neuron ids and the region, but not where the data came from.
        """
        arrays = {
            "images": self.images,
            "responses": self.responses,
            "test_images": self.test_images,
            "test_responses": self.test_responses,
        }
        if self.true_test_rates is not None:
            arrays["true_test_rates"] = self.true_test_rates
        header = {
            "region": self.region,
            "neuron_ids": self.neuron_ids,
            "shapes": {k: a.shape for k, a in arrays.items()},
        }
        digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
        for array in arrays.values():
            digest.update(canonical_bytes(array))
        return digest.hexdigest()

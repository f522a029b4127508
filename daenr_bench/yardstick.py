"""What answers are held against: golden answers or those of a saved run, recorded responses, and margins."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from daenr_bench.reference import SavedRun, digests, read_reference
from daenr_bench.standard import Standard
from daenr_common.errors import DaenrError
from daenr_export.bundle import Bundle, Manifest
from daenr_export.bundle.golden import Golden
from daenr_export.specs import Array, GraphSpec
from daenr_export.verification.margins import Margins, own_margins, read_margins
from daenr_export.verification.recorded import Recorded, RecordingId, recorded_responses
from daenr_export.verification.science import HeldOut
from daenr_train.data import open_recording

GOLDEN = "golden file"
SAVED = "saved run"


@dataclass(frozen=True)
class Against:
    """What the user gave beside the bundle.

    Attributes:
        margins: a file of margins; None for daenr's own.
        data: a recording whose test images are the bundle's golden images; None for no recorded responses.
        region: of the recording; None for the one that the model was fitted to.
        reference: the JSON of a saved run; None for the golden file.
        save_answers: whether the answers of the reference are put into the result's npz.
    """

    margins: Path | None = None
    data: Path | None = None
    region: str | None = None
    reference: Path | None = None
    save_answers: bool = False


@dataclass(frozen=True, eq=False)
class Yardstick:
    """What the answers of a bundle's engines are held against.

    Attributes:
        golden: inputs and answers of the bundle.
        held_out: the images, and what is known of them.
        margins: of the science.
        margins_file: where they were declared; None for daenr's own.
        recording: where recorded responses come from; None without.
        saved: the run that is the reference in place of the golden answers; None without.
    """

    golden: Golden
    held_out: HeldOut
    margins: Margins
    margins_file: str | None = None
    recording: RecordingId | None = None
    saved: SavedRun | None = None

    def references(self, spec: GraphSpec) -> tuple[dict[str, Array], str]:
        """What a graph must answer by output, and where that comes from: `GOLDEN` or `SAVED`.

        Raises:
            BundleError: an output has no reference, or one of another shape or dtype.
        """
        if self.saved is not None and spec.name in self.saved.standard.answers:
            return self.saved.answers.references(spec), SAVED
        return self.golden.references(spec), GOLDEN

    @property
    def standard(self) -> Standard:
        """The same for the result, but for what is known only after measuring."""
        return Standard(
            margins=self.margins,
            margins_file=self.margins_file,
            images=len(self.held_out.images),
            inputs_sha256=digests(self.golden),
            neuron_ids=self.held_out.neuron_ids,
            recording=self.recording,
            reference=None,
        )


def yardstick_of(bundle: Bundle, against: Against | None = None) -> Yardstick:
    """Read what answers are held against.

    Raises:
        BundleError: the golden file lacks images.
        RecordingError: the recording is unusable, or not of these neurons and images.
        DaenrError: the margins or the saved run are unusable.
    """
    against = against or Against()
    if against.region is not None and against.data is None:
        raise DaenrError(f"region {against.region}", "is given without a recording", "add --data")
    margins = own_margins() if against.margins is None else read_margins(against.margins)
    manifest = bundle.manifest
    golden = Golden(bundle.golden(), bundle.path / manifest.golden.file)
    saved = None if against.reference is None else read_reference(against.reference, bundle, golden)
    images = golden.images
    responses, recording = None, None
    if against.data is not None:
        found = recorded_of(manifest, against.data, against.region, images)
        responses, recording = found.responses, found.identity
    elif saved is not None and saved.recorded is not None:
        responses, recording = saved.recorded, saved.standard.recording
    return Yardstick(
        golden=golden,
        held_out=HeldOut(images, manifest.neuron_ids, responses),
        margins=margins,
        margins_file=None if against.margins is None else against.margins.name,
        recording=recording,
        saved=saved,
    )


def recorded_of(manifest: Manifest, path: Path, region: str | None, images: Array) -> Recorded:
    """The responses to the golden images of a bundle.

    Raises:
        RecordingError: the recording is unusable, or not of these neurons and images.
    """
    preprocessing, fitted = manifest.preprocessing, manifest.checkpoint.recording
    half_a_pixel = preprocessing.scale / 2 if preprocessing.input_dtype == "uint8" else 0.0
    recording = open_recording(path, region or fitted.region)
    return recorded_responses(path, recording, fitted, manifest.neuron_ids, images, half_a_pixel)

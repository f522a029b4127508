"""A saved run as the reference: its answers were computed elsewhere, in CI on a processor, say, and are compared here.

`daenr-bench run --save-answers` puts the answers of its reference into the npz beside the result. The result says of
which checkpoint and to which images they are, and the digest of the npz whether it is whole.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from daenr_bench.machine import Machine, differences
from daenr_bench.measurement import Measurement
from daenr_bench.result import Result
from daenr_bench.result_files import read_samples
from daenr_bench.standard import Reference, ReferenceSpeed, Standard
from daenr_common.errors import DaenrError
from daenr_common.files import read_text
from daenr_common.hashing import sha256_of
from daenr_common.verdict import Verdict
from daenr_export.bundle import Bundle
from daenr_export.bundle.golden import FEATURES, Golden
from daenr_export.specs import Array
from daenr_export.verification.parity import compare, from_manifest

ANSWERS = "answers."
"""What keys of answers in the npz begin with."""

RECORDED = "recorded.responses"
"""The key of recorded responses in the npz."""

_REMEDY = "give the JSON that daenr-bench run wrote with --save-answers"
_AT_ANOTHER_TIME = "measured at another time: what the machine was doing is in the difference"


@dataclass(frozen=True, eq=False)
class SavedRun:
    """A run whose answers are a reference.

    Attributes:
        path: of its JSON.
        result: its content.
        standard: what it was held against, and which answers it holds.
        answers: the answers, as a golden file has them.
        recorded: recorded responses that it carries, `(1, N, M)`; None without.
    """

    path: Path
    result: Result
    standard: Standard
    answers: Golden
    recorded: Array | None

    def seen_from(self, machine: Machine, measured: Iterable[Measurement]) -> Reference:
        """What a result says of it.

        Args:
            machine: that was measured on now.
            measured: what was measured now.
        """
        asked = {(m.graph, m.scenario) for m in measured}
        speeds = [
            ReferenceSpeed(m.graph, m.backend, m.scenario, p50_ns)
            for m in self.result.measurements
            if (m.graph, m.scenario) in asked and m.backend == self.standard.answers.get(m.graph)
            if (p50_ns := m.median_ns) is not None
        ]
        differ = differences(self.result.machine, machine, ("there", "here"))
        return Reference(
            file=self.path.name,
            manifest_sha256=self.result.bundle.manifest_sha256,
            started_at=self.result.started_at,
            backends=self.standard.answers,
            machine=self.result.machine,
            speeds=tuple(speeds),
            speed_verdict=Verdict.CANNOT_TELL.value,
            speed_reason="; ".join(differ or [_AT_ANOTHER_TIME]),
        )


def read_reference(path: Path, bundle: Bundle, golden: Golden) -> SavedRun:
    """Read a saved run, and see that it is a reference for a bundle.

    Args:
        path: the JSON; the npz is beside it.
        bundle: whose engines are compared.
        golden: its golden file.

    Raises:
        DaenrError: the run cannot be read, is truncated, of another schema version, of another checkpoint or other
            images, holds no answers, or is wrong itself.
    """
    result = Result.from_json(read_text(path, _REMEDY), path)
    _require_same(path, result, bundle, golden)
    standard = result.standard
    if standard is None or not standard.answers:
        raise DaenrError(path, "holds no answers", "run it again with --save-answers")
    samples, missing = read_samples(path, result)
    if missing is not None:
        raise DaenrError(path, f"holds no answers: {missing}", "copy both files, or run it again with --save-answers")
    arrays = {name.removeprefix(ANSWERS): array for name, array in samples.items() if name.startswith(ANSWERS)}
    answers = Golden(arrays, path, "run it again with --save-answers")
    _require_right(path, bundle, golden, answers, standard)
    recorded = samples.get(RECORDED)
    expected = (1, standard.images, len(standard.neuron_ids))
    if recorded is not None and recorded.shape != expected:
        problem = f"holds recorded responses of the shape {recorded.shape}, expected {expected}"
        raise DaenrError(path, problem, "run it again with --save-answers")
    return SavedRun(path, result, standard, answers, recorded)


def _require_same(path: Path, result: Result, bundle: Bundle, golden: Golden) -> None:
    theirs, mine = result.bundle, bundle.manifest
    if theirs.checkpoint_sha256 != mine.checkpoint.sha256:
        problem = (
            f"is of another checkpoint ({theirs.model}, sha256 {theirs.checkpoint_sha256[:16]}…) than the bundle "
            f"({mine.model.name}, sha256 {mine.checkpoint.sha256[:16]}…)"
        )
        raise DaenrError(path, problem, "give a run of this checkpoint")
    if result.standard is not None and (differ := _other_inputs(result.standard, golden)):
        problem = f"was asked other {' and '.join(differ)} than the bundle's golden file has"
        raise DaenrError(path, problem, "give a run of a bundle that was exported alike")


def _other_inputs(standard: Standard, golden: Golden) -> list[str]:
    mine = digests(golden)
    return [
        name for name in sorted({*mine, *standard.inputs_sha256}) if mine.get(name) != standard.inputs_sha256.get(name)
    ]


def _require_right(path: Path, bundle: Bundle, golden: Golden, answers: Golden, standard: Standard) -> None:
    """A reference that is wrong itself would call right engines wrong, and wrong ones right."""
    for name in standard.answers:
        if name not in bundle.manifest.graphs:
            continue
        spec, tolerance = bundle.graph(name).spec, from_manifest(bundle.manifest.tolerances, "fp32")
        comparisons = compare(answers.references(spec), golden.references(spec), tolerance)
        if problems := [problem for comparison in comparisons for problem in comparison.problems]:
            problem = f"is wrong itself: its answers of {name} are not the golden ones ({'; '.join(problems)})"
            raise DaenrError(path, problem, _REMEDY)


def digests(golden: Golden) -> dict[str, str]:
    """What went into graphs, by name, as digests of dtype, shape and content."""
    return {
        name: sha256_of(f"{array.dtype} {array.shape}".encode() + array.tobytes())
        for name in ("image", FEATURES)
        if (array := golden.arrays.get(name)) is not None
    }

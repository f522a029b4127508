"""The machine profile: which backend `daenr-export tune` found to answer a bundle best on this machine, and why.

It lies in the cache folder beside the bundle, which itself may not change, and holds for one bundle on one kind of
machine; on any other it is passed over.
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from daenr_common.errors import DaenrError
from daenr_common.machine import CPU_INFO, processor, read_system_file
from daenr_common.strict_json import FieldError, decode, encode
from daenr_export.bundle import Bundle

SCHEMA_VERSION = 1
FILE = "machine_profile.json"


@dataclass(frozen=True)
class MachineKind:
    """What latencies depend on, as far as it can be asked without rights."""

    processor: str
    architecture: str
    system: str
    cores: int


@dataclass(frozen=True)
class Evidence:
    """What one candidate was measured at.

    Attributes:
        backend: its name, with options.
        scenario: `burst`, `paced` or `paced-warm`.
        n: samples.
        p50_ns: their median; None where nothing was measured.
        p99_ns: None where there were too few.
        problem: why it is out of the question; empty if it is not.
    """

    backend: str
    scenario: str
    n: int
    p50_ns: int | None
    p99_ns: int | None
    problem: str


@dataclass(frozen=True)
class MachineProfile:
    """The choice, with its evidence.

    Attributes:
        manifest_sha256: of the bundle that was measured.
        machine: that it was measured on.
        graph: that was measured.
        rate_hz: of the paced frames.
        backend: the choice, with options, as `daenr_export.load(backend=...)` takes it.
        keep_warm: whether `Model.realtime` should keep its engine warm.
        reason: of the choice, in words.
        evidence: all that was measured.
        tuned_at: UTC, ISO 8601.
        schema_version: of this layout.
    """

    manifest_sha256: str
    machine: MachineKind
    graph: str
    rate_hz: float
    backend: str
    keep_warm: bool
    reason: str
    evidence: tuple[Evidence, ...]
    tuned_at: str
    schema_version: int = SCHEMA_VERSION

    def holds_for(self, bundle: Bundle, machine: MachineKind) -> bool:
        """Whether it is about this very bundle and this kind of machine."""
        return (self.manifest_sha256, self.machine) == (bundle.manifest.sha256, machine)

    def write(self, path: Path) -> None:
        """Write it, replacing an older one.

        Raises:
            DaenrError: the disk is full, or the folder cannot be written to.
        """
        from daenr_common.files import atomic_file

        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(path) as temporary:
            temporary.write_text(json.dumps(encode(self), indent=1, allow_nan=False) + "\n", encoding="utf-8")


def this_kind() -> MachineKind:
    """The machine that this runs on."""
    cpu = processor(read_system_file(CPU_INFO))
    return MachineKind(cpu, platform.machine(), platform.system(), os.cpu_count() or 1)


def profile_path(bundle: Bundle) -> Path:
    """Where the profile of a bundle is."""
    return bundle.cache_folder / FILE


def read_profile(bundle: Bundle) -> MachineProfile | None:
    """The profile of a bundle on this machine; None where it was not tuned here.

    Raises:
        DaenrError: the file is there and cannot be read. To pass over it would answer slower than was promised.
    """
    path = profile_path(bundle)
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(document, dict) and document.get("schema_version") != SCHEMA_VERSION:
            return None  # of another daenr, whose choice means nothing to this one
        profile = decode(MachineProfile, document)
    except (OSError, ValueError, FieldError) as error:
        remedy = "remove it, or run daenr-export tune again"
        raise DaenrError(path, f"is not a machine profile ({error})", remedy) from error
    return profile if profile.holds_for(bundle, this_kind()) else None

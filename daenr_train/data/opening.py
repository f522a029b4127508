"""Opening a recording whatever its layout, which is recognised from the files that are there."""

from __future__ import annotations

from pathlib import Path

from daenr_common.errors import RecordingError
from daenr_train.data.antolik import is_region_folder, read_antolik
from daenr_train.data.npz import read_npz
from daenr_train.data.recording import Recording
from daenr_train.data.sensorium import is_sensorium_folder, read_sensorium

LAYOUTS = (
    "an .npz file; a folder of .npz files, one per region; region1/, region2/, region3/ of Antolík et al. 2016; "
    "a Sensorium folder with data/ and meta/"
)
"""What `open_recording` understands."""


def open_recording(path: Path | str, region: int | str | None = None) -> Recording:
    """Open a recording.

    Args:
        path: an .npz file; a folder with one .npz file per region, as `daenr-train simulate` writes it; the published
            folder of Antolík et al. 2016 or one of its regions; or a Sensorium folder.
        region: which region, where the path holds several: `1` and `"region1"` mean the same. Where it holds
            one, its name is checked if a region is given.

    Raises:
        RecordingError: nothing that can be understood is there, the region is absent or has to be chosen, a file is
            missing, truncated or foreign, or the content makes no recording.
        MissingExtraError: a package that reading this layout needs is not installed.
    """
    path = Path(path)
    wanted = None if region is None else str(region)
    if path.is_file():
        return _named(read_npz(path), wanted, path)
    if not path.is_dir():
        raise RecordingError(path, "does not exist", f"give {LAYOUTS}")
    if is_sensorium_folder(path):
        return _named(read_sensorium(path), wanted, path)
    if is_region_folder(path):
        return _named(read_antolik(path), wanted, path)
    regions = _regions(path)
    if not regions:
        raise RecordingError(path, "holds no recording that can be recognised", f"give {LAYOUTS}")
    chosen = regions[_choose(list(regions), wanted, path)]
    return read_npz(chosen) if chosen.is_file() else read_antolik(chosen)


def _regions(folder: Path) -> dict[str, Path]:
    """The regions that a folder holds, by name, sorted."""
    files = {file.stem: file for file in sorted(folder.glob("*.npz"))}
    return files or {sub.name: sub for sub in sorted(folder.iterdir()) if is_region_folder(sub)}


def _choose(present: list[str], wanted: str | None, path: Path) -> str:
    if wanted is None:
        if len(present) > 1:
            problem = f"holds {len(present)} regions ({', '.join(present)})"
            raise RecordingError(path, problem, f"choose one, e.g. --region {_short(present[0])}")
        return present[0]
    for name in present:
        if _is_called(name, wanted):
            return name
    raise RecordingError(path, f"holds no region {wanted!r}, only {', '.join(present)}", "choose one of those")


def _named(recording: Recording, wanted: str | None, path: Path) -> Recording:
    if wanted is not None and not _is_called(recording.region, wanted):
        problem = f"holds {recording.region}, not {wanted}"
        raise RecordingError(path, problem, "leave the region out or give the right file")
    return recording


def _is_called(name: str, wanted: str) -> bool:
    """`1` is short for `region1`."""
    return name in (wanted, f"region{wanted}")


def _short(name: str) -> str:
    return name.removeprefix("region") or name

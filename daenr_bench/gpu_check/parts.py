"""The parts of a check-up: each is tried, whatever became of the others, and ends with a verdict and its reason."""

from __future__ import annotations

import json
import platform
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daenr_bench.machine import this_machine
from daenr_bench.packages import installed
from daenr_common.errors import BackendUnavailableError, DaenrError
from daenr_common.strict_json import encode
from daenr_common.verdict import Verdict, overall

SCHEMA_VERSION = 1

_USES_GPU = ("engines", "cuda-graphs", "latency", "tests")

Finding = tuple[Verdict, str]


@dataclass(frozen=True)
class Part:
    """What came of a part.

    Attributes:
        name: e.g. `tensorrt-rtx/latency`; its files are in a folder of the first half.
        verdict: `pass`, `fail` or `cannot tell`.
        reason: why, in a line.
        seconds: how long it took.
    """

    name: str
    verdict: str
    reason: str
    seconds: float


@dataclass
class Checkup:
    """Parts, as they come, and the folder that their files go to.

    Attributes:
        folder: what goes into the archive.
        tell: is told each part as it ends, in a line.
        places: folders that are not to be named in what is written, beside the user's own and the current one.
        parts: that have ended.
        complete: whether it came to its end; false after Ctrl-C.
    """

    folder: Path
    tell: Callable[[str], None]
    places: tuple[Path, ...] = ()
    parts: list[Part] = field(default_factory=list)
    complete: bool = False

    def attempt(self, name: str, work: Callable[[], Finding]) -> Verdict:
        """Do a part. What is not there is *cannot tell*; all else that goes wrong is *fail*, its traceback kept."""
        start_s = time.perf_counter()
        try:
            verdict, reason = work()
        except BackendUnavailableError as error:
            verdict, reason = Verdict.CANNOT_TELL, str(error)
        except DaenrError as error:
            verdict, reason = Verdict.FAIL, str(error)
        except Exception as error:
            verdict, reason = Verdict.FAIL, " ".join(f"{type(error).__name__}: {error}".split())
            self.write(f"{name}.traceback.txt", traceback.format_exc())
        part = Part(name, verdict.value, reason, round(time.perf_counter() - start_s, 3))
        self.parts.append(part)
        self.tell(f"{part.name}: {part.verdict}, {part.reason} ({part.seconds:.0f} s)")
        return verdict

    def write(self, name: str, text: str) -> None:
        """Write a text file, with what names the user or the machine's folders left out."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._anonymous(text), encoding="utf-8")

    def _anonymous(self, text: str) -> str:
        """A text without the machine's name and the user's folders, which logs are full of."""
        places = [*self.places, Path.cwd(), Path.home()]
        for place in sorted({place.absolute() for place in places}, key=lambda place: -len(place.parts)):
            if len(place.parts) > 1:
                text = text.replace(str(place), "~" if place == Path.home() else ".")
        return text.replace(f'hostname="{platform.node()}"', 'hostname=""')

    @property
    def verdict(self) -> Verdict:
        """FAIL if a part failed, PASS if one passed in which the GPU was used, else CANNOT_TELL."""
        uses_gpu = [part for part in self.parts if part.name.rpartition("/")[2] in _USES_GPU]
        failed = [part for part in self.parts if part.verdict == Verdict.FAIL.value]
        return overall(Verdict(part.verdict) for part in (*uses_gpu, *failed))

    def summary(self, started_at: str) -> str:
        """What the archive is about, as JSON."""
        document: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "verdict": self.verdict.value,
            "complete": self.complete,
            "started_at": started_at,
            "parts": encode(self.parts),
            "machine": encode(this_machine()),
            "packages": installed(),
        }
        return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n"

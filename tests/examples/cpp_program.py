"""The C++ example, built as docs/other_languages.md says, once for each state of its sources."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "other_languages.md"
SOURCES = ROOT / "examples" / "cpp"
SYSTEM_HEADERS = Path("/usr/include")
NEEDED = ("onnxruntime/onnxruntime_c_api.h", "nlohmann/json.hpp")


def command(marker: str) -> str:
    """The block of shell commands of the page that begins with the marker."""
    (found,) = re.findall(rf"```sh\n({re.escape(marker)}.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


def environment(folder: Path) -> dict[str, str]:
    """INCLUDE and LIBRARY, as the page's commands want them; skips the test where they are not to be had.

    Args:
        folder: where the link to the library is put; it must stay as long as what is linked with it.
    """
    pytest.importorskip("onnxruntime")
    if sys.platform != "linux" or shutil.which("g++") is None:
        pytest.skip("no g++ on Linux")
    if not (SYSTEM_HEADERS / "openssl" / "evp.h").exists():
        pytest.skip("no headers of OpenSSL (apt install libssl-dev)")
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "libonnxruntime.so.1"
    library.unlink(missing_ok=True)
    python = {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    subprocess.run(["bash", "-euc", command("ln -s")], cwd=folder, env=os.environ | python, check=True)
    return os.environ | python | {"INCLUDE": str(_headers()), "LIBRARY": str(library)}


def program() -> Path:
    """The program; compiled if it has changed."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(SOURCES.iterdir())))
    digest.update((command("g++") + sys.prefix).encode())  # it is linked with the onnxruntime of this environment
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "daenr"
    folder = cache / f"cpp-example-{digest.hexdigest()[:16]}"
    if not (folder / "rig").exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            variables = environment(folder)
            line = command("g++").strip() + " -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror"
            line = line.replace(" -o rig", f" -o '{scratch}/rig'")
            subprocess.run(["bash", "-euc", line], cwd=ROOT, env=variables, check=True)
            (Path(scratch) / "rig").replace(folder / "rig")
    return folder / "rig"


def _headers() -> Path:
    if all((SYSTEM_HEADERS / header).exists() for header in NEEDED):
        return SYSTEM_HEADERS
    fetched = subprocess.run(
        [Path(__file__).with_name("fetch_headers.sh")], capture_output=True, text=True, check=False
    )
    if fetched.returncode:
        pytest.skip(fetched.stderr.strip().splitlines()[-1])
    return Path(fetched.stdout.strip())

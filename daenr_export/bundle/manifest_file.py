"""`manifest.json` as bytes: JSON that needs no Python to be read, and of which every byte is accounted for.

The file is canonical (keys sorted, two spaces, UTF-8, one newline at the end) and carries its own digest: the SHA-256
of the very same bytes with the 64 digits of the top-level `sha256` taken out. Any language can check it with a
search, a replace and a hash.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from daenr_common.errors import BundleError
from daenr_common.hashing import sha256_of
from daenr_common.strict_json import FieldError, decode, encode
from daenr_export.bundle.manifest import SCHEMA_VERSION, Manifest
from daenr_export.bundle.rules import check

EXPORT_AGAIN = "export the bundle again from its checkpoint"
COPY_AGAIN = f"copy the whole folder again, or {EXPORT_AGAIN}"


def to_bytes(manifest: Manifest, path: Path) -> bytes:
    """The bytes of `manifest.json`, sealed with their digest and checked like those that are read.

    Args:
        manifest: complete but for `sha256`.
        path: the file it is meant for, for messages.

    Raises:
        BundleError: a field is wrong, e.g. a NaN among the metrics or a graph whose file is not listed.
    """
    try:
        document = encode(manifest._replace(sha256=""))
        _decoded(document)
        return _canonical({**document, "sha256": sha256_of(_canonical(document))})
    except (FieldError, ValueError, TypeError, RecursionError) as error:
        raise BundleError(path, f"cannot be written: {error}", "correct that field of the manifest") from error


def from_bytes(content: bytes, path: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        BundleError: it is not JSON, of another schema version, edited, or a field is wrong.
    """
    try:
        document = json.loads(
            content.decode("utf-8"), parse_constant=_refuse_constant, object_pairs_hook=_refuse_repeated
        )
        _check_version(document, path)
        _check_digest(document, content, path)
        return _decoded(document)
    except FieldError as error:
        raise BundleError(path, f"field {error.field} {error.problem}", EXPORT_AGAIN) from error
    except (ValueError, RecursionError) as error:
        raise BundleError(path, f"is not a JSON document ({error})", COPY_AGAIN) from error


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _refuse_repeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a repeated key each reader of JSON takes what it likes."""
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("a key is repeated")
    return mapping


def _canonical(document: Any) -> bytes:
    text = json.dumps(document, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def _check_version(document: Any, path: Path) -> None:
    if not isinstance(document, dict):
        raise FieldError("the document", "is not an object")
    version = document.get("schema_version")
    if type(version) is int and version != SCHEMA_VERSION:
        raise BundleError(
            path,
            f"has schema version {version}, and this daenr understands {SCHEMA_VERSION}",
            f"install the daenr that made it, or {EXPORT_AGAIN}",
        )


def _check_digest(document: dict[str, Any], content: bytes, path: Path) -> None:
    before, sealed, after = content.partition(f'\n  "sha256": "{document.get("sha256")}"'.encode())
    emptied = before + b'\n  "sha256": ""' + after
    if not sealed or document.get("sha256") != sha256_of(emptied):
        raise BundleError(path, "was changed after it was written (its sha256 does not match)", COPY_AGAIN)


def _decoded(document: Any) -> Manifest:
    manifest = decode(Manifest, document)
    check(manifest)
    return manifest

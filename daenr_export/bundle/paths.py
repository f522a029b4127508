"""The names that files of a bundle may have: relative, with forward slashes, never leading out of it."""

from __future__ import annotations

MANIFEST = "manifest.json"


def why_unsafe(path: str) -> str | None:
    """Say what is wrong with a path inside a bundle; None if it is a plain relative path on every system.

    A colon is a drive or a stream on Windows, a backslash a separator there: a bundle that is safe on one system and
    leads out of itself on another would be neither.
    """
    if not path:
        return "is empty"
    if any(character in "\\:" or ord(character) < ord(" ") for character in path):
        return "contains a backslash, a colon or a control character"
    if path.startswith("/"):
        return "is absolute"
    parts = path.split("/")
    if ".." in parts:
        return "contains '..'"
    if "." in parts or "" in parts:
        return "contains an empty part"
    if path.lower() == MANIFEST:
        return "is the manifest itself"
    return None

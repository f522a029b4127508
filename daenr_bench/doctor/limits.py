"""What this process may ask of the system: real-time priority, and memory that stays in place."""

from __future__ import annotations

from collections.abc import Iterator

from daenr_bench.doctor.findings import Finding, Tree, good_if, unknown

_IPC_LOCK, _SYS_NICE = 14, 23  # bits of the capabilities, linux/capability.h
_ENOUGH_BYTES = 2**30
"""More than a process with a bundle and a runtime library holds."""


def look_at_limits(tree: Tree) -> Iterator[Finding]:
    """Findings about the limits of this process."""
    text = tree.read("proc/self/limits")
    capabilities = _capabilities(tree)
    yield _priority(text, capabilities)
    yield _locking(text, capabilities)


def _priority(text: str | None, capabilities: int) -> Finding:
    name = "real-time priority"
    if capabilities >> _SYS_NICE & 1:
        return good_if(True, name, "allowed (CAP_SYS_NICE)", "")
    limit = _limit(text, "Max realtime priority")
    if limit is None:
        return unknown(name)
    allowed = limit == "unlimited" or int(limit) > 0
    advice = "add '@rig - rtprio 80' to /etc/security/limits.d/rig.conf, yourself to the group rig, and log in again"
    return good_if(allowed, name, f"allowed up to {limit}" if allowed else "not allowed", advice)


def _locking(text: str | None, capabilities: int) -> Finding:
    name = "locked memory"
    if capabilities >> _IPC_LOCK & 1:
        return good_if(True, name, "unlimited (CAP_IPC_LOCK)", "")
    limit = _limit(text, "Max locked memory")
    if limit is None:
        return unknown(name)
    value = limit if limit == "unlimited" else f"at most {int(limit) / 2**20:g} MiB"
    advice = "add '@rig - memlock unlimited' to /etc/security/limits.d/rig.conf, and log in again"
    return good_if(limit == "unlimited" or int(limit) >= _ENOUGH_BYTES, name, value, advice)


def _capabilities(tree: Tree) -> int:
    """The effective capabilities of this process, a bit for each."""
    for line in (tree.read("proc/self/status") or "").splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def _limit(text: str | None, name: str) -> str | None:
    """The soft limit of a row of `/proc/self/limits`: a number, or `unlimited`."""
    for line in (text or "").splitlines():
        if line.startswith(name):
            return line.removeprefix(name).split()[0]
    return None

"""The processor of a rig: its clocks, its sleep, and who else may run on the loop's core."""

from __future__ import annotations

from collections.abc import Iterator

from daenr_bench.doctor.findings import Finding, Tree, good_if, unknown
from daenr_bench.machine import Machine

_CPU = "sys/devices/system/cpu"
_LONGEST_WAKE_US = 20
"""A frame waits for the core to wake; beyond this it is a share of a 2 ms period that shows."""


def look_at_processor(tree: Tree, machine: Machine) -> Iterator[Finding]:
    """Findings about the processor and the load on it."""
    yield _governor(tree)
    yield _turbo(tree)
    yield _idle_states(tree)
    yield _isolated(tree)
    yield _ticks(tree)
    yield _siblings(tree)
    yield good_if(
        machine.usable_cores == machine.cores,
        *("usable cores", f"{machine.usable_cores} of {machine.cores}"),
        "all figures are for these; taskset, cgroups and containers limit them",
    )
    if machine.load_average is None:
        yield unknown("load average")
    else:
        calm = machine.load_average <= machine.cores / 2
        value = f"{machine.load_average} on {machine.cores} cores"
        yield good_if(calm, "load average", value, "stop other programs, or give the loop a core of its own")
    if machine.is_virtual is None:
        yield unknown("virtual machine")
    else:
        advice = "run the rig on a machine of its own: other guests disturb it without being seen"
        yield good_if(not machine.is_virtual, "virtual machine", "yes" if machine.is_virtual else "no", advice)


def _governor(tree: Tree) -> Finding:
    found = sorted(set(tree.read_all(f"{_CPU}/cpu[0-9]*/cpufreq/scaling_governor").values()))
    if not found:
        return unknown("governor", advice="the firmware or a hypervisor sets the clock: look there")
    advice = "sudo cpupower frequency-set --governor performance"
    return good_if(found == ["performance"], "governor", ", ".join(found), advice)


def _turbo(tree: Tree) -> Finding:
    """Neither is wrong: turbo is faster, and what it adds depends on heat and on the other cores."""
    for path, off in ((f"{_CPU}/intel_pstate/no_turbo", "1"), (f"{_CPU}/cpufreq/boost", "0")):
        found = tree.read(path)
        if found == off:
            return good_if(True, "turbo", "off", "")
        if found is not None:
            return unknown("turbo", "on", f"for steadier, longer latencies: echo {off} | sudo tee /{path}")
    return unknown("turbo")


def _idle_states(tree: Tree) -> Finding:
    deepest, name = -1, ""
    for path, state in tree.read_all(f"{_CPU}/cpu0/cpuidle/state[0-9]*/name").items():
        folder = path.removesuffix("/name")
        wake_us = tree.number(f"{folder}/latency")
        if tree.read(f"{folder}/disable") != "1" and wake_us is not None and wake_us > deepest:
            deepest, name = wake_us, state
    if deepest < 0:
        return unknown("deepest idle state")
    advice = f"sudo cpupower idle-set --disable-by-latency {_LONGEST_WAKE_US}, or keep the engine warm while waiting"
    return good_if(deepest <= _LONGEST_WAKE_US, "deepest idle state", f"{name}, {deepest} µs to wake", advice)


def _isolated(tree: Tree) -> Finding:
    found = tree.read(f"{_CPU}/isolated")
    if found is None:
        return unknown("isolated cores")
    advice = "for a period of a few ms boot with e.g. isolcpus=3 nohz_full=3 rcu_nocbs=3 and bind the loop to that core"
    return good_if(found != "", "isolated cores", found or "none", advice)


def _ticks(tree: Tree) -> Finding:
    name, found = "cores without ticks", tree.read(f"{_CPU}/nohz_full")
    if found is None:
        return unknown(name, "this kernel cannot do without (nohz_full)")
    found = "" if found == "(null)" else found
    return good_if(found != "", name, found or "none", "boot with nohz_full= for the cores that are isolated")


def _siblings(tree: Tree) -> Finding:
    lists = tree.read_all(f"{_CPU}/cpu[0-9]*/topology/thread_siblings_list").values()
    shared = sorted({siblings for siblings in lists if "," in siblings or "-" in siblings})
    if not lists:
        return unknown("hyper-threads")
    advice = f"leave the sibling of the loop's core idle, or echo off | sudo tee /{_CPU}/smt/control"
    return good_if(not shared, "hyper-threads", f"share a core: {' '.join(shared)}" if shared else "none", advice)

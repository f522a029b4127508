"""The kernel of a rig: what it may put before the loop, and for how long."""

from __future__ import annotations

import re
from collections.abc import Iterator

from daenr_bench.doctor.findings import Finding, Tree, good_if, unknown

_SLOW_CLOCKS = ("hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit")
_US = 1_000


def look_at_kernel(tree: Tree) -> Iterator[Finding]:
    """Findings about scheduling, clocks, memory and quotas."""
    yield _preemption(tree)
    yield _throttling(tree)
    yield _clock_source(tree)
    yield _timer_slack(tree)
    yield _swapping(tree)
    yield _huge_pages(tree)
    yield _quota(tree)


def _preemption(tree: Tree) -> Finding:
    version, arguments = tree.read("proc/version"), tree.read("proc/cmdline") or ""
    if version is None:
        return unknown("preemption")
    advice = "boot a PREEMPT_RT or low-latency kernel, or add preempt=full where the kernel is PREEMPT_DYNAMIC"
    if tree.read("sys/kernel/realtime") == "1" or "PREEMPT_RT" in version:
        return good_if(True, "preemption", "real time", "")
    if "PREEMPT_DYNAMIC" not in version:
        return good_if("PREEMPT" in version, "preemption", "full" if "PREEMPT" in version else "voluntary", advice)
    # Which of its modes was booted is told to root alone, in debugfs; an argument of the kernel is told to all.
    asked = re.search(r"\bpreempt=(\w+)", arguments)
    mode = asked[1] if asked else _marked(tree.read("sys/kernel/debug/sched/preempt"), "(", ")")
    if mode is None:
        return unknown("preemption", "dynamic", advice)
    return good_if(mode in ("full", "lazy"), "preemption", f"dynamic, {mode}", advice)


def _throttling(tree: Tree) -> Finding:
    runtime_us, period_us = (tree.number(f"proc/sys/kernel/sched_rt_{name}_us") for name in ("runtime", "period"))
    if runtime_us is None:
        return unknown("real-time throttling")
    advice = "a loop in SCHED_FIFO that keeps its engine warm can be stopped: sudo sysctl kernel.sched_rt_runtime_us=-1"
    value = "off" if runtime_us < 0 else f"{runtime_us} of {period_us or 1_000_000} µs"
    return good_if(runtime_us < 0, "real-time throttling", value, advice)


def _clock_source(tree: Tree) -> Finding:
    found = tree.read("sys/devices/system/clocksource/clocksource0/current_clocksource")
    if found is None:
        return unknown("clock source")
    advice = "reading it takes microseconds; see dmesg for why the kernel does not trust the tsc, try tsc=reliable"
    return good_if(found not in _SLOW_CLOCKS, "clock source", found, advice)


def _timer_slack(tree: Tree) -> Finding:
    slack_ns = tree.number("proc/self/timerslack_ns")
    if slack_ns is None:
        return unknown("timer slack")
    advice = (
        "sleeps of this process may end that much late; SCHED_FIFO has none, prctl(PR_SET_TIMERSLACK, 1) lessens it"
    )
    return good_if(slack_ns <= _US, "timer slack", f"{slack_ns / _US:g} µs", advice)


def _swapping(tree: Tree) -> Finding:
    swappiness, total = tree.number("proc/sys/vm/swappiness"), None
    for line in (tree.read("proc/meminfo") or "").splitlines():
        if line.startswith("SwapTotal:"):
            total = line.split()[1]
    if total == "0":
        return good_if(True, "swapping", "there is no swap", "")
    if swappiness is None:
        return unknown("swapping")
    advice = "sudo sysctl vm.swappiness=10, or lock the memory of the loop"
    return good_if(swappiness <= 10, "swapping", f"swappiness {swappiness}", advice)


def _huge_pages(tree: Tree) -> Finding:
    path = "sys/kernel/mm/transparent_hugepage/enabled"
    found = _marked(tree.read(path), "[", "]")
    if found is None:
        return unknown("transparent huge pages")
    advice = f"the kernel joins pages while the loop runs: echo madvise | sudo tee /{path}"
    return good_if(found != "always", "transparent huge pages", found, advice)


def _quota(tree: Tree) -> Finding:
    """The smallest share of time that a control group of this process or one around it allows, of both versions."""
    cores = min([*_quotas(tree)], default=None)
    if cores is None:
        return good_if(True, "processor quota", "none", "")
    advice = "once it is used up the loop is stopped until the next period: docker run --cpuset-cpus in place of --cpus"
    return good_if(False, "processor quota", f"{cores:g} cores", advice)


def _quotas(tree: Tree) -> Iterator[float]:
    for line in ["0::/", "0:cpu:/", *(tree.read("proc/self/cgroup") or "").splitlines()]:
        number, controllers, path = line.split(":", 2)
        if number == "0" and not controllers:
            mounts, version = ["sys/fs/cgroup"], 2
        elif "cpu" in controllers.split(","):
            mounts, version = ["sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct"], 1
        else:
            continue
        parts = [part for part in path.split("/") if part]
        for depth in range(len(parts) + 1):
            for mount in mounts:
                yield from _quota_in(tree, "/".join([mount, *parts[:depth]]), version)


def _quota_in(tree: Tree, group: str, version: int) -> Iterator[float]:
    if version == 2:
        quota, _, period = (tree.read(f"{group}/cpu.max") or "max").partition(" ")
        if quota.isdecimal() and period.isdecimal() and int(period):
            yield int(quota) / int(period)
        return
    quota_us, period_us = (tree.number(f"{group}/cpu.cfs_{name}_us") for name in ("quota", "period"))
    if quota_us is not None and period_us and quota_us > 0:
        yield quota_us / period_us


def _marked(text: str | None, first: str, last: str) -> str | None:
    """The choice in brackets, as in `always [madvise] never`."""
    _, found, rest = (text or "").partition(first)
    return rest.partition(last)[0] if found else None

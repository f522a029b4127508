"""What the doctor says of machines that made-up trees of /proc and /sys describe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from daenr_bench.cli import main
from daenr_bench.doctor import diagnose
from daenr_bench.doctor.findings import Finding, Judgement, Tree
from daenr_bench.doctor.kernel import look_at_kernel
from daenr_bench.doctor.limits import look_at_limits
from daenr_bench.doctor.processor import look_at_processor
from daenr_bench.machine import Machine

NO_GPU = "no CUDA driver (libcuda.so.1) on this machine"
QUIET = Machine("CPU", "x86_64", "Linux 6.1", "3.11", 4, 4, "performance", False, 0.1, f"none: {NO_GPU}")
CPU = "sys/devices/system/cpu"
LIMITS = """Limit                     Soft Limit           Hard Limit           Units
Max locked memory         {memory}              8388608              bytes
Max nice priority         0                    0
Max realtime priority     {priority}                    99
Max realtime timeout      unlimited            unlimited            us
"""

RIG = {
    f"{CPU}/cpu0/cpufreq/scaling_governor": "performance",
    f"{CPU}/cpu1/cpufreq/scaling_governor": "performance",
    f"{CPU}/intel_pstate/no_turbo": "1",
    f"{CPU}/cpu0/cpuidle/state0/name": "POLL",
    f"{CPU}/cpu0/cpuidle/state0/latency": "0",
    f"{CPU}/cpu0/cpuidle/state1/name": "C1",
    f"{CPU}/cpu0/cpuidle/state1/latency": "2",
    f"{CPU}/cpu0/cpuidle/state2/name": "C6",
    f"{CPU}/cpu0/cpuidle/state2/latency": "133",
    f"{CPU}/cpu0/cpuidle/state2/disable": "1",
    f"{CPU}/isolated": "3",
    f"{CPU}/nohz_full": "3",
    f"{CPU}/cpu0/topology/thread_siblings_list": "0",
    f"{CPU}/cpu1/topology/thread_siblings_list": "1",
    "proc/version": "Linux version 6.12.0-rt (gcc) #1 SMP PREEMPT_RT Mon Jan 1",
    "proc/sys/kernel/sched_rt_runtime_us": "-1",
    "proc/sys/kernel/sched_rt_period_us": "1000000",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc",
    "proc/self/timerslack_ns": "1",
    "proc/sys/vm/swappiness": "10",
    "proc/meminfo": "MemTotal:       24000000 kB\nSwapTotal:       8000000 kB",
    "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
    "proc/self/limits": LIMITS.format(memory="unlimited", priority="80"),
    "proc/self/status": "Name:\tpython\nCapEff:\t0000000000000000",
}
"""A machine that somebody has prepared for a rig."""


@pytest.fixture
def find(tmp_path: Path) -> Callable[[dict[str, str]], dict[str, Finding]]:
    """What is found on a machine with these files."""

    def find(files: dict[str, str]) -> dict[str, Finding]:
        for path, text in files.items():
            file = tmp_path / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(f"{text}\n")
        tree = Tree(tmp_path)
        found = [*look_at_processor(tree, QUIET), *look_at_kernel(tree), *look_at_limits(tree)]
        return {finding.name: finding for finding in found}

    return find


def test_a_machine_that_was_prepared(find: Callable[..., dict[str, Finding]]) -> None:
    found = find(RIG)
    assert {name: finding.value for name, finding in found.items()} == {
        "governor": "performance",
        "turbo": "off",
        "deepest idle state": "C1, 2 µs to wake",
        "isolated cores": "3",
        "cores without ticks": "3",
        "hyper-threads": "none",
        "usable cores": "4 of 4",
        "load average": "0.1 on 4 cores",
        "virtual machine": "no",
        "preemption": "real time",
        "real-time throttling": "off",
        "clock source": "tsc",
        "timer slack": "0.001 µs",
        "swapping": "swappiness 10",
        "transparent huge pages": "madvise",
        "processor quota": "none",
        "real-time priority": "allowed up to 80",
        "locked memory": "unlimited",
    }
    assert {finding.verdict for finding in found.values()} == {Judgement.GOOD}
    assert not any(finding.advice for finding in found.values())


@pytest.mark.parametrize(
    ("name", "files", "value", "advice"),
    [
        ("governor", {f"{CPU}/cpu1/cpufreq/scaling_governor": "powersave"}, "performance, powersave", "cpupower"),
        ("deepest idle state", {f"{CPU}/cpu0/cpuidle/state2/disable": "0"}, "C6, 133 µs to wake", "idle-set"),
        ("isolated cores", {f"{CPU}/isolated": ""}, "none", "isolcpus"),
        ("cores without ticks", {f"{CPU}/nohz_full": "(null)"}, "none", "nohz_full="),
        (
            "hyper-threads",
            {f"{CPU}/cpu0/topology/thread_siblings_list": "0,2", f"{CPU}/cpu1/topology/thread_siblings_list": "1,3"},
            *("share a core: 0,2 1,3", "smt/control"),
        ),
        ("preemption", {"proc/version": "Linux 5.4 #1 SMP Mon"}, "voluntary", "PREEMPT_RT"),
        (
            "preemption",
            {"proc/version": "Linux 6 PREEMPT_DYNAMIC", "proc/cmdline": "quiet preempt=voluntary ro"},
            *("dynamic, voluntary", "preempt=full"),
        ),
        (
            "preemption",
            {"proc/version": "Linux 6 PREEMPT_DYNAMIC", "sys/kernel/debug/sched/preempt": "(none) voluntary full"},
            *("dynamic, none", "preempt=full"),
        ),
        ("real-time throttling", {"proc/sys/kernel/sched_rt_runtime_us": "950000"}, "950000 of 1000000 µs", "sysctl"),
        (
            "clock source",
            {"sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet"},
            *("hpet", "tsc=reliable"),
        ),
        ("timer slack", {"proc/self/timerslack_ns": "50000"}, "50 µs", "SCHED_FIFO"),
        ("swapping", {"proc/sys/vm/swappiness": "60"}, "swappiness 60", "vm.swappiness=10"),
        (
            "transparent huge pages",
            {"sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never"},
            *("always", "echo madvise"),
        ),
        ("processor quota", {"sys/fs/cgroup/cpu.max": "50000 100000"}, "0.5 cores", "--cpuset-cpus"),
        (
            "processor quota",
            {
                "proc/self/cgroup": "0::/rig/loop",
                "sys/fs/cgroup/rig/cpu.max": "150000 100000",
                "sys/fs/cgroup/rig/loop/cpu.max": "max 100000",
            },
            *("1.5 cores", "--cpuset-cpus"),
        ),
        (
            "processor quota",
            {
                "proc/self/cgroup": "4:memory:/a\n2:cpuacct,cpu:/docker/1",
                "sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_quota_us": "200000",
                "sys/fs/cgroup/cpu,cpuacct/docker/1/cpu.cfs_period_us": "100000",
            },
            *("2 cores", "--cpuset-cpus"),
        ),
        (
            "real-time priority",
            {"proc/self/limits": LIMITS.format(memory="unlimited", priority=0)},
            "not allowed",
            "rtprio",
        ),
        (
            "locked memory",
            {"proc/self/limits": LIMITS.format(memory=8388608, priority=80)},
            *("at most 8 MiB", "memlock"),
        ),
    ],
)
def test_what_makes_a_loop_late_is_bad_and_has_a_remedy(
    find: Callable[..., dict[str, Finding]], name: str, files: dict[str, str], value: str, advice: str
) -> None:
    found = find(RIG | files)
    assert (found[name].value, found[name].verdict) == (value, Judgement.BAD)
    assert advice in found[name].advice
    assert [other for other, finding in found.items() if finding.verdict is not Judgement.GOOD] == [name]


@pytest.mark.parametrize(
    ("name", "files", "value"),
    [
        ("turbo", {f"{CPU}/intel_pstate/no_turbo": "0"}, "on"),
        ("preemption", {"proc/version": "Linux 6.18 PREEMPT_DYNAMIC"}, "dynamic"),
    ],
)
def test_what_depends_is_not_judged(
    find: Callable[..., dict[str, Finding]], name: str, files: dict[str, str], value: str
) -> None:
    found = find(RIG | files)[name]
    assert (found.value, found.verdict) == (value, Judgement.UNKNOWN)
    assert found.advice


@pytest.mark.parametrize(
    ("name", "files", "value"),
    [
        ("preemption", {"proc/version": "Linux 6.1 SMP PREEMPT Mon"}, "full"),
        ("preemption", {"proc/version": "Linux 6", "sys/kernel/realtime": "1"}, "real time"),
        ("preemption", {"proc/version": "Linux PREEMPT_DYNAMIC", "proc/cmdline": "preempt=full"}, "dynamic, full"),
        ("swapping", {"proc/sys/vm/swappiness": "60", "proc/meminfo": "SwapTotal:  0 kB"}, "there is no swap"),
        ("processor quota", {"sys/fs/cgroup/cpu.max": "max 100000"}, "none"),
        ("processor quota", {"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1"}, "none"),
        (
            "real-time priority",
            {
                "proc/self/limits": LIMITS.format(memory="unlimited", priority=0),
                "proc/self/status": "CapEff:\t0000000000800000",
            },
            "allowed (CAP_SYS_NICE)",
        ),
        (
            "locked memory",
            {"proc/self/limits": LIMITS.format(memory=0, priority=1), "proc/self/status": "CapEff:\t0000000000004000"},
            "unlimited (CAP_IPC_LOCK)",
        ),
    ],
)
def test_other_ways_to_be_good(
    find: Callable[..., dict[str, Finding]], name: str, files: dict[str, str], value: str
) -> None:
    found = find(RIG | files)[name]
    assert (found.value, found.verdict) == (value, Judgement.GOOD)


@pytest.mark.parametrize(("boost", "verdict"), [("0", Judgement.GOOD), ("1", Judgement.UNKNOWN)])
def test_turbo_where_intel_is_not(tmp_path: Path, boost: str, verdict: Judgement) -> None:
    file = tmp_path / CPU / "cpufreq" / "boost"
    file.parent.mkdir(parents=True)
    file.write_text(boost)
    found = {finding.name: finding for finding in look_at_processor(Tree(tmp_path), QUIET)}
    assert found["turbo"].verdict is verdict


def test_a_system_that_says_nothing_is_not_judged(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    silent = replace(QUIET, is_virtual=None, load_average=None)
    found = [*look_at_processor(tree, silent), *look_at_kernel(tree), *look_at_limits(tree)]
    judged = {finding.name for finding in found if finding.verdict is not Judgement.UNKNOWN}
    assert judged == {"usable cores", "processor quota"}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"usable_cores": 1}, "usable cores"),
        ({"load_average": 3.5}, "load average"),
        ({"is_virtual": True}, "virtual machine"),
    ],
)
def test_what_is_known_of_the_machine_already(tmp_path: Path, change: dict[str, object], name: str) -> None:
    found = look_at_processor(Tree(tmp_path), replace(QUIET, **change))  # type: ignore[arg-type]
    assert [finding.name for finding in found if finding.verdict is Judgement.BAD] == [name]


def test_all_of_it_comes_from_below_the_root(tmp_path: Path) -> None:
    governor = tmp_path / CPU / "cpu0" / "cpufreq" / "scaling_governor"
    governor.parent.mkdir(parents=True)
    governor.write_text("ondemand\n")
    found = {finding.name: finding for finding in diagnose(tmp_path).findings}
    assert found["governor"].value == "ondemand"
    assert found["preemption"].verdict is Judgement.UNKNOWN


def test_findings_are_printed_with_what_to_do() -> None:
    result = CliRunner().invoke(main, ["doctor"])
    lines = result.stdout.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("for a loop in real time"))
    assert lines[start].endswith("what to do")
    for finding in diagnose().findings:
        row = next(line for line in lines[start:] if line.startswith(f"{finding.name}  "))
        if finding.name != "load average":  # it changes meanwhile
            assert finding.verdict.value in row
            assert finding.advice in row

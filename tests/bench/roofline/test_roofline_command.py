"""`daenr-bench roofline` from end to end: tables, JSON, exit codes, and bad input in one line."""

from __future__ import annotations

import ctypes
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from bench_checks import assert_one_line
from bench_factory import FakeBackend
from click.testing import CliRunner, Result

import daenr_common.extras
from daenr_bench.cli import main
from daenr_bench.roofline import kernels as kernels_module
from daenr_bench.roofline.core import Core
from daenr_bench.roofline.document import Peak, Rate, Roofline
from daenr_bench.roofline.kernels import kernels
from daenr_bench.roofline.table import print_roofline
from daenr_common.errors import ExportError
from daenr_common.strict_json import decode
from daenr_export.native.compiling import compile_alone
from daenr_export.native.targets import find_target, native_target

pytest.importorskip("ziglang")

Invoke = Callable[..., Result]
Capture = pytest.CaptureFixture[str]
ENCODER = ("--graph", "encoder", "--samples", "20")
"""The one graph of the small bundle whose operations are those of real graphs."""


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Invoke:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(main, ["roofline", *map(str, arguments)])


@pytest.fixture
def no_measuring(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad input is found before the core is measured."""

    def measure(self: Core) -> None:
        raise AssertionError("the core is measured")

    monkeypatch.setattr(Core, "measure", measure)


def read(path: Path) -> tuple[dict, Roofline]:
    document = json.loads(path.read_text("utf-8"))
    verdict = document.pop("verdict")
    found = decode(Roofline, document)
    assert verdict == found.verdict.value
    return document, found


def test_a_bundle_is_measured_from_end_to_end(invoke: Invoke, timed_bundle: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    threads = ("--backend", "onnxruntime", "--backend", "onnxruntime:threads=2")
    result = invoke(timed_bundle, *ENCODER, *threads, "--json", "roofline.json")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    row = r"^encoder +1×32×32 → 4×8×8, Convolution, elu +4,096 +4,096 +0\.3 +5\.0 +[\d.]+ +[\d.]+ +[\d.]+$"
    assert re.search(row, result.stdout, re.M)
    assert re.search(r"^fp32 +\S+ +[\d.]+ +[\d.]+ +50$", result.stdout, re.M)
    assert re.search(r"^encoder +onnxruntime +fp32 +[\d.]+ +[\d.]+ +0\.\d\d +20$", result.stdout, re.M)
    assert result.stdout.endswith("tiny.daenr: pass\nwrote roofline.json\n")
    document, found = read(tmp_path / "roofline.json")
    assert (document["schema_version"], found.complete, found.machine.architecture != "") == (1, True, True)
    one, two = found.shares
    assert (one.threads, two.threads) == (1, 2)
    assert two.limit_ns == pytest.approx(one.limit_ns / 2)
    (graph,) = found.graphs
    assert graph.limits["fp32"].weight_bytes == 4 * (4 * 16) + 4 * 4
    assert graph.limits["fp32"].limit_ns == pytest.approx(graph.layers[0].limits["fp32"].limit_ns)
    assert graph.limits["fp32"].limit_ns == pytest.approx(one.limit_ns)
    assert {peak.precision for peak in found.peaks} == {"fp32", "bf16", "int8"}
    for told in (*found.peaks, *found.readings):
        rate = getattr(told, "multiply_adds_per_s", None) or getattr(told, "bytes_per_s", None)
        assert (rate is None) == bool(told.reason)
        assert rate is None or 0 < rate.worst <= rate.median <= rate.best


def test_a_wrong_answer_is_exit_code_1_and_has_no_share(
    invoke: Invoke, fake: Callable[..., FakeBackend], timed_bundle: Path
) -> None:
    fake(spoil=lambda number, answer: answer + 1)
    result = invoke(timed_bundle, *ENCODER)
    assert result.exit_code == 1
    assert re.search(r"^encoder +fake +fp32 +– +[\d.]+ +– +0$", result.stdout, re.M)
    assert "cannot tell the share of fake on encoder: its answers are wrong\n" in result.stdout
    assert result.stdout.endswith("tiny.daenr: fail\n")


def test_a_share_above_one_is_explained(
    invoke: Invoke, fake: Callable[..., FakeBackend], timed_bundle: Path, tmp_path: Path, capsys: Capture
) -> None:
    fake()
    result = invoke(timed_bundle, *ENCODER, "--json", "roofline.json")
    assert "note: a share above 1" not in result.stdout
    _, found = read(tmp_path / "roofline.json")
    print_roofline(replace(found, shares=(replace(found.shares[0], share=1.2),)))
    assert (
        "note: a share above 1 is of a backend that multiplies less than the direct method" in capsys.readouterr().out
    )


def test_a_core_that_others_use_is_pointed_out(
    invoke: Invoke, fake: Callable[..., FakeBackend], timed_bundle: Path, tmp_path: Path, capsys: Capture
) -> None:
    fake(reason="fake: no driver")
    invoke(timed_bundle, *ENCODER, "--json", "roofline.json")
    _, found = read(tmp_path / "roofline.json")
    for median, is_noted in ((9.0, False), (4.0, True)):
        print_roofline(replace(found, peaks=(Peak("fp32", "plain", Rate(10.0, median, 1.0, 50)),)))
        assert (
            "note: the core's best round did 2.5 times what its median round did" in capsys.readouterr().out
        ) is is_noted


def test_where_no_backend_runs_the_limits_are_told_and_the_exit_code_is_3(
    invoke: Invoke, fake: Callable[..., FakeBackend], timed_bundle: Path
) -> None:
    fake(reason="fake: no driver")
    result = invoke(timed_bundle, *ENCODER)
    assert result.exit_code == 3
    assert re.search(r"^encoder +4,096 +fp32 +0\.3 +", result.stdout, re.M)
    assert "left out fake: fake: no driver\n" in result.stdout
    assert result.stdout.endswith("tiny.daenr: cannot tell\n")


def test_ctrl_c_while_backends_are_timed_reports_what_was_measured(
    invoke: Invoke, fake: Callable[..., FakeBackend], timed_bundle: Path, tmp_path: Path
) -> None:
    backend = fake()

    def interrupted(number: int, _: int) -> int:
        if number == 700:
            raise KeyboardInterrupt
        return 1000

    backend._latency_ns = interrupted
    result = invoke(timed_bundle, "--graph", "encoder", "--json", "roofline.json")
    assert result.exit_code == 130
    assert "tiny.daenr: pass (interrupted: not all was measured)" in result.stdout
    assert not read(tmp_path / "roofline.json")[1].complete


def test_ctrl_c_while_the_core_is_measured_leaves_nothing(
    invoke: Invoke, timed_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Core) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Core, "measure", interrupted)
    result = invoke(timed_bundle, *ENCODER, "--json", "roofline.json")
    assert (result.exit_code, result.stdout, result.stderr) == (130, "", "\ndaenr-bench: interrupted\n")
    assert not (tmp_path / "roofline.json").exists()


@pytest.mark.usefixtures("no_measuring")
def test_unusable_input_is_one_line_before_anything_is_measured(
    invoke: Invoke, timed_bundle: Path, tmp_path: Path
) -> None:
    assert_one_line(invoke(tmp_path / "absent.daenr"), "absent.daenr: does not exist")
    assert_one_line(invoke(timed_bundle, "--graph", "joint"), "has no graph 'joint', only encoder, readout")
    assert_one_line(
        invoke(timed_bundle, *ENCODER, "--backend", "nativ"), "'nativ': is not known", "did you mean native?"
    )
    assert_one_line(invoke(timed_bundle, *ENCODER, "--checkpoint", tmp_path / "no.pt"), "no.pt: does not exist")
    assert_one_line(invoke(timed_bundle, "--samples", "10"), "--samples")
    assert_one_line(invoke(timed_bundle, *ENCODER, "--json", tmp_path), "is a folder")
    (tmp_path / "there.json").touch()
    assert_one_line(invoke(timed_bundle, *ENCODER, "--json", "there.json"), "exists already")
    graph = timed_bundle / "graphs" / "encoder.onnx"
    graph.write_bytes(graph.read_bytes()[:-1] + b"\0")
    assert_one_line(invoke(timed_bundle), "encoder.onnx: was changed: its sha256 is not the one")


@pytest.mark.usefixtures("no_measuring")
def test_a_graph_that_cannot_be_counted_is_named_with_its_node(invoke: Invoke, timed_bundle: Path) -> None:
    line = "graph responses: cannot be counted: node flat (Flatten) is an operation that native code does not cover"
    assert_one_line(invoke(timed_bundle, "--graph", "responses"), f"{line}; choose other graphs with --graph")


@pytest.mark.usefixtures("no_measuring")
@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("ziglang", "ziglang: is needed for compiling native code and is not installed; pip install 'daenr[native]'"),
        ("onnx", "onnx: is needed for compiling native code and is not installed; pip install 'daenr[native]'"),
    ],
)
def test_what_is_not_installed_is_named_with_its_extra(
    invoke: Invoke, timed_bundle: Path, monkeypatch: pytest.MonkeyPatch, module: str, line: str
) -> None:
    is_installed = daenr_common.extras.is_installed
    monkeypatch.setattr(daenr_common.extras, "is_installed", lambda name: name != module and is_installed(name))
    kernels.cache_clear()
    assert_one_line(invoke(timed_bundle, *ENCODER), line)


@pytest.mark.usefixtures("no_measuring")
def test_a_system_that_does_not_load_what_was_compiled_is_one_line(
    invoke: Invoke, timed_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernels.cache_clear()
    monkeypatch.setattr(kernels_module, "open_library", lambda content: ctypes.CDLL("/dev/null"))
    problem = "kernels of the roofline: cannot be loaded ("
    assert_one_line(invoke(timed_bundle, *ENCODER), problem, "allow programs to load what they compile")


def test_c_that_is_wrong_is_the_compiler_s_first_line() -> None:
    with pytest.raises(
        ExportError, match=r"^C compiler: failed \(wrong.c:1:9: error: expected expression\); reinstall it"
    ):
        compile_alone({"wrong.c": b"int x = ;\n"}, "wrong.c", find_target(native_target()))


MAGIC = {"x86_64-linux": b"\x7fELF", "x86_64-windows": b"MZ", "aarch64-linux": b"\x7fELF", "aarch64-macos": b"\xcf\xfa"}


@pytest.mark.parametrize("target", MAGIC)
def test_the_kernels_compile_for_other_machines(target: str) -> None:
    folder = Path(kernels_module.__file__).parent / "c"
    files = {name: (folder / name).read_bytes() for name in kernels_module.FILES}
    assert compile_alone(files, kernels_module.FILES[0], find_target(target)).startswith(MAGIC[target])


def test_help_is_sufficient_and_loads_no_engine() -> None:
    script = (
        "import sys; from click.testing import CliRunner; from daenr_bench.cli import main\n"
        "print(CliRunner().invoke(main, ['roofline', '--help']).output)\n"
        "print(sorted(set(sys.modules) & {'torch', 'onnx', 'onnxruntime', 'openvino', 'ziglang'}))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    for text in ("A share of 0.5", "daenr-bench roofline cae_fr2.daenr", "Exit codes:", "daenr[native,bench]"):
        assert text in done.stdout
    assert done.stdout.endswith("[]\n")

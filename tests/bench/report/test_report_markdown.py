"""The Markdown, whole, and that nothing from a file can become markup, a link or a mention."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import report_factory as factory
from report_factory import burst, paced, result_of, right, wrong

from daenr_bench.report.markdown import code, markdown
from daenr_bench.report.source import Source
from daenr_bench.result_files import Report

GOLDEN = """\
### `cae_fr2.daenr`: ✅ May I trust this engine at 100 Hz?

**Yes, with `onnxruntime`.** Verdict of the whole run: **fail**, **incomplete**: the run was interrupted.

| engine | between frames | trust it? | p50, µs | p99 at most, µs | why |
|---|---|---|---|---|---|
| `responses` on `onnxruntime` | rests | ✅ yes | P | P | 0 of 1 000 frames missed the deadline of 10 ms (1 % may). |

#### Latency of one image, µs

| graph | engine | loop | p50 | p99 | p99 at most | max | calls | faster |
|---|---|---|---|---|---|---|---|---|
| `responses` | `onnxruntime` | burst | P | P | P | P | 1 000 | 3.40 × |
| `responses` | `onnxruntime` | paced | P | P | P | P | 1 000 | – |

#### Accuracy

| margin |  | kept? | worst | where |
|---|---|---|---|---|
| each neuron's correlation with the reference | ≥ 0.999 | ✅ pass | 1 − 4·10⁻¹³ | `responses` on `onnxruntime` |
| each neuron's loss of correlation with its recorded responses | ≤ 0.005 | ❔ cannot tell | – | \
`not measured: no recorded responses were given` |
| loss of PSNR of reconstructions, dB | ≤ 0.1 | ✅ pass | 2·10⁻⁷ | `joint` on `onnxruntime` |
| loss of SSIM of reconstructions | ≤ 0.005 | ✅ pass | −3·10⁻⁹ | `joint` on `onnxruntime` |

| graph | engine | right? | largest error ÷ scale | batches |
|---|---|---|---|---|
| `responses` | `onnxruntime` | ✅ yes | 4·10⁻⁷ | 1, 2, 3, 64 |
| `joint` | `onnxruntime` | ❌ no: `joint: error 3.1e-02 of its scale, tolerated 5e-05` | 4·10⁻⁷ | 1, 2, 3, 64 |

<details><summary>Not measured</summary>

- `tensorrt`: `no CUDA driver on this machine; choose a backend for the CPU`

</details>

<sub>Measured `2026-11-24T01:15:00+00:00` on `AMD EPYC`, 2 cores, with daenr `0.1.0`. Percentiles are measured values; \
“at most” holds with 99 % confidence. Figures of different machines or runs do not compare.</sub>
"""


def text_of(report: Report) -> str:
    return markdown(Source(report.result, report.samples, None))


def test_it_is_the_golden_text() -> None:
    unmeasured = factory.finding(
        "recorded_correlation_drop", None, "cannot tell", reason="not measured: no recorded responses were given"
    )
    science = (factory.FINDINGS["responses"][0], unmeasured)
    accuracy = [right(science=science), replace(wrong("joint"), science=factory.FINDINGS["reconstruction"])]
    report = result_of([burst(), paced()], accuracy, complete=False)
    # Latencies are drawn at random: which figures they are is tested where they are made.
    text = re.sub(r"(?<=\| )[\d\u202f]+(\.\d)?(?= \|)(?! \| \d\.\d\d ×| \| – \|\n)", "P", text_of(report))
    assert text.replace("\u202f", " ").replace("\u00a0", " ") == GOLDEN


def test_what_went_wrong_is_listed() -> None:
    died = (replace(burst()[0], state="fault", problems=("out of memory",), latency=None), {})
    text = text_of(result_of([died, paced()]))
    assert "#### What went wrong\n\n- `responses on onnxruntime`, burst: `out of memory`\n" in text
    assert "❌ no" in text
    assert "❔ cannot tell" in text_of(result_of([burst()]))
    assert "Nothing was measured." in text_of(result_of([], []))


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "a|b",
        "a`b",
        "``x``",
        "@somebody",
        "[a](http://b.example)",
        "a\n\n# b",
        "**a**",
        "\\",
    ],
)
def test_nothing_from_a_file_becomes_markup(hostile: str) -> None:
    made, arrays = paced(backend=hostile)
    report = result_of([(made, arrays)], [right(backend=hostile, verdict="fail", problems=(hostile,))])
    result = replace(
        report.result,
        bundle=replace(report.result.bundle, name=hostile),
        machine=replace(report.result.machine, processor=hostile),
        skipped=(replace(report.result.skipped[0], backend=hostile, reason=hostile),),
    )
    library = pytest.importorskip("markdown_it")
    text = text_of(replace(report, result=result))
    tokens = library.MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    inline = [child for token in tokens for child in token.children or []]
    assert not [child for child in inline if child.type in ("link_open", "image")]
    outside = " ".join(
        token.content for token in [*tokens, *inline] if token.type in ("text", "html_inline", "html_block")
    )
    assert "alert(1)" not in outside
    assert "@somebody" not in outside
    shown = " ".join(hostile.split()).replace("`", "'")
    assert shown in [child.content for child in inline if child.type == "code_inline"]
    widths = {len([c for c in tokens if c.type == "td_open"])}
    assert widths
    assert text.count("\n# ") == 0


def test_code_spans_hold_any_text() -> None:
    assert code("a | b") == "`a \\| b`"
    assert code("a`b") == "`a'b`"
    assert code("") == "–"
    assert code(" \n ") == "–"


def test_the_whole_result_fits_a_comment() -> None:
    # A comment on GitHub holds 65 536 characters.
    assert len(text_of(factory.everything())) < 20_000

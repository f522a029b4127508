"""The manifest round-trips, names the field that is wrong, and answers any other document with one kind of error."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bundle_factory as factory
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daenr_common.errors import BundleError
from daenr_export.bundle import ArrayEntry, EngineEntry, FileEntry, GoldenEntry, Manifest
from daenr_export.bundle.manifest_file import from_bytes, to_bytes
from daenr_export.specs import BatchRange

PATH = Path("a.daenr/manifest.json")
GOLDEN = GoldenEntry("golden.npz", 2, {"image": ArrayEntry("float32", (2, 1, 32, 32))})
ENGINE = EngineEntry(
    "joint", "engines/e", "tensorrt-rtx", "1.7.1.116", "fp16", "fp16", ("8.9", "9.0"), BatchRange(1, 1, 8), 0.25
)


def complete_manifest() -> Manifest:
    names = ["golden.npz", "engines/e", "graphs/joint.fp16.onnx", *(f"graphs/{name}.onnx" for name in factory.GRAPHS)]
    manifest = factory.manifest_of(list(factory.GRAPHS), GOLDEN)
    joint = manifest.graphs["joint"]._replace(variants={"fp16": "graphs/joint.fp16.onnx"})
    return manifest._replace(
        graphs=manifest.graphs | {"joint": joint},
        engines=(ENGINE,),
        files={name: FileEntry("ef" * 32, 1) for name in names},
    )


def document() -> dict[str, Any]:
    return json.loads(to_bytes(complete_manifest(), PATH))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
objects = st.dictionaries(st.text(), json_values, max_size=3)


@given(st.text(), objects, objects, objects, st.integers(), st.dictionaries(st.text(), st.text()), st.floats(0, 1e300))
def test_round_trip(
    name: str,
    spec: dict[str, Any],
    metrics: dict[str, Any],
    training: dict[str, Any],
    seed: int,
    tools: dict[str, str],
    number: float,
) -> None:
    base = complete_manifest()
    manifest = base._replace(
        model=base.model._replace(name=name, spec=spec),
        checkpoint=base.checkpoint._replace(metrics=metrics, training=training, seed=seed),
        tools=tools,
        tolerances={name: number},
        engines=(ENGINE._replace(build_seconds=number),),
    )
    content = to_bytes(manifest, PATH)
    read = from_bytes(content, PATH)
    assert unsealed(read) == manifest
    assert len(read.sha256) == 64
    assert to_bytes(read, PATH) == content


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def put(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    value = copy.copy(value)
    value[path[0]] = put(value[path[0]], path[1:], new)
    return value


PLACES = list(places(document()))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(PLACES), json_values | st.sampled_from(["..", "/a", -1, 0, 1e308, 10**400, "fp8"]))
def test_any_mutation_with_a_right_digest_is_a_manifest_or_a_bundle_error(path: tuple[Any, ...], new: Any) -> None:
    mutated = put(document(), path, new)
    content = factory.sealed(mutated) if isinstance(mutated, dict) else json.dumps(mutated).encode()
    outcome = read_or_error(content)
    if isinstance(outcome, Manifest):
        assert unsealed(from_bytes(to_bytes(outcome, PATH), PATH)) == unsealed(outcome)
    else:
        assert str(outcome).startswith(str(PATH))
        assert "\n" not in str(outcome)


def read_or_error(content: bytes) -> Manifest | BundleError:
    try:
        return from_bytes(content, PATH)
    except BundleError as error:
        return error


def unsealed(manifest: Manifest) -> Manifest:
    return manifest._replace(sha256="")


@given(st.binary())
def test_any_bytes_are_a_bundle_error(content: bytes) -> None:
    with pytest.raises(BundleError, match=str(PATH)):
        from_bytes(content, PATH)


@pytest.mark.parametrize(
    "content",
    [
        b"[" * 100_000,
        b'{"a":' * 600 + b"1" + b"}" * 600,
        b'{"schema_version": 1, "a": "\\ud800"}',
        b'{"schema_version": 1, "a": NaN}',
        b'{"schema_version": 1, "a": 1e999}',
        b'{"schema_version": ' + b"1" * 5000 + b"}",
        b'{"schema_version": true}',
        b'{"schema_version": "1"}',
        b"\xff\xfe",
        b"null",
        b"{}",
    ],
)
def test_hostile_documents_are_a_bundle_error(content: bytes) -> None:
    with pytest.raises(BundleError, match=str(PATH)):
        from_bytes(content, PATH)


@pytest.mark.parametrize("path", [("model", "name"), ("model", "spec"), ("tools",)])
def test_half_of_a_character_is_refused_where_it_could_be_read_and_never_printed(path: tuple[str, ...]) -> None:
    """JSON takes it as an escape; what is written as UTF-8 cannot hold it."""
    half = {"a\ud800": "b"} if path == ("tools",) else {"a": "b\ud800"} if path[-1] == "spec" else "b\ud800"
    content = factory.sealed(put(document(), path, half), escaped=True)
    with pytest.raises(BundleError, match="which is half of a character"):
        from_bytes(content, PATH)


def test_a_repeated_key_is_a_change() -> None:
    content = to_bytes(complete_manifest(), PATH)
    twice = content.replace(b'\n  "sha256"', b'\n  "schema_version": 1,\n  "sha256"')
    with pytest.raises(BundleError, match="a key is repeated"):
        from_bytes(twice, PATH)


def all_fields(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of every field of every record in a manifest."""
    if hasattr(value, "_fields"):
        for name in value._fields:
            yield (*path, name)
            yield from all_fields(getattr(value, name), (*path, name))
    elif isinstance(value, dict | tuple):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from all_fields(item, (*path, key))


FIELDS = [path for path in all_fields(complete_manifest()) if path not in (("sha256",), ("schema_version",))]


def without(value: Any, path: tuple[Any, ...]) -> Any:
    value = copy.copy(value)
    if len(path) == 1:
        del value[path[0]]
    else:
        value[path[0]] = without(value[path[0]], path[1:])
    return value


def dotted(path: tuple[Any, ...]) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")


@pytest.mark.parametrize("path", FIELDS[:: max(1, len(FIELDS) // 60)], ids=dotted)
def test_a_missing_a_misspelt_and_a_mistyped_field_are_named(path: tuple[Any, ...]) -> None:
    for mutated, problem in (
        (without(document(), path), f"field {dotted(path)} is missing"),
        (put(document(), path, None), f"field {dotted(path)} is None"),
    ):
        with pytest.raises(BundleError) as caught:
            from_bytes(factory.sealed(mutated), PATH)
        assert problem in str(caught.value)


def test_an_unknown_field_is_named_with_those_that_are_known() -> None:
    mutated = put(document(), ("model",), {"name": "a", "spec": {}, "nmae": "b"})
    with pytest.raises(BundleError, match=r"field model\.nmae is unknown \(known here: name, spec\)"):
        from_bytes(factory.sealed(mutated), PATH)


@pytest.mark.parametrize(
    ("path", "new", "problem"),
    [
        (("precision_requested",), "fp61", "is 'fp61', expected one of fp32"),
        (("preprocessing", "input_dtype"), "float64", "expected one of float32, uint8"),
        (("graphs",), {}, "is empty"),
        (("graphs", "joint", "batch"), {"min": 2, "opt": 1, "max": 8}, "expected 1 <= min <= opt <= max"),
        (("graphs", "joint", "batch", "min"), 0, "expected 1 <= min <= opt <= max"),
        (("graphs", "joint", "batch", "max"), 10**9, "max 1000000000, expected 1 <= min <= opt <= max <= 65536"),
        (("graphs", "joint", "outputs"), [], "expected one or more"),
        (("graphs", "joint", "outputs", 0, "shape"), [6], "there are 5 neuron_ids"),
        (("graphs", "joint", "input", "shape"), [1, 32, 0], "is 0, expected 1 or more"),
        (("graphs", "joint", "input", "dtype"), "object", "is 'object', expected one of float32"),
        (("graphs", "joint", "file"), "graphs/other.onnx", "which is not listed in files"),
        (("graphs", "joint", "variants"), {"fp16": "x"}, "which is not listed in files"),
        (("graphs", "joint", "variants"), {"half": "golden.npz"}, "is 'half'"),
        (("graphs", "joint", "parity", 0, "output"), "respones", "expected one of responses"),
        (("graphs", "joint", "parity", 0, "relative_rms"), "small", "expected a number"),
        (("engines", 0, "graph"), "joints", "is 'joints'"),
        (("engines", 0, "flavour"), "trt", "expected one of tensorrt-rtx, tensorrt"),
        (("engines", 0, "file"), "engines/other", "which is not listed in files"),
        (("engines",), [document()["engines"][0]] * 2, "repeats the tensorrt-rtx joint fp16 engine"),
        (("golden", "file"), "gold.npz", "which is not listed in files"),
        (("golden", "images"), 0, "is 0, expected 1 or more"),
        (("files", "golden.npz", "sha256"), "AB" * 32, "is not 64 hexadecimal digits"),
        (("files", "golden.npz", "bytes"), -1, "expected 0 or more"),
        (("files", "golden.npz", "bytes"), 1.0, "expected a whole number"),
        (("checkpoint", "seed"), True, "expected a whole number"),
        (("neuron_ids",), "unit", "expected a list"),
        (("neuron_ids", 0), 3, "expected a text"),
    ],
)
def test_rules_name_the_field(path: tuple[Any, ...], new: Any, problem: str) -> None:
    with pytest.raises(BundleError) as caught:
        from_bytes(factory.sealed(put(document(), path, new)), PATH)
    assert problem in str(caught.value)
    assert str(path[0]) in str(caught.value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1: "a"}, {"a": {1, 2}}, b"bytes", "\ud800"])
def test_what_json_has_not_is_not_written(value: Any) -> None:
    manifest = complete_manifest()
    with pytest.raises(BundleError, match="cannot be written"):
        to_bytes(manifest._replace(checkpoint=manifest.checkpoint._replace(metrics={"x": value})), PATH)

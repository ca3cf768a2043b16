from __future__ import annotations

import dataclasses
import gc
import json
import math
from pathlib import Path

import pytest

from rnnx.bundle.config import InputConfig, ModelConfig, OutputConfig, TokenizerConfig
from rnnx.bundle.find_model import find_directory
from rnnx.strict_json import from_json, parse_json, to_json, to_json_bytes
from tests.bundles import CONFIG
from tests.make_bundles import BUNDLES


def test_a_config_is_read_back_as_it_was_written() -> None:
    assert from_json(ModelConfig, to_json(CONFIG)) == CONFIG
    bare = dataclasses.replace(CONFIG, tokenizer=None, training=None, opset=None)
    assert from_json(ModelConfig, to_json(bare)) == bare


TOKENIZER = TokenizerConfig(5, True, True, "batch", "left", "left")
OLD_TOKENIZER = {name: value for name, value in dataclasses.asdict(TOKENIZER).items() if name not in ("rule", "marks")}


def test_a_new_field_is_left_out_while_it_has_its_default() -> None:
    assert json.loads(to_json(TOKENIZER)) == OLD_TOKENIZER
    assert from_json(TokenizerConfig, json.dumps(OLD_TOKENIZER)) == TOKENIZER
    unicode = dataclasses.replace(TOKENIZER, rule="unicode-14")
    assert json.loads(to_json(unicode)) == {**OLD_TOKENIZER, "rule": "unicode-14"}
    with_marks = dataclasses.replace(unicode, marks=True)
    assert json.loads(to_json({"one": (with_marks,)})) == {
        "one": [{**OLD_TOKENIZER, "rule": "unicode-14", "marks": True}]
    }
    assert from_json(TokenizerConfig, to_json(with_marks)) == with_marks


@pytest.mark.parametrize(
    "path",
    [find_directory(name) for name in ("imdb", "imdb-article")] + [BUNDLES / "texts", BUNDLES / "words"],
    ids=str,
)
def test_a_config_of_an_earlier_version_is_written_again_byte_for_byte(path: Path) -> None:
    data = (path / "config.json").read_bytes()
    assert to_json(from_json(ModelConfig, data)).encode() == data


@pytest.mark.parametrize(
    ("path", "value", "reason"),
    [
        (("labels",), "neg,pos", "labels should be a list"),
        (("labels",), ["neg", 1], r"labels\[1\] should be of type str"),
        (("labels",), ["pos", "pos"], "two or more different names"),
        (("labels",), ["pos"], "two or more different names"),
        (("vocabulary_size",), True, "vocabulary_size should be of type int"),
        (("vocabulary_size",), 2, "vocabulary_size should be at least 4"),
        (("tokenizer", "padding_side"), "middle", "tokenizer.padding_side: 'middle' is none of"),
        (("tokenizer", "max_length"), 0, "tokenizer.max_length should be in"),
        (("training", "best_validation_accuracy"), "high", "best_validation_accuracy should be a number"),
        (("tools",), [], "tools should be an object"),
        (("name",), "../../escaped", "name should consist of letters"),
        (("labels",), ["a\x1b", "b"], "labels should be printable"),
        (("labels",), ["\u202eevitagen", "b"], r"'\\u202eevitagen' contains control characters"),
        (("labels",), ["a\tb", "b"], "contains control characters"),
        (("labels",), ["a" * 2000, "b"], "1 to 1000 characters, not 2000"),
        (("parameter_count",), 10**30, "a number of more than 64 bits"),
        (("output_size",), 3, "output_size 3 does not fit 2 labels"),
        (("format_version",), 2, "format_version 2 is not 1"),
        (("task",), "poetry", "'poetry' is none of"),
        (("colour",), "red", "unknown: colour"),
        (("tokenizer", "colour"), "red", "unknown: tokenizer.colour"),
        (("tokenizer", "rule"), "unicode-15", "tokenizer.rule: 'unicode-15' is none of 'bytes', 'unicode-14'"),
        (("tokenizer", "marks"), True, "tokenizer.marks is not supported by the rule bytes"),
    ],
)
def test_a_wrong_field_is_named(path: tuple[str, ...], value: object, reason: str) -> None:
    data = json.loads(to_json(CONFIG))
    target = data
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    with pytest.raises(ValueError, match=reason):
        from_json(ModelConfig, json.dumps(data))


IDS, X = InputConfig("ids", "ids", (None,), 9), InputConfig("x", "numbers", (None, 2), 0)
PROBS = OutputConfig("probs", (1,))


@pytest.mark.parametrize(
    ("inputs", "outputs", "reason"),
    [
        ((IDS, IDS), (), "have the same name"),
        ((), (PROBS, PROBS), "have the same name"),
        ((dataclasses.replace(IDS, size=0),), (), "the size of an input of ids should be at least 1"),
        ((dataclasses.replace(IDS, shape=()),), (), "should have a time axis"),
        ((dataclasses.replace(IDS, name="a\x1b[2J"),), (), "should have printable names"),
        ((dataclasses.replace(IDS, name=""),), (), "should have printable names"),
        ((dataclasses.replace(X, shape=(None, 0)),), (), "'x' has an unsupported shape"),
        ((dataclasses.replace(X, shape=(None, 1 << 40)),), (), "'x' has an unsupported shape"),
        ((IDS,), (PROBS, dataclasses.replace(PROBS, name="more")), "do not fit 2 labels"),
        ((IDS,), (OutputConfig("probs", (2,)),), "do not fit 2 labels"),
        ((IDS,), (OutputConfig("probs", (None, 1)),), "do not fit 2 labels"),
    ],
)
def test_invalid_inputs_and_outputs_are_refused(
    inputs: tuple[InputConfig, ...], outputs: tuple[OutputConfig, ...], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        dataclasses.replace(CONFIG, inputs=inputs, outputs=outputs)


def test_missing_fields_are_all_named() -> None:
    data = json.loads(to_json(CONFIG))
    del data["labels"], data["name"]
    with pytest.raises(ValueError, match="missing: labels, name"):
        from_json(ModelConfig, json.dumps(data))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"a": NaN}', "[" * 100_000, '{"a": 1e999}', '{"a": ' + "9" * 10_000 + "}"]
)
def test_invalid_json_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # json's own messages vary between Python versions
        from_json(ModelConfig, text)


@pytest.mark.parametrize(
    ("name", "indent"),
    [("golden.json", 1), ("parity.json", 1), ("history.json", 2), ("metrics.json", 2), ("evaluation.json", 2)],
)
def test_a_shipped_file_is_written_again_byte_for_byte(name: str, indent: int) -> None:
    data = (find_directory("imdb") / name).read_bytes()
    assert to_json_bytes(parse_json(data), indent=indent) == data


def test_the_collector_runs_again_after_a_document_is_parsed() -> None:
    """It looks for cycles, which takes most of the time of a long document, in which there are none."""
    collections: list[str] = []

    def note(phase: str, info: dict[str, int]) -> None:
        collections.append(phase)

    gc.collect()
    gc.callbacks.append(note)
    try:
        parse_json("[" + "[0]," * 50_000 + "0]")
        assert len(collections) < 10  # one begins when the document is there; else there would be a hundred
        with pytest.raises(ValueError, match="Expecting value"):
            parse_json("[[0],")
    finally:
        gc.callbacks.remove(note)
    assert gc.isenabled()


def test_nan_is_written_only_where_it_is_allowed() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        to_json_bytes([math.nan])
    assert to_json_bytes([math.nan], indent=None, allow_nan=True) == b"[NaN]\n"


TWO_TYPES = dataclasses.make_dataclass("TwoTypes", [("value", int | str)])


@pytest.mark.parametrize(
    "kind",
    [
        TWO_TYPES,
        dataclasses.make_dataclass("FixedLength", [("pair", tuple[int, str])]),
        dataclasses.make_dataclass("OtherKeys", [("counts", dict[int, str])]),
        dataclasses.make_dataclass("Nested", [("several", tuple[TWO_TYPES, ...])]),  # type: ignore[valid-type]
    ],
)
def test_an_unreadable_class_is_refused_for_any_data(kind: type) -> None:
    with pytest.raises(TypeError, match="cannot be read from JSON"):
        from_json(kind, "{}")

"""Tests the text form in an export: its answers, how it stores the embedding, and mutations that its proof finds."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import onnx
from onnx import numpy_helper

import rnnx
from rnnx.bundle.config import TextRuleName
from rnnx.bundle.directory import BATCH_NAME, TEXT_NAME, read_directory
from rnnx.errors import ModelError, ParityError
from rnnx.export import kinds
from rnnx.export.probes_of_texts import make_text_batches
from rnnx.export.prove_text import prove_text_form
from rnnx.export.source import Source, open_source
from rnnx.proof.report import ParityReport
from rnnx.reference import Embedding, Network, Node
from rnnx.rewrites.graph import Graph
from rnnx.runtime.session import Session
from rnnx.text.tokenizer import SPECIAL_TOKENS, Tokenizer, Vocabulary, to_batch
from rnnx.text_form.alphabet import END_OF_ROW
from rnnx.text_form.build import TextForm, build_text_form, can_read
from rnnx.text_form.storage import Storage, store
from tests.conversions import build_forms, export
from tests.texts import make_texts

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def tiny_source(tiny_run: Path) -> Source:
    return open_source(tiny_run)


def test_the_file_has_the_promised_names_and_versions(exported_run: Path) -> None:
    model = onnx.load_from_string((exported_run / TEXT_NAME).read_bytes())
    onnx.checker.check_model(model, full_check=True)
    (text,), (probs,) = model.graph.input, model.graph.output
    assert (text.name, text.type.tensor_type.elem_type) == ("text", onnx.TensorProto.UINT8)
    assert [dim.dim_param for dim in text.type.tensor_type.shape.dim] == ["batch", "bytes"]
    assert (probs.name, probs.type.tensor_type.elem_type) == ("probs", onnx.TensorProto.FLOAT)
    assert [dim.dim_param or dim.dim_value for dim in probs.type.tensor_type.shape.dim] == ["batch", 2]
    assert (model.ir_version, [(o.domain, o.version) for o in model.opset_import]) == (8, [("", 13)])
    assert json.loads(next(p.value for p in model.metadata_props if p.key == "rnnx"))["labels"] == ["neg", "pos"]
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
    # Other engines must be able to run it, so it has no recurrent operator with lengths and no operator on strings.
    assert not {node.op_type for node in model.graph.node} & {"RNN", "LabelEncoder", "StringSplit", "StringNormalizer"}


def test_the_text_form_is_proved_like_the_other_forms(exported_run: Path) -> None:
    runtimes = {
        r["runtime"].split(",")[0]: r for r in json.loads(read_directory(exported_run)["parity.json"])["runtimes"]
    }
    report = runtimes[TEXT_NAME]
    assert report["label_count"] > 0
    assert all(layer["ratio"] < 1 for layer in report["layers"])


def test_the_text_form_answers_as_the_predictor_does(exported_run: Path) -> None:
    """Storing an embedding in 16 bits changes it by at most 2^-11 of its size; these networks amplify that little."""
    texts = [text for text, _ in make_texts(40, 7)]
    predictions = rnnx.load(exported_run, device="cpu").predict(texts)
    (probs,) = Session((exported_run / TEXT_NAME).read_bytes(), device="cpu").run(to_batch(texts))
    expected = [[prediction.probs["neg"], prediction.probs["pos"]] for prediction in predictions]
    np.testing.assert_allclose(expected, probs, rtol=0, atol=0.01)


def test_golden_vectors_hold_the_answers_of_the_text_form(exported_run: Path) -> None:
    session = Session((exported_run / TEXT_NAME).read_bytes(), device="cpu")
    rows = json.loads((exported_run / "golden.json").read_bytes())
    for row in rows:
        text = bytes.fromhex(row["bytes"])
        assert text == row["text"].encode("utf-8", "surrogateescape")
        (probs,) = session.run(to_batch([text]))
        assert np.abs(np.array(row["text_probs"]) - probs[0]).max() <= row["tolerance"] < 0.01
    assert any(row["bytes"] == "" for row in rows)
    assert any(b"\xff" in bytes.fromhex(row["bytes"]) for row in rows)


@pytest.mark.parametrize(
    ("storage", "share", "largest"), [("f32", 1.0, 0.0), ("int16", 0.5, 2e-5), ("f16", 0.5, 2e-3), ("int8", 0.25, 2e-2)]
)
def test_each_storage_is_proved_against_the_stored_embedding(
    tiny_source: Source, storage: Storage, share: float, largest: float
) -> None:
    form = _build(tiny_source, storage)
    table, stored = _table(tiny_source.network), _table(form.network)
    assert np.abs(table - stored).max() <= largest * np.abs(table).max()
    assert (np.abs(table - stored).max() == 0) == (storage == "f32")
    tensors = [t for t in form.rewritten.model.graph.initializer if tuple(t.dims) == table.shape]
    assert sum(len(numpy_helper.to_array(t).tobytes()) for t in tensors) == int(table.size * 4 * share)
    for comparison in prove_text_form(TEXT_NAME, form, [b"the film was great"])[0]:
        assert comparison.report.passed
        assert all(way.passed for way in comparison.invariance)


def test_float16_refuses_an_embedding_that_is_too_large() -> None:
    table = np.full((4, 2), 1e5)
    network = Network([Node("embedding", Embedding(table, mask_zero=False), ("ids",))])
    graph = Graph(onnx.GraphProto())
    graph.add_constant("table", table.astype(np.float32))
    with pytest.raises(ModelError, match="too large for float16; export with --storage f32"):
        store(graph, network, "f16")


def test_a_vocabulary_with_a_very_long_word_has_no_text_form(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert can_read(Vocabulary((*SPECIAL_TOKENS, b"a" * 255)))
    assert not can_read(Vocabulary((*SPECIAL_TOKENS, b"a" * 256)))
    monkeypatch.setattr(kinds, "can_read", lambda vocabulary: False)
    stages: list[str] = []
    exported = export(tiny_run, tmp_path / "out", on_stage=stages.append)
    assert TEXT_NAME not in exported.sizes_bytes
    assert any(TEXT_NAME in stage and "255 bytes" in stage for stage in stages)


def test_probes_cover_every_word(tiny_source: Source) -> None:
    tokenizer = tiny_source.kind.require_tokenizer("tiny")
    batches = make_text_batches([b"a film"], tokenizer)
    seen = {int(i) for batch in batches for text in batch.values() for i in tokenizer.encode(text).ids}
    assert seen == set(range(1, len(tokenizer.vocabulary)))


def _build(source: Source, storage: Storage = "int16") -> TextForm:
    form = build_forms(source.model, source.network)[BATCH_NAME]
    return build_text_form(form, source.network, source.kind.require_tokenizer("tiny"), storage)


def _with_rule(source: Source, rule: TextRuleName) -> Source:
    kind = source.kind
    assert isinstance(kind, kinds.TextKind)
    config = dataclasses.replace(kind.tokenizer.config, rule=rule)
    tokenizer = Tokenizer(config, kind.tokenizer.vocabulary)
    return dataclasses.replace(source, kind=dataclasses.replace(kind, tokenizer=tokenizer))


def _table(network: Network) -> np.ndarray:
    return next(node.layer.table for node in network.nodes if isinstance(node.layer, Embedding))


def _change(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[onnx.ModelProto], None]:
    def mutate(model: onnx.ModelProto) -> None:
        tensor = next(tensor for tensor in model.graph.initializer if tensor.name.endswith(name))
        tensor.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(tensor).copy()), tensor.name))

    return mutate


def _swapped(array: np.ndarray) -> np.ndarray:
    array[[-1, -2]] = array[[-2, -1]]
    return array


def _one_off(array: np.ndarray) -> np.ndarray:
    array[-1] += 1
    return array


def _swap_labels(model: onnx.ModelProto) -> None:
    node = next(node for node in model.graph.node if node.output[0] == "probs")
    node.input[:] = list(reversed(node.input))


def _other_letter(text: np.ndarray) -> np.ndarray:
    at = bytes(text).rindex(b"\n") - 1  # the index of the last letter of the last word
    text[at] = ord("q")
    return text


MUTATIONS: dict[str, tuple[Callable[[onnx.ModelProto], None], str]] = {
    "a letter of the vocabulary": (_change("text.vocabulary", _other_letter), "ids differ"),
    "the length of a word": (_change("vocabulary_lengths_stored", _one_off), "ids differ"),
    "two slots": (_change("slots_stored", _swapped), "ids differ"),
    "two bytes of the table": (_change("letters_of_bytes", lambda a: a[::-1].copy()), "ids differ"),
    "two rows of the embedding": (_change(".int16_low", _swapped), "times the float32 rounding bound"),
    "one number of the embedding": (_change(".int16_high", lambda a: a // 2), "times the float32 rounding bound"),
    "the labels": (_swap_labels, "prob"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_the_proof_finds_a_mutation(name: str, tiny_source: Source) -> None:
    mutate, problem = MUTATIONS[name]
    form = _build(_with_rule(tiny_source, "bytes"))
    mutate(form.rewritten.model)
    ((comparison,), _) = prove_text_form(TEXT_NAME, form, [b"the film was great"])
    assert problem in ParityReport(1, 0, 20, (comparison.report,)).first_problem


def _most_frequent_swapped(symbols: np.ndarray) -> np.ndarray:
    """Exchanges the two symbols of characters that occur most often, but not the one that ends a row."""
    found, counts = np.unique(symbols[symbols > END_OF_ROW], return_counts=True)
    first, second = found[np.argsort(-counts)[:2]]
    return np.where(symbols == first, second, np.where(symbols == second, first, symbols))


# The bundle's words have no letters outside ASCII, so the probes alone find these.
UNICODE_MUTATIONS: dict[str, Callable[[onnx.ModelProto], None]] = {
    "a symbol of the vocabulary": _change("text.vocabulary_stored", lambda a: np.where(a == a[0], a[1], a)),
    "the length of a word": _change("vocabulary_lengths_stored", _one_off),
    "two slots": _change("slots_stored", _swapped),
    "the symbols of bytes": _change("byte_symbols_stored", lambda a: np.where(a == a[ord("a")], a[ord("t")], a)),
    "two blocks of characters": _change("blocks_stored_low", lambda a: np.where(a == a[0x1D400 // 32], a[-1], a)),
    "the symbols of characters": _change("block_symbols_stored", _most_frequent_swapped),
    "the bytes that a character takes": _change("taken_of_forms", lambda a: a // 2),
    "the weights of bytes": _change("weights_of_forms", lambda a: np.where(a == 64, 32, a)),
    "the divisors of bytes": _change("divisors_of_forms", lambda a: np.where(a == 16, 8, a)),
    "sequences that are too long": _change(
        "forms_of_classes_stored", lambda a: np.where(np.arange(len(a)) == 38, 2, a)
    ),
    "sequences of surrogates": _change("forms_of_classes_stored", lambda a: np.where(np.arange(len(a)) == 62, 0, a)),
}


@pytest.fixture(scope="module")
def unicode_source(tiny_source: Source) -> Source:
    return _with_rule(tiny_source, "unicode-14")


@pytest.mark.parametrize("rule", ["unicode-14", "unicode-14-marks"])
def test_a_text_form_with_a_rule_of_every_script_is_proved(rule: TextRuleName, tiny_source: Source) -> None:
    form = _build(_with_rule(tiny_source, rule))
    ((comparison,), _) = prove_text_form(TEXT_NAME, form, [b"the film was great", "it’s café".encode()])  # noqa: RUF001
    assert comparison.report.passed
    assert all(way.passed for way in comparison.invariance)


@pytest.mark.parametrize("name", UNICODE_MUTATIONS)
def test_the_proof_finds_a_mutation_in_the_rule_of_every_script(name: str, unicode_source: Source) -> None:
    form = _build(unicode_source)
    UNICODE_MUTATIONS[name](form.rewritten.model)
    ((comparison,), _) = prove_text_form(TEXT_NAME, form, [b"the film was great"])
    assert "ids differ" in ParityReport(1, 0, 20, (comparison.report,)).first_problem


def test_a_wrong_text_form_is_not_published(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def tampered(*args: Any) -> TextForm:
        form = build_text_form(*args)
        MUTATIONS["two slots"][0](form.rewritten.model)
        return form

    monkeypatch.setattr(kinds, "build_text_form", tampered)
    with pytest.raises(ParityError, match="ids differ"):
        export(tiny_run, tmp_path / "out")
    assert not (tmp_path / "out").exists()

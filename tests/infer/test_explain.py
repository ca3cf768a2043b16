"""Tests the explanation of a text by its words: for the shipped networks, and for one with three labels."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from rnnx.bundle.directory import MODEL_NAME, read_directory, write_directory
from rnnx.bundle.find_model import find_directory
from rnnx.errors import ModelError, UsageError
from rnnx.infer.explain import ExplainedWord, Explainer, Explanation, load_explainer
from rnnx.infer.predictions import Prediction
from rnnx.onnx_file.messages import parse_model, read_properties
from rnnx.proof.evidence_metadata import read_evidence
from rnnx.proof.recorded_reference import read_reference
from rnnx.reference import Network
from rnnx.rounding.decisions import decide
from rnnx.text.ids import read_id_encoder
from rnnx.text.tokenizer import SPECIAL_TOKENS, UNKNOWN_ID, Tokenizer

TEXT = b"A wonderful,<br /><br />GREAT film; qzxv. I never was bored: caf\xc3\xa9!"
UNKNOWN = b"qzxv"
SHIPPED = ("imdb", "imdb-article")


def explain(explainer: Explainer, text: bytes, label: str | None = None) -> Explanation:
    (prediction,) = explainer.predictor.predict([text])
    return explainer.explain(text, prediction, label)


def network_of(explainer: Explainer, path: Path) -> tuple[Network, Tokenizer]:
    directory = read_directory(path)
    model = parse_model(directory[MODEL_NAME])
    tokenizer = read_id_encoder(directory)
    assert isinstance(tokenizer, Tokenizer)
    return read_reference(read_evidence(read_properties(model), model), model), tokenizer


def bounds_of(network: Network, tokenizer: Tokenizer, text: bytes) -> float:
    """Returns how far float32 may be from the reference in a probability of the text."""
    return float(decide(network, tokenizer.pad([tokenizer.encode(text).ids]))["probs"].bounds.max())


@pytest.fixture(scope="module", params=SHIPPED)
def explainer(request: pytest.FixtureRequest) -> Explainer:
    return load_explainer(request.param)


def test_each_word_has_its_place_in_the_text(explainer: Explainer) -> None:
    words = explain(explainer, TEXT).words
    assert [word.word for word in words] == [
        "A",
        "wonderful",
        "GREAT",
        "film",
        "qzxv",
        "I",
        "never",
        "was",
        "bored",
        "café",
    ]
    assert [TEXT[word.start : word.end].decode() for word in words] == [word.word for word in words]
    assert next(word.word for word in words if not word.is_known) == UNKNOWN.decode()


def test_an_effect_is_the_change_of_the_answer_without_the_word(explainer: Explainer) -> None:
    """The word is replaced in the text itself, so the test does not depend on the ids."""
    found = explain(explainer, TEXT)
    network, tokenizer = network_of(explainer, find_directory(explainer.predictor.config.name))
    assert any(word.effect != 0 for word in found.words)
    assert found.label is not None
    for word in found.words:
        without = TEXT[: word.start] + UNKNOWN + TEXT[word.end :]
        (expected,) = explainer.predictor.predict([without])
        # Each of the four answers is within its bound of the reference, in any form and batch.
        bound = 2 * bounds_of(network, tokenizer, TEXT) + 2 * bounds_of(network, tokenizer, without)
        assert found.probability - expected.probs[found.label] == pytest.approx(word.effect, abs=bound)
        if not word.is_known:
            assert word.effect == 0


def test_an_effect_on_the_other_label_has_the_opposite_sign(explainer: Explainer) -> None:
    """With two labels, the probabilities sum to 1; each of the four is rounded once in float64."""
    pos, neg = explain(explainer, TEXT, "pos"), explain(explainer, TEXT, "neg")
    assert pos.prediction == neg.prediction
    assert pos.probability + neg.probability == pytest.approx(1, abs=1e-15)
    for for_pos, for_neg in zip(pos.words, neg.words, strict=True):
        assert for_pos.effect == pytest.approx(-for_neg.effect, abs=4e-16)
        assert for_pos.probability + for_neg.probability == pytest.approx(1, abs=4e-16)


def test_the_head_at_the_last_state_gives_the_answer_of_the_network() -> None:
    """The network of the article answers from its last state, and its padding is in front."""
    explainer = load_explainer("imdb-article")
    network, tokenizer = network_of(explainer, find_directory("imdb-article"))
    for text in (TEXT, b"bad", b"the " * 700 + b"worst"):
        found = explain(explainer, text, "pos")
        assert found.words[-1].probability == pytest.approx(found.probability, abs=bounds_of(network, tokenizer, text))
        (reference,) = network.predict(tokenizer.pad([tokenizer.encode(text).ids]))[0]
        assert found.words[-1].probability == pytest.approx(float(reference), abs=1e-14)


def test_only_the_words_that_are_read_are_explained(explainer: Explainer) -> None:
    most = explainer.predictor.config.tokenizer
    assert most is not None
    text = b"start " + b"the " * (most.max_length + 5) + b"awful end"
    found = explain(explainer, text)
    assert found.prediction.truncated
    assert len(found.words) == most.max_length
    assert found.first_number == 1 + found.prediction.tokens - most.max_length == 9
    assert [word.word for word in found.words[-2:]] == ["awful", "end"]
    assert found.words[-1].end == len(text)


@pytest.mark.parametrize("text", [b"", b"...", b"<br />"])
def test_a_text_without_words_has_nothing_to_explain(explainer: Explainer, text: bytes) -> None:
    found = explain(explainer, text)
    assert found.words == ()
    assert isinstance(found.prediction, Prediction)
    assert found.probability == found.prediction.probability
    assert found.strongest(3) == ()


def test_unknown_words_have_a_state_and_no_effect(explainer: Explainer) -> None:
    found = explain(explainer, b"qzxv vvqqz qzxv")
    assert found.known_count == 0
    assert [word.effect for word in found.words] == [0, 0, 0]
    assert all(0 < word.probability < 1 for word in found.words)


def test_bytes_that_are_not_utf8_become_lone_surrogates(explainer: Explainer) -> None:
    (word, _) = explain(explainer, b"caf\xe9 film").words
    is_known = explainer.predictor.config.name == "imdb"  # its rule reads the byte as Latin-1, so the word is "café"
    assert (word.word, word.start, word.end, word.is_known) == ("caf\udce9", 0, 4, is_known)


def test_the_strongest_words_for_and_against_a_label_come_first() -> None:
    def word(effect: float) -> ExplainedWord:
        return ExplainedWord(str(effect), 0, 0, True, 0.5, effect)

    (prediction,) = load_explainer("imdb").predictor.predict(["fine"])
    found = Explanation(prediction, "pos", tuple(map(word, (0.1, -0.3, 0.0, 0.2, -0.1))))
    assert [explained.effect for explained in found.strongest(5)] == [0.2, 0.1]
    assert [explained.effect for explained in found.strongest(1, against=True)] == [-0.3]


def test_a_model_that_does_not_label_texts_is_refused() -> None:
    with pytest.raises(UsageError, match="only a model that labels whole texts can be explained; pos tags words"):
        load_explainer("pos")
    config = dataclasses.replace(read_directory(find_directory("imdb")).config, tokenizer=None)
    directory = dataclasses.replace(read_directory(find_directory("imdb")), config=config)
    with pytest.raises(UsageError, match="imdb does not read texts"):
        Explainer(directory)


def test_an_unknown_label_is_refused(explainer: Explainer) -> None:
    with pytest.raises(UsageError, match="no label 'good'; the labels are neg, pos"):
        explain(explainer, TEXT, "good")


def test_a_training_run_is_refused(tmp_path: Path) -> None:
    original = read_directory(find_directory("imdb"))
    files = {name: data for name, data in original.files.items() if not name.endswith(".onnx")}
    config = dataclasses.replace(original.config, recurrent_units=None)  # only the export sets it
    write_directory(tmp_path / "m", config, {**files, "samples.json": b"[]"})
    with pytest.raises(ModelError, match=r"no model\.onnx: this is a training run; rnnx export"):
        load_explainer(tmp_path / "m")


WORDS = ("good", "bad", "odd", "film", "the", "a")
LABELS = ("no", "maybe", "yes")
READ = 6


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exports a network of three labels over the maximum and the mean of both directions; padding is at the end."""
    pytest.importorskip("tensorflow", reason="needs the [train] extra")
    import keras
    from keras import layers

    from rnnx.export.names import Names
    from rnnx.export.pipeline import export
    from rnnx.export.source import open_source

    folder = tmp_path_factory.mktemp("pooled")
    keras.utils.set_random_seed(5)
    ids = keras.Input((None,), dtype="int32")
    x = layers.Embedding(len(SPECIAL_TOKENS) + len(WORDS), 4)(ids)
    x = layers.Bidirectional(layers.SimpleRNN(3, return_sequences=True), name="both")(x)
    x = layers.Concatenate()([layers.GlobalMaxPooling1D()(x), layers.GlobalAveragePooling1D()(x)])
    keras.Model(ids, layers.Dense(3, activation="softmax", kernel_initializer="normal")(x)).save(folder / "m.keras")
    vocabulary = b"\n".join((*SPECIAL_TOKENS, *(word.encode() for word in WORDS)))
    names = Names(vocabulary, LABELS, READ + 1, padding_side="right", truncation_side="right")
    export(open_source(folder / "m.keras", names), folder / "bundle")
    return folder / "bundle"


@pytest.mark.train
def test_a_pooled_network_with_padding_at_the_end_is_explained(pooled: Path) -> None:
    explainer = load_explainer(pooled)
    network, tokenizer = network_of(explainer, pooled)
    for text in (b"good odd the film", b"a bad qzx film the good odd odd odd"):
        found = explain(explainer, text, "maybe")
        assert [word.word for word in found.words] == text.decode().split()[:READ]
        assert found.first_number == 1
        row = tokenizer.pad([tokenizer.encode(text).ids])
        # The head at one position: both states there, once in place of the maximum and once in place of the mean.
        tensors = network.forward(row)
        (both,) = (n for n in network.nodes if n.name == "both")
        states = tensors[both.name].values[0, 1 : 1 + len(found.words)]
        logits = network.nodes[-1].layer.logits(np.concatenate([states, states], axis=-1))  # type: ignore[union-attr]
        powers = np.exp(logits)
        expected = (powers / powers.sum(axis=-1, keepdims=True))[:, 1]
        np.testing.assert_allclose(expected, [word.probability for word in found.words], rtol=0, atol=1e-14)
        for i, word in enumerate(found.words, 1):
            changed = row.copy()
            changed[0, i] = UNKNOWN_ID
            given = [float(decide(network, ids)["probs"].bounds.max()) for ids in (row, changed)]
            expected_effect = network.predict(row)[0, 1] - network.predict(changed)[0, 1]
            assert expected_effect == pytest.approx(word.effect, abs=sum(given))


@pytest.mark.train
def test_a_network_that_pools_in_pairs_is_refused_with_the_layer(tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="needs the [train] extra")
    import keras
    from keras import layers

    from rnnx.export.names import Names
    from rnnx.export.pipeline import export
    from rnnx.export.source import open_source

    ids = keras.Input((None,), dtype="int32")
    x = layers.Embedding(len(SPECIAL_TOKENS) + len(WORDS), 4)(ids)
    x = layers.SimpleRNN(3, return_sequences=True)(x)
    x = layers.GlobalMaxPooling1D()(layers.MaxPooling1D(2, padding="same", name="pairs")(x))
    keras.Model(ids, layers.Dense(1, activation="sigmoid")(x)).save(tmp_path / "m.keras")
    vocabulary = b"\n".join((*SPECIAL_TOKENS, *(word.encode() for word in WORDS)))
    export(open_source(tmp_path / "m.keras", Names(vocabulary, ("no", "yes"), 8)), tmp_path / "bundle")
    with pytest.raises(ModelError, match="cannot be read position by position: layer pairs: a Pooling1D of several"):
        load_explainer(tmp_path / "bundle")

"""What is said of the words of a text, beside the answers of the network: the shipped ones, and one of three labels."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from rnnx.bundle.directory import MODEL_NAME, find_directory, read_directory, write_directory
from rnnx.errors import ModelError, UsageError
from rnnx.infer.explain import ExplainedWord, Explainer, Explanation, load_explainer
from rnnx.onnx_file.messages import parse_model, read_properties
from rnnx.proof.evidence import read_evidence, read_reference
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
    """How far float32 may be from the reference in a probability of a text."""
    return float(decide(network, tokenizer.pad([tokenizer.encode(text).ids]))["probs"].bounds.max())


@pytest.fixture(scope="module", params=SHIPPED)
def explainer(request: pytest.FixtureRequest) -> Explainer:
    return load_explainer(request.param)


def test_words_stand_where_they_stand_in_the_text(explainer: Explainer) -> None:
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


def test_an_effect_is_what_the_model_says_less_without_the_word(explainer: Explainer) -> None:
    """The word is put out of the text itself: the ids, and the way to them, are the model's own affair here."""
    found = explain(explainer, TEXT)
    network, tokenizer = network_of(explainer, find_directory(explainer.predictor.config.name))
    assert any(word.effect != 0 for word in found.words)
    for word in found.words:
        without = TEXT[: word.start] + UNKNOWN + TEXT[word.end :]
        (expected,) = explainer.predictor.predict([without])
        # Each of the four answers is as far as this from the reference at most, whatever form and batch it ran in.
        bound = 2 * bounds_of(network, tokenizer, TEXT) + 2 * bounds_of(network, tokenizer, without)
        assert found.probability - expected.probs[found.label] == pytest.approx(word.effect, abs=bound)
        if not word.is_known:
            assert word.effect == 0


def test_another_label_sees_the_opposite(explainer: Explainer) -> None:
    """With two labels the probabilities sum to 1, in float64; each of the four is rounded to its last place."""
    pos, neg = explain(explainer, TEXT, "pos"), explain(explainer, TEXT, "neg")
    assert pos.prediction == neg.prediction
    assert pos.probability + neg.probability == pytest.approx(1, abs=1e-15)
    for one, other in zip(pos.words, neg.words, strict=True):
        assert one.effect == pytest.approx(-other.effect, abs=4e-16)
        assert one.probability + other.probability == pytest.approx(1, abs=4e-16)


def test_the_head_says_at_the_last_state_what_the_network_says() -> None:
    """The article's network answers from its last state; its padding stands in front."""
    explainer = load_explainer("imdb-article")
    network, tokenizer = network_of(explainer, find_directory("imdb-article"))
    for text in (TEXT, b"bad", b"the " * 700 + b"worst"):
        found = explain(explainer, text, "pos")
        assert found.words[-1].probability == pytest.approx(found.probability, abs=bounds_of(network, tokenizer, text))
        (reference,) = network.predict(tokenizer.pad([tokenizer.encode(text).ids]))[0]
        assert found.words[-1].probability == pytest.approx(float(reference), abs=1e-14)


def test_a_long_text_is_explained_as_far_as_it_is_read(explainer: Explainer) -> None:
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
    assert found.probability == found.prediction.probability
    assert found.strongest(3) == ()


def test_unknown_words_have_a_state_and_no_effect(explainer: Explainer) -> None:
    found = explain(explainer, b"qzxv vvqqz qzxv")
    assert found.known_count == 0
    assert [word.effect for word in found.words] == [0, 0, 0]
    assert all(0 < word.probability < 1 for word in found.words)


def test_bytes_that_are_not_utf8_are_lone_surrogates(explainer: Explainer) -> None:
    (word, _) = explain(explainer, b"caf\xe9 film").words
    assert (word.word, word.start, word.end, word.is_known) == ("caf\udce9", 0, 4, False)


def test_the_strongest_come_first_and_each_on_its_side() -> None:
    def word(effect: float) -> ExplainedWord:
        return ExplainedWord(str(effect), 0, 0, True, 0.5, effect)

    (prediction,) = load_explainer("imdb").predictor.predict(["fine"])
    found = Explanation(prediction, "pos", tuple(map(word, (0.1, -0.3, 0.0, 0.2, -0.1))))
    assert [one.effect for one in found.strongest(5)] == [0.2, 0.1]
    assert [one.effect for one in found.strongest(1, against=True)] == [-0.3]


def test_what_gives_no_label_to_a_text_is_refused() -> None:
    with pytest.raises(UsageError, match="only a model that labels whole texts can be explained; pos tags words"):
        load_explainer("pos")
    config = dataclasses.replace(read_directory(find_directory("imdb")).config, tokenizer=None)
    directory = dataclasses.replace(read_directory(find_directory("imdb")), config=config)
    with pytest.raises(UsageError, match="imdb does not read texts"):
        Explainer(directory)


def test_an_unknown_label_is_refused(explainer: Explainer) -> None:
    with pytest.raises(UsageError, match="no label 'good'; the labels are neg, pos"):
        explain(explainer, TEXT, "good")


def test_a_run_is_not_a_bundle(tmp_path: Path) -> None:
    original = read_directory(find_directory("imdb"))
    files = {name: data for name, data in original.files.items() if not name.endswith(".onnx")}
    config = dataclasses.replace(original.config, recurrent_units=None)  # the export's own finding
    write_directory(tmp_path / "m", config, {**files, "samples.json": b"[]"})
    with pytest.raises(ModelError, match=r"no model\.onnx: this is a training run; rnnx export"):
        load_explainer(tmp_path / "m")


WORDS = ("good", "bad", "odd", "film", "the", "a")
LABELS = ("no", "maybe", "yes")
READ = 6


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three labels by a softmax over the maximum and the mean of both directions; the first words, padded behind."""
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
def test_padding_behind_and_three_labels(pooled: Path) -> None:
    explainer = load_explainer(pooled)
    network, tokenizer = network_of(explainer, pooled)
    for text in (b"good odd the film", b"a bad qzx film the good odd odd odd"):
        found = explain(explainer, text, "maybe")
        assert [word.word for word in found.words] == text.decode().split()[:READ]
        assert found.first_number == 1
        row = tokenizer.pad([tokenizer.encode(text).ids])
        # The head at a position, written out: both states there, once for the maximum and once for the mean.
        tensors = network.forward(row)
        (both,) = (n for n in network.nodes if n.name == "both")
        states = tensors[both.name].values[0, 1 : 1 + len(found.words)]
        logits = network.nodes[-1].layer.logits(np.concatenate([states, states], axis=-1))  # type: ignore[union-attr]
        powers = np.exp(logits)
        expected = (powers / powers.sum(axis=-1, keepdims=True))[:, 1]
        np.testing.assert_allclose(expected, [word.probability for word in found.words], rtol=0, atol=1e-14)
        for i, word in enumerate(found.words, 1):
            other = row.copy()
            other[0, i] = UNKNOWN_ID
            given = [float(decide(network, ids)["probs"].bounds.max()) for ids in (row, other)]
            expected_effect = network.predict(row)[0, 1] - network.predict(other)[0, 1]
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

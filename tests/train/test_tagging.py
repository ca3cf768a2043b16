from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras

from rnnx.bundle.directory import read_directory
from rnnx.bundle.samples import tagged_samples_from_json
from rnnx.cli import run
from rnnx.datasets import Dataset, TaggedDataset
from rnnx.errors import DataError, UsageError
from rnnx.text.ids import read_id_encoder
from rnnx.text.tokenizer import SPECIAL_TOKENS
from rnnx.text.word_encoder import WordEncoder
from rnnx.text.word_vocabulary import VocabularySize, WordVocabulary
from rnnx.train.batches import Batches, WordSource
from rnnx.train.fit import Observer
from rnnx.train.recipes import DEFAULT, TAGGER, TaggerRecipe
from rnnx.train.run import make_task, train
from rnnx.train.tagging import WordAccuracy
from tests.texts import make_texts
from tests.treebank import make_sentences, write_treebank

pytestmark = pytest.mark.train

DATA = TaggedDataset.from_parts("own-ud", make_sentences(160, 1), make_sentences(40, 2), make_sentences(30, 3))


def tiny_tagger() -> TaggerRecipe:
    """Returns the shipped recipe with its own network, but for a small vocabulary and a few epochs."""
    return dataclasses.replace(
        TAGGER,
        vocabulary_size=VocabularySize(words=30, features=200, least_word_count=1, least_feature_count=1),
        epochs=6,
        batch_size=16,
    )


@pytest.fixture(scope="module")
def tagger_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out: Path = tmp_path_factory.mktemp("runs") / "tagger"
    train(DATA, tiny_tagger(), out, seed=3, observer=Observer())
    return out


def load(path: Path) -> tuple[keras.Model, WordEncoder]:
    encoder = read_id_encoder(read_directory(path))
    assert isinstance(encoder, WordEncoder)
    return keras.saving.load_model(path / "model.keras", compile=False, safe_mode=True), encoder


def test_a_run_holds_the_results_of_the_training(tagger_run: Path) -> None:
    run_ = read_directory(tagger_run)
    config = run_.config
    assert (config.name, config.task, config.tokenizer) == ("own-ud-tagger", "tagging", None)
    assert config.labels == ("ADJ", "DET", "NOUN", "PUNCT", "VERB")
    assert config.output_size == 5
    assert config.words == TAGGER.words
    assert config.training is not None
    assert (config.training.train_count, config.training.validation_count) == (160, 40)
    assert [epoch["epoch"] for epoch in json.loads(run_["history.json"])] == [1, 2, 3, 4, 5, 6]
    assert run_["curves.png"].startswith(b"\x89PNG")
    samples = tagged_samples_from_json(run_["samples.json"])
    assert DATA.validation is not None
    assert {sample.words for sample in samples} <= set(DATA.validation.sentences)
    assert {tag for sample in samples for tag in sample.tags} <= set(config.labels)
    assert all(0 < probability <= 1 for sample in samples for probability in sample.probabilities)


def test_accuracy_counts_words_and_not_padding(tagger_run: Path) -> None:
    model, encoder = load(tagger_run)
    assert DATA.validation is not None
    right = [
        (model.predict_on_batch(tuple(encoder.pad([encoder.encode(words)])))[0].argmax(axis=-1) == tag_ids)
        for words, tag_ids in zip(DATA.validation.sentences, DATA.validation.tag_ids, strict=True)
    ]
    metrics = json.loads(read_directory(tagger_run)["metrics.json"])
    expected = np.concatenate(right).mean()  # each sentence is predicted alone, without padding
    assert metrics["validation_accuracy"] == pytest.approx(expected, abs=1e-6)  # Keras computes the accuracy in float32


def test_a_word_counts_the_same_in_a_short_and_in_a_long_batch() -> None:
    metric = WordAccuracy()
    for right, count, time in ((1, 1, 1), (0, 3, 10)):
        probs = np.zeros((1, time, 2), np.float32)
        probs[..., right] = 1
        metric.update_state(np.ones((1, time), np.int32), probs, (np.arange(time) < count)[None].astype(np.float32))
    assert float(metric.result()) == 0.25


def test_padding_does_not_change_the_answer_for_a_word(tagger_run: Path) -> None:
    model, encoder = load(tagger_run)
    sentences = [sentence.words for sentence in make_sentences(20, 8)]
    assert len({len(words) for words in sentences}) > 3
    together = model.predict_on_batch(tuple(encoder.pad([encoder.encode(words) for words in sentences])))
    for words, probs in zip(sentences, together, strict=True):
        alone = model.predict_on_batch(tuple(encoder.pad([encoder.encode(words)])))[0]
        # Matrix products of two shapes may add in different orders in float32.
        np.testing.assert_allclose(probs[: len(words)], alone, rtol=0, atol=1e-5)
        longer = encoder.pad([encoder.encode([*words, b"the", b"cat"])])
        ids, features = (part.copy() for part in longer)
        ids[:, len(words) :] = 0  # only the words determine the mask, not the features
        masked = model.predict_on_batch((ids, features))[0]
        np.testing.assert_allclose(masked[: len(words)], alone, rtol=0, atol=1e-5)


def test_an_answer_depends_on_both_neighbours(tagger_run: Path) -> None:
    model, encoder = load(tagger_run)

    def middle(words: list[bytes]) -> np.ndarray:
        probs = model.predict_on_batch(tuple(encoder.pad([encoder.encode(words)])))
        return np.asarray(probs[0, 1])

    plain = middle([b"the", b"cat", b"walked"])
    assert np.abs(middle([b"walked", b"cat", b"walked"]) - plain).max() > 1e-4
    assert np.abs(middle([b"the", b"cat", b"."]) - plain).max() > 1e-4


def test_the_network_has_only_simple_kinds_of_layers() -> None:
    model = tiny_tagger().build(30, 100, 5)
    assert [(spec.name, spec.shape[1:]) for spec in model.inputs] == [("ids", (None,)), ("features", (None, 8))]
    assert model.output_shape == (None, None, 5)
    kinds = {type(layer).__name__ for layer in model.layers}
    allowed = {"InputLayer", "Embedding", "Reshape", "Concatenate", "Dropout", "Bidirectional", "Dense"}
    assert kinds <= allowed
    recurrent = [layer for layer in model.layers if isinstance(layer, keras.layers.Bidirectional)]
    assert {type(half).__name__ for layer in recurrent for half in (layer.forward_layer, layer.backward_layer)} == {
        "SimpleRNN"
    }


def test_the_tagger_learns_and_tags_unknown_words_by_their_endings(tagger_run: Path) -> None:
    metrics = json.loads(read_directory(tagger_run)["metrics.json"])
    assert metrics["validation_accuracy"] >= 0.95
    model, encoder = load(tagger_run)
    words = [b"the", b"boatful", b"glipper", b"shouted", b"."]
    assert encoder.encode(words).ids[1:4].tolist() == [2, 2, 2]
    probs = model.predict_on_batch(tuple(encoder.pad([encoder.encode(words)])))[0]
    assert [DATA.labels[i] for i in probs.argmax(axis=-1)] == ["DET", "ADJ", "NOUN", "VERB", "PUNCT"]


def test_the_same_seed_gives_the_same_run(tmp_path: Path) -> None:
    files = []
    for name in ("a", "b"):
        train(DATA, tiny_tagger(), tmp_path / name, epochs=1, seed=5, observer=Observer())
        files.append([read_directory(tmp_path / name)[file] for file in ("history.json", "vocabulary.txt")])
    assert files[0] == files[1]


def test_without_a_validation_file_some_sentences_are_held_out() -> None:
    task = make_task(dataclasses.replace(DATA, validation=None), tiny_tagger(), 5)
    assert task.counts == (128, 32)
    assert [len(part.lengths) for part in task.parts] == [128, 32]


def test_a_long_sentence_is_trained_in_pieces() -> None:
    recipe = tiny_tagger()
    task = make_task(DATA, dataclasses.replace(recipe, words=dataclasses.replace(recipe.words, max_length=3)), 5)
    assert max(task.parts[0].lengths) == 3
    assert sum(task.parts[0].lengths) == DATA.train.count_words()


def test_batches_of_words_carry_their_tags_and_weights() -> None:
    recipe = tiny_tagger()
    rows = [sentence.words for sentence in make_sentences(50, 4)]
    vocabulary_words = sorted({word.lower() for words in rows for word in words})
    encoder = WordEncoder(recipe.words, WordVocabulary((*SPECIAL_TOKENS, *vocabulary_words)))
    encoded = [encoder.encode(words) for words in rows]
    batches = Batches(WordSource(encoded, [row.ids for row in encoded], encoder), batch_size=8, by_length=True, seed=3)
    count = 0
    for (ids, features), tag_ids, weights in batches.as_tf().as_numpy_iterator():
        assert features.shape == (*ids.shape, 8)
        np.testing.assert_array_equal(ids, tag_ids)  # in this data, the tag of a word is its own id
        np.testing.assert_array_equal(weights, ids != 0)
        count += int(weights.sum())
    assert count == sum(map(len, rows))


def test_data_of_the_other_kind_is_refused(tmp_path: Path) -> None:
    texts = Dataset.from_pairs("t", make_texts(20, 1))
    with pytest.raises(
        UsageError, match=r"own-ud holds sentences with a tag for each word \(\.conllu, \.conll\); use --recipe tagger"
    ):
        train(DATA, DEFAULT, tmp_path / "run", observer=Observer())
    with pytest.raises(UsageError, match="t holds texts with a label each; use --recipe default"):
        train(texts, tiny_tagger(), tmp_path / "run", observer=Observer())
    single = TaggedDataset.from_parts(
        "s", [dataclasses.replace(s, tags=("X",) * len(s.tags)) for s in make_sentences(9, 1)]
    )
    with pytest.raises(DataError, match=r"one tag \('X'\) for all words"):
        train(single, tiny_tagger(), tmp_path / "run", observer=Observer())


def test_a_treebank_trains_from_the_command_line(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = write_treebank(tmp_path, (60, 20, 10))
    assert run(["train", str(path), "--out", str(tmp_path / "run"), "--epochs", "1", "--json"]) == 0
    captured = capfd.readouterr()
    assert json.loads(captured.out)["epoch"] == 1
    assert "own-ud: 60 sentences of " in captured.err
    assert read_directory(tmp_path / "run").config.task == "tagging"
    assert run(["train", str(path), "--recipe", "article"]) == 2
    (tmp_path / "bad.conllu").write_text("1\tgo\n", encoding="utf-8")
    assert run(["train", str(tmp_path / "bad.conllu"), "--out", str(tmp_path / "other")]) == 1
    assert "bad.conllu:1: should have 10 columns" in capfd.readouterr().err

"""Tests the linear part of a network of texts: what it computes, when it is added, and that it survives a crash."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import onnxruntime

import rnnx
from rnnx.bundle.directory import METRICS_NAME, VOCABULARY_NAME, read_directory
from rnnx.card.card import write_card
from rnnx.datasets import Dataset, load_any
from rnnx.export.pipeline import export
from rnnx.infer.explain import load_explainer
from rnnx.text.rules import find_rule
from rnnx.text.tokenizer import Tokenizer, Vocabulary, to_batch
from rnnx.train import linear_part, word_votes
from rnnx.train.fit import Fit, Observer, fit
from rnnx.train.linear_part import add_votes
from rnnx.train.networks import default_network
from rnnx.train.recipes import LinearSettings, TextRecipe
from rnnx.train.run import make_task, train
from rnnx.train.task import Preparation, StageProgress
from tests.texts import make_texts, tiny_recipe
from tests.trainings import DeathError, assert_same_run, dying

pytestmark = pytest.mark.train

UNIT_ROUNDOFF = 2.0**-24


def slow_recipe(**changes: Any) -> TextRecipe:
    """A recipe whose network learns next to nothing in its single epoch."""
    recipe = dataclasses.replace(tiny_recipe("default"), **changes)
    return dataclasses.replace(recipe, epochs=1, batch_size=64, optimizer=lambda steps: keras.optimizers.SGD(1e-3))


@pytest.fixture(scope="module")
def reviews() -> Dataset:
    return Dataset.from_pairs("reviews", make_texts(1_000, 1))


@pytest.fixture(scope="module")
def whole(reviews: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Fit]:
    """Trains without an interruption; the run is read only."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    return out, train(reviews, slow_recipe(), out, seed=3, observer=Observer())


def make_tokenizer(run: Path) -> Tokenizer:
    directory = read_directory(run)
    config = directory.config.tokenizer
    assert config is not None
    return Tokenizer(config, Vocabulary.from_bytes(directory[VOCABULARY_NAME], find_rule(config)))


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_votes_of_the_words_are_added_to_the_logits(outputs: int) -> None:
    keras.utils.set_random_seed(1)
    activation = "sigmoid" if outputs == 1 else "softmax"
    model = default_network(7, outputs, activation)
    rng = np.random.default_rng(2)
    votes, bias = rng.normal(0, 3, (7, outputs)).astype(np.float32), rng.normal(0, 1, outputs).astype(np.float32)
    votes[:3] = 0
    extended = add_votes(model, votes, bias, share=0.5)
    rows = [[1, 3, 6, 6], [1, 2, 4, 2], [1]]
    ids = np.array([[0] * (6 - len(row)) + row for row in rows], np.int32)

    def logits(probs: Any) -> Any:
        probs = np.asarray(probs, np.float64)
        return np.log(probs / (1 - probs)) if outputs == 1 else np.log(probs) - np.log(probs).mean(1, keepdims=True)

    added = np.array([votes[row].sum(axis=0) / np.sqrt(len(row)) + bias for row in rows], np.float64)
    added -= 0 if outputs == 1 else added.mean(axis=1, keepdims=True)
    actual = logits(extended.predict_on_batch(ids))
    assert actual == pytest.approx(logits(model.predict_on_batch(ids)) / 2 + added, abs=256 * UNIT_ROUNDOFF * 8)
    copied = keras.Model.from_config(extended.get_config())
    copied.set_weights(extended.get_weights())
    assert copied.predict_on_batch(ids).tobytes() == extended.predict_on_batch(ids).tobytes()


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_votes_of_pairs_are_added_to_the_logits(outputs: int) -> None:
    """Padding adds nothing, at the beginning or at the end, and a text of one word has no pair."""
    keras.utils.set_random_seed(1)
    model = default_network(7, outputs, "sigmoid")
    rng = np.random.default_rng(2)
    first, second = rng.normal(0, 1, (7, 2)), rng.normal(0, 1, (7, outputs, 2))
    first[[0, 2]] = second[[0, 2]] = 0
    votes, bias = np.zeros((7, outputs), np.float32), np.zeros(outputs, np.float32)
    pairs = first.astype(np.float32), second.reshape(7, -1).astype(np.float32)
    extended = add_votes(model, votes, bias, pairs=pairs)
    rows = [[1, 3, 6, 6], [1, 2, 4, 2], [1]]
    ids = np.array([[0] * (5 - len(row)) + row + [0] for row in rows], np.int32)
    probs = [np.asarray(each.predict_on_batch(ids), np.float64) for each in (model, extended)]
    before, after = (np.log(each / (1 - each)) for each in probs)
    expected = word_votes.PairVotes(first, second).logits([np.array(row, np.int32) for row in rows])
    assert after - before == pytest.approx(expected, abs=256 * UNIT_ROUNDOFF * 8)


@pytest.mark.slow
def test_where_words_are_characters_pairs_have_votes(tmp_path: Path) -> None:
    """Each label has the same characters, in another order."""
    rng = np.random.default_rng(3)
    pairs = [pair.encode() for pair in ("好不", "不好", "不不")]
    pool = [character.encode() for character in "我们去吃饭了今天来"]
    rows = [
        (b"".join([*rng.choice(pool, 5), *[pairs[i % 3], *rng.choice(pool, 2)] * 2]), f"l{i % 3}") for i in range(1_200)
    ]
    fitted = train(Dataset.from_pairs("short", rows), slow_recipe(), tmp_path / "run", seed=3, observer=Observer())
    part = fitted.additions["linear_part"]
    assert part["is_used"]
    assert part["has_pairs"]
    assert part["validation_with"] > 0.95
    assert part["validation_macro_f1_with"] > 0.95
    export(tmp_path / "run", tmp_path / "bundle")
    explainer = load_explainer(tmp_path / "bundle", device="cpu")
    text = "我们不好了"
    (prediction,) = explainer.predictor.predict([text])
    assert prediction.label == "l1"
    effects = {word.word: word.effect for word in explainer.explain(text.encode(), prediction, "l1").words}
    assert effects["好"] > effects["们"]
    explainer.predictor.predict(["", "好", text * 400])


def test_a_network_that_has_learned_nothing_gets_it(whole: tuple[Path, Fit]) -> None:
    run, fitted = whole
    part = json.loads(read_directory(run)[METRICS_NAME])["linear_part"]
    assert part == fitted.additions["linear_part"]
    assert part["is_used"]
    assert part["validation_without"] < 0.7
    assert part["validation_with"] > 0.9
    assert fitted.held_out is not None
    assert fitted.held_out.accuracy > 0.9
    assert {"embedding", "votes"} <= {layer.name for layer in fitted.model.layers}
    assert not np.asarray(fitted.model.get_layer("votes").embeddings)[:3].any()
    directory = read_directory(run)
    card = write_card(directory.config, directory.files)
    assert (
        f"their accuracy is {part['validation_with']:.4f} with it, and {part['validation_without']:.4f} without" in card
    )


@pytest.mark.slow
def test_it_is_exported_with_its_text_form_and_explained(whole: tuple[Path, Fit], tmp_path: Path) -> None:
    run, fitted = whole
    export(run, tmp_path / "bundle")
    texts = [b"a wonderful film", b"the plot was dull, awful and wooden", b"zebra", b""]
    tokenizer = make_tokenizer(run)
    ids = tokenizer.pad([tokenizer.encode(text).ids for text in texts])
    expected = np.asarray(fitted.model.predict_on_batch(ids))[:, 0]
    predictor = rnnx.load(tmp_path / "bundle")
    actual = [prediction.probs["pos"] for prediction in predictor.predict([text.decode() for text in texts])]
    assert actual == pytest.approx(expected, abs=1e-5)
    session = onnxruntime.InferenceSession(tmp_path / "bundle" / "model.text.onnx", providers=["CPUExecutionProvider"])
    (of_text,) = session.run(None, {session.get_inputs()[0].name: to_batch(texts)})
    assert of_text[:, 1] == pytest.approx(actual, abs=1e-5)
    explainer = load_explainer(tmp_path / "bundle", device="cpu")
    text = b"the film was wonderful and the plot awful zebra"
    (prediction,) = explainer.predictor.predict([text.decode()])
    words = explainer.explain(text, prediction, "pos").words
    assert max(words, key=lambda word: abs(word.effect)).word in ("wonderful", "awful")
    assert not words[-1].is_known


def test_it_is_left_out_where_it_does_not_help(reviews: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Votes for the other label can only do harm."""

    def fit_wrongly(counts: Any, features: Any, targets: Any, weights: Any, **options: Any) -> word_votes.Votes:
        return real(counts, features, 1 - targets, weights, **options)

    real = word_votes.fit_votes
    monkeypatch.setattr(word_votes, "fit_votes", fit_wrongly)
    recipe = dataclasses.replace(slow_recipe(), optimizer=tiny_recipe("default").optimizer)
    fitted = fit(make_task(reviews, recipe, 3), seed=3, observer=Observer())
    part = fitted.additions["linear_part"]
    assert part["validation_without"] > 0.7, "the network has learned something"
    assert not part["is_used"]
    assert "votes" not in {layer.name for layer in fitted.model.layers}


def test_crashes_do_not_change_the_run_and_it_is_fitted_once(
    reviews: Dataset, whole: tuple[Path, Fit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training dies after its epoch, in the linear part, and when only the run is left to be written."""
    asked: list[int] = []

    def count(*arguments: Any, **options: Any) -> word_votes.Votes:
        asked.append(1)
        return fit_votes(*arguments, **options)

    def die(*arguments: Any, **options: Any) -> None:
        raise DeathError

    fit_votes = word_votes.fit_votes
    out = tmp_path / "run"
    for place, name, observer in (
        (word_votes, "to_probs", dying(1, None)),
        (word_votes, "fit_votes", Observer()),
        (linear_part, "add_votes", Observer()),
    ):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(word_votes, "fit_votes", count)
            patch.setattr(place, name, die)
            with pytest.raises(DeathError):
                train(reviews, slow_recipe(), out, seed=3, observer=observer)
    monkeypatch.setattr(word_votes, "fit_votes", count)
    train(reviews, slow_recipe(), out, seed=3, observer=Observer())
    assert asked == [1], "it is taken from the checkpoint"
    assert_same_run(whole[0], out)


def test_several_labels_get_it_too(tmp_path: Path) -> None:
    table = tmp_path / "labels.jsonl"
    with table.open("w", encoding="utf-8") as file:
        for text, label in make_texts(1_000, 4):
            labels = [label, *(["film"] if b"film" in text else [])]
            file.write(json.dumps({"text": text.decode(), "labels": labels}) + "\n")
    fitted = fit(make_task(load_any(str(table), "multilabel"), slow_recipe(), 3), seed=3, observer=Observer())
    part = fitted.additions["linear_part"]
    assert part["is_used"]
    assert part["validation_with"] > part["validation_without"] + 0.1
    assert fitted.model.get_layer("votes").output_dim == 3


def test_weights_of_labels_count_in_it(reviews: Dataset) -> None:
    few = [(text, label) for i, (text, label) in enumerate(make_texts(2_000, 1)) if label == "neg" or i % 8 == 1]
    fitted = fit(
        make_task(Dataset.from_pairs("few", few), slow_recipe(class_weights="balanced"), 3),
        seed=3,
        observer=Observer(),
    )
    part = fitted.additions["linear_part"]
    assert part["validation_without"] == pytest.approx(0.5, abs=0.2), "always the same label is right for half"
    assert part["validation_with"] > 0.9


@pytest.mark.parametrize(
    ("changes", "is_left_out"),
    [
        ({"linear": None}, True),
        ({"linear": LinearSettings(least_held_out=101)}, True),
        ({"linear": LinearSettings(least_held_out=100)}, False),
    ],
)
def test_few_held_out_texts_decide_nothing(reviews: Dataset, changes: dict[str, Any], is_left_out: bool) -> None:
    task = make_task(reviews, dataclasses.replace(slow_recipe(), **changes), 3)
    assert (task.extend is None) == is_left_out


def test_a_teacher_takes_its_place(reviews: Dataset) -> None:
    unlabelled = dataclasses.replace(reviews, unlabelled=[b"a film"])
    assert make_task(unlabelled, slow_recipe(), 3).extend is None
    assert make_task(reviews, dataclasses.replace(tiny_recipe("article")), 3).extend is None


@pytest.mark.parametrize(("most_weights", "ngrams"), [(23, None), (24, [False]), (1_000, [True])])
def test_its_size_is_limited(
    reviews: Dataset, most_weights: int, ngrams: list[bool] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First the n-grams are left out, and then the whole; the vocabulary has 24 tokens."""
    recipe = slow_recipe(linear=LinearSettings(most_weights=most_weights))
    task = make_task(reviews, recipe, 3)
    assert task.extend is not None
    keras.utils.set_random_seed(3)
    model = default_network(24, 1, "sigmoid")
    sizes: list[bool] = []

    def note(counts: Any, features: Any, *arguments: Any, **options: Any) -> word_votes.Votes:
        sizes.append(features.shape[1] > 24)
        return real(counts, features, *arguments, **options)

    real = word_votes.fit_votes
    monkeypatch.setattr(word_votes, "fit_votes", note)

    def on_stage(progress: StageProgress) -> None:
        pass

    extended = task.extend(model, Preparation(3, None, on_stage))
    assert (sizes or None) == ngrams
    assert bool(extended.figures) == (ngrams is not None)


def test_of_very_long_data_every_nth_text_is_read(reviews: Dataset) -> None:
    task = make_task(reviews, slow_recipe(), 3)
    words = sum(task.parts[0].lengths)
    part = linear_part._take(task.parts[0], 1, is_balanced=False, settings=LinearSettings(most_words=words // 2))
    assert len(part.rows) == len(part.targets) == len(part.weights) == 300
    everything = linear_part._take(task.parts[0], 1, is_balanced=False, settings=LinearSettings())
    assert len(everything.rows) == 900
    assert [row.tolist() for row in part.rows] == [row.tolist() for row in everything.rows[::3]]

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras

from rnnx.datasets import Dataset
from rnnx.text.character_ngrams import NgramTable
from rnnx.train.fit import Observer, fit
from rnnx.train.recipes import DEFAULT, TextRecipe
from rnnx.train.run import make_task
from rnnx.train.subwords import SubwordEmbedding, add_ngrams, fold_ngrams
from rnnx.train.task import Task
from tests.texts import tiny_recipe

pytestmark = pytest.mark.train

# The n-grams 1 and 2 are in words 3 and 4, and 2 in word 5 as well.
TABLE = NgramTable(np.array([[0, 0], [0, 0], [0, 0], [1, 2], [1, 2], [2, 0]], np.int32), 2)


def make_texts(task_recipe: TextRecipe, *, is_short: bool = True) -> Task:
    """Makes the task of telling forms of `freund` from forms of `feind`; each form is in one text."""
    endings = ("", "e", "en", "es", "in", "innen", "lich", "liche", "lichen", "schaft")
    pairs = [(f"das {stem}{end}".encode(), stem) for stem in ("freund", "feind") for end in endings]
    dataset = Dataset.from_pairs("forms", pairs if is_short else pairs * 3)
    return make_task(dataset, task_recipe, 0)


def test_a_vector_is_the_sum_of_the_word_and_its_ngrams() -> None:
    keras.utils.set_random_seed(1)
    model = add_ngrams(DEFAULT.build(6, 1, "sigmoid"), TABLE)
    layer = model.get_layer("embedding")
    own, ngrams = np.asarray(layer.embeddings), np.asarray(layer.ngrams)
    ids = np.array([[0, 2, 3], [5, 4, 3]], np.int32)
    actual = np.asarray(layer(ids))
    assert actual[0, 1] == pytest.approx(own[2])
    assert actual[0, 2] == pytest.approx(own[3] + (ngrams[1] + ngrams[2]) / np.sqrt(2), abs=1e-6)
    assert actual[1, 0] == pytest.approx(own[5] + ngrams[2], abs=1e-6)
    assert actual == pytest.approx(layer.vectors()[ids], abs=1e-6)


def test_the_folded_network_has_a_plain_embedding_and_answers_the_same() -> None:
    keras.utils.set_random_seed(1)
    model = add_ngrams(DEFAULT.build(6, 1, "sigmoid"), TABLE)
    folded = fold_ngrams(model)
    assert type(folded.get_layer("embedding")) is keras.layers.Embedding
    assert not any(isinstance(layer, SubwordEmbedding) for layer in folded.layers)
    ids = np.array([[0, 3, 5, 1], [4, 4, 2, 3]], np.int32)
    expected, actual = (np.asarray(network.predict_on_batch(ids)) for network in (model, folded))
    assert actual == pytest.approx(expected, abs=1e-6)


def test_a_training_keeps_a_plain_network_in_which_forms_of_a_word_are_alike() -> None:
    recipe = dataclasses.replace(tiny_recipe("default"), vocabulary_size=100)
    likeness = {}
    for name, subwords in (("plain", None), ("shared", recipe.subwords)):
        task = make_texts(dataclasses.replace(recipe, subwords=subwords))
        fitted = fit(task, seed=0, observer=Observer())
        layer = fitted.model.get_layer("embedding")
        assert type(layer) is keras.layers.Embedding
        assert task.vocabulary is not None
        words = task.vocabulary.split(b"\n")[:-1]
        vectors = np.asarray(layer.embeddings)[[i for i, word in enumerate(words) if word.startswith(b"freund")]]
        directions = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        likeness[name] = float((directions @ directions.T).mean())
    assert likeness["shared"] > likeness["plain"] + 0.2


def test_ngrams_are_left_out_where_they_do_not_help() -> None:
    recipe = tiny_recipe("default")
    assert recipe.subwords is not None
    settings = dataclasses.replace(recipe.subwords, most_training_words=60)
    short, long = (
        make_texts(dataclasses.replace(recipe, subwords=settings), is_short=is_short) for is_short in (True, False)
    )
    plain = make_texts(dataclasses.replace(recipe, subwords=None))
    layers = [type(task.build().get_layer("embedding")) for task in (short, long, plain)]
    assert layers == [SubwordEmbedding, keras.layers.Embedding, keras.layers.Embedding]

"""Lets rare words of small training data learn from words that share their character n-grams. Imports TensorFlow.

In the training, the vector of a word is its own row e_w plus the rows g_n of its n-grams: e_w + sum_n g_n / sqrt(N),
where N is their number. The vocabulary is fixed, so at the end every sum is stored as an ordinary row. The network that
a run keeps, and the exported file, have a plain embedding and know nothing of n-grams.

Source: Bojanowski et al., Enriching Word Vectors with Subword Information, TACL 5, 2017.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import layers

from rnnx.text.character_ngrams import NgramTable, find_ngrams
from rnnx.text.tokenizer import TokenList
from rnnx.train.recipes import TextRecipe
from rnnx.train.task import Task


def with_subwords(task: Task) -> Task:
    """Returns a task whose words share n-grams in the training.

    Args:
        task: A task of texts. It is returned as it is if its recipe uses no n-grams, the start weights of the words
            come from elsewhere, the training texts are long, or no two words have an n-gram in common.
    """
    settings = task.recipe.subwords if isinstance(task.recipe, TextRecipe) else None
    if settings is None or task.prepare is not None or task.vocabulary is None:
        return task
    if sum(task.parts[0].lengths) > settings.most_training_words:
        return task
    table = find_ngrams(TokenList.from_bytes(task.vocabulary).tokens, settings)
    if not table.count:
        return task
    return dataclasses.replace(
        task, build=lambda: add_ngrams(task.build(), table), finish=lambda model: task.finish(fold_ngrams(model))
    )


class SubwordEmbedding(layers.Embedding):  # type: ignore[misc]  # keras ships no types
    """An embedding that adds the vectors of a word's n-grams to that of the word."""

    def __init__(self, input_dim: int, output_dim: int, *, ngram_count: int, most_ngrams: int, **options: Any) -> None:
        """Sets up the layer.

        Args:
            input_dim: The number of words.
            output_dim: The numbers in a vector.
            ngram_count: The number of different n-grams.
            most_ngrams: The most n-grams of a word.
            options: Those of an Embedding.
        """
        super().__init__(input_dim, output_dim, **options)
        self.ngram_count, self.most_ngrams = ngram_count, most_ngrams

    def build(self, input_shape: Any = None) -> None:
        """Makes the weights: the words' vectors, the n-grams' vectors, and the n-grams of each word, all 0 at first."""
        super().build(input_shape)
        shape = (self.ngram_count + 1, self.output_dim)
        self.ngrams = self.add_weight(shape=shape, initializer=self.embeddings_initializer, name="ngrams")
        self.table = self.add_weight(
            shape=(self.input_dim, self.most_ngrams), initializer="zeros", dtype="int32", trainable=False, name="table"
        )

    def call(self, inputs: Any) -> Any:
        """Computes the vectors `(batch, time, output_dim)` of ids `(batch, time)`; of each different word once."""
        words, places = tf.unique(tf.reshape(inputs, [-1]))
        rows = tf.gather(tf.convert_to_tensor(self.table), words)
        is_ngram = tf.cast(rows > 0, self.compute_dtype)
        count = tf.maximum(tf.reduce_sum(is_ngram, axis=1, keepdims=True), 1.0)
        summed = tf.einsum("wnd,wn->wd", tf.gather(tf.convert_to_tensor(self.ngrams), rows), is_ngram)
        vectors = tf.gather(tf.convert_to_tensor(self.embeddings), words) + summed / tf.sqrt(count)
        return tf.reshape(tf.gather(vectors, places), tf.concat([tf.shape(inputs), [self.output_dim]], axis=0))

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        return {**super().get_config(), "ngram_count": self.ngram_count, "most_ngrams": self.most_ngrams}

    def vectors(self) -> npt.NDArray[np.float32]:
        """The vector of every word, `(words, output_dim)`, summed in float64 and rounded once."""
        own, ngrams = (np.asarray(weight, np.float64) for weight in (self.embeddings, self.ngrams))
        rows = np.asarray(self.table)
        ngrams[0] = 0
        summed = np.zeros_like(own)
        for column in rows.T:
            summed += ngrams[column]
        count = np.maximum((rows > 0).sum(axis=1, keepdims=True), 1)
        return np.asarray(own + summed / np.sqrt(count), np.float32)


def add_ngrams(model: keras.Model, table: NgramTable) -> keras.Model:
    """Copies a new network, with n-grams added to the embedding of its words.

    Args:
        model: The network. It is returned as it is if it has no such embedding, or several.
        table: The n-grams of its words.
    """
    sizes = {layer.name: layer.input_dim for layer in model.layers if isinstance(layer, layers.Embedding)}
    names = [name for name, size in sizes.items() if size == len(table.rows)]
    if len(names) != 1:
        return model

    def clone(layer: keras.Layer) -> keras.Layer:
        if layer.name != names[0]:
            return type(layer).from_config(layer.get_config())
        numbers = {"ngram_count": table.count, "most_ngrams": table.rows.shape[1]}
        return SubwordEmbedding.from_config({**layer.get_config(), **numbers})

    shared = keras.models.clone_model(model, clone_function=clone)
    shared.get_layer(names[0]).table.assign(table.rows)
    return shared


def fold_ngrams(model: keras.Model) -> keras.Model:
    """Copies a trained network, with a plain embedding that holds the sums.

    Args:
        model: A network that `add_ngrams` made. One without n-grams is returned as it is.
    """
    if not any(isinstance(layer, SubwordEmbedding) for layer in model.layers):
        return model

    def clone(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if not isinstance(layer, SubwordEmbedding):
            return type(layer).from_config(config)
        plain = {name: value for name, value in config.items() if name not in ("ngram_count", "most_ngrams")}
        return layers.Embedding.from_config(plain)

    folded = keras.models.clone_model(model, clone_function=clone)
    for target, source in zip(folded.layers, model.layers, strict=True):
        is_shared = isinstance(source, SubwordEmbedding)
        target.set_weights([source.vectors()] if is_shared else source.get_weights())
    return folded

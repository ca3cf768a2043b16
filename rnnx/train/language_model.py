"""Pretrains the article's network as a language model: every position has an output, whose target is the next word.

A forward and a backward recurrence read the same embedding. The state at each position predicts the word that comes
next in its direction. That needs no labels, so unlabelled texts are as useful as labelled ones. The embedding and both
recurrences are then the start weights of a classifier.

The softmax runs over the right word and a few hundred drawn words, which are the same for all positions of a batch, and
is corrected for how often each word is drawn. Over the whole vocabulary it would cost a hundred times as much. Imports
TensorFlow.

Source: Dai and Le, Semi-supervised Sequence Learning, NIPS 2015 (the use); Bengio and Senecal, Adaptive Importance
Sampling to Accelerate Training of a Neural Probabilistic Language Model, 2008 (the softmax); Mikolov et al.,
Distributed Representations of Words and Phrases and their Compositionality, NIPS 2013 (drawing by count ** 0.75).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from keras import layers

from rnnx.text.tokenizer import START_ID, UNKNOWN_ID, Ids, Tokenizer
from rnnx.train.batches import Batches, TextSource
from rnnx.train.fast_rnn import hasten
from rnnx.train.networks import CELLS, Cell
from rnnx.train.pace import Pace
from rnnx.train.saved_state import pack, unpack
from rnnx.train.task import Preparation, StageProgress

Weights: TypeAlias = list[npt.NDArray[np.float32]]

_STAGE, _NAME = "language-model", "pretraining as a language model"
_BATCH_SIZE = 64
_DRAWN_COUNT = 512
_DRAWING_POWER = 0.75
_LEARNING_RATE = 3e-3
_START_SCALE = 0.7  # of the orthogonal start weights of the recurrences: states fade, gradients do not explode
_WARM_UP_BATCHES = 3
_SHORTEST = 3  # the start and two words; with nothing to predict in a direction, a batch's mean would be 0 / 0


def pretrain(
    rows: Sequence[Ids],
    tokenizer: Tokenizer,
    *,
    units: int,
    epochs: int,
    preparation: Preparation,
    cell: Cell = "simple",
) -> Weights:
    """Trains the language model.

    Args:
        rows: Encoded texts, `(length,)` each, without padding; texts of less than two words are skipped.
        tokenizer: The tokenizer that encoded them; it must pad in front.
        units: The units of each direction, and the width of the embedding.
        epochs: Passes over the texts.
        preparation: The seed, the checkpoint that complete epochs are saved in, and the observer.
        cell: The kind of both recurrences.

    Returns:
        The embedding `(vocabulary, units)`, then kernel, recurrent kernel and bias of the forward and of the backward
        recurrence, in Keras's order.
    """
    counts = np.bincount(np.concatenate(rows), minlength=len(tokenizer.vocabulary))
    model = LanguageModel(len(tokenizer.vocabulary), units, counts, preparation.seed, cell)
    rows = [row for row in rows if len(row) >= _SHORTEST]
    if not rows:
        return [np.array(variable) for variable in model.body.trainable_variables]
    source = TextSource(rows, np.zeros(len(rows), np.int32), tokenizer)
    batches = Batches(source, batch_size=_BATCH_SIZE, by_length=True, seed=preparation.seed)
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(_LEARNING_RATE, epochs * len(batches)), clipnorm=1.0
    )
    optimizer.build(model.variables)
    step = _compile(model, optimizer)
    done = _resume(model, optimizer, preparation)
    pace = Pace({"train": sum(sum(batches.steps(epoch)) for epoch in range(done + 1, epochs + 1))})
    for epoch in range(done + 1, epochs + 1):
        rng = np.random.default_rng((preparation.seed, epoch))
        for i, ((ids, _), work) in enumerate(zip(batches.epoch(epoch), batches.steps(epoch), strict=True)):
            began = time.perf_counter()
            step(tf.constant(ids), tf.constant(model.draw(rng)))
            pace.add("train", work, time.perf_counter() - began if i >= _WARM_UP_BATCHES else None)
            at = (epoch - 1) * len(batches) + i + 1
            after = pace.seconds_for(preparation.work_after)
            preparation.on_stage(StageProgress(_NAME, at, epochs * len(batches), pace.seconds_left, after))
        if preparation.checkpoint:
            arrays = pack("network", [np.array(v) for v in model.variables])
            arrays |= pack("optimizer", [np.array(v) for v in optimizer.variables])
            preparation.checkpoint.save(_STAGE, epoch, arrays, None)
    return [np.array(variable) for variable in model.body.trainable_variables]


class LanguageModel:
    """A language model in both directions with a sampled softmax.

    Attributes:
        body: The network from ids `(batch, time)` to the states of both directions `(batch, time, 2 * units)`.
        variables: All variables that are learned, in a fixed order.
    """

    def __init__(
        self, vocabulary_size: int, units: int, counts: npt.NDArray[np.int64], seed: int, cell: Cell = "simple"
    ) -> None:
        """Draws the start weights.

        Args:
            vocabulary_size: The number of ids.
            units: The units of each direction, and the width of the embedding.
            counts: `(vocabulary,)` how often each id occurs in the texts.
            seed: The seed of the start weights.
            cell: The kind of both recurrences.
        """
        self._units = units
        start = keras.initializers.Orthogonal(_START_SCALE, seed=seed)
        ids = keras.Input((None,), dtype="int32")
        embedding = layers.Embedding(
            vocabulary_size, units, mask_zero=True, embeddings_initializer=keras.initializers.RandomUniform(seed=seed)
        )
        recurrence = CELLS[cell](
            units,
            return_sequences=True,
            kernel_initializer=keras.initializers.GlorotUniform(seed=seed),
            recurrent_initializer=start,
        )
        body = keras.Model(ids, layers.Bidirectional(recurrence)(embedding(ids)))
        self.body = hasten(body)
        self._embedding = self.body.trainable_variables[0]
        self._projections = [keras.Variable(np.eye(units, dtype=np.float32)) for _ in range(2)]
        self._bias = keras.Variable(np.zeros(vocabulary_size, np.float32))
        self.variables = [*self.body.trainable_variables, *self._projections, self._bias]
        weights = counts.astype(np.float64) ** _DRAWING_POWER
        weights[:UNKNOWN_ID] = 0  # padding and the start are never predicted
        self._drawing = np.cumsum(weights / max(weights.sum(), 1.0))
        expected = _DRAWN_COUNT * np.diff(self._drawing, prepend=0.0)
        self._log_expected = tf.constant(np.log(expected + 1e-12), tf.float32)

    def draw(self, rng: np.random.Generator) -> npt.NDArray[np.int32]:
        """Draws the words that the right word is distinguished from at all positions of a batch, `(drawn,)` ids."""
        drawn = np.searchsorted(self._drawing, rng.random(_DRAWN_COUNT), side="right")
        return np.clip(drawn, UNKNOWN_ID, len(self._drawing) - 1).astype(np.int32)

    def loss(self, ids: Any, drawn: Any) -> Any:
        """Computes the mean cross entropy of both directions, in nats, over the positions that have a next word.

        The value is only good for training. A frequent word is drawn several times and counts as often among the wrong
        words, but once where it is right, so the value is higher than the cross entropy over all words.

        Args:
            ids: `(batch, time)`, with zeros in front.
            drawn: `(drawn,)` ids from `draw`.
        """
        states = self.body(ids, training=True)
        forward, backward = states[:, :-1, : self._units], states[:, 1:, self._units :]
        before, after = ids[:, :-1], ids[:, 1:]
        of_next = self._cross_entropy(forward, after, before > 0, drawn, self._projections[0])
        of_previous = self._cross_entropy(backward, before, before > START_ID, drawn, self._projections[1])
        return (of_next + of_previous) / 2

    def _cross_entropy(self, states: Any, targets: Any, has_target: Any, drawn: Any, projection: Any) -> Any:
        rows = tf.matmul(tf.boolean_mask(states, has_target), projection.value)
        words = tf.boolean_mask(targets, has_target)
        right = tf.reduce_sum(rows * tf.gather(self._embedding.value, words), -1) + self._offset(words)
        others = tf.matmul(rows, tf.gather(self._embedding.value, drawn), transpose_b=True) + self._offset(drawn)
        others = tf.where(words[:, None] == drawn[None], -1e9, others)  # a drawn word may be the right one
        whole = tf.reduce_logsumexp(tf.concat([right[:, None], others], 1), 1)
        return tf.reduce_mean(whole - right)

    def _offset(self, words: Any) -> Any:
        return tf.gather(self._bias.value, words) - tf.gather(self._log_expected, words)


def _compile(model: LanguageModel, optimizer: keras.optimizers.Optimizer) -> Any:
    @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]  # tensorflow ships no types
    def step(ids: Any, drawn: Any) -> None:
        with tf.GradientTape() as tape:
            loss = model.loss(ids, drawn)
        optimizer.apply(tape.gradient(loss, [variable.value for variable in model.variables]), model.variables)

    return step


def _resume(model: LanguageModel, optimizer: keras.optimizers.Optimizer, preparation: Preparation) -> int:
    """Restores the state that an earlier process saved, and returns the number of complete epochs."""
    state = preparation.checkpoint.load(_STAGE) if preparation.checkpoint else None
    if state is None:
        return 0
    for kind, variables in (("network", model.variables), ("optimizer", optimizer.variables)):
        for variable, array in zip(variables, unpack(kind, state.arrays), strict=True):
            variable.assign(array)
    return state.epoch

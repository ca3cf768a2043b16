"""Makes shuffled, padded batches of encoded examples; the same seed gives the same batches. Imports TensorFlow."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from rnnx.text.tokenizer import Ids, Tokenizer
from rnnx.text.word_encoder import WordEncoder, WordIds

# Batches of similar length are cut from shuffled pools of this many batches. That needs little padding and keeps the
# order random.
_POOL_BATCHES = 50

# As Keras expects it: (inputs, targets), or (inputs, targets, weights).
Batch = tuple[Any, ...]


class BatchSource(Protocol):
    """Encoded examples that can be stacked into a batch."""

    @property
    def lengths(self) -> Sequence[int]:
        """The number of steps that the network takes over each example."""

    @property
    def signature(self) -> Any:
        """The tensor specs of what `stack` returns; sizes that vary between batches are None."""

    def stack(self, chosen: npt.NDArray[np.intp]) -> Batch:
        """Pads the chosen examples into one batch with as many steps as the longest example has, at least one.

        Args:
            chosen: `(batch,)` indices of examples.
        """


@dataclass(frozen=True)
class TextSource:
    """Texts with a label each. A batch is ids `(batch, time)` int32 and label ids `(batch, 1)` int32."""

    rows: Sequence[Ids]
    label_ids: npt.NDArray[np.int32]
    tokenizer: Tokenizer

    @property
    def lengths(self) -> Sequence[int]:
        """The number of tokens of each text, or the common length if all texts are padded to one."""
        config = self.tokenizer.config
        return [config.max_length if config.pad_to == "max_length" else len(row) for row in self.rows]

    @property
    def signature(self) -> Any:
        """The specs of the ids and the label ids."""
        return tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None, 1), tf.int32)

    def stack(self, chosen: npt.NDArray[np.intp]) -> Batch:
        """Pads the chosen texts as the tokenizer's config says."""
        return self.tokenizer.pad([self.rows[i] for i in chosen]), self.label_ids[chosen, None]


@dataclass(frozen=True)
class SoftTextSource:
    """Texts with a probability for each label, both the labelled texts and those that a teacher judged.

    Attributes:
        texts: The encoded texts; their label ids are ignored.
        probs: `(texts, labels)` float32; `(texts, 1)` for two labels, the probability of the second one.
    """

    texts: TextSource
    probs: npt.NDArray[np.float32]

    @property
    def lengths(self) -> Sequence[int]:
        """The number of tokens of each text."""
        return self.texts.lengths

    @property
    def signature(self) -> Any:
        """The specs of the ids and the probabilities."""
        return self.texts.signature[0], tf.TensorSpec((None, self.probs.shape[1]), tf.float32)

    def stack(self, chosen: npt.NDArray[np.intp]) -> Batch:
        """Pads the chosen texts as the tokenizer's config says."""
        return self.texts.stack(chosen)[0], self.probs[chosen]


@dataclass(frozen=True)
class WordSource:
    """Sentences with a tag for each word.

    A batch is the inputs (ids `(batch, time)` and features `(batch, time, slots)`), tag ids `(batch, time)`, all int32,
    and weights `(batch, time)` float32: 1 for a word, 0 for padding.
    """

    rows: Sequence[WordIds]
    tag_ids: Sequence[Ids]
    encoder: WordEncoder

    @property
    def lengths(self) -> Sequence[int]:
        """The number of words of each sentence."""
        return [len(row.ids) for row in self.rows]

    @property
    def signature(self) -> Any:
        """The specs of the two inputs, the tag ids and the weights."""
        slots = len(self.encoder.config.features)
        inputs = tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None, None, slots), tf.int32)
        return inputs, tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None, None), tf.float32)

    def stack(self, chosen: npt.NDArray[np.intp]) -> Batch:
        """Pads the chosen sentences at the end."""
        inputs = self.encoder.pad([self.rows[i] for i in chosen])
        tag_ids, weights = np.zeros(inputs.ids.shape, np.int32), np.zeros(inputs.ids.shape, np.float32)
        for row, i in enumerate(chosen):
            tag_ids[row, : len(self.tag_ids[i])] = self.tag_ids[i]
            weights[row, : len(self.tag_ids[i])] = 1
        return tuple(inputs), tag_ids, weights


@dataclass(frozen=True)
class SeriesSource:
    """Sequences of numbers with a label or values each.

    A batch is the inputs (numbers `(batch, time, features)` float32 and present `(batch, time)` bool, False for
    padding) and the targets: label ids `(batch, 1)` int32, or values `(batch, outputs)` float32.
    """

    rows: Sequence[npt.NDArray[np.float32]]
    targets: npt.NDArray[np.int32] | npt.NDArray[np.float32]

    @property
    def lengths(self) -> Sequence[int]:
        """The number of steps of each sequence."""
        return [len(row) for row in self.rows]

    @property
    def signature(self) -> Any:
        """The specs of the two inputs and the targets."""
        numbers = tf.TensorSpec((None, None, self.rows[0].shape[1]), tf.float32)
        targets = tf.TensorSpec((None, self.targets.shape[1]), tf.as_dtype(self.targets.dtype))
        return (numbers, tf.TensorSpec((None, None), tf.bool)), targets

    def stack(self, chosen: npt.NDArray[np.intp]) -> Batch:
        """Pads the chosen sequences at the end."""
        rows = [self.rows[i] for i in chosen]
        numbers = np.zeros((len(rows), max(1, *map(len, rows)), rows[0].shape[1]), np.float32)
        present = np.zeros(numbers.shape[:2], np.bool_)
        for i, row in enumerate(rows):
            numbers[i, : len(row)], present[i, : len(row)] = row, True
        return (numbers, present), self.targets[chosen]


@dataclass(frozen=True)
class WeightedSource:
    """Examples whose loss is multiplied by a weight each.

    Attributes:
        source: The examples; their batches have no weights yet.
        weights: `(count,)` float32.
    """

    source: BatchSource
    weights: npt.NDArray[np.float32]

    @property
    def lengths(self) -> Sequence[int]:
        """The number of steps of each example."""
        return self.source.lengths

    @property
    def signature(self) -> Any:
        """The specs of the examples and the weights."""
        return (*self.source.signature, tf.TensorSpec((None,), tf.float32))

    def stack(self, chosen: npt.NDArray[np.intp]) -> Batch:
        """Pads the chosen examples as their source does."""
        return (*self.source.stack(chosen), self.weights[chosen])


class Batches:
    """Batches of a source. Their order depends on the seed and the epoch only, so a resumed training draws the same."""

    def __init__(self, source: BatchSource, *, batch_size: int, by_length: bool, seed: int | None) -> None:
        """Sets up the batches; nothing is stacked yet.

        Args:
            source: The examples.
            batch_size: Examples per batch; the last batch may have fewer.
            by_length: Whether a batch holds examples of similar length.
            seed: Of the order; None keeps the order of the source (for validation), or sorts by length if `by_length`.
        """
        self._source = source
        self._batch_size, self._by_length, self._seed = batch_size, by_length, seed
        self._lengths = np.array(source.lengths)

    def __len__(self) -> int:
        return math.ceil(len(self._lengths) / self._batch_size)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yields the batches of an epoch.

        Args:
            epoch: The number of the epoch, from 1.
        """
        return (self._source.stack(chosen) for chosen in self._order(epoch))

    def steps(self, epoch: int) -> list[int]:
        """The cost of each batch of an epoch: the steps that the network takes, with padding, times the rows."""
        return [len(chosen) * self._time(chosen) for chosen in self._order(epoch)]

    def as_tf(self, epochs: Sequence[int] = (1,)) -> tf.data.Dataset:
        """Some epochs, one after the other, as a data set for Keras.

        The shapes are declared, because Keras would otherwise infer fixed ones from the first two batches.
        """
        data = tf.data.Dataset.from_generator(
            lambda: itertools.chain.from_iterable(map(self.epoch, epochs)), output_signature=self._source.signature
        )
        return data.apply(tf.data.experimental.assert_cardinality(len(self) * len(epochs))).prefetch(2)

    def _time(self, chosen: npt.NDArray[np.intp]) -> int:
        return max(int(self._lengths[chosen].max()), 1)

    def _order(self, epoch: int) -> list[npt.NDArray[np.intp]]:
        size = self._batch_size
        rng = None if self._seed is None else np.random.default_rng((self._seed, epoch))
        order = np.arange(len(self._lengths)) if rng is None else rng.permutation(len(self._lengths))
        if self._by_length:
            pool = size * _POOL_BATCHES if rng is not None else max(len(order), 1)
            pools = (order[start : start + pool] for start in range(0, len(order), pool))
            order = np.concatenate([chunk[np.argsort(self._lengths[chunk], kind="stable")] for chunk in pools])
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        if self._by_length and rng is not None:
            batches = [batches[i] for i in rng.permutation(len(batches))]
        return batches

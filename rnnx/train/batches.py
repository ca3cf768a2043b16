"""Encoded examples to shuffled, padded batches, the same ones for the same seed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from rnnx.text import Ids, Tokenizer

# Batches of similar length are cut from shuffled pools of this many batches: little padding, still a random order.
_POOL_BATCHES = 50


class Batches:
    """Batches of (ids (batch, time) int32, label ids (batch, 1) int32), in a new order each time they are iterated."""

    def __init__(
        self,
        rows: Sequence[Ids],
        label_ids: npt.NDArray[np.int32],
        tokenizer: Tokenizer,
        *,
        batch_size: int,
        by_length: bool,
        seed: int | None,
    ) -> None:
        """Keeps the rows; `seed` None keeps their order (for validation), sorted by length if `by_length`."""
        self._rows, self._label_ids, self._tokenizer = rows, label_ids, tokenizer
        self._batch_size, self._by_length = batch_size, by_length
        self._rng = None if seed is None else np.random.default_rng(seed)
        self._lengths = np.array([len(row) for row in rows])

    def __len__(self) -> int:
        return math.ceil(len(self._rows) / self._batch_size)

    def __iter__(self) -> Iterator[tuple[Ids, npt.NDArray[np.int32]]]:
        for chosen in self._shuffle():
            yield self._tokenizer.pad([self._rows[i] for i in chosen]), self._label_ids[chosen, None]

    def as_tf(self) -> tf.data.Dataset:
        """The same for Keras. The shapes are declared: Keras would take those of the first two batches for fixed."""
        signature = (tf.TensorSpec((None, None), tf.int32), tf.TensorSpec((None, 1), tf.int32))
        data = tf.data.Dataset.from_generator(lambda: iter(self), output_signature=signature)
        return data.apply(tf.data.experimental.assert_cardinality(len(self))).prefetch(2)

    def _shuffle(self) -> list[npt.NDArray[np.intp]]:
        size = self._batch_size
        order = np.arange(len(self._rows)) if self._rng is None else self._rng.permutation(len(self._rows))
        if self._by_length:
            pool = size * _POOL_BATCHES if self._rng is not None else max(len(order), 1)
            pools = (order[start : start + pool] for start in range(0, len(order), pool))
            order = np.concatenate([chunk[np.argsort(self._lengths[chunk], kind="stable")] for chunk in pools])
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        if self._by_length and self._rng is not None:
            batches = [batches[i] for i in self._rng.permutation(len(batches))]
        return batches

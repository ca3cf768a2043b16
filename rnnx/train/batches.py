"""Encoded examples to shuffled, padded batches, the same ones for the same seed."""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
import numpy as np
import numpy.typing as npt

from rnnx.text import Ids, Tokenizer

# Batches of similar length are cut from shuffled pools of this many batches: little padding, still a random order.
_POOL_BATCHES = 50


class Batches(keras.utils.PyDataset):  # type: ignore[misc]  # keras ships no types
    """Batches of (ids (batch, time) int32, label ids (batch, 1) int32), in a new order each epoch."""

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
        super().__init__()
        self._rows, self._label_ids, self._tokenizer = rows, label_ids, tokenizer
        self._batch_size, self._by_length = batch_size, by_length
        self._rng = None if seed is None else np.random.default_rng(seed)
        self._lengths = np.array([len(row) for row in rows])
        self._order = self._shuffle()

    def __len__(self) -> int:
        return math.ceil(len(self._rows) / self._batch_size)

    def __getitem__(self, index: int) -> tuple[Ids, npt.NDArray[np.int32]]:
        chosen = self._order[index]
        return self._tokenizer.pad([self._rows[i] for i in chosen]), self._label_ids[chosen, None]

    def on_epoch_end(self) -> None:
        """Draws the next epoch's order."""
        self._order = self._shuffle()

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

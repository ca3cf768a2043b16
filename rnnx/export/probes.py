"""What an export is tried on: real texts, and traps made to find what is wrong with a conversion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from rnnx.export.probes_of_numbers import make_number_probes, make_number_traps
from rnnx.proof.compare import ProbeBatch
from rnnx.reference import NamedArrays, Network
from rnnx.text.tokenizer import START_ID, UNKNOWN_ID, Ids, Tokenizer

# By the name of a golden vector: the text (or the words, one a line) where there is one, and the inputs, padded.
GoldenInputs: TypeAlias = dict[str, tuple[bytes | None, NamedArrays]]

# Of most sequences of a network that has no longest text of its own.
_DEFAULT_LENGTH = 100
_SINGLE_COUNT = 32
_DRIFT_LENGTHS = 4
# Keras runs each length of a sequence step by step in Python.
_MOST_SEQUENCES = 16


@dataclass(frozen=True)
class IdFormat:
    """How rows of ids look that a network reads.

    Attributes:
        longest: Ids in the longest row.
        vocabulary_size: Ids run from 0 to one below it.
        pad: Makes a batch of rows.
    """

    longest: int
    vocabulary_size: int
    pad: Callable[[Sequence[Ids]], Ids]

    @classmethod
    def of_texts(cls, tokenizer: Tokenizer) -> IdFormat:
        """Rows as a tokenizer makes them."""
        return cls(tokenizer.config.max_length, len(tokenizer.vocabulary), tokenizer.pad)

    @classmethod
    def of_input(cls, network: Network) -> IdFormat:
        """Rows of a network without a tokenizer, which has no longest text of its own."""
        return cls(_DEFAULT_LENGTH, network.inputs[0].size, _pad_in_front)


@dataclass(frozen=True)
class Probes:
    """The inputs of one proof.

    Attributes:
        batches: Each run as it is.
        text_count: Rows that come from texts, or from sentences or sequences that were recorded.
        trap_count: Rows that were made up.
        long_batch: One row of four times the longest that the model reads; for the drift alone.
    """

    batches: tuple[ProbeBatch, ...]
    text_count: int
    trap_count: int
    long_batch: ProbeBatch

    @property
    def longest(self) -> int:
        """The longest time of any batch."""
        return max(batch.time for batch in self.batches)


def own_texts() -> list[bytes]:
    """Texts that were written for rnnx and travel with it."""
    data = files("rnnx.export").joinpath("probe_texts.txt").read_bytes()
    return data.splitlines()


def make_id_probes(ids: IdFormat, real: Mapping[str, Ids]) -> Probes:
    """Makes the probes of a network that reads rows of ids, of any length.

    Args:
        ids: How its rows look.
        real: Rows that come from texts, by name; not padded.

    Returns:
        Three kinds of batches: everything as the model's padding has it; each special trap alone; and every id of the
        vocabulary once, so that no row of the embedding goes untried.
    """
    traps = {**make_id_traps(ids), **_single_words(ids.vocabulary_size)}
    every_id = {f"ids from {row[0]}": row for row in _every_id(ids)}
    batches = [_batch({**real, **traps}, ids), _batch(every_id, ids)]
    batches += [_batch({f"{name}, alone": row}, ids) for name, row in traps.items() if len(row) != 1]
    trap_count = sum(len(batch.names) for batch in batches) - len(real)
    words = np.random.default_rng(1).integers(
        min(3, ids.vocabulary_size - 1), ids.vocabulary_size, (1, _DRIFT_LENGTHS * ids.longest)
    )
    long_batch = ProbeBatch(words.astype(np.int32), (f"{_DRIFT_LENGTHS} times the longest",))
    return Probes(tuple(batches), len(real), trap_count, long_batch)


def make_array_probes(network: Network, real: Sequence[ProbeBatch]) -> Probes:
    """Makes the probes of a network that reads numbers, several inputs, or ids of another shape than a text's.

    Args:
        network: Its reference, which says what it reads.
        real: Real sequences or sentences, as its inputs.
    """
    drawn, long_batch = make_number_probes(network, _DEFAULT_LENGTH, _DRIFT_LENGTHS)
    real_count, trap_count = (sum(len(batch.names) for batch in batches) for batches in (real, drawn))
    return Probes((*drawn, *real), real_count, trap_count, long_batch)


def stack_by_shape(sequences: Sequence[npt.NDArray[np.float32]]) -> list[ProbeBatch]:
    """Real sequences, those of one length together: nothing is padded."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for i, x in enumerate(sequences[:_MOST_SEQUENCES]):
        by_shape.setdefault(x.shape, []).append(i)
    return [
        ProbeBatch(np.stack([sequences[i] for i in chosen]), tuple(f"sequence {i + 1}" for i in chosen))
        for chosen in by_shape.values()
    ]


def make_array_traps(network: Network) -> dict[str, NamedArrays]:
    """The traps of a network that reads arrays as inputs, each a batch of one."""
    return make_number_traps(network, _DEFAULT_LENGTH)


def reads_rows_of_ids(network: Network) -> bool:
    """Whether a network reads one row of ids for each answer, of any length."""
    return len(network.inputs) == 1 and network.inputs[0].kind == "ids" and network.inputs[0].shape == (None,)


def make_id_traps(ids: IdFormat) -> dict[str, Ids]:
    """Rows of ids made to find what is wrong with a conversion: by name, not padded."""
    length, vocabulary_size = ids.longest, ids.vocabulary_size
    rng = np.random.default_rng(0)  # the same traps for the same model, always

    def draw(count: int) -> Ids:
        return rng.choice(np.arange(UNKNOWN_ID + 1, vocabulary_size), count).astype(np.int32)

    def start(row: Ids) -> Ids:
        return np.concatenate([np.array([START_ID], np.int32), row])[-length:]

    return {
        "empty": start(draw(0)),
        "all unknown": np.full(length, UNKNOWN_ID, np.int32),
        "exactly the longest": draw(length),
        "one more than the longest": start(draw(length)),
        "one less than the longest": draw(max(length - 1, 1)),
        "highest id": np.full(min(7, length), vocabulary_size - 1, np.int32),
        "half": draw(max(length // 2, 1)),
        "zeros between": np.where(np.arange(length) % 3 == 1, 0, draw(length)).astype(np.int32),
        "zeros at the end": np.where(np.arange(length) < (length + 1) // 2, draw(length), 0).astype(np.int32),
    }


def _single_words(vocabulary_size: int) -> dict[str, Ids]:
    rng = np.random.default_rng(2)
    words = rng.choice(np.arange(UNKNOWN_ID + 1, vocabulary_size), _SINGLE_COUNT)
    return {f"one token, {word}": np.array([word], np.int32) for word in words}


def _every_id(ids: IdFormat) -> list[Ids]:
    every = np.arange(1, ids.vocabulary_size, dtype=np.int32)
    return [every[i : i + ids.longest] for i in range(0, len(every), ids.longest)]


def _batch(rows: dict[str, Ids], ids: IdFormat) -> ProbeBatch:
    return ProbeBatch(ids.pad(list(rows.values())), tuple(rows))


def _pad_in_front(rows: Sequence[Ids]) -> Ids:
    longest = max(len(row) for row in rows)
    return np.stack([np.pad(row, (longest - len(row), 0)) for row in rows])

"""What an export is tried on: real texts, and traps made to find what is wrong with a conversion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
import numpy.typing as npt

from rnnx.export.probes_of_numbers import make_number_probes, make_number_traps
from rnnx.proof.compare import ProbeBatch
from rnnx.reference import NamedArrays, Network
from rnnx.text.tokenizer import START_ID, UNKNOWN_ID, Ids, Tokenizer

# A network without a tokenizer has no longest text of its own.
_DEFAULT_LENGTH = 100
_SINGLE_COUNT = 32
_DRIFT_LENGTHS = 4
# Keras runs each length of a sequence step by step in Python.
_MOST_SEQUENCES = 16


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


def make_probes(
    network: Network,
    texts: Sequence[bytes],
    tokenizer: Tokenizer | None,
    sequences: Sequence[npt.NDArray[np.float32]] = (),
    sentences: ProbeBatch | None = None,
) -> Probes:
    """Makes the probes of one model.

    Args:
        network: Its reference, which says what it reads.
        texts: Real texts; left aside without a tokenizer.
        tokenizer: The model's own; None for a network without text.
        sequences: Real sequences of numbers, each (time, features); left aside where ids are read.
        sentences: Real sentences, as the inputs of a network that reads words.

    Returns:
        Three kinds of batches: everything as the model's padding has it; each special trap alone; and every id of the
        vocabulary once, so that no row of the embedding goes untried.
    """
    if not _reads_plain_ids(network):
        drawn, long_batch = make_number_probes(network, _DEFAULT_LENGTH, _DRIFT_LENGTHS)
        real = _by_shape(sequences[:_MOST_SEQUENCES]) if sentences is None else [sentences]
        real_count, trap_count = (sum(len(batch.names) for batch in batches) for batches in (real, drawn))
        return Probes((*drawn, *real), real_count, trap_count, long_batch)
    vocabulary_size = _vocabulary_size(network, tokenizer)
    length = tokenizer.config.max_length if tokenizer else _DEFAULT_LENGTH
    traps = {**make_traps(tokenizer, vocabulary_size), **_single_words(vocabulary_size)}
    text_rows = {f"text {i + 1}": tokenizer.encode(text).ids for i, text in enumerate(texts)} if tokenizer else {}
    mixed = {**text_rows, **traps}
    every_id = {f"ids from {row[0]}": row for row in _every_id(length, vocabulary_size)}
    batches = [_batch(mixed, tokenizer), _batch(every_id, tokenizer)]
    batches += [_batch({f"{name}, alone": row}, tokenizer) for name, row in traps.items() if len(row) != 1]
    trap_count = sum(len(batch.names) for batch in batches) - len(text_rows)
    words = np.random.default_rng(1).integers(
        min(3, vocabulary_size - 1), vocabulary_size, (1, _DRIFT_LENGTHS * length)
    )
    long_batch = ProbeBatch(words.astype(np.int32), (f"{_DRIFT_LENGTHS} times the longest",))
    return Probes(tuple(batches), len(text_rows), trap_count, long_batch)


def _by_shape(sequences: Sequence[npt.NDArray[np.float32]]) -> list[ProbeBatch]:
    """Sequences of one length together: nothing is padded."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for i, x in enumerate(sequences):
        by_shape.setdefault(x.shape, []).append(i)
    return [
        ProbeBatch(np.stack([sequences[i] for i in chosen]), tuple(f"sequence {i + 1}" for i in chosen))
        for chosen in by_shape.values()
    ]


def make_trap_inputs(network: Network, tokenizer: Tokenizer | None) -> dict[str, NamedArrays]:
    """The traps of a model as inputs, each a batch of one."""
    if not _reads_plain_ids(network):
        return make_number_traps(network, _DEFAULT_LENGTH)
    traps = make_traps(tokenizer, _vocabulary_size(network, tokenizer))
    return {name: network.named(tokenizer.pad([ids]) if tokenizer else ids[None]) for name, ids in traps.items()}


def _reads_plain_ids(network: Network) -> bool:
    """Whether a row is a row of ids, as long as it likes."""
    return len(network.inputs) == 1 and network.inputs[0].kind == "ids" and network.inputs[0].shape == (None,)


def _vocabulary_size(network: Network, tokenizer: Tokenizer | None) -> int:
    return len(tokenizer.vocabulary) if tokenizer else network.inputs[0].size


def make_traps(tokenizer: Tokenizer | None, vocabulary_size: int) -> dict[str, Ids]:
    """Inputs made to find what is wrong with a conversion: by name, not padded.

    Args:
        tokenizer: Says how long the longest is; None for a network without text.
        vocabulary_size: Ids run from 0 to one less.
    """
    length = tokenizer.config.max_length if tokenizer else _DEFAULT_LENGTH
    rng = np.random.default_rng(0)  # the same traps for the same model, always

    def draw(count: int) -> Ids:
        return rng.choice(np.arange(UNKNOWN_ID + 1, vocabulary_size), count).astype(np.int32)

    def start(ids: Ids) -> Ids:
        return np.concatenate([np.array([START_ID], np.int32), ids])[-length:]

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


def _every_id(length: int, vocabulary_size: int) -> list[Ids]:
    ids = np.arange(1, vocabulary_size, dtype=np.int32)
    return [ids[i : i + length] for i in range(0, len(ids), length)]


def _batch(rows: dict[str, Ids], tokenizer: Tokenizer | None) -> ProbeBatch:
    return ProbeBatch(_pad(list(rows.values()), tokenizer), tuple(rows))


def _pad(rows: list[Ids], tokenizer: Tokenizer | None) -> Ids:
    if tokenizer:
        return tokenizer.pad(rows)
    longest = max(len(row) for row in rows)
    return np.stack([np.pad(row, (longest - len(row), 0)) for row in rows])

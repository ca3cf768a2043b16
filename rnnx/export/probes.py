"""Makes the probes of an export: real inputs, and traps, which are inputs made to find errors of a conversion.

Owns what both kinds of networks share, and rows of ids. Arrays of any shape are in `probes_of_numbers`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from rnnx.errors import ModelError
from rnnx.export.finite import finite_rows
from rnnx.export.probes_of_numbers import find_probe_size, make_number_probes, make_number_traps
from rnnx.proof.compare import ProbeBatch
from rnnx.reference import NamedArrays, Network
from rnnx.reference.shapes import least_time
from rnnx.text.tokenizer import START_ID, UNKNOWN_ID, Ids, Tokenizer

# By the name of a golden vector: its text (or its words, one per line) if it has one, and its padded inputs.
GoldenInputs: TypeAlias = dict[str, tuple[bytes | None, NamedArrays]]

_DEFAULT_LENGTH = 100  # the length of most probes if the model has no longest text
_SINGLE_COUNT = 32  # how many tokens are tried as a text of one token
_DRIFT_LENGTHS = 4  # how many times the longest text the sequence for the drift is
_MOST_SEQUENCES = 16  # recorded sequences may all have different lengths, and each length is a batch of its own


@dataclass(frozen=True)
class IdFormat:
    """The format of the rows of ids that a network reads.

    Attributes:
        longest: The number of ids in the longest row.
        vocabulary_size: Ids are below this number.
        pad: Pads rows to a batch `(batch, time)`.
        overflow_count: Longer rows that were tried, and on which the network is not finite in float32.
    """

    longest: int
    vocabulary_size: int
    pad: Callable[[Sequence[Ids]], Ids]
    overflow_count: int = 0

    @classmethod
    def of_texts(cls, tokenizer: Tokenizer) -> IdFormat:
        """Returns the format of the rows that a tokenizer makes."""
        return cls(tokenizer.config.max_length, len(tokenizer.vocabulary), tokenizer.pad)

    @classmethod
    def of_input(cls, network: Network) -> IdFormat:
        """Returns the format for a network without a tokenizer, which has no longest text."""
        size = find_probe_size(network, _DEFAULT_LENGTH)
        return cls(size.length, network.inputs[0].size, _pad_in_front, size.overflow_count)


@dataclass(frozen=True)
class Probes:
    """The inputs of one proof.

    Attributes:
        batches: The batches to run.
        text_count: The number of rows that come from texts, or from recorded sentences or sequences.
        trap_count: The number of all other rows.
        long_batch: One row of four times the longest length that the model reads; used for the drift only.
        overflow_count: The inputs that were tried, and on which the network is not finite in float32.
        real_names: The names of the rows that come from texts or recorded examples.
    """

    batches: tuple[ProbeBatch, ...]
    text_count: int
    trap_count: int
    long_batch: ProbeBatch
    overflow_count: int = 0
    real_names: frozenset[str] = frozenset()

    @property
    def longest(self) -> int:
        """The time of the longest batch."""
        return max(batch.time for batch in self.batches)


def own_texts() -> list[bytes]:
    """Returns the texts that were written for rnnx and are part of the package."""
    data = files("rnnx.export").joinpath("probe_texts.txt").read_bytes()
    return data.splitlines()


def make_id_probes(ids: IdFormat, real: Mapping[str, Ids]) -> Probes:
    """Makes the probes of a network that reads rows of ids of any length.

    Args:
        ids: The format of its rows.
        real: Rows that come from texts, by name, without padding.

    Returns:
        Batches of three kinds: the real rows and all traps, padded together; every id of the vocabulary once, so that
        every row of the embedding is used; and each trap alone.
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
    return Probes(tuple(batches), len(real), trap_count, long_batch, ids.overflow_count, frozenset(real))


def make_array_probes(network: Network, real: Sequence[ProbeBatch]) -> Probes:
    """Makes the probes of a network that reads numbers, several inputs, or ids that are not rows of a text.

    Args:
        network: The reference, which describes the inputs.
        real: Batches of recorded sequences or sentences.
    """
    size = find_probe_size(network, _DEFAULT_LENGTH)
    drawn, long_batch = make_number_probes(network, size, _DRIFT_LENGTHS)
    real_count, trap_count = (sum(len(batch.names) for batch in batches) for batches in (real, drawn))
    real_names = frozenset(name for batch in real for name in batch.names)
    return Probes((*drawn, *real), real_count, trap_count, long_batch, size.overflow_count, real_names)


def only_finite(network: Network, probes: Probes) -> Probes:
    """Leaves out the probes on which a network overflows float32, and shortens the long one.

    Raises:
        ModelError: If nothing but zeros is left.
    """
    batches = []
    left_out: list[str] = []
    for batch in probes.batches:
        is_finite = finite_rows(network, batch.given)
        left_out += [name for name, is_kept in zip(batch.names, is_finite, strict=True) if not is_kept]
        if is_finite.any():
            batches.append(_take(network, batch, np.flatnonzero(is_finite)))
    if not any(values.any() for batch in batches for values in network.named(batch.given).values()):
        raise ModelError(
            "the network overflows float32 on all inputs that were tried but zeros, so there is nothing to prove; a "
            "bounded activation such as tanh keeps a recurrence finite"
        )
    real_count = sum(name in probes.real_names for name in left_out)
    return dataclasses.replace(
        probes,
        batches=tuple(batches),
        text_count=probes.text_count - real_count,
        trap_count=probes.trap_count - (len(left_out) - real_count),
        long_batch=_finite_start(network, probes.long_batch) or _take(network, batches[0], np.array([0])),
        overflow_count=probes.overflow_count + len(left_out),
    )


def only_finite_golden(network: Network, golden: GoldenInputs) -> GoldenInputs:
    """Leaves out the golden inputs on which a network overflows float32."""
    return {name: row for name, row in golden.items() if finite_rows(network, row[1]).all()}


def _finite_start(network: Network, batch: ProbeBatch) -> ProbeBatch | None:
    """Halves the time of a batch until a network stays finite; None if it does not."""
    open_time = [port.name for port in network.inputs if None in port.shape]
    given, names = network.named(batch.given), batch.names
    shortest = least_time(network)
    while not finite_rows(network, given).all():
        longest = max((given[name].shape[1] for name in open_time), default=0)
        if longest < 2 * shortest:
            return None
        given |= {name: given[name][:, : max(given[name].shape[1] // 2, shortest)] for name in open_time}
        names = tuple(f"{longest // 2} steps" for _ in names)
    return ProbeBatch(given, names, batch.texts)


def _take(network: Network, batch: ProbeBatch, rows: npt.NDArray[np.intp]) -> ProbeBatch:
    """Takes some rows of a batch."""
    if len(rows) == len(batch.names):
        return batch
    texts = None if batch.texts is None else tuple(batch.texts[i] for i in rows)
    given = {name: values[rows] for name, values in network.named(batch.given).items()}
    return ProbeBatch(given, tuple(batch.names[i] for i in rows), texts)


def stack_by_shape(sequences: Sequence[npt.NDArray[np.float32]]) -> list[ProbeBatch]:
    """Makes batches of recorded sequences, one batch for each shape, so that nothing is padded."""
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for i, x in enumerate(sequences[:_MOST_SEQUENCES]):
        by_shape.setdefault(x.shape, []).append(i)
    return [
        ProbeBatch(np.stack([sequences[i] for i in chosen]), tuple(f"sequence {i + 1}" for i in chosen))
        for chosen in by_shape.values()
    ]


def make_array_traps(network: Network) -> dict[str, NamedArrays]:
    """Returns the traps of a network that reads arrays, by name; each is a batch of one."""
    size = find_probe_size(network, _DEFAULT_LENGTH)
    return make_number_traps(network, size.length, size.scale)


def reads_rows_of_ids(network: Network) -> bool:
    """Whether a network has one input, which is a row of ids of any length."""
    return len(network.inputs) == 1 and network.inputs[0].kind == "ids" and network.inputs[0].shape == (None,)


def make_id_traps(ids: IdFormat) -> dict[str, Ids]:
    """Returns rows of ids that are made to find errors of a conversion, by name, without padding."""
    length, vocabulary_size = ids.longest, ids.vocabulary_size
    rng = np.random.default_rng(0)  # a fixed seed: a model always has the same traps

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
    """Returns rows of one random token each, by name."""
    rng = np.random.default_rng(2)
    words = rng.choice(np.arange(UNKNOWN_ID + 1, vocabulary_size), _SINGLE_COUNT)
    return {f"one token, {word}": np.array([word], np.int32) for word in words}


def _every_id(ids: IdFormat) -> list[Ids]:
    """Returns rows that contain every id but 0, which is the padding, once."""
    every = np.arange(1, ids.vocabulary_size, dtype=np.int32)
    return [every[i : i + ids.longest] for i in range(0, len(every), ids.longest)]


def _batch(rows: dict[str, Ids], ids: IdFormat) -> ProbeBatch:
    """Pads named rows to a batch."""
    return ProbeBatch(ids.pad(list(rows.values())), tuple(rows))


def _pad_in_front(rows: Sequence[Ids]) -> Ids:
    """Pads rows with zeros on the left to the longest of them."""
    longest = max(len(row) for row in rows)
    return np.stack([np.pad(row, (longest - len(row), 0)) for row in rows])

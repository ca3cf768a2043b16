"""A hash without collisions for the words of a vocabulary, in numbers that every runtime computes exactly.

A word is a row of chunks of three bytes each (so below 2^24), with zeros after its end. A hash of it is the sum over
the chunks of (chunk mod prime) times a coefficient, kept below 2^24. One hash picks a shift from a table. This shift
plus the other hash, modulo the number of slots, is the slot of the word ("hash and displace"). The word in that slot is
compared with the whole word, so a word that is not in the vocabulary cannot be taken for one that is.

Source: R. Pagh, "Hash and Displace: Efficient Evaluation of Minimal Perfect Hash Functions", WADS 1999. Numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

CHUNK_BYTES = 3
_LIMIT = 1 << 24
# The two hashes have different primes: chunks that are equal modulo both differ by more than 4 million.
_PRIMES = (2039, 2029)
# All chunks below this differ modulo one of the primes.
MOST_DISTINCT = _PRIMES[0] * _PRIMES[1]
_MOST_TRIES = 1000


@dataclass(frozen=True, eq=False)
class HashSum:
    """sum((chunk mod prime) * coefficient) mod size, below 2^24 at every step."""

    prime: int
    coefficients: Ints
    size: int

    def __call__(self, chunks: Ints) -> Ints:
        """Hashes (words, chunks) to (words,)."""
        return np.asarray((chunks % self.prime * self.coefficients).sum(axis=1) % self.size)


@dataclass(frozen=True, eq=False)
class PerfectHash:
    """Maps words to slots, each word to another slot.

    Attributes:
        to_shift: The hash that picks the shift.
        to_slot: The hash to which the shift is added.
        shifts: (to_shift.size,), the shifts.
        slots: (to_slot.size,), the index of the word in each slot, 0 in an empty slot.
    """

    to_shift: HashSum
    to_slot: HashSum
    shifts: Ints
    slots: Ints

    def find(self, chunks: Ints) -> Ints:
        """Returns the index of the only word of the vocabulary that each row of (words, chunks) can be, (words,)."""
        shift = self.shifts[self.to_shift(chunks)]
        return np.asarray(self.slots[(self.to_slot(chunks) + shift) % self.to_slot.size])


def chunk_count(longest: int) -> int:
    """Returns how many chunks a word of `longest` bytes takes, with a zero byte after its end."""
    return longest // CHUNK_BYTES + 1


def pack_words(words: Sequence[bytes], count: int) -> Ints:
    """Packs words into chunks; the first byte of a chunk is the lowest.

    Args:
        words: The words, of at most `count * CHUNK_BYTES - 1` bytes each.
        count: The number of chunks per word.

    Returns:
        (words, count), each below 2^24.
    """
    width = count * CHUNK_BYTES
    data = np.frombuffer(b"".join(word.ljust(width, b"\0") for word in words), np.uint8)
    places = 256 ** np.arange(CHUNK_BYTES)
    return np.asarray((data.reshape(len(words), count, CHUNK_BYTES) * places).sum(axis=2))


def find_perfect_hash(chunks: Ints, first: int) -> PerfectHash:
    """Finds a hash that maps all words to different slots.

    Args:
        chunks: (words, chunks), all rows different.
        first: The index of the first word in `slots`.

    Returns:
        The hash. It is shared, and must not be changed: an export needs it to build the tokenizer, and to check it.

    Raises:
        ValueError: If a thousand tries found none, which means that two rows are equal.
    """
    return _find_perfect_hash(chunks.astype(np.int64).tobytes(), chunks.shape[1], first)


@lru_cache(maxsize=2)
def _find_perfect_hash(rows: bytes, width: int, first: int) -> PerfectHash:
    chunks = np.frombuffer(rows, np.int64).reshape(-1, width)
    rng = np.random.default_rng(0)  # a fixed seed, so that a vocabulary always has the same tables
    words = len(chunks)
    largest = (_LIMIT - 1) // (max(_PRIMES) * width)
    for attempt in range(_MOST_TRIES):
        more = attempt % 16  # with one size only, words whose chunks differ by its multiples would always collide
        coefficients = rng.integers(1, largest, (2, width), endpoint=True)
        to_shift = HashSum(_PRIMES[0], coefficients[0], words // 2 + 1 + more)
        to_slot = HashSum(_PRIMES[1], coefficients[1], words + words // 4 + 1 + more)
        if (found := _place(to_shift(chunks), to_slot(chunks), to_shift.size, to_slot.size)) is not None:
            shifts, slot_of_word = found
            slots = np.zeros(to_slot.size, np.int64)
            slots[slot_of_word] = np.arange(first, first + words)
            return PerfectHash(to_shift, to_slot, shifts, slots)
    raise ValueError("no perfect hash was found: the words must all be different")


def _place(groups: Ints, hashes: Ints, group_count: int, slot_count: int) -> tuple[Ints, Ints] | None:
    """Finds a shift for each group of words, the largest groups first, so that no two words have the same slot.

    Args:
        groups: (words,), the group of each word.
        hashes: (words,), the number to which the shift is added.
        group_count: The number of groups.
        slot_count: The number of slots.

    Returns:
        The shifts (group_count,) and the slot of each word (words,), or None if a group does not fit.
    """
    if len(np.unique(groups * slot_count + hashes)) < len(hashes):
        return None  # two words have the same group and hash, so every shift puts them into the same slot
    by_group = np.argsort(groups, kind="stable")
    bounds = np.searchsorted(groups[by_group], np.arange(group_count + 1))
    largest_first = np.argsort(bounds[:-1] - bounds[1:], kind="stable")
    # Most groups have one word or two. Python's own integers take less time for these than arrays of them.
    starts, words, ends = hashes.tolist(), by_group.tolist(), bounds.tolist()
    shifts, slots = [0] * group_count, [0] * len(starts)
    is_free = np.ones(2 * slot_count, np.bool_)  # the slots twice, so that a window of it is every shift
    for group in largest_first.tolist():
        members = words[ends[group] : ends[group + 1]]
        if not members:
            break
        fits, *others = (is_free[starts[word] : starts[word] + slot_count] for word in members)
        for other in others:
            fits = fits & other
        shift = int(fits.argmax())
        if not fits[shift]:
            return None
        shifts[group] = shift
        for word in members:
            slot = slots[word] = (starts[word] + shift) % slot_count
            is_free[slot] = is_free[slot + slot_count] = False
    return np.array(shifts, np.int64), np.array(slots, np.int64)

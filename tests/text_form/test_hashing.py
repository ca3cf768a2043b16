from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnnx.text_form.hashing import chunk_count, find_perfect_hash, pack_words


def test_three_bytes_make_one_number_in_little_endian() -> None:
    assert pack_words([b"abcd", b""], 2).tolist() == [[97 + 98 * 256 + 99 * 65536, 100], [0, 0]]


@pytest.mark.parametrize(("longest", "count"), [(0, 1), (2, 1), (3, 2), (17, 6), (18, 7)])
def test_a_row_of_chunks_ends_in_a_zero_byte(longest: int, count: int) -> None:
    assert chunk_count(longest) == count


@settings(deadline=None, max_examples=50)
@given(st.sets(st.binary(min_size=1, max_size=30).filter(lambda word: 0 not in word), min_size=1, max_size=300))
def test_every_word_has_its_own_slot(words: set[bytes]) -> None:
    chunks = pack_words(sorted(words), chunk_count(30))
    found = find_perfect_hash(chunks, 3)
    assert found.find(chunks).tolist() == list(range(3, 3 + len(words)))


def test_sums_stay_below_two_to_the_24() -> None:
    chunks = np.full((1, 86), (1 << 24) - 1)  # the longest possible words
    found = find_perfect_hash(chunks, 3)
    for hash_sum in (found.to_shift, found.to_slot):
        assert ((hash_sum.prime - 1) * hash_sum.coefficients).sum() < 1 << 24


def test_equal_words_are_refused() -> None:
    with pytest.raises(ValueError, match="the words must all be different"):
        find_perfect_hash(pack_words([b"a", b"a"], 1), 3)

from __future__ import annotations

import numpy as np

from rnnx.text.character_ngrams import NgramSettings, find_ngrams

BIGRAMS = NgramSettings(shortest=2, longest=2)


def test_words_have_the_ngrams_that_another_word_has_too() -> None:
    table = find_ngrams([b"<pad>", b"cat", b"cats", b"dog", b"do"], BIGRAMS)
    # Five are shared: <c, ca and at; <d, do. The others, such as t> and ts, are in one word only.
    assert table.count == 5
    pad, cat, cats, dog, do = (set(row[row > 0]) for row in table.rows)
    assert (len(pad), len(cat), len(dog)) == (0, 3, 2)
    assert cat == cats
    assert dog == do
    assert not cat & dog


def test_a_word_keeps_its_rarest_ngrams_and_there_are_no_more_than_allowed() -> None:
    words = [b"ab", b"abc", b"abcd", b"bcd"]
    every = find_ngrams(words, BIGRAMS)
    few = find_ngrams(words, NgramSettings(shortest=2, longest=2, most_per_word=2))
    assert few.rows.shape == (4, 2)
    # Ids ascend as n-grams get rarer.
    assert [sorted(row[row > 0])[-2:] for row in every.rows] == [sorted(row[row > 0]) for row in few.rows]
    assert find_ngrams(words, NgramSettings(shortest=2, longest=2, most=1)).rows.max() == 1


def test_ngrams_are_counted_in_characters_of_every_script_and_bytes_that_are_none_are_read() -> None:
    table = find_ngrams(["радость".encode(), "радости".encode(), b"\xff\xfe", b"\xff\xfea"], NgramSettings())
    # Two to four characters of `<радост`: six, five and four of them.
    assert np.count_nonzero(table.rows[0]) == 15
    assert np.count_nonzero(table.rows[2])


def test_words_of_one_character_share_nothing() -> None:
    table = find_ngrams(["很".encode(), "好".encode()], NgramSettings())
    assert (table.count, table.rows.shape) == (0, (2, 0))

"""Tests the logistic regression of words and n-grams: by hand, and against scikit-learn."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("scipy", reason="needs the [train] extra")

import scipy.sparse
from sklearn.linear_model import LogisticRegression

from rnnx.text.character_ngrams import NgramSettings
from rnnx.train.word_votes import (
    count_pairs,
    count_words,
    factorise,
    find_features,
    find_pairs,
    fit_votes,
    losses,
    measure_words,
    to_probs,
    weigh,
)

TOKENS = [b"<pad>", b"<start>", b"<unknown>", b"freund", b"freunde", b"feind", b"nie"]
# Ids 0 to 2 are special and do not count as words, but as positions.
ROWS = [np.array(row, np.int32) for row in ([1, 3, 3, 2], [1, 4], [1, 5, 4], [1])]


def drawn(texts: int, outputs: int) -> tuple[list[npt.NDArray[np.int32]], npt.NDArray[np.float64]]:
    """Draws texts of the words 3 to 6, and targets that depend on them."""
    rng = np.random.default_rng(texts)
    rows = [np.array([1, *rng.integers(2, 7, rng.integers(1, 9))], np.int32) for _ in range(texts)]
    chosen = np.array([(row[-1] + rng.integers(0, 2)) % max(outputs, 2) for row in rows])
    return rows, chosen[:, None].astype(np.float64) if outputs == 1 else np.eye(outputs)[chosen]


def test_words_are_counted_by_position() -> None:
    counts = count_words(ROWS, len(TOKENS)).toarray()
    expected = np.zeros((4, 7))
    expected[0, 3] = 2 / np.sqrt(4)
    expected[1, 4] = 1 / np.sqrt(2)
    expected[2, [4, 5]] = 1 / np.sqrt(3)
    assert counts == pytest.approx(expected)


def test_features_are_words_and_shared_ngrams_by_their_inverse_frequency() -> None:
    counts = count_words(ROWS, len(TOKENS))
    words = find_features(TOKENS, counts, None).toarray()
    # Of four texts, one has `freund` and two have `freunde`; no text has `nie`.
    ratio = (np.log(5 / 2) + 1) / (np.log(5 / 3) + 1)
    assert words[3, 3] / words[4, 4] == pytest.approx(ratio)
    assert words[6, 6] == 0
    both = find_features(TOKENS, counts, NgramSettings()).toarray()
    shared = (both[3] > 0) & (both[4] > 0)
    assert shared.sum() > 10, "<fr, fre, freu and so on"
    for features in (words, both):
        assert ((counts @ features) ** 2).sum(axis=1).mean() == pytest.approx(1)


def test_the_mean_word_is_counted_in_characters() -> None:
    tokens = [*TOKENS[:3], "好".encode(), "ดี".encode(), b"abcd"]
    rows = [np.array(row, np.int32) for row in ([1, 3, 3, 3, 2], [1, 4, 5])]
    counts = count_words(rows, len(tokens))
    lengths = 3 / np.sqrt(5) * 1 + 1 / np.sqrt(3) * (2 + 4)
    assert measure_words(tokens, counts) == pytest.approx(lengths / (3 / np.sqrt(5) + 2 / np.sqrt(3)))
    assert measure_words(tokens, counts[:0]) == 0


def test_pairs_are_those_of_neighbours_in_one_text() -> None:
    rows = [np.array(row, np.int32) for row in ([1, 3, 4, 3, 4], [3], [4, 2, 3], [1, 3, 5], [0, 3, 4])]
    assert find_pairs(rows, 10, 9).tolist() == [13, 34], "1 3 occurs twice, 3 4 three times, and 4 3 and 3 5 once"
    assert find_pairs(rows, 10, 1).tolist() == [34]
    assert find_pairs(rows, 10, 0).tolist() == []
    expected = np.zeros((5, 2))
    expected[0] = 1 / np.sqrt(5), 2 / np.sqrt(5)
    expected[3, 0] = expected[4, 1] = 1 / np.sqrt(3)
    assert count_pairs(rows, np.array([13, 34]), 10).toarray() == pytest.approx(expected)
    assert count_pairs(rows, np.zeros(0, np.int64), 10).shape == (5, 0)


@pytest.mark.parametrize("outputs", [1, 3])
def test_votes_of_pairs_are_kept_at_full_rank_and_near_at_a_lower_one(outputs: int) -> None:
    words = 12
    rng = np.random.default_rng(outputs)
    rows = [np.array([1, *rng.integers(3, words, 9)], np.int32) for _ in range(200)]
    pairs = find_pairs(rows, words, 1_000)
    counts = count_pairs(rows, pairs, words)
    votes = rng.normal(size=(len(pairs), outputs))
    exact = counts @ votes
    errors = []
    for rank in (10, 6, 2):
        found = factorise(votes, pairs, counts, words, rank)
        assert (found.first.shape, found.second.shape) == ((words, rank), (words, outputs, rank))
        assert not found.first[[0, 2]].any(), "padding and the unknown word have no votes"
        errors.append(float(((found.logits(rows) - exact) ** 2).mean()))
    # Pairs begin with one of 10 words, so the matrix has no higher rank.
    assert errors[0] < 1e-20
    assert errors[0] < errors[1] < errors[2] < (exact**2).mean()
    again = factorise(votes, pairs, counts, words, 2)
    assert again.second.tobytes() == found.second.tobytes()


def test_frequent_pairs_weigh_less() -> None:
    counts = count_pairs([np.array(row, np.int32) for row in ([3, 4], [3, 4], [3, 4], [4, 3])], np.array([34, 43]), 10)
    weights = weigh(scipy.sparse.identity(2, format="csr"), counts).diagonal()
    assert weights[1] / weights[0] == pytest.approx((np.log(5 / 2) + 1) / (np.log(5 / 4) + 1))


@pytest.mark.parametrize("outputs", [1, 3])
def test_the_fit_is_that_of_scikit_learn(outputs: int) -> None:
    rows, targets = drawn(300, outputs)
    weights = np.linspace(0.5, 1.5, len(rows))
    counts = count_words(rows, len(TOKENS))
    features = find_features(TOKENS, counts, NgramSettings())
    votes = fit_votes(counts, features, targets, weights, inverse_penalty=4.0, is_softmax=outputs > 1)
    peer = LogisticRegression(C=4.0, tol=1e-8, max_iter=10_000)
    label_ids = targets[:, 0] if outputs == 1 else targets.argmax(axis=1)
    peer.fit((counts @ features).toarray(), label_ids, sample_weight=weights)
    expected = peer.predict_proba((counts @ features).toarray())[:, -outputs:]
    assert to_probs(votes.logits(counts), is_softmax=outputs > 1) == pytest.approx(expected, abs=2e-3)
    assert not votes.by_word[:3].any(), "the special tokens have no votes"
    again = fit_votes(counts, features, targets, weights, inverse_penalty=4.0, is_softmax=outputs > 1)
    assert again.by_word.tobytes() == votes.by_word.tobytes()


@pytest.mark.parametrize("is_softmax", [False, True])
def test_losses_are_those_of_the_probabilities(is_softmax: bool) -> None:
    rng = np.random.default_rng(1)
    logits, targets = rng.normal(0, 3, (5, 3)), np.eye(3)[[0, 2, 1, 1, 0]]
    probs = to_probs(logits, is_softmax=is_softmax)
    of_labels = targets * np.log(probs) + (0 if is_softmax else (1 - targets) * np.log(1 - probs))
    assert losses(logits, targets, is_softmax=is_softmax) == pytest.approx(-of_labels.sum(axis=1))
    assert np.isfinite(losses(1000 * logits, targets, is_softmax=is_softmax)).all()

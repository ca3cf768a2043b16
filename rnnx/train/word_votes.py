"""Fits a logistic regression of the words of texts and of their character n-grams. Needs NumPy and SciPy.

The regression reads x = sum_t e(w_t) / sqrt(T) over the T positions of a text, where e(w) has a one for the word and
one for each n-gram of it, times their inverse document frequencies. If all words differ, x has the same length for
every text, as tf-idf has it; with the mean, long texts would say too little (0.744 instead of 0.758 on held-out rows of
GermEval 2018). The logits are W x + b = sum_t v(w_t) / sqrt(T) + b, where v(w) = W e(w) are the votes of a word for
each label. The vocabulary is fixed, so the votes are all that is kept.

Nothing of the size of texts times n-grams is stored: the matrix of the words in the texts and that of the n-grams in
the words are multiplied with the weights one after the other.

Where a word is a single character, as in Chinese, it says little alone, and pairs of neighbours have votes, too. There
are too many pairs to keep a row for each, so the matrix of their votes, M[v, w] for v before w, is replaced by the
nearest one of low rank: M[v, w] = f(v) . s(w), where each word has a vector f as the first and a vector s as the second
of a pair. That also gives votes to pairs that no training text has.

Source: Joulin et al., Bag of Tricks for Efficient Text Classification, EACL 2017 (a linear model of words and n-grams).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.sparse
from scipy.optimize import minimize
from scipy.sparse.linalg import svds

from rnnx.text.character_ngrams import NgramSettings, find_ngrams
from rnnx.text.tokenizer import PAD_ID, SPECIAL_TOKENS, UNKNOWN_ID, Ids, to_text

Floats = npt.NDArray[np.float64]

_TEXTS_AT_A_TIME = 1_000
_MOST_ITERATIONS = 200
_LEAST_PAIRS = 2  # a pair that occurs once says little more than its text


@dataclass(frozen=True)
class Votes:
    """A linear model of words.

    Attributes:
        by_word: `(words, outputs)`, the votes of each word; those of the special tokens are 0.
        bias: `(outputs,)`.
    """

    by_word: Floats
    bias: Floats

    def logits(self, counts: scipy.sparse.csr_matrix) -> Floats:
        """Computes the logits `(texts, outputs)` of what `count_words` returns."""
        return np.asarray(counts @ self.by_word + self.bias)


@dataclass(frozen=True)
class PairVotes:
    """Votes of pairs of neighbouring words: those of v before w for output k are sum_r f(v)[r] s(w)[k, r].

    Attributes:
        first: `(words, rank)`, f of each word; 0 for padding and the unknown word.
        second: `(words, outputs, rank)`, s of each word, likewise.
    """

    first: Floats
    second: Floats

    def logits(self, rows: Sequence[Ids]) -> Floats:
        """Computes what the pairs of each text add to the logits, `(texts, outputs)`."""
        summed = np.zeros((len(rows), self.second.shape[1]))
        for i, row in enumerate(rows):
            if len(row) > 1:
                summed[i] = np.einsum("tr,tkr->k", self.first[row[:-1]], self.second[row[1:]]) / np.sqrt(len(row))
        return summed


def count_words(rows: Sequence[Ids], vocabulary_size: int) -> scipy.sparse.csr_matrix:
    """Computes how often a text has each known word, divided by the root of its positions; `(texts, words)`."""
    ids = np.concatenate(rows)
    lengths = np.array([len(row) for row in rows])
    text = np.repeat(np.arange(len(rows)), lengths)
    is_known = ids >= len(SPECIAL_TOKENS)
    shares = 1 / np.sqrt(np.maximum(lengths, 1))
    text = text[is_known]
    return scipy.sparse.csr_matrix((shares[text], (text, ids[is_known])), (len(rows), vocabulary_size))


def measure_words(tokens: Sequence[bytes], counts: scipy.sparse.csr_matrix) -> float:
    """Computes the mean length of the known words of texts, in characters, each as often as it occurs.

    Args:
        tokens: The vocabulary, with its special tokens.
        counts: What `count_words` returns for the texts.
    """
    weights = np.asarray(counts.sum(axis=0)).ravel()
    lengths = np.array([len(to_text(token)) for token in tokens])
    return float(weights @ lengths / max(weights.sum(), np.finfo(np.float64).tiny))


def find_pairs(rows: Sequence[Ids], vocabulary_size: int, most: int) -> npt.NDArray[np.int64]:
    """Finds the pairs of neighbouring words that texts have at least twice, of more than `most` the most frequent ones.

    Returns:
        `(pairs,)`, the first word's id times the size of the vocabulary, plus the second one's, in ascending order.
    """
    pairs, counts = np.unique(_list_pairs(rows, vocabulary_size)[1], return_counts=True)
    pairs, counts = pairs[counts >= _LEAST_PAIRS], counts[counts >= _LEAST_PAIRS]
    return np.sort(pairs[np.argsort(-counts, kind="stable")[: max(most, 0)]])


def count_pairs(rows: Sequence[Ids], pairs: npt.NDArray[np.int64], vocabulary_size: int) -> scipy.sparse.csr_matrix:
    """Computes how often a text has each pair, divided by the root of its positions; `(texts, pairs)`."""
    text, found = _list_pairs(rows, vocabulary_size)
    place = np.minimum(np.searchsorted(pairs, found), max(len(pairs) - 1, 0))
    is_known = pairs[place] == found if len(pairs) else np.zeros(len(found), np.bool_)
    text, place = text[is_known], place[is_known]
    shares = 1 / np.sqrt(np.maximum([len(row) for row in rows], 1))
    return scipy.sparse.csr_matrix((shares[text], (text, place)), (len(rows), len(pairs)))


def _list_pairs(rows: Sequence[Ids], vocabulary_size: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Lists the pairs of neighbours without padding and unknown words: the text of each, and the pair."""
    ids = np.concatenate(rows).astype(np.int64)
    text = np.repeat(np.arange(len(rows)), [len(row) for row in rows])
    is_known = (ids != PAD_ID) & (ids != UNKNOWN_ID)
    is_pair = (text[1:] == text[:-1]) & is_known[1:] & is_known[:-1]
    return text[1:][is_pair], (ids[:-1] * vocabulary_size + ids[1:])[is_pair]


def find_features(
    tokens: Sequence[bytes], counts: scipy.sparse.csr_matrix, ngrams: NgramSettings | None
) -> scipy.sparse.csr_matrix:
    """Describes the words of a vocabulary by themselves and their n-grams.

    Args:
        tokens: The vocabulary, with its special tokens.
        counts: What `count_words` returns for the training texts.
        ngrams: Which n-grams are used; None for none.

    Returns:
        `(words, features)`, e(w) of each word, scaled so that the mean of |x|^2 over the texts is 1.
    """
    parts = [scipy.sparse.identity(len(tokens), format="csr")]
    if ngrams is not None:
        table = find_ngrams(tokens, ngrams)
        words, columns = np.nonzero(table.rows)
        places = words, table.rows[words, columns] - 1
        parts.append(scipy.sparse.csr_matrix((np.ones(len(words)), places), (len(tokens), table.count)))
    return weigh(scipy.sparse.hstack(parts, format="csr"), counts)


def weigh(features: scipy.sparse.csr_matrix, counts: scipy.sparse.csr_matrix) -> scipy.sparse.csr_matrix:
    """Multiplies features `(words, features)` by their inverse document frequencies, and scales them.

    Args:
        features: The features of each word, or of each pair of words.
        counts: `(texts, words)`, what `count_words` or `count_pairs` returns for the training texts.
    """
    blocks = [counts[start : start + _TEXTS_AT_A_TIME] for start in range(0, counts.shape[0], _TEXTS_AT_A_TIME)]
    frequency = sum((np.asarray((block @ features > 0).sum(axis=0)).ravel() for block in blocks), 0)
    # As scikit-learn's TfidfVectorizer has it.
    weights = np.where(frequency > 0, np.log((1 + counts.shape[0]) / (1 + frequency)) + 1, 0)
    features = features @ scipy.sparse.diags(weights)
    squares = sum(float(((block @ features).data ** 2).sum()) for block in blocks) / counts.shape[0]
    return scipy.sparse.csr_matrix(features / np.sqrt(squares) if squares > 0 else features)


def fit_votes(
    counts: scipy.sparse.csr_matrix,
    features: scipy.sparse.csr_matrix,
    targets: Floats,
    weights: Floats,
    *,
    inverse_penalty: float,
    is_softmax: bool,
) -> Votes:
    """Fits the logistic regression; the same data give the same bits.

    Args:
        counts: `(texts, words)`, from `count_words`.
        features: `(words, features)`, from `find_features`.
        targets: `(texts, outputs)`, the probability of each label.
        weights: `(texts,)`, the weight of each text in the loss.
        inverse_penalty: The inverse strength of the penalty on the squared weights.
        is_softmax: Whether the outputs are those of a softmax; each has a sigmoid of its own otherwise.
    """
    size, outputs = features.shape[1], targets.shape[1]

    def lose(flat: Floats) -> tuple[float, Floats]:
        matrix, bias = flat[: size * outputs].reshape(size, outputs), flat[size * outputs :]
        logits = counts @ (features @ matrix) + bias
        slopes = weights[:, None] * (to_probs(logits, is_softmax=is_softmax) - targets)
        of_matrix = matrix + inverse_penalty * (features.T @ (counts.T @ slopes))
        loss = (weights * losses(logits, targets, is_softmax=is_softmax)).sum()
        gradient = np.concatenate([of_matrix.ravel(), inverse_penalty * slopes.sum(axis=0)])
        return inverse_penalty * float(loss) + float((matrix**2).sum()) / 2, gradient

    start = np.zeros((size + 1) * outputs)
    options = {"maxiter": _MOST_ITERATIONS, "ftol": 1e-6, "gtol": 1e-3}
    found = minimize(lose, start, jac=True, method="L-BFGS-B", options=options).x
    return Votes(np.asarray(features @ found[: size * outputs].reshape(size, outputs)), found[size * outputs :])


def factorise(
    by_pair: Floats, pairs: npt.NDArray[np.int64], counts: scipy.sparse.csr_matrix, vocabulary_size: int, rank: int
) -> PairVotes:
    """Replaces the votes of pairs by the nearest ones of low rank.

    Near means a small sum of squared differences, each weighted by the root of the frequencies of both words, because
    the votes of frequent words count more often.

    Args:
        by_pair: `(pairs, outputs)`, the votes of each pair; those of all other pairs are 0.
        pairs: From `find_pairs`.
        counts: `(texts, pairs)`, from `count_pairs`, for the training texts.
        vocabulary_size: The number of words.
        rank: At least 1, and less than `vocabulary_size`.
    """
    firsts, seconds = np.divmod(pairs, vocabulary_size)
    often = np.asarray(counts.sum(axis=0)).ravel()
    roots = [np.sqrt(np.maximum(np.bincount(ids, often, vocabulary_size), 1)) for ids in (firsts, seconds)]
    matrices = [
        scipy.sparse.csr_matrix(
            (votes * roots[0][firsts] * roots[1][seconds], (firsts, seconds)), (vocabulary_size, vocabulary_size)
        )
        for votes in by_pair.T
    ]
    start = np.random.default_rng(0).normal(size=vocabulary_size)
    left, values, right = svds(scipy.sparse.hstack(matrices, format="csr"), rank, v0=start)
    second = (right * np.sqrt(values)[:, None]).reshape(rank, len(matrices), vocabulary_size).transpose(2, 1, 0)
    found = PairVotes(left * np.sqrt(values) / roots[0][:, None], second / roots[1][:, None, None])
    for table, ids in ((found.first, firsts), (found.second, seconds)):
        # Of a word in no pair, rounding leaves something. Padding must add nothing at all.
        table[np.setdiff1d(np.arange(vocabulary_size), ids)] = 0
    return found


def to_probs(logits: Floats, *, is_softmax: bool) -> Floats:
    """Computes the probabilities `(texts, outputs)`."""
    if not is_softmax:
        return np.asarray(np.exp(-np.logaddexp(0, -logits)))
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def losses(logits: Floats, targets: Floats, *, is_softmax: bool) -> Floats:
    """Computes the cross entropy of each text, `(texts,)`; several sigmoids are summed."""
    if not is_softmax:
        return np.asarray((np.logaddexp(0, logits) - logits * targets).sum(axis=1))
    top = logits.max(axis=1)
    return np.asarray(top + np.log(np.exp(logits - top[:, None]).sum(axis=1)) - (logits * targets).sum(axis=1))

"""Adds a linear model of the words to a trained network, if the held-out texts say that both together are better.

On small data a logistic regression of words is often as good as a network, and right about other texts. The votes of
each word (`rnnx.train.word_votes`) become a second Embedding, as wide as the network has outputs. Their sum over the
text, divided by the root of its length, is added to the logits: it is one more input of the last Dense, whose kernel is
the identity for it. The votes of padding and of the unknown word are 0. Where words are single characters, pairs of
neighbours have votes as well: the products of two further Embeddings, one read at each position and one at the next.

The regression learns from the training texts, and the network has learned them by heart by then. So how much the votes
count is fitted on the held-out texts: z = a z_network + b z_votes + c with the lowest cross entropy. c has a number for
each output: under its penalty the regression names rare labels too rarely, and c gives them back some of it. Whether
the votes are added at all is decided there, too: if the cross entropy falls, each text being judged with numbers that
were fitted without it, and no more labels get wrong than chance explains. Macro F1 is recorded, and decides nothing.
Imports Keras.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from rnnx.text.tokenizer import PAD_ID, Ids, TokenList
from rnnx.train.batches import BatchSource, SoftTextSource, TextSource
from rnnx.train.class_weights import balance
from rnnx.train.held_out import HeldOut
from rnnx.train.recipes import LinearSettings, TextRecipe
from rnnx.train.task import Extended, Preparation, Task
from rnnx.train.temperature import find_logits, require_head

if TYPE_CHECKING:
    from rnnx.train.word_votes import Floats, PairVotes, Votes

_STAGE = "linear-part"
_FOLDS = 5
# The network keeps a part. Where all held-out texts are right, the loss falls without end as the shares grow, and every
# probability would be 0 or 1; a temperature has such a limit, too.
_LEAST_SHARE, _MOST_SHARE = 2.0**-6, 1.0
_MOST_OF_VOTES = 2.0
# c is expected near 0, with this deviation. A label with a few held-out texts says little about it.
_SHIFT_DEVIATION = 0.5
_THRESHOLDS = np.arange(1, 100) / 100


class _Judged(NamedTuple):
    """How good the held-out texts say that a network is.

    Attributes:
        score: The accuracy, or the micro F1 at the best common threshold if a text may have several labels.
        macro_f1: The mean F1 of the labels; at the same threshold if a text may have several.
        loss: The mean cross entropy in nats.
        is_right: Whether each label that was given, or not given, is right.
    """

    score: float
    macro_f1: float
    loss: float
    is_right: npt.NDArray[np.bool_]


class _Shares(NamedTuple):
    """The numbers of z = a z_network + b z_votes + c.

    Attributes:
        network: a.
        votes: b.
        shift: c, `(outputs,)`.
    """

    network: float
    votes: float
    shift: Floats

    def join(self, both: Floats) -> Floats:
        """Computes z of the logits `(2, texts, outputs)`."""
        return np.asarray(self.network * both[0] + self.votes * both[1] + self.shift)


class _Part(NamedTuple):
    """Encoded texts: their rows of ids, targets `(texts, outputs)` and weights `(texts,)`."""

    rows: list[Ids]
    targets: Floats
    weights: Floats


def with_linear_part(task: Task) -> Task:
    """Returns a task whose network gets a linear part after its training.

    Args:
        task: A task of texts. It is returned as it is if its recipe has no linear part, a teacher of unlabelled texts
            has taught the network what a linear model knows, the texts have a number each, too few are held out, or
            the votes would be too large.
    """
    settings = task.recipe.linear if isinstance(task.recipe, TextRecipe) else None
    if settings is None or task.unlabelled or task.task_kind not in ("classification", "multilabel"):
        return task
    if len(task.parts[1].lengths) < settings.least_held_out:
        return task
    return dataclasses.replace(task, extend=partial(_extend, task=task, settings=settings))


def _extend(model: keras.Model, preparation: Preparation, *, task: Task, settings: LinearSettings) -> Extended:
    """Fits the linear part of a trained network, or takes it from the checkpoint, and adds it if it helps."""
    if model.output_shape[-1] * task.vocabulary_size > settings.most_weights:
        return Extended(model, {})
    checkpoint = preparation.checkpoint
    state = checkpoint.load(_STAGE) if checkpoint else None
    if state:
        arrays, figures = dict(state.arrays), state.values
    else:
        arrays, figures = _fit(model, task, settings)
        if checkpoint:
            checkpoint.save(_STAGE, 1, arrays, figures)
    if not figures["is_used"]:
        return Extended(model, {"linear_part": figures})
    pairs = (arrays["first"], arrays["second"]) if "first" in arrays else None
    extended = add_votes(model, arrays["votes"], arrays["bias"], share=figures["network_weight"], pairs=pairs)
    return Extended(extended, {"linear_part": figures})


def _fit(
    model: keras.Model, task: Task, settings: LinearSettings
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, float | bool]]:
    """Returns the votes as the network gets them, and what the held-out texts say."""
    from rnnx.train.word_votes import count_words  # importing SciPy takes a second

    outputs = model.output_shape[-1]
    is_softmax = require_head(model).activation is keras.activations.softmax
    is_balanced = bool(task.recipe.class_weights)
    train = _take(task.parts[0], outputs, is_balanced, settings)
    votes, pairs = _fit_votes(train, task, settings, is_softmax=is_softmax)
    held_out = _take(task.parts[1], outputs, is_balanced)
    of_votes = votes.logits(count_words(held_out.rows, task.vocabulary_size))
    if pairs is not None:
        of_votes = of_votes + pairs.logits(held_out.rows)
    both = np.stack([find_logits(model, task.parts[1], task.recipe.batch_size), of_votes])
    alone, together = (
        _judge(both, held_out, is_softmax=is_softmax, has_votes=has_votes) for has_votes in (False, True)
    )
    changed = together.is_right.astype(np.int64) - alone.is_right
    # The loss decides, because which of a few hundred labels are right is largely chance. Only if more of them get
    # wrong than chance explains (one standard error), the votes are left out all the same.
    is_harmless = -changed.sum() <= np.sqrt(np.abs(changed).sum())
    shares = _fit_shares(both, held_out, is_softmax=is_softmax)
    figures = {
        "is_used": bool(shares.votes > 0 and together.loss < alone.loss and is_harmless),
        "has_pairs": pairs is not None,
        "network_weight": shares.network,
        "votes_weight": shares.votes,
        "validation_without": alone.score,
        "validation_with": together.score,
        "validation_macro_f1_without": alone.macro_f1,
        "validation_macro_f1_with": together.macro_f1,
        "validation_loss_without": alone.loss,
        "validation_loss_with": together.loss,
    }
    arrays = {"votes": shares.votes * votes.by_word, "bias": shares.votes * votes.bias + shares.shift}
    if pairs is not None:
        second = shares.votes * pairs.second
        arrays |= {"first": pairs.first, "second": second.reshape(len(second), -1)}
    return {name: array.astype(np.float32) for name, array in arrays.items()}, figures


def _fit_votes(
    train: _Part, task: Task, settings: LinearSettings, *, is_softmax: bool
) -> tuple[Votes, PairVotes | None]:
    """Fits the votes of the words, and those of pairs of words if the words are short."""
    from scipy.sparse import block_diag, hstack, identity

    from rnnx.train import word_votes

    size, outputs = task.vocabulary_size, train.targets.shape[1]
    most = settings.most_weights // outputs
    counts = word_votes.count_words(train.rows, size)
    tokens = TokenList.from_bytes(task.vocabulary or b"").tokens
    features = word_votes.find_features(tokens, counts, settings.ngrams)
    if features.shape[1] > most:
        features = word_votes.find_features(tokens, counts, None)
    pairs = np.zeros(0, np.int64)
    rank = min(settings.pair_rank, size - 1, settings.most_weights // (size * (1 + outputs)))
    if rank > 0 and word_votes.measure_words(tokens, counts) < settings.longest_word:
        pairs = word_votes.find_pairs(train.rows, size, most - features.shape[1])
    counts_of_pairs = word_votes.count_pairs(train.rows, pairs, size)
    if len(pairs):
        of_pairs = word_votes.weigh(identity(len(pairs), format="csr"), counts_of_pairs)
        features = block_diag([features, of_pairs], format="csr")
        counts = hstack([counts, counts_of_pairs], format="csr")
    votes = word_votes.fit_votes(
        counts,
        features,
        train.targets,
        train.weights,
        inverse_penalty=settings.inverse_penalty,
        is_softmax=is_softmax,
    )
    if not len(pairs):
        return votes, None
    of_words = word_votes.Votes(votes.by_word[:size], votes.bias)
    return of_words, word_votes.factorise(votes.by_word[size:], pairs, counts_of_pairs, size, rank)


def add_votes(
    model: keras.Model,
    votes: npt.NDArray[np.float32],
    bias: npt.NDArray[np.float32],
    *,
    share: float = 1.0,
    pairs: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]] | None = None,
) -> keras.Model:
    """Returns a network that adds the votes of the words of a text, over the root of its length, to another's logits.

    Args:
        model: A network of ids `(batch, time)` that ends in a Dense with sigmoid or softmax; 0 is padding.
        votes: `(words, outputs)`; those of id 0 are 0.
        bias: `(outputs,)`, added to that of the Dense.
        share: What the network's own logits are multiplied by.
        pairs: The votes of pairs of words: `(words, rank)` for the first and `(words, outputs * rank)` for the second
            word, as in `PairVotes`; None for none.

    Raises:
        ModelError: If it does not end in such a layer.
    """
    head = require_head(model)
    kernel, own_bias = (share * np.asarray(weight, np.float64) for weight in head.get_weights())
    (ids,) = model.inputs
    lookup = layers.Embedding(*votes.shape, name="votes")
    root = keras.ops.sqrt(keras.ops.sum(keras.ops.cast(ids != PAD_ID, "float32"), axis=1, keepdims=True))
    parts = [head.input, keras.ops.sum(lookup(ids), axis=1) / root]
    kernels = [kernel, np.eye(head.units)]
    lookups = {lookup: votes}
    if pairs is not None:
        first, second = (
            layers.Embedding(*table.shape, name=f"{place}_of_pair")
            for table, place in zip(pairs, ("first", "second"), strict=True)
        )
        lookups |= {first: pairs[0], second: pairs[1]}
        repeated = first(ids)
        if head.units > 1:
            repeated = layers.Concatenate(name="first_for_each_label")([repeated] * head.units)
        before = layers.ZeroPadding1D((1, 0), name="before_the_text")(repeated)[:, :-1]
        products = before * second(ids)
        parts.append(keras.ops.sum(products, axis=1) / root)
        kernels.append(np.repeat(np.eye(head.units), pairs[0].shape[1], axis=0))
    joined = layers.Concatenate(name="pooled_and_votes")(parts)
    last = layers.Dense(head.units, activation=head.activation, name=head.name)
    extended = keras.Model(ids, last(joined), name=model.name)
    for layer, table in lookups.items():
        layer.set_weights([table])
    last.set_weights([np.concatenate(kernels), own_bias + bias])
    return extended


def _take(source: BatchSource, outputs: int, is_balanced: bool, settings: LinearSettings | None = None) -> _Part:
    """Reads the texts of a source; of very many texts, evenly spaced ones."""
    texts = source.texts if isinstance(source, SoftTextSource) else source
    if not isinstance(texts, TextSource):
        raise TypeError(f"a linear part is for texts, not for a {type(source).__name__}")
    weights = balance(source).weights if is_balanced else np.ones(len(texts.rows), np.float32)
    chosen = np.arange(len(texts.rows))
    if settings is not None:
        words, labels = sum(map(len, texts.rows)), len(chosen) * outputs
        chosen = chosen[:: max(1, -(-words // settings.most_words), -(-labels // settings.most_targets))]
    if isinstance(source, SoftTextSource):
        targets = source.probs[chosen].astype(np.float64)
    elif outputs == 1:
        targets = texts.label_ids[chosen, None].astype(np.float64)
    else:
        targets = np.eye(outputs)[texts.label_ids[chosen]]
    return _Part([texts.rows[int(i)] for i in chosen], targets, weights[chosen].astype(np.float64))


def _judge(both: Floats, part: _Part, *, is_softmax: bool, has_votes: bool) -> _Judged:
    """Judges each held-out text with shares that were fitted without its fold.

    Args:
        both: `(2, texts, outputs)`, the logits of the network and those of the votes.
        part: The held-out texts.
        is_softmax: Whether the outputs are those of a softmax.
        has_votes: Whether the votes may count, and a number may be added for each output.
    """
    from rnnx.train.word_votes import losses, to_probs

    fold = np.random.default_rng(0).permutation(len(part.rows)) % _FOLDS
    logits = np.empty_like(both[0])
    for number in range(_FOLDS):
        is_judged = fold == number
        others = _Part([], part.targets[~is_judged], part.weights[~is_judged])
        fitted = _fit_shares(both[:, ~is_judged], others, is_softmax=is_softmax, has_votes=has_votes)
        logits[is_judged] = fitted.join(both[:, is_judged])
    loss = float(np.average(losses(logits, part.targets, is_softmax=is_softmax), weights=part.weights))
    if is_softmax or logits.shape[1] == 1:
        expected, actual = (
            values.argmax(axis=1) if is_softmax else (values[:, 0] >= least).astype(np.int64)
            for values, least in ((part.targets, 0.5), (logits, 0.0))
        )
        is_right = actual == expected
        macro_f1 = HeldOut.of(expected, actual).macro_f1
        return _Judged(float(np.average(is_right, weights=part.weights)), macro_f1, loss, is_right)
    return _judge_label_sets(to_probs(logits, is_softmax=False), part.targets > 0, loss)


def _judge_label_sets(probs: Floats, has_label: npt.NDArray[np.bool_], loss: float) -> _Judged:
    """Takes the common threshold with the highest micro F1."""

    def f1(is_given: npt.NDArray[np.bool_], axis: int | None) -> npt.NDArray[np.float64]:
        count = is_given.sum(axis=axis) + has_label.sum(axis=axis)
        return np.asarray(2 * (is_given & has_label).sum(axis=axis) / np.maximum(count, 1))

    given = [probs >= threshold for threshold in _THRESHOLDS]
    best = max(given, key=lambda is_given: float(f1(is_given, None)))
    return _Judged(float(f1(best, None)), float(f1(best, 0).mean()), loss, (best == has_label).ravel())


def _fit_shares(both: Floats, part: _Part, *, is_softmax: bool, has_votes: bool = True) -> _Shares:
    """Finds the numbers of z = a z_network + b z_votes + c with the lowest loss; it is convex.

    Without votes, only a is fitted.
    """
    from scipy.optimize import minimize

    from rnnx.train.word_votes import losses, to_probs

    count, outputs = part.targets.shape

    def lose(flat: Floats) -> tuple[float, Floats]:
        shares = _Shares(flat[0], flat[1], flat[2:])
        logits = shares.join(both)
        slopes = part.weights[:, None] * (to_probs(logits, is_softmax=is_softmax) - part.targets)
        loss = part.weights @ losses(logits, part.targets, is_softmax=is_softmax)
        loss += ((shares.shift / _SHIFT_DEVIATION) ** 2).sum() / 2
        of_shift = slopes.sum(axis=0) + shares.shift / _SHIFT_DEVIATION**2
        return float(loss) / count, np.concatenate([np.tensordot(both, slopes, 2), of_shift]) / count

    start = np.array([1.0, 0.5 if has_votes else 0.0, *np.zeros(outputs)])
    bounds: list[tuple[float | None, float | None]] = [
        (_LEAST_SHARE, _MOST_SHARE),
        (0, _MOST_OF_VOTES if has_votes else 0),
    ]
    bounds += [(None, None) if has_votes else (0, 0)] * outputs
    found = minimize(lose, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return _Shares(float(found[0]), float(found[1]), found[2:])

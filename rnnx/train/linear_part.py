"""Adds a linear model of the words to a trained network, if the held-out texts say that both together are better.

On small data a logistic regression of words is often as good as a network, and right about other texts. The votes of
each word (`rnnx.train.word_votes`) become a second Embedding, as wide as the network has outputs. Their sum over the
text, divided by the root of its length, is added to the logits: it is one more input of the last Dense, whose kernel is
the identity for it. The votes of padding and of the unknown word are 0.

The regression learns from the training texts, and the network has learned them by heart by then. So how much the votes
count is fitted on the held-out texts: z = a z_network + b z_votes with the lowest cross entropy. Whether they are added
at all is decided there, too, each text being judged with weights that were fitted without it. Imports Keras.
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
from rnnx.train.recipes import LinearSettings, TextRecipe
from rnnx.train.task import Extended, Preparation, Task
from rnnx.train.temperature import find_logits, require_head

if TYPE_CHECKING:
    from rnnx.train.word_votes import Floats

_STAGE = "linear-part"
_FOLDS = 5
# The network keeps a part. Where all held-out texts are right, the loss falls without end as the shares grow, and every
# probability would be 0 or 1; a temperature has such a limit, too.
_LEAST_SHARE, _MOST_SHARE = 2.0**-6, 1.0
_THRESHOLDS = np.arange(1, 100) / 100


class _Judged(NamedTuple):
    """How good the held-out texts say that a network is.

    Attributes:
        score: The accuracy, or the micro F1 at the best common threshold if a text may have several labels.
        loss: The mean cross entropy in nats.
        is_right: Whether each label that was given, or not given, is right.
    """

    score: float
    loss: float
    is_right: npt.NDArray[np.bool_]


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
    extended = add_votes(model, arrays["votes"], arrays["bias"], share=figures["network_weight"])
    return Extended(extended, {"linear_part": figures})


def _fit(
    model: keras.Model, task: Task, settings: LinearSettings
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, float | bool]]:
    """Returns the votes as the network gets them, and what the held-out texts say."""
    from rnnx.train.word_votes import count_words, find_features, fit_votes  # importing SciPy takes a second

    size, outputs = task.vocabulary_size, model.output_shape[-1]
    is_softmax = require_head(model).activation is keras.activations.softmax
    is_balanced = bool(task.recipe.class_weights)
    train = _take(task.parts[0], outputs, is_balanced, settings)
    counts = count_words(train.rows, size)
    tokens = TokenList.from_bytes(task.vocabulary or b"").tokens
    features = find_features(tokens, counts, settings.ngrams)
    if features.shape[1] * outputs > settings.most_weights:
        features = find_features(tokens, counts, None)
    votes = fit_votes(
        counts,
        features,
        train.targets,
        train.weights,
        inverse_penalty=settings.inverse_penalty,
        is_softmax=is_softmax,
    )
    held_out = _take(task.parts[1], outputs, is_balanced)
    logits = find_logits(model, task.parts[1], task.recipe.batch_size)
    both = np.stack([logits, votes.logits(count_words(held_out.rows, size))])
    alone, together = (
        _judge(both, held_out, is_softmax=is_softmax, has_votes=has_votes) for has_votes in (False, True)
    )
    changed = together.is_right.astype(np.int64) - alone.is_right
    # The loss decides, because which of a few hundred labels are right is largely chance. Only if more of them get
    # wrong than chance explains (one standard error), the votes are left out all the same.
    is_harmless = -changed.sum() <= np.sqrt(np.abs(changed).sum())
    share, weight = _fit_shares(both, held_out, is_softmax=is_softmax)
    figures = {
        "is_used": bool(weight > 0 and together.loss < alone.loss and is_harmless),
        "network_weight": share,
        "votes_weight": weight,
        "validation_without": alone.score,
        "validation_with": together.score,
        "validation_loss_without": alone.loss,
        "validation_loss_with": together.loss,
    }
    return {
        "votes": (weight * votes.by_word).astype(np.float32),
        "bias": (weight * votes.bias).astype(np.float32),
    }, figures


def add_votes(
    model: keras.Model, votes: npt.NDArray[np.float32], bias: npt.NDArray[np.float32], *, share: float = 1.0
) -> keras.Model:
    """Returns a network that adds the votes of the words of a text, over the root of its length, to another's logits.

    Args:
        model: A network of ids `(batch, time)` that ends in a Dense with sigmoid or softmax; 0 is padding.
        votes: `(words, outputs)`; those of id 0 are 0.
        bias: `(outputs,)`, added to that of the Dense.
        share: What the network's own logits are multiplied by.

    Raises:
        ModelError: If it does not end in such a layer.
    """
    head = require_head(model)
    kernel, own_bias = (share * np.asarray(weight, np.float64) for weight in head.get_weights())
    (ids,) = model.inputs
    lookup = layers.Embedding(*votes.shape, name="votes")
    length = keras.ops.sum(keras.ops.cast(ids != PAD_ID, "float32"), axis=1, keepdims=True)
    summed = keras.ops.sum(lookup(ids), axis=1) / keras.ops.sqrt(length)
    joined = layers.Concatenate(name="pooled_and_votes")([head.input, summed])
    last = layers.Dense(head.units, activation=head.activation, name=head.name)
    extended = keras.Model(ids, last(joined), name=model.name)
    lookup.set_weights([votes])
    last.set_weights([np.concatenate([kernel, np.eye(head.units)]), own_bias + bias])
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
        has_votes: Whether the votes may count.
    """
    from rnnx.train.word_votes import losses, to_probs

    fold = np.random.default_rng(0).permutation(len(part.rows)) % _FOLDS
    logits = np.empty_like(both[0])
    for number in range(_FOLDS):
        is_judged = fold == number
        others = _Part([], part.targets[~is_judged], part.weights[~is_judged])
        shares = _fit_shares(both[:, ~is_judged], others, is_softmax=is_softmax, has_votes=has_votes)
        logits[is_judged] = np.tensordot(shares, both[:, is_judged], 1)
    loss = float(np.average(losses(logits, part.targets, is_softmax=is_softmax), weights=part.weights))
    if is_softmax:
        is_right = logits.argmax(axis=1) == part.targets.argmax(axis=1)
    elif logits.shape[1] == 1:
        is_right = (logits[:, 0] >= 0) == (part.targets[:, 0] > 0)
    else:
        return _judge_label_sets(to_probs(logits, is_softmax=False), part.targets > 0, loss)
    return _Judged(float(np.average(is_right, weights=part.weights)), loss, is_right)


def _judge_label_sets(probs: Floats, has_label: npt.NDArray[np.bool_], loss: float) -> _Judged:
    """Takes the common threshold with the highest micro F1."""
    given = [probs >= threshold for threshold in _THRESHOLDS]
    f1 = [float(2 * (is_given & has_label).sum() / max(is_given.sum() + has_label.sum(), 1)) for is_given in given]
    best = int(np.argmax(f1))
    return _Judged(f1[best], loss, (given[best] == has_label).ravel())


def _fit_shares(both: Floats, part: _Part, *, is_softmax: bool, has_votes: bool = True) -> tuple[float, float]:
    """Finds a and b, the shares of the network and of the votes in the logits, with the lowest loss; it is convex."""
    from scipy.optimize import minimize

    from rnnx.train.word_votes import losses, to_probs

    def lose(shares: Floats) -> tuple[float, Floats]:
        logits = np.tensordot(shares, both, 1)
        slopes = part.weights[:, None] * (to_probs(logits, is_softmax=is_softmax) - part.targets)
        loss = part.weights @ losses(logits, part.targets, is_softmax=is_softmax)
        count = len(part.targets)
        return float(loss) / count, np.tensordot(both, slopes, 2) / count

    bounds = [(_LEAST_SHARE, _MOST_SHARE), (0, _MOST_SHARE if has_votes else 0)]
    found = minimize(lose, [1.0, 0.5 if has_votes else 0.0], jac=True, method="L-BFGS-B", bounds=bounds)
    return float(found.x[0]), float(found.x[1])

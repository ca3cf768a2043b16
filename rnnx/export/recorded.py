"""Compares the predictions that training recorded for held-out examples with those of the reference now."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnx.bundle.labels import per_label
from rnnx.bundle.samples import RatedSample, Sample, SeriesSample, TaggedSample
from rnnx.primitives.float32 import UNIT_ROUNDOFF
from rnnx.reference import Network
from rnnx.rounding.decisions import decide
from rnnx.text.tokenizer import Tokenizer
from rnnx.text.word_encoder import WordEncoder


def text_problems(
    network: Network,
    tokenizer: Tokenizer,
    labels: Sequence[str],
    samples: Sequence[Sample],
    keras_drift: float | None,
) -> list[str]:
    """Compares the probability that was recorded for the label of each text with that of the reference.

    Args:
        network: The reference.
        tokenizer: The model's tokenizer.
        labels: The labels by label id.
        samples: The recorded texts.
        keras_drift: The largest difference of Keras from the reference on the probes, which include these texts; None
            if it is not finite.

    Returns:
        A sentence for each text that the reference does not reproduce.
    """
    if not samples or keras_drift is None:
        return []
    allowed = _allowed(keras_drift)
    ids = tokenizer.pad([tokenizer.encode(sample.text).ids for sample in samples])
    problems = []
    for i, (sample, row) in enumerate(zip(samples, per_label(network.predict(ids)), strict=True)):
        probability = float(row[labels.index(sample.label)]) if sample.label in labels else 0.0
        if abs(probability - sample.probability) > allowed:
            problems.append(
                f"text {i + 1} was recorded as {sample.label!r} with probability {sample.probability:.6f}, which is "
                f"now {probability:.6f}: the labels, the vocabulary or the tokenizer were changed"
            )
    return problems


def rating_problems(
    network: Network, tokenizer: Tokenizer, samples: Sequence[RatedSample], keras_drift: float | None
) -> list[str]:
    """Compares the number that was recorded for each text with that of the reference.

    Args:
        network: The reference.
        tokenizer: The model's tokenizer.
        samples: The recorded texts.
        keras_drift: As for `text_problems`.

    Returns:
        A sentence for each text that the reference does not reproduce.
    """
    if not samples or keras_drift is None:
        return []
    ids = tokenizer.pad([tokenizer.encode(sample.text).ids for sample in samples])
    return [
        f"text {i + 1} was recorded with {sample.value:.6g}, which is now {value:.6g}: the weights, the vocabulary or "
        "the tokenizer were changed"
        for i, (sample, (value,)) in enumerate(zip(samples, network.predict(ids).tolist(), strict=True))
        if not abs(value - sample.value) <= _allowed(keras_drift, abs(value))
    ]


def sequence_problems(network: Network, labels: Sequence[str], samples: Sequence[SeriesSample]) -> list[str]:
    """Compares the answer that was recorded for each sequence with that of the reference.

    The comparison finds renamed and reordered labels, and changed weights. Keras recorded the answers in float32, so
    the bound is the first-order rounding error of an answer. For a single sigmoid unit, the probability of the other
    label was computed by a subtraction from 1, which rounds once more.

    Args:
        network: The reference.
        labels: The labels by label id; empty for a network that gives values.
        samples: The recorded sequences.

    Returns:
        A sentence for each sequence that the reference does not reproduce.
    """
    problems = []
    for i, sample in enumerate(samples):
        ((_, decision),) = decide(network, sample.x[None]).items()
        row, bounds = decision.values[0], decision.bounds[0]
        if labels and len(row) == 1:
            row, bounds = per_label(row), np.array([bounds[0] + UNIT_ROUNDOFF, bounds[0]])
        recorded = dict(zip(labels, row, strict=True)).keys() == sample.probs.keys() if labels else not sample.probs
        given = np.array([sample.probs[label] for label in labels] if recorded and labels else sample.values)
        if given.shape != row.shape or not (np.abs(row - given) <= bounds).all():
            problems.append(
                f"sequence {i + 1} was recorded with {_list(given)}, which is now {_list(row)}: the labels or the "
                "weights were changed"
            )
    return problems


def sentence_problems(
    network: Network,
    encoder: WordEncoder,
    labels: Sequence[str],
    samples: Sequence[TaggedSample],
    keras_drift: float | None,
) -> list[str]:
    """Compares the probability that was recorded for the tag of each word with that of the reference.

    Args:
        network: The reference.
        encoder: Turns words into ids and features.
        labels: The tags by label id.
        samples: The recorded sentences.
        keras_drift: The largest difference of Keras from the reference on the probes, which include these sentences;
            None if it is not finite.

    Returns:
        A sentence for the worst word of each recorded sentence that the reference does not reproduce.
    """
    if not samples or keras_drift is None:
        return []
    allowed = _allowed(keras_drift)
    ids = {label: i for i, label in enumerate(labels)}
    encoded = encoder.pad([encoder.encode(sample.words) for sample in samples])
    answers = network.predict(encoded._asdict())
    problems = []
    for i, (sample, rows) in enumerate(zip(samples, answers, strict=True)):
        given = [float(row[ids[tag]]) if tag in ids else 0.0 for row, tag in zip(rows, sample.tags, strict=False)]
        off = np.abs(np.array(given) - sample.probabilities)
        if not (off <= allowed).all():
            k = int(np.nan_to_num(off, nan=np.inf).argmax())
            problems.append(
                f"word {k + 1} of sentence {i + 1} was recorded as {sample.tags[k]!r} with probability "
                f"{sample.probabilities[k]:.6f}, which is now {given[k]:.6f}: the tags, the vocabulary or the features "
                "were changed"
            )
    return problems


def _allowed(keras_drift: float, size: float = 1.0) -> float:
    """Returns how far a recorded probability, or a number of a size, may be from the reference.

    Training recorded it with another graph of the same model. That graph may add in another order, which changes a
    result by a few times the drift of the graph that was measured. Six digits were recorded.
    """
    return 4 * keras_drift + 1e-6 * max(size, 1.0)


def _list(values: np.ndarray) -> str:
    """Returns the first four values as text."""
    return ", ".join(f"{value:.6g}" for value in values[:4]) or "nothing"

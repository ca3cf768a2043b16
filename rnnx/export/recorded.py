"""Compares what was recorded for held-out examples when their network was trained with what it gives now."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rnnx.bundle.labels import per_label
from rnnx.bundle.samples import Sample, SeriesSample, TaggedSample
from rnnx.reference import Network
from rnnx.rounding.decisions import decide
from rnnx.rounding.float32 import UNIT_ROUNDOFF
from rnnx.text.tokenizer import Tokenizer
from rnnx.text.word_encoder import WordEncoder


def text_problems(
    network: Network,
    tokenizer: Tokenizer,
    labels: Sequence[str],
    samples: Sequence[Sample],
    keras_drift: float | None,
) -> list[str]:
    """Compares what was recorded for each text, label and probability, with what the reference says now.

    Args:
        network: The reference.
        tokenizer: The model's own.
        labels: By label id.
        samples: What was recorded.
        keras_drift: How far Keras, step by step, is from the reference on these very texts and others; None if it is
            not finite. Keras recorded them in a graph, and another order of its sums may drift by a few times that;
            six digits were recorded.
    """
    if not samples or keras_drift is None:
        return []
    allowed = 4 * keras_drift + 1e-6
    ids = tokenizer.pad([tokenizer.encode(sample.text).ids for sample in samples])
    problems = []
    for i, (sample, row) in enumerate(zip(samples, per_label(network.predict(ids)), strict=True)):
        probability = float(row[labels.index(sample.label)]) if sample.label in labels else 0.0
        if abs(probability - sample.probability) > allowed:
            problems.append(
                f"text {i + 1} was recorded as {sample.label!r} with {sample.probability:.6f}, and is given "
                f"{probability:.6f} now: the labels, the vocabulary or the tokenizer were changed"
            )
    return problems


def sequence_problems(network: Network, labels: Sequence[str], samples: Sequence[SeriesSample]) -> list[str]:
    """Compares each recorded sequence with what the reference says of it now: other labels, or another order, show.

    Keras recorded it in float32; what its roundings can do to an answer, to first order, is its bound. A single
    sigmoid was spelled out by one subtraction from 1.
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
                f"sequence {i + 1} was recorded with {_list(given)}, and is given {_list(row)} now: the labels or the "
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
    """Compares each recorded tag and its probability with what the reference gives for its word now.

    Args:
        network: The reference.
        encoder: What makes ids of words.
        labels: By label id.
        samples: What was recorded.
        keras_drift: As for `text_problems`, on these very sentences and others.
    """
    if not samples or keras_drift is None:
        return []
    allowed = 4 * keras_drift + 1e-6
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
                f"word {k + 1} of sentence {i + 1} was recorded as {sample.tags[k]!r} with "
                f"{sample.probabilities[k]:.6f}, and is given {given[k]:.6f} now: the tags, the vocabulary or the "
                "features were changed"
            )
    return problems


def _list(values: np.ndarray) -> str:
    return ", ".join(f"{value:.6g}" for value in values[:4]) or "nothing"

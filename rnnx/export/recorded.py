"""What was recorded for held-out sequences, or sentences, when their network was trained, beside what it gives now."""

from __future__ import annotations

import numpy as np

from rnnx.bundle.labels import per_label
from rnnx.export.source import Source
from rnnx.rounding.decisions import decide
from rnnx.rounding.step_bound import UNIT_ROUNDOFF


def sequence_problems(source: Source) -> list[str]:
    """Compares each recorded sequence with what the reference says of it now: other labels, or another order, show.

    Keras recorded it in float32; what its roundings can do to an answer, to first order, is its bound. A single
    sigmoid was spelled out by one subtraction from 1.
    """
    problems = []
    labels = source.config.labels
    for i, sample in enumerate(source.sequences):
        ((_, decision),) = decide(source.network, sample.x[None]).items()
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


def sentence_problems(source: Source, keras_drift: float | None) -> list[str]:
    """Compares each recorded tag and its probability with what the reference gives for its word now.

    Args:
        source: The model.
        keras_drift: How far Keras, step by step, is from the reference on these very sentences and others; None if it
            is not finite. In a graph, as it recorded them, it may drift by a few times that; six digits were recorded.
    """
    if not source.encoder or not source.sentences or keras_drift is None:
        return []
    allowed = 4 * keras_drift + 1e-6
    ids = {label: i for i, label in enumerate(source.config.labels)}
    encoded = source.encoder.pad([source.encoder.encode(sample.words) for sample in source.sentences])
    answers = source.network.predict(encoded._asdict())
    problems = []
    for i, (sample, rows) in enumerate(zip(source.sentences, answers, strict=True)):
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

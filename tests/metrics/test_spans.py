from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from rnnx.metrics.spans import measure_spans

PREFIXES = {"BIO": "BIO", "BIOES": "BIOES", "IO": "IO"}


def test_a_span_counts_if_its_words_and_its_label_are_right() -> None:
    expected = ["B-PER", "I-PER", "O", "B-LOC", "O", "B-LOC"]
    actual = ["B-PER", "I-PER", "O", "B-PER", "O", "O"]
    figures = measure_spans([(expected, actual)])
    assert list(figures.labels) == ["LOC", "PER"]
    assert figures.labels["LOC"] == type(figures.micro)(0.0, 0.0, 0.0, 2)
    assert figures.labels["PER"] == type(figures.micro)(0.5, 1.0, 2 / 3, 1)
    assert figures.micro == type(figures.micro)(0.5, 1 / 3, 0.4, 3)
    assert figures.macro == type(figures.micro)(0.25, 0.5, 1 / 3, 3)


def test_spans_of_different_sentences_are_different() -> None:
    figures = measure_spans([(["B-PER"], ["O"]), (["O"], ["B-PER"])])
    assert (figures.micro.f1, figures.micro.support) == (0.0, 1)
    assert measure_spans([(["O"], ["O"])]).micro.f1 == 0.0


@pytest.mark.parametrize("prefixes", PREFIXES.values(), ids=PREFIXES)
def test_the_figures_are_those_of_seqeval(prefixes: str) -> None:
    seqeval: Any = pytest.importorskip("seqeval.metrics", reason="seqeval is in the extra [dev]")
    rng = np.random.default_rng(1)
    tags = [prefix if prefix == "O" else f"{prefix}-{label}" for prefix in prefixes for label in ("PER", "LOC", "X-Y")]
    expected = [[str(tag) for tag in rng.choice(tags, rng.integers(1, 30))] for _ in range(200)]
    # Half of the predicted tags are right, so that there are right spans of every label.
    actual = [[tag if rng.random() < 0.7 else str(rng.choice(tags)) for tag in sentence] for sentence in expected]
    figures = measure_spans(zip(expected, actual, strict=True))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # seqeval's own, on what numpy will change
        theirs = seqeval.classification_report(expected, actual, output_dict=True, zero_division=0)
    assert figures.labels.keys() == theirs.keys() - {"micro avg", "macro avg", "weighted avg"}
    rows = {**figures.labels, "micro avg": figures.micro, "macro avg": figures.macro}
    for name, metrics in rows.items():
        assert 0 < metrics.f1 < 1
        assert vars(metrics) == pytest.approx(
            {
                "precision": theirs[name]["precision"],
                "recall": theirs[name]["recall"],
                "f1": theirs[name]["f1-score"],
                "support": theirs[name]["support"],
            }
        )

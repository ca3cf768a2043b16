"""Precision, recall and F1 of spans, such as names in a text: a span counts if its words and its label are right.

The definition is that of conlleval and of seqeval in its default mode. seqeval itself needs scikit-learn; the tests
compare with it. Standard library only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rnnx.bundle.span_tags import find_spans
from rnnx.metrics.figures import LabelMetrics, TagEvaluation


@dataclass(frozen=True)
class SpanFigures:
    """The figures of spans on one data set.

    Attributes:
        labels: The figures of each label, by name; labels that neither occur nor are predicted are left out.
        micro: The figures of all spans together.
        macro: The means over the labels; 0 if there is none.
    """

    labels: dict[str, LabelMetrics]
    micro: LabelMetrics
    macro: LabelMetrics


@dataclass(frozen=True)
class SpanEvaluation(TagEvaluation):
    """The figures of a tagger of spans on one data set; `accuracy`, `labels` and `count` refer to words and their tags.

    Attributes:
        spans: The figures of the spans.
    """

    spans: SpanFigures


def measure_spans(pairs: Iterable[tuple[Sequence[str], Sequence[str]]]) -> SpanFigures:
    """Compares the spans of the expected tags with those of the predicted tags.

    Args:
        pairs: For each sentence the expected and the predicted tags of its words.
    """
    expected: Counter[str] = Counter()
    actual: Counter[str] = Counter()
    right: Counter[str] = Counter()
    for expected_tags, actual_tags in pairs:
        true, predicted = find_spans(expected_tags), find_spans(actual_tags)
        expected.update(span.label for span in true)
        actual.update(span.label for span in predicted)
        right.update(span.label for span in set(true) & set(predicted))
    names = sorted({*expected, *actual})
    labels = {name: _metrics(right[name], expected[name], actual[name]) for name in names}
    count = max(len(names), 1)
    macro = LabelMetrics(
        sum(metrics.precision for metrics in labels.values()) / count,
        sum(metrics.recall for metrics in labels.values()) / count,
        sum(metrics.f1 for metrics in labels.values()) / count,
        expected.total(),
    )
    return SpanFigures(labels, _metrics(right.total(), expected.total(), actual.total()), macro)


def _metrics(right: int, expected: int, actual: int) -> LabelMetrics:
    return LabelMetrics(
        right / max(actual, 1), right / max(expected, 1), 2 * right / max(expected + actual, 1), expected
    )

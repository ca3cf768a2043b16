"""Prints the figures of `rnnx evaluate` as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from rnnx.cli import terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rnnx.metrics.figures import Evaluation, LengthMetrics, ValueEvaluation, ValueMetrics
    from rnnx.metrics.rating_errors import RatingEvaluation
    from rnnx.metrics.several_labels import LabelSetEvaluation
    from rnnx.metrics.side_by_side import MeasuredModel
    from rnnx.metrics.spans import SpanFigures

    AnyEvaluation: TypeAlias = Evaluation | ValueEvaluation | LabelSetEvaluation


def write_figures(figures: AnyEvaluation, length_unit: str) -> None:
    """Prints the figures of one model.

    Args:
        figures: The figures.
        length_unit: What the length of an input is counted in, such as `tokens`.
    """
    from rnnx.metrics.figures import Evaluation, ValueEvaluation
    from rnnx.metrics.rating_errors import RatingEvaluation
    from rnnx.metrics.several_labels import LabelSetEvaluation

    match figures:
        case RatingEvaluation():
            _write_ratings(figures)
        case ValueEvaluation():
            _write_values(figures)
        case LabelSetEvaluation():
            _write_label_sets(figures)
        case Evaluation():
            _write_labels(figures, length_unit)


def write_side_by_side(compared: Sequence[MeasuredModel]) -> None:
    """Prints several models, one per row, and how far the seeds of a recipe are apart; nothing without models."""
    from rnnx.metrics.side_by_side import measure_spreads

    if not compared:
        return
    rows = [
        (
            model.name,
            model.recipe or "-",
            "-" if model.seed is None else model.seed,
            model.parameter_count,
            f"{model.accuracy:.4f}",
            f"{model.expected_calibration_error:.4f}",
        )
        for model in compared
    ]
    terminal.write_table(("Model", "Recipe", "Seed", "Parameters", "Accuracy", "Calibration error"), rows)
    if spreads := measure_spreads(compared):
        terminal.write_table(
            ("Recipe", "Seeds", "Mean", "Deviation", "Lowest", "Highest"),
            [(s.recipe, s.count, *(f"{x:.4f}" for x in (s.mean, s.deviation, s.lowest, s.highest))) for s in spreads],
        )


def _write_values(figures: ValueEvaluation) -> None:
    rows: list[tuple[str, ValueEvaluation | ValueMetrics]] = [("all", figures)]
    if len(figures.outputs) > 1:
        rows += [(f"y[{i}]", metrics) for i, metrics in enumerate(figures.outputs)]
    terminal.write_table(
        ("Output", "MAE", "RMSE", "R2", "Count"),
        [
            (name, f"{m.mae:.6g}", f"{m.rmse:.6g}", "-" if m.r2 is None else f"{m.r2:.4f}", figures.count)
            for name, m in rows
        ],
    )


def _write_ratings(figures: RatingEvaluation) -> None:
    baseline = f"Always {figures.baseline:.4g}, the mean"
    terminal.write_table(
        ("", "Model", baseline),
        [
            ("mean absolute error", f"{figures.mae:.4f}", f"{figures.baseline_mae:.4f}"),
            ("root mean squared error", f"{figures.rmse:.4f}", f"{figures.baseline_rmse:.4f}"),
            ("R2", "-" if figures.r2 is None else f"{figures.r2:.4f}", "0"),
            ("correlation (Pearson)", "-" if figures.pearson is None else f"{figures.pearson:.4f}", "-"),
            ("count", figures.count, figures.count),
        ],
    )


def _write_label_sets(figures: LabelSetEvaluation) -> None:
    terminal.write_table(
        ("", "Value"),
        [
            ("micro F1", f"{figures.micro_f1:.4f}"),
            ("macro F1", f"{figures.macro_f1:.4f}"),
            ("micro precision", f"{figures.micro_precision:.4f}"),
            ("micro recall", f"{figures.micro_recall:.4f}"),
            ("all labels right", f"{figures.exact:.4f}"),
            ("count", figures.count),
            ("without a label", figures.without_label_count),
        ],
    )
    rows = [
        (label, f"{m.precision:.4f}", f"{m.recall:.4f}", f"{m.f1:.4f}", m.support)
        for label, m in figures.labels.items()
    ]
    terminal.write_table(("Label", "Precision", "Recall", "F1", "Support"), rows)


def _write_labels(figures: Evaluation, unit: str) -> None:
    from rnnx.metrics.figures import TagEvaluation
    from rnnx.metrics.spans import SpanEvaluation

    calibration = figures.calibration
    summary: list[tuple[str, object]] = [("accuracy", f"{figures.accuracy:.4f}")]
    summary += [("macro F1", f"{figures.macro_f1:.4f}"), ("count", figures.count)]
    summary.append(("expected calibration error", f"{calibration.expected_calibration_error:.4f}"))
    if calibration.negative_log_likelihood is not None:
        summary.append(("negative log likelihood", f"{calibration.negative_log_likelihood:.4f}"))
    if calibration.brier_score is not None:
        summary.append(("Brier score", f"{calibration.brier_score:.4f}"))
    if isinstance(figures, TagEvaluation):
        unknown = "-" if figures.unknown_accuracy is None else f"{figures.unknown_accuracy:.4f}"
        summary += [("sentences", figures.sentence_count), ("unknown words", figures.unknown_count)]
        summary.append(("accuracy on unknown words", unknown))
    terminal.write_table(("", "Value"), summary)
    if isinstance(figures, SpanEvaluation):
        _write_spans(figures.spans)
    rows = [
        (label, f"{m.precision:.4f}", f"{m.recall:.4f}", f"{m.f1:.4f}", m.support, *row)
        for (label, m), row in zip(figures.labels.items(), figures.confusion, strict=True)
    ]
    columns = ("Label", "Precision", "Recall", "F1", "Support", *(f"predicted {label}" for label in figures.labels))
    terminal.write_table(columns, rows)
    if figures.by_length:
        lengths = [(_length(row, unit), f"{row.accuracy:.4f}", row.count) for row in figures.by_length]
        terminal.write_table(("Length", "Accuracy", "Count"), lengths)
    bins = [
        (f"{b.low:.3f} to {b.high:.3f}", f"{b.confidence:.4f}", f"{b.accuracy:.4f}", b.count) for b in calibration.bins
    ]
    terminal.write_table(("Predicted probability", "Mean", "Correct", "Count"), bins)


def _write_spans(spans: SpanFigures) -> None:
    rows = [*spans.labels.items(), ("all, micro average", spans.micro), ("all, macro average", spans.macro)]
    terminal.write_table(
        ("Span", "Precision", "Recall", "F1", "Support"),
        [(name, f"{m.precision:.4f}", f"{m.recall:.4f}", f"{m.f1:.4f}", m.support) for name, m in rows],
    )


def _length(row: LengthMetrics, unit: str) -> str:
    lengths = f"{row.shortest} to {row.longest}" if row.longest > row.shortest else f"{row.shortest}"
    return f"{'cut, ' if row.is_cut else ''}{lengths} {unit}"

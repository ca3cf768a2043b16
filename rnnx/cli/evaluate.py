"""`rnnx evaluate`."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias, assert_never

import typer

from rnnx.bundle.directory import MODEL_NAME, require_replaceable
from rnnx.bundle.find_model import find_directory
from rnnx.cli import terminal
from rnnx.cli.answer_kinds import answer_kind
from rnnx.cli.infer import DeviceName, DeviceOption
from rnnx.cli.progress_bars import show_progress
from rnnx.cli.scratch import own_temporary_files
from rnnx.cli.table_options import (
    DelimiterOption,
    EncodingOption,
    HeaderOption,
    LabelColumnOption,
    LabelColumnsOption,
    LabelDelimiterOption,
    QuotesOption,
    SkipBadRowsOption,
    TagColumnOption,
    TextColumnOption,
    make_listener,
    split_names,
)
from rnnx.cli.unknown_texts import warn_of_unknown_texts
from rnnx.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rnnx.datasets import Columns, TableForm
    from rnnx.infer.predictor import Predictor
    from rnnx.metrics.figures import Evaluation, LengthMetrics, ValueEvaluation, ValueMetrics
    from rnnx.metrics.rating_errors import RatingEvaluation
    from rnnx.metrics.several_labels import LabelSetEvaluation
    from rnnx.metrics.side_by_side import MeasuredModel
    from rnnx.metrics.spans import SpanFigures

    AnyEvaluation: TypeAlias = Evaluation | ValueEvaluation | LabelSetEvaluation


class DatasetPart(StrEnum):
    """The choices of `--part`."""

    TEST = "test"
    TRAIN = "train"


def evaluate(
    bundle: Annotated[str, typer.Argument(help="The name of a shipped model, or the path of a bundle.")],
    dataset: Annotated[str, typer.Argument(help="As for rnnx train.")],
    data_dir: Annotated[
        Path | None, typer.Option(help="The folder of the IMDB reviews, packed or not. [default: download]")
    ] = None,
    part: Annotated[DatasetPart | None, typer.Option(help="[default: test if there is one, else everything]")] = None,
    text_column: TextColumnOption = None,
    label_column: LabelColumnOption = None,
    label_columns: LabelColumnsOption = None,
    label_delimiter: LabelDelimiterOption = None,
    tag_column: TagColumnOption = None,
    delimiter: DelimiterOption = None,
    encoding: EncodingOption = None,
    has_header: HeaderOption = True,
    quotes: QuotesOption = None,
    skip_bad_rows: SkipBadRowsOption = False,
    device: DeviceOption = DeviceName.AUTO,
    beside: Annotated[
        list[str] | None, typer.Option(help="Evaluate this bundle as well, side by side; may be given several times.")
    ] = None,
    save: Annotated[bool, typer.Option("--save", help="Write the figures into the bundle and its card.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Measure a bundle on labelled data.

    For labels: accuracy, confusion, calibration and accuracy by length. For tags such as B-PER: F1 of the spans, too.
    For several labels per text: micro and macro F1. For values: MAE, RMSE and R2.
    """
    from rnnx.card.card import save_evaluation
    from rnnx.card.card_kinds import card_kind
    from rnnx.datasets import Columns, TableForm
    from rnnx.infer.load import load
    from rnnx.metrics.figures import Evaluation, ValueEvaluation
    from rnnx.metrics.rating_errors import RatingEvaluation
    from rnnx.metrics.several_labels import LabelSetEvaluation
    from rnnx.metrics.side_by_side import MeasuredModel

    if save:
        require_replaceable(find_directory(bundle).resolve())
    data_part = None if part is None else part.value
    columns = Columns(
        text=text_column,
        label=label_column,
        labels=split_names(label_columns),
        label_delimiter=label_delimiter,
        tag=tag_column,
    )
    form = TableForm(delimiter, encoding, has_header, quotes, skip_bad_rows)
    models = (bundle, *(beside or ()))
    predictors = {model: load(model, device=device.value) for model in models}
    measured = {
        model: _measure(predictor, model, dataset, data_part, data_dir, columns, form)
        for model, predictor in predictors.items()
    }
    figures, title = measured[bundle]
    compared = []
    for model in models if beside else ():
        config, labelled = predictors[model].config, _require_labels(model, measured[model][0])
        error = labelled.calibration.expected_calibration_error
        compared.append((model, MeasuredModel.of(config, labelled.accuracy, error, config.files[MODEL_NAME])))
    if save:
        save_evaluation(bundle, title, figures, compared)
    if as_json:
        more = {"side_by_side": [dataclasses.asdict(row) for _, row in compared]} if compared else {}
        terminal.write_json({**_to_dict(figures), **more})
        return
    match figures:
        case RatingEvaluation():
            _write_ratings(figures)
        case ValueEvaluation():
            _write_values(figures)
        case LabelSetEvaluation():
            _write_label_sets(figures)
        case Evaluation():
            _write_labels(figures, card_kind(predictors[bundle].config).length_unit)
            _write_side_by_side([row for _, row in compared])
    terminal.hint(f"rnnx info {bundle}")


def _to_dict(figures: AnyEvaluation) -> dict[str, object]:
    from rnnx.metrics.figures import Evaluation

    fields = dataclasses.asdict(figures)
    return {**fields, "macro_f1": figures.macro_f1} if isinstance(figures, Evaluation) else fields


def _require_labels(model: str, figures: AnyEvaluation) -> Evaluation:
    from rnnx.metrics.figures import Evaluation, ValueEvaluation

    if not isinstance(figures, Evaluation):
        given = "values" if isinstance(figures, ValueEvaluation) else "several labels per text"
        raise UsageError(f"{model}: gives {given}; --beside compares the accuracy of models that give labels")
    return figures


def _write_side_by_side(compared: Sequence[MeasuredModel]) -> None:
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


def _measure(
    predictor: Predictor,
    model: str,
    dataset: str,
    part: str | None,
    data_dir: Path | None,
    columns: Columns,
    form: TableForm,
) -> tuple[AnyEvaluation, str]:
    """Evaluates a model; returns the figures, and the name of the data set with its part.

    Raises:
        DataError: If the data set is of another kind than the model.
    """
    from rnnx.datasets import (
        Dataset,
        LabelSetDataset,
        RatingDataset,
        SeriesDataset,
        TaggedDataset,
        default_tag_column,
        kind_of,
        load_any,
    )
    from rnnx.infer.evaluate import (
        evaluate,
        evaluate_label_sets,
        evaluate_ratings,
        evaluate_tags,
        evaluate_values,
    )

    if kind_of(dataset, columns) != predictor.config.kind:
        raise DataError(f"{dataset}: model {predictor.config.name} reads {answer_kind(predictor, model).dataset}")
    if predictor.config.words and columns.tag is None:
        columns = dataclasses.replace(columns, tag=default_tag_column(dataset, predictor.config.words.tag_column))
    task = predictor.config.task
    # Only the download of the reviews imports Keras.
    with own_temporary_files() if dataset == "imdb" and data_dir is None else nullcontext():
        data = load_any(
            dataset,
            task if task in ("classification", "multilabel") else "regression",
            data_dir=data_dir,
            columns=columns,
            form=form,
            listener=make_listener(),
        )
    figures: AnyEvaluation
    unknown_share, unknown = 0.0, list[int]()
    with show_progress("evaluating") as update:
        match data:
            case TaggedDataset():
                sentences, name = data.choose(part)
                figures = evaluate_tags(predictor, sentences, data.labels, _bar(update, len(sentences)))
                # A treebank of one file has no parts, unless the user asked for one by name.
                has_parts = bool(part or data.test or data.validation)
                title = data.file_name or data.name
                return figures, f"{title} ({name} part)" if has_parts else title
            case Dataset():
                texts, name = data.choose(part)
                figures = evaluate(predictor, texts, data.labels, _bar(update, len(texts)), unknown.append)
                unknown_share = sum(unknown) / len(texts)
            case LabelSetDataset():
                label_sets, name = data.choose(part)
                on_item, unknown = _bar(update, len(label_sets)), []
                figures = evaluate_label_sets(predictor, label_sets, data.labels, on_item, unknown.append)
                unknown_share = sum(unknown) / len(label_sets)
            case RatingDataset():
                ratings, name = data.choose(part)
                on_item, unknown = _bar(update, len(ratings)), []
                figures = evaluate_ratings(predictor, ratings, on_item, unknown.append)
                unknown_share = sum(unknown) / len(ratings)
            case SeriesDataset():
                series, name = data.choose(part)
                on_item = _bar(update, len(series))
                if task == "classification":
                    figures = evaluate(predictor, series, data.labels, on_item)
                else:
                    figures = evaluate_values(predictor, series, on_item)
            case _:
                assert_never(data)
    if predictor.config.tokenizer:
        warn_of_unknown_texts(unknown_share, model, f"the {name} texts", predictor.config.tokenizer)
    return figures, f"{data.name} ({name} part)"


def _bar(update: Callable[[int, str, int | None], None], total: int) -> Callable[[int], None]:
    """Returns a function that moves a progress bar of this many items."""
    return lambda done: update(done, "", total)


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

"""`rnnx evaluate`."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnx.bundle.directory import MODEL_NAME, find_directory, require_replaceable
from rnnx.cli import terminal
from rnnx.cli.infer import DeviceName
from rnnx.errors import DataError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rnnx.datasets import Columns
    from rnnx.infer.predictor import Predictor
    from rnnx.metrics.figures import Evaluation, LengthMetrics, ValueEvaluation, ValueMetrics
    from rnnx.metrics.side_by_side import MeasuredModel


class DatasetPart(StrEnum):
    """The choices of `--part`."""

    TEST = "test"
    TRAIN = "train"


def evaluate(
    bundle: Annotated[str, typer.Argument(help="The name of a shipped model, or the path of a bundle.")],
    dataset: Annotated[str, typer.Argument(help="As for rnnx train.")],
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the IMDB reviews lie, packed or not; else fetched.")
    ] = None,
    part: Annotated[
        DatasetPart | None, typer.Option(help="[default: test where there is one, else everything]")
    ] = None,
    text_column: Annotated[str, typer.Option(help="The column of a table that holds the text.")] = "text",
    label_column: Annotated[str, typer.Option(help="The column of a table that holds the label.")] = "label",
    device: Annotated[DeviceName, typer.Option(help="cuda never lands on the CPU.")] = DeviceName.AUTO,
    beside: Annotated[
        list[str] | None, typer.Option(help="Measure this bundle too, side by side; may be given several times.")
    ] = None,
    save: Annotated[bool, typer.Option("--save", help="Write the figures into the bundle and its card.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Measure a bundle on labelled data: accuracy, confusion, calibration, by length; or on values: MAE, RMSE, R2."""
    from rnnx.card.card import save_evaluation
    from rnnx.datasets import Columns
    from rnnx.infer.predictor import load
    from rnnx.metrics.figures import ValueEvaluation
    from rnnx.metrics.side_by_side import MeasuredModel

    if save:
        require_replaceable(find_directory(bundle).resolve())
    chosen, columns = None if part is None else part.value, Columns(text_column, label_column)
    predictors = {given: load(given, device=device.value) for given in (bundle, *(beside or ()))}
    predictor = predictors[bundle]
    measured = {given: _measure(one, dataset, chosen, data_dir, columns) for given, one in predictors.items()}
    figures, name = measured[bundle]
    compared = []
    for given, one in predictors.items() if beside else ():
        told = _require_labels(given, measured[given][0])
        error = told.calibration.expected_calibration_error
        compared.append((given, MeasuredModel.of(one.config, told.accuracy, error, one.config.files[MODEL_NAME])))
    if save:
        save_evaluation(bundle, name, figures, compared)
    if as_json:
        more = {"side_by_side": [dataclasses.asdict(one) for _, one in compared]} if compared else {}
        terminal.write_json({**dataclasses.asdict(figures), **more})
        return
    if isinstance(figures, ValueEvaluation):
        _write_values(figures)
    else:
        _write_labels(figures, "steps" if predictor.config.tokenizer is None else "tokens")
        _write_side_by_side([one for _, one in compared])
    terminal.hint(f"rnnx info {bundle}")


def _require_labels(given: str, figures: Evaluation | ValueEvaluation) -> Evaluation:
    from rnnx.metrics.figures import Evaluation

    if not isinstance(figures, Evaluation):
        raise UsageError(f"{given}: gives values; --beside compares the accuracy of models that give labels")
    return figures


def _write_side_by_side(compared: Sequence[MeasuredModel]) -> None:
    from rnnx.metrics.side_by_side import measure_spreads

    if not compared:
        return
    rows = [
        (
            one.name,
            one.recipe or "-",
            "-" if one.seed is None else one.seed,
            one.parameter_count,
            f"{one.accuracy:.4f}",
            f"{one.expected_calibration_error:.4f}",
        )
        for one in compared
    ]
    terminal.write_table(("Model", "Recipe", "Seed", "Parameters", "Accuracy", "Calibration error"), rows)
    if spreads := measure_spreads(compared):
        terminal.write_table(
            ("Recipe", "Seeds", "Mean", "Deviation", "Lowest", "Highest"),
            [(s.recipe, s.count, *(f"{x:.4f}" for x in (s.mean, s.deviation, s.lowest, s.highest))) for s in spreads],
        )


def _measure(
    predictor: Predictor, dataset: str, part: str | None, data_dir: Path | None, columns: Columns
) -> tuple[Evaluation | ValueEvaluation, str]:
    """The figures, and the name of what they were measured on."""
    from rnnx.datasets import kind_of, load_dataset

    config, kind = predictor.config, kind_of(dataset)
    if config.words or kind == "sentences":
        if not (config.words and kind == "sentences"):
            reads = "sentences with a tag for each word: give a .conllu file" if config.words else "no tagged words"
            raise DataError(f"{dataset}: model {config.name} reads {reads}")
        return _measure_tags(predictor, dataset, part, data_dir)
    if config.tokenizer is None or kind == "sequences":
        return _measure_series(predictor, dataset, part, data_dir)
    from rnnx.infer.evaluate import evaluate

    texts = load_dataset(dataset, data_dir=data_dir, columns=columns)
    examples, name = texts.choose(part)
    with terminal.progress("evaluating") as update:
        figures = evaluate(predictor, examples, texts.labels, on_text=lambda done: update(done, "", len(examples)))
    return figures, f"{texts.name} ({name} part)"


def _measure_tags(
    predictor: Predictor, dataset: str, part: str | None, data_dir: Path | None
) -> tuple[Evaluation, str]:
    from rnnx.datasets import load_sentences
    from rnnx.infer.evaluate import evaluate_tags

    data = load_sentences(dataset, data_dir=data_dir)
    sentences, name = data.choose(part)
    # A file that has no other part beside it is the whole of what it is called.
    title = f"{data.name} ({name} part)" if part or data.test or data.validation else data.name
    with terminal.progress("evaluating") as update:
        figures = evaluate_tags(
            predictor, sentences, data.labels, on_sentence=lambda done: update(done, "", len(sentences))
        )
    return figures, title


def _measure_series(
    predictor: Predictor, dataset: str, part: str | None, data_dir: Path | None
) -> tuple[Evaluation | ValueEvaluation, str]:
    from rnnx.datasets import kind_of, load_series
    from rnnx.infer.encoders import ArrayReader
    from rnnx.infer.evaluate import evaluate, evaluate_values

    reader = predictor.reader
    if not isinstance(reader, ArrayReader) or kind_of(dataset) != "sequences":
        wanted = f"{reader.describe()}: give a .npz file" if isinstance(reader, ArrayReader) else "texts"
        raise DataError(f"{dataset}: model {predictor.config.name} reads {wanted}")
    is_labelled = predictor.config.task == "classification"
    data = load_series(dataset, "classification" if is_labelled else "regression", data_dir=data_dir)
    series, name = data.choose(part)
    figures: Evaluation | ValueEvaluation
    with terminal.progress("evaluating") as update:
        if is_labelled:
            figures = evaluate(predictor, series, data.labels, on_text=lambda done: update(done, "", len(series)))
        else:
            figures = evaluate_values(predictor, series, on_item=lambda done: update(done, "", len(series)))
    return figures, f"{data.name} ({name} part)"


def _write_values(figures: ValueEvaluation) -> None:
    rows: list[tuple[str, ValueEvaluation | ValueMetrics]] = [("all", figures)]
    if len(figures.outputs) > 1:
        rows += [(f"y[{i}]", one) for i, one in enumerate(figures.outputs)]
    terminal.write_table(
        ("Output", "MAE", "RMSE", "R2", "Count"),
        [
            (name, f"{m.mae:.6g}", f"{m.rmse:.6g}", "-" if m.r2 is None else f"{m.r2:.4f}", figures.count)
            for name, m in rows
        ],
    )


def _write_labels(figures: Evaluation, unit: str) -> None:
    from rnnx.metrics.figures import TagEvaluation

    calibration = figures.calibration
    summary: list[tuple[str, object]] = [("accuracy", f"{figures.accuracy:.4f}"), ("count", figures.count)]
    summary.append(("expected calibration error", f"{calibration.expected_calibration_error:.4f}"))
    if calibration.negative_log_likelihood is not None:
        summary.append(("negative log likelihood", f"{calibration.negative_log_likelihood:.4f}"))
    if calibration.brier_score is not None:
        summary.append(("Brier score", f"{calibration.brier_score:.4f}"))
    if isinstance(figures, TagEvaluation):
        unknown = "-" if figures.unknown_accuracy is None else f"{figures.unknown_accuracy:.4f}"
        summary += [("sentences", figures.sentence_count), ("unknown words", figures.unknown_count)]
        summary.append(("accuracy on these", unknown))
    terminal.write_table(("", "Value"), summary)
    rows = [
        (label, f"{m.precision:.4f}", f"{m.recall:.4f}", f"{m.f1:.4f}", m.support, *row)
        for (label, m), row in zip(figures.labels.items(), figures.confusion, strict=True)
    ]
    columns = ("Label", "Precision", "Recall", "F1", "Support", *(f"said {label}" for label in figures.labels))
    terminal.write_table(columns, rows)
    if figures.by_length:
        lengths = [(_length(row, unit), f"{row.accuracy:.4f}", row.count) for row in figures.by_length]
        terminal.write_table(("Length", "Accuracy", "Count"), lengths)
    bins = [
        (f"said with {b.low:.3f} to {b.high:.3f}", f"{b.confidence:.4f}", f"{b.accuracy:.4f}", b.count)
        for b in calibration.bins
    ]
    terminal.write_table(("Probability", "Mean", "Right", "Count"), bins)


def _length(row: LengthMetrics, unit: str) -> str:
    lengths = f"{row.shortest} to {row.longest}" if row.longest > row.shortest else f"{row.shortest}"
    return f"{'cut, ' if row.is_cut else ''}{lengths} {unit}"

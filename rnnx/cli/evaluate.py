"""`rnnx evaluate`."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnx.bundle import find_directory, require_replaceable
from rnnx.cli import terminal
from rnnx.cli.infer import DeviceName
from rnnx.errors import DataError

if TYPE_CHECKING:
    from rnnx.datasets import Columns
    from rnnx.infer.evaluate import Evaluation, ValueEvaluation, ValueMetrics
    from rnnx.infer.predictor import Predictor


class Part(StrEnum):
    """The choices of `--part`."""

    TEST = "test"
    TRAIN = "train"


def evaluate(
    bundle: Annotated[str, typer.Argument(help="The name of a shipped model, or the path of a bundle.")],
    dataset: Annotated[str, typer.Argument(help="As for rnnx train.")],
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the IMDB reviews lie, packed or not; else fetched.")
    ] = None,
    part: Annotated[Part | None, typer.Option(help="[default: test where there is one, else everything]")] = None,
    text_column: Annotated[str, typer.Option(help="The column of a table that holds the text.")] = "text",
    label_column: Annotated[str, typer.Option(help="The column of a table that holds the label.")] = "label",
    device: Annotated[DeviceName, typer.Option(help="cuda never lands on the CPU.")] = DeviceName.AUTO,
    save: Annotated[bool, typer.Option("--save", help="Write the figures into the bundle and its card.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Measure a bundle on labelled data: accuracy, precision, recall, F1, confusion; or on values: MAE, RMSE, R2."""
    from rnnx.card import save_evaluation
    from rnnx.datasets import Columns
    from rnnx.infer.evaluate import ValueEvaluation
    from rnnx.infer.predictor import load

    if save:
        require_replaceable(find_directory(bundle).resolve())
    predictor = load(bundle, device=device.value)
    chosen = None if part is None else part.value
    figures, name = _measure(predictor, dataset, chosen, data_dir, Columns(text_column, label_column))
    if save:
        save_evaluation(bundle, name, figures)
    if as_json:
        terminal.write_json(dataclasses.asdict(figures))
        return
    if isinstance(figures, ValueEvaluation):
        _write_values(figures)
    else:
        _write_labels(figures)
    terminal.hint(f"rnnx info {bundle}")


def _measure(
    predictor: Predictor, dataset: str, part: str | None, data_dir: Path | None, columns: Columns
) -> tuple[Evaluation | ValueEvaluation, str]:
    """The figures, and the name of what they were measured on."""
    from rnnx.datasets import is_series, load_dataset, load_series
    from rnnx.infer.evaluate import evaluate, evaluate_values
    from rnnx.infer.readers import ArrayReader

    reader = predictor.reader if isinstance(predictor.reader, ArrayReader) else None
    if (reader is not None) != is_series(dataset):
        wanted = f"{reader.describe()}: give a .npz file" if reader else "texts"
        raise DataError(f"{dataset}: model {predictor.config.name} reads {wanted}")
    with terminal.progress("evaluating") as update:
        if reader is None:
            texts = load_dataset(dataset, data_dir=data_dir, columns=columns)
            examples, name = texts.choose(part)
            figures: Evaluation | ValueEvaluation = evaluate(
                predictor, examples, texts.labels, on_text=lambda done: update(done, "", len(examples))
            )
            return figures, f"{texts.name} ({name} part)"
        is_labelled = predictor.config.task == "classification"
        data = load_series(dataset, "classification" if is_labelled else "regression", data_dir=data_dir)
        series, name = data.choose(part)
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


def _write_labels(figures: Evaluation) -> None:
    terminal.write_table(("", "Value"), [("accuracy", f"{figures.accuracy:.4f}"), ("count", figures.count)])
    rows = [
        (label, f"{m.precision:.4f}", f"{m.recall:.4f}", f"{m.f1:.4f}", m.support, *row)
        for (label, m), row in zip(figures.labels.items(), figures.confusion, strict=True)
    ]
    columns = ("Label", "Precision", "Recall", "F1", "Support", *(f"said {label}" for label in figures.labels))
    terminal.write_table(columns, rows)

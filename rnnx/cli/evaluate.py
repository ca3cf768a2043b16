"""`rnnx evaluate`."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, assert_never

import typer

from rnnx.bundle.directory import MODEL_NAME, require_replaceable
from rnnx.bundle.find_model import find_directory
from rnnx.cli import terminal
from rnnx.cli.answer_kinds import answer_kind
from rnnx.cli.evaluation_tables import write_figures, write_side_by_side
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
    from collections.abc import Callable

    from rnnx.cli.evaluation_tables import AnyEvaluation
    from rnnx.datasets import Columns, TableForm
    from rnnx.infer.predictor import Predictor
    from rnnx.metrics.figures import Evaluation


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
    write_figures(figures, card_kind(predictors[bundle].config).length_unit)
    write_side_by_side([row for _, row in compared])
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

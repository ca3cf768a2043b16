"""`rnnx train`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnx.cli import terminal
from rnnx.cli.extras import import_stage
from rnnx.errors import UsageError

if TYPE_CHECKING:
    from types import ModuleType

    from rnnx.datasets import Columns, SeriesTask
    from rnnx.train.fit import Epoch, Progress
    from rnnx.train.run import AnyDataset, AnyRecipe


class TaskName(StrEnum):
    """The choices of `--task`."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"


def train(
    dataset: Annotated[
        str,
        typer.Argument(
            help="imdb, or a folder or archive of train/<label>/*.txt, or a .csv, .tsv, .jsonl, .conllu or .npz file."
        ),
    ] = "imdb",
    recipe: Annotated[
        str | None,
        typer.Option(
            help="default, or article (the article's network to the letter), tagger (a tag for each word), or series "
            "(numbers). [default: tagger for .conllu, series for .npz, else default]"
        ),
    ] = None,
    task: Annotated[
        TaskName | None, typer.Option(help="What y of a .npz file holds: labels, or values. [default: classification]")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Where the run goes. [default: runs/DATASET-RECIPE]")] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the IMDB reviews lie, packed or not; else fetched.")
    ] = None,
    text_column: Annotated[str, typer.Option(help="The column of a table that holds the text.")] = "text",
    label_column: Annotated[str, typer.Option(help="The column of a table that holds the label.")] = "label",
    epochs: Annotated[int | None, typer.Option(min=1, help="Passes over the texts. [default: the recipe's]")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the split, the start weights and the order.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int | None:
    """Train a network on labelled texts, tagged sentences or sequences of numbers; Ctrl-C keeps the best epoch."""
    from rnnx.datasets import Columns

    with terminal.quiet_tensorflow():
        recipes, fitting, runs = import_stage("rnnx.train.recipes", "rnnx.train.fit", "rnnx.train.run")
        columns = Columns(text_column, label_column)
        data, chosen = _load(recipes, dataset, recipe, None if task is None else task.value, data_dir, columns)
        place = out or Path("runs") / f"{data.name}-{chosen.name}"
        terminal.note(f"{data.name}: {data.summary()}{_labels(data.labels)}; recipe {chosen.name}")
        with terminal.progress("training") as update:
            observer = fitting.Observer(
                on_batch=lambda p: update(*_on_bar(p)), on_epoch=lambda e: terminal.note(_line(e))
            )
            fitted = runs.train(data, chosen, place, epochs=epochs, seed=seed, observer=observer)
    best = {"run": str(place), **fitted.best.figures(), "is_interrupted": fitted.is_interrupted}
    if as_json:
        terminal.write_json(best)
    else:
        terminal.write_table(("", "Best epoch"), [(k, f"{v:.4f}" if type(v) is float else v) for k, v in best.items()])
    if fitted.is_interrupted:
        terminal.warning(f"stopped after epoch {len(fitted.history)}; {place} holds the best one so far")
        return 130
    terminal.hint(f"rnnx export {place}")
    return None


def _load(
    recipes: ModuleType,
    dataset: str,
    recipe: str | None,
    task: SeriesTask | None,
    data_dir: Path | None,
    columns: Columns,
) -> tuple[AnyDataset, AnyRecipe]:
    """The data set, and the recipe that was asked for or that its kind of data takes."""
    from rnnx.datasets import is_series, is_tagged, load_dataset, load_sentences, load_series

    if is_series(dataset):
        series: AnyRecipe = recipes.get_series_recipe(recipe or "series")
        return load_series(dataset, task or "classification", data_dir=data_dir), series
    if task is not None:
        raise UsageError(f"--task is for sequences of numbers (.npz), not for {dataset}")
    if is_tagged(dataset):
        tagger: AnyRecipe = recipes.get_tagger_recipe(recipe or "tagger")
        return load_sentences(dataset, data_dir=data_dir), tagger
    chosen: AnyRecipe = recipes.get_recipe(recipe or "default")
    return load_dataset(dataset, data_dir=data_dir, columns=columns), chosen


def _labels(labels: tuple[str, ...]) -> str:
    return f", labels {', '.join(labels)}" if labels else ""


def _on_bar(p: Progress) -> tuple[int, str, int]:
    done = (p.epoch - 1) * p.batches + p.batch
    return done, f"epoch {p.epoch}/{p.epochs}, loss {p.loss:.3f}", p.batches * p.epochs


def _line(epoch: Epoch) -> str:
    return (
        f"epoch {epoch.epoch}: {epoch.name} {epoch.score:.4f}, loss {epoch.loss:.4f}, "
        f"validation {epoch.name} {epoch.validation_score:.4f}, loss {epoch.validation_loss:.4f}"
    )

"""`rnnx train`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnx.cli import terminal
from rnnx.cli.extras import import_stage

if TYPE_CHECKING:
    from rnnx.datasets import Dataset, TaggedDataset
    from rnnx.train.fit import Epoch, Progress


def train(
    dataset: Annotated[
        str,
        typer.Argument(
            help="imdb, or a folder or archive of train/<label>/*.txt, or a .csv, .tsv, .jsonl or .conllu file."
        ),
    ] = "imdb",
    recipe: Annotated[
        str | None,
        typer.Option(
            help="default, or article (the article's network to the letter), or tagger (a tag for each word). "
            "[default: tagger for .conllu, else default]"
        ),
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
    """Train a network on labelled texts or tagged sentences; Ctrl-C keeps the best epoch so far."""
    from rnnx.datasets import Columns, is_tagged, load_dataset, load_sentences

    with terminal.quiet_tensorflow():
        recipes, fitting, runs = import_stage("rnnx.train.recipes", "rnnx.train.fit", "rnnx.train.run")
        if is_tagged(dataset):
            chosen = recipes.get_tagger_recipe(recipe or "tagger")
            data: Dataset | TaggedDataset = load_sentences(dataset, data_dir=data_dir)
        else:
            chosen = recipes.get_recipe(recipe or "default")
            data = load_dataset(dataset, data_dir=data_dir, columns=Columns(text_column, label_column))
        place = out or Path("runs") / f"{data.name}-{chosen.name}"
        terminal.note(f"{data.name}: {data.summary()}, labels {', '.join(data.labels)}; recipe {chosen.name}")
        with terminal.progress("training") as update:
            observer = fitting.Observer(
                on_batch=lambda p: update(*_on_bar(p)), on_epoch=lambda e: terminal.note(_line(e))
            )
            fitted = runs.train(data, chosen, place, epochs=epochs, seed=seed, observer=observer)
    best = {"run": str(place), **dataclasses.asdict(fitted.best), "is_interrupted": fitted.is_interrupted}
    if as_json:
        terminal.write_json(best)
    else:
        terminal.write_table(("", "Best epoch"), [(k, f"{v:.4f}" if type(v) is float else v) for k, v in best.items()])
    if fitted.is_interrupted:
        terminal.warning(f"stopped after epoch {len(fitted.history)}; {place} holds the best one so far")
        return 130
    terminal.hint(f"rnnx export {place}")
    return None


def _on_bar(p: Progress) -> tuple[int, str, int]:
    done = (p.epoch - 1) * p.batches + p.batch
    return done, f"epoch {p.epoch}/{p.epochs}, loss {p.loss:.3f}", p.batches * p.epochs


def _line(epoch: Epoch) -> str:
    return (
        f"epoch {epoch.epoch}: accuracy {epoch.accuracy:.4f}, loss {epoch.loss:.4f}, "
        f"validation accuracy {epoch.validation_accuracy:.4f}, loss {epoch.validation_loss:.4f}"
    )

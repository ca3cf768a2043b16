"""`rnnx evaluate`."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rnnx.bundle import find_directory, require_replaceable
from rnnx.cli import terminal
from rnnx.cli.infer import DeviceName


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
    """Measure a bundle on labelled texts: accuracy, precision, recall, F1, confusion."""
    from rnnx.card import save_evaluation
    from rnnx.datasets import Columns, load_dataset
    from rnnx.infer.evaluate import evaluate as run
    from rnnx.infer.predictor import load

    if save:
        require_replaceable(find_directory(bundle).resolve())
    predictor = load(bundle, device=device.value)
    data = load_dataset(dataset, data_dir=data_dir, columns=Columns(text_column, label_column))
    examples, name = data.choose(None if part is None else part.value)
    with terminal.progress("evaluating") as update:
        figures = run(predictor, examples, data.labels, on_text=lambda done: update(done, "", len(examples)))
    if save:
        save_evaluation(bundle, f"{data.name} ({name} part)", figures)
    if as_json:
        terminal.write_json(dataclasses.asdict(figures))
        return
    terminal.write_table(("", "Value"), [("accuracy", f"{figures.accuracy:.4f}"), ("count", figures.count)])
    rows = [
        (label, f"{m.precision:.4f}", f"{m.recall:.4f}", f"{m.f1:.4f}", m.support, *row)
        for (label, m), row in zip(figures.labels.items(), figures.confusion, strict=True)
    ]
    columns = ("Label", "Precision", "Recall", "F1", "Support", *(f"said {label}" for label in figures.labels))
    terminal.write_table(columns, rows)
    terminal.hint(f"rnnx info {bundle}")

"""`rnnx export`."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnx.bundle import DEFAULT_MODEL
from rnnx.cli import terminal
from rnnx.cli.extras import import_stage

if TYPE_CHECKING:
    from rnnx.export.decisions import DecisionTexts


class StorageName(StrEnum):
    """The choices of `--storage`."""

    F32 = "f32"
    INT16 = "int16"
    F16 = "f16"
    INT8 = "int8"


def export(
    model: Annotated[
        str, typer.Argument(help="A training run, a bundle, the name of a shipped model, or a .keras file.")
    ] = DEFAULT_MODEL,
    out: Annotated[Path | None, typer.Option(help="Where the bundle goes. [default: exported/NAME]")] = None,
    decisions: Annotated[
        str | None, typer.Option(help="Compare every label of this data set too: its test part, if there is one.")
    ] = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Where the IMDB reviews lie, packed or not; else fetched.")
    ] = None,
    storage: Annotated[
        StorageName, typer.Option(help="How the text form stores the embedding; the others store it as float32.")
    ] = StorageName.INT16,
    streaming: Annotated[
        bool, typer.Option("--streaming", help="Add model.stream.onnx: the states as inputs and outputs.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Convert a model to ONNX, prove that the file computes what Keras computed, and publish the bundle."""
    with terminal.quiet_tensorflow():
        (pipeline,) = import_stage("rnnx.export.pipeline")
        texts = None if decisions is None else _read_texts(decisions, data_dir)
        exported = pipeline.export(
            model, out, storage=storage.value, decisions=texts, streaming=streaming, on_stage=terminal.note
        )
    if as_json:
        terminal.write_json(
            {
                "bundle": str(exported.path),
                "verdict": exported.report.verdict,
                "sizes_bytes": exported.sizes_bytes,
                "parity": dataclasses.asdict(exported.report),
            }
        )
    else:
        terminal.print_report(exported.report)
        terminal.write(exported.report.verdict)
        terminal.write(str(exported.path))
    terminal.hint(f"rnnx verify {exported.path}")


def _read_texts(dataset: str, data_dir: Path | None) -> DecisionTexts:
    from rnnx.datasets import Columns, load_dataset
    from rnnx.export.decisions import DecisionTexts

    data = load_dataset(dataset, data_dir=data_dir, columns=Columns())
    examples, part = data.choose(None)
    return DecisionTexts(f"{data.name} ({part} part)", examples.texts)

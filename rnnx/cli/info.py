"""`rnnx info`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from rnnx.bundle.config import ModelConfig
from rnnx.bundle.directory import PARITY_NAME, TEXT_NAME, Directory, read_directory
from rnnx.bundle.embed import read_snippet, require_answered
from rnnx.bundle.find_model import DEFAULT_MODEL, find_directory, shipped_names
from rnnx.card.card_kinds import card_kind
from rnnx.card.usage import describe_inputs, describe_outputs, text_session_snippet
from rnnx.cli import terminal
from rnnx.errors import ModelError
from rnnx.strict_json import parse_json, to_dict


def info(
    bundle: Annotated[
        str, typer.Argument(help="The name of a shipped model, or the path of a bundle or run.")
    ] = DEFAULT_MODEL,
    target: Annotated[
        str | None, typer.Option(help="Print only the code that embeds a text model in a language: node, rust, go, ...")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Describe a model, and how to embed it."""
    if target is not None:
        read_snippet(target)
        config = read_directory(find_directory(bundle)).config
        require_answered(target, config.task, bundle)
        snippet = read_snippet(target, config.task)[1]
        gives_number = config.tokenizer is not None and not config.labels
        terminal.write(text_session_snippet(config) if gives_number else snippet)
        terminal.hint(f"rnnx embed {target} {bundle}")
        return
    directory = read_directory(find_directory(bundle))
    config = directory.config
    parity = _read_parity(directory)
    sizes = {name: len(data) for name, data in directory.files.items()}
    if as_json:
        said = to_dict(config)
        terminal.write_json({"path": str(directory.path), "sizes_bytes": sizes, "config": said, "parity": parity})
        return
    proof = ("proof", parity["verdict"] if parity else "none; rnnx export makes one")
    terminal.write_table(("", "Value"), [*_rows(directory.path, config, sizes), proof])
    if parity:
        is_shipped = config.name in shipped_names() and directory.path == find_directory(config.name)
        terminal.write(card_kind(config).snippet(config.name if is_shipped else str(directory.path)))
        if TEXT_NAME in directory.files:
            terminal.write(text_session_snippet(config))
        embed = f", or rnnx embed TARGET {bundle}" if TEXT_NAME in directory.files else ""
        terminal.hint(f"rnnx infer --model {bundle} FILE{embed}")


def _read_parity(directory: Directory) -> dict[str, Any] | None:
    if PARITY_NAME not in directory.files:
        return None
    try:
        parity: dict[str, Any] = parse_json(directory[PARITY_NAME])
        return {**parity, "verdict": str(parity["verdict"])}
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{directory.path / PARITY_NAME}: not a proof ({error}); export the model again") from error


def _rows(path: Path, config: ModelConfig, sizes: dict[str, int]) -> Iterator[tuple[str, object]]:
    yield from (("name", config.name), ("path", path), ("task", config.task))
    if config.labels:
        yield "labels", ", ".join(f"{i} {label}" for i, label in enumerate(config.labels))
    if config.thresholds:
        pairs = zip(config.labels, config.thresholds, strict=True)
        yield "thresholds", ", ".join(f"{label} {threshold:.4g}" for label, threshold in pairs)
    yield from (("input", port.replace("`", "")) for port in describe_inputs(config))
    yield from (("output", port.replace("`", "")) for port in describe_outputs(config))
    yield from card_kind(config).facts()
    for line in config.architecture:
        yield "layer", line
    yield "parameters", f"{config.parameter_count:,}"
    if run := config.training:
        yield "training", f"recipe {run.recipe} on {run.dataset}, {run.train_count:,} {config.kind}, seed {run.seed}"
        name, score = ("accuracy", run.best_validation_accuracy)
        if score is None:
            f1 = run.best_validation_f1
            name, score = ("R2", run.best_validation_r2) if f1 is None else ("F1", f1)
        yield "kept", f"epoch {run.best_epoch} of {run.epochs}, validation {name} {score or 0.0:.4f}"
    yield "opset", config.opset or "none; not exported yet"
    for name, size in sizes.items():
        yield "file", f"{name}, {size / 1e3:,.1f} kB"

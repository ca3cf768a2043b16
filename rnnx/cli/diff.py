"""`rnnx diff`."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnx.bundle.directory import MODEL_NAME
from rnnx.cli import terminal
from rnnx.cli.extras import import_stage
from rnnx.cli.infer import DeviceName
from rnnx.cli.infer_table import is_table_name
from rnnx.cli.onnx_files import read_onnx_files
from rnnx.cli.scratch import own_temporary_files
from rnnx.errors import DataError, UsageError
from rnnx.files.read import open_stdin

if TYPE_CHECKING:
    from rnnx.proof.diff import DiffInput, DiffReport, InputDifference, Side

LABELS_DIFFER = 3
# All texts are kept, and each runs twice, with all its states.
_MOST_TEXT_BYTES = 16 << 20


def diff(
    a: Annotated[str, typer.Argument(help="A shipped model, a bundle (its model.onnx), or an .onnx file of one.")],
    b: Annotated[str, typer.Argument(help="The other model; the same one again to compare two devices.")],
    texts: Annotated[
        Path | None,
        typer.Option(help="A file with one text per line; - is stdin. [default: the golden vectors of A]"),
    ] = None,
    device_a: Annotated[DeviceName, typer.Option(help="Where A runs.")] = DeviceName.CPU,
    device_b: Annotated[DeviceName, typer.Option(help="Where B runs.")] = DeviceName.CPU,
    plot: Annotated[Path | None, typer.Option(help="A PNG of the difference over the steps.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Compare two models, or one on two devices.

    Shows where they first differ, by how much, and whether a label changes.
    """
    from rnnx.files.places import require_file_place
    from rnnx.files.publish import write_file
    from rnnx.proof.diff import compare_sides, golden_inputs

    if plot is not None:
        require_file_place(plot, "--plot")
        with own_temporary_files():
            (drawing,) = import_stage("rnnx.export.plot")
    sides = (_open(a, device_a), _open(b, device_b))
    inputs = golden_inputs(*sides) if texts is None else _read_texts(texts)
    report = compare_sides(*sides, inputs)
    if plot is not None:
        if not report.curves:
            raise UsageError(f"{a} and {b} have different layers, so there is no difference of states to plot")
        write_file(plot, drawing.plot_difference(report))
    if as_json:
        terminal.write_json({**dataclasses.asdict(report), "flip_count": report.flip_count})
    else:
        rows = [
            (given.name, *_answers(given), _format(given.max_abs_diff), _where(given), _format(given.max_state_diff))
            for given in report.inputs
        ]
        has_labels = report.task != "regression"
        difference = "Probability difference" if has_labels else "Difference"
        terminal.write_table(("Input", "A", "B", difference, "First differ at", "Largest state difference"), rows)
        terminal.note(f"{_summary(report, has_labels=has_labels)}: {' | '.join(report.names)}")
    if report.flip_count:
        raise typer.Exit(LABELS_DIFFER)


def _answers(given: InputDifference) -> tuple[str, ...]:
    """Returns what each side answers: a label, labels joined by `|`, or a number."""
    if given.values:
        return tuple(f"{value:.7g}" for value in given.values)
    return tuple(label or "(none)" for label in given.labels)


def _summary(report: DiffReport, *, has_labels: bool) -> str:
    count = len(report.inputs)
    if has_labels:
        return f"{report.flip_count} of {count} labels differ"
    differing = [given.max_abs_diff for given in report.inputs if given.max_abs_diff]
    return f"{len(differing)} of {count} numbers differ, by at most {max(differing, default=0.0):.2g}"


def _format(difference: float | None) -> str:
    return "-" if difference is None else f"{difference:.2g}"


def _where(given: InputDifference) -> str:
    if given.max_state_diff is None:
        return "different layers"
    return (
        f"{given.parting.layer}, step {given.parting.step}, unit {given.parting.unit}" if given.parting else "nowhere"
    )


def _open(model: str, device: DeviceName) -> Side:
    from rnnx.proof.diff import Side
    from rnnx.text.tokenizer import Tokenizer

    files, reader, *_ = read_onnx_files(model)
    name = MODEL_NAME if MODEL_NAME in files else next(iter(files))
    return Side(model, files[name], device.value, reader if isinstance(reader, Tokenizer) else None)


def _read_texts(path: Path) -> list[DiffInput]:
    from rnnx.infer.text_files import split_lines
    from rnnx.proof.diff import DiffInput

    with nullcontext(open_stdin()) if str(path) == "-" else path.open("rb") as file:
        data = file.read(_MOST_TEXT_BYTES + 1)
    if len(data) > _MOST_TEXT_BYTES:
        raise DataError(f"more than {_MOST_TEXT_BYTES >> 20} MB of texts; give some of its lines", path)
    if is_table_name(str(path)):
        terminal.warning(f"{path}: a table; each of its lines is one text, the header too")
    inputs, has_warned = [], False
    for item in split_lines(str(path), data):
        if item.text is None:
            raise DataError(str(item.error), path, item.line)
        if item.error and not has_warned:
            terminal.warning(f"{path}:{item.line}: {item.error}")
            has_warned = True
        inputs.append(DiffInput(f"line {item.line}", item.text))
    if not inputs:
        raise DataError("the file is empty; give one text per line", path)
    return inputs

"""`rnnx infer`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnx.bundle import DEFAULT_MODEL
from rnnx.cli import terminal
from rnnx.errors import UsageError

if TYPE_CHECKING:
    from rnnx.infer.inputs import Answer

# A table is laid out as a whole; this many rows go into one.
_TABLE_ROWS = 200


class DeviceName(StrEnum):
    """The choices of `--device`."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def infer(
    files: Annotated[list[str], typer.Argument(help="Texts, one per file; - is stdin.", metavar="FILE...")],
    follow: Annotated[
        bool, typer.Option("--follow", help="The file, or stdin, is one text that grows: answers so far, line by line.")
    ] = False,
    lines: Annotated[bool, typer.Option("--lines", help="Each line is one text.")] = False,
    model: Annotated[str, typer.Option(help="The name of a shipped model, or the path of a bundle.")] = DEFAULT_MODEL,
    device: Annotated[DeviceName, typer.Option(help="cuda never lands on the CPU.")] = DeviceName.AUTO,
    batch_size: Annotated[int, typer.Option(min=1, help="Texts that run together.")] = 64,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Batches that run at once. [default: the cores there are]")
    ] = None,
    top: Annotated[int, typer.Option("-k", min=1, help="How many labels to show, the likeliest first.")] = 1,
    threshold: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Two labels: from which probability the second is chosen.")
    ] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="One line of JSON per text, flushed.")] = False,
) -> int:
    """Classify texts with an exported model; needs no TensorFlow."""
    if as_json and as_jsonl:
        raise UsageError("--json and --jsonl exclude each other")
    if follow:
        if as_json or lines or len(files) > 1:
            raise UsageError("--follow reads one growing text, and answers by lines: one FILE, no --lines, no --json")
        from rnnx.cli.follow import follow as follow_file

        return follow_file(model, files[0], device.value, threshold, top, as_jsonl=as_jsonl)
    from rnnx.infer.inputs import answer, read_files, read_lines
    from rnnx.infer.predictor import DEFAULT_THRESHOLD, load

    predictor = load(model, device=device.value, batch_size=batch_size, threads=threads)
    if device is DeviceName.AUTO and predictor.device != "cpu":
        terminal.note(f"running on {predictor.device}")
    if threshold != DEFAULT_THRESHOLD and len(predictor.labels) != 2:
        raise UsageError(f"--threshold is for two labels; {model} has {len(predictor.labels)}")
    items = (read_lines if lines else read_files)(files)
    answers = _Counted(answer(predictor, items, threshold))
    if as_json:
        terminal.write_json([_to_json(a) for a in answers])
    elif as_jsonl:
        for a in answers:
            terminal.write_json(_to_json(a), indent=None)
    else:
        _write_rows(answers, min(top, len(predictor.labels)), has_lines=lines)
    terminal.hint(f"rnnx info {model}")
    return 1 if answers.failed_count else 0


class _Counted:
    """Passes answers on, says on stderr what is wrong with each, and counts those without a prediction."""

    def __init__(self, answers: Iterator[Answer]) -> None:
        self.failed_count = 0
        self._answers = answers

    def __iter__(self) -> Iterator[Answer]:
        with terminal.progress("classifying") as update:
            for done, a in enumerate(self._answers, 1):
                where = a.item.source if a.item.line is None else f"{a.item.source}:{a.item.line}"
                if a.prediction is None:
                    self.failed_count += 1
                    terminal.error(f"{where}: {a.item.error}")
                elif a.item.error:
                    terminal.warning(f"{where}: {a.item.error}")
                yield a
                update(done, "", None)


def _to_json(a: Answer) -> dict[str, Any]:
    item, prediction = a.item, a.prediction
    head = {"source": item.source, "line": item.line}
    if prediction is None:
        return {**head, "status": "error", "error": item.error}
    return {
        **head,
        "status": "ok",
        "label": prediction.label,
        "label_id": prediction.label_id,
        "probability": round(prediction.probability, 6),
        "probs": {label: round(value, 6) for label, value in prediction.probs.items()},
        "tokens": prediction.tokens,
        "truncated": prediction.truncated,
    }


def _write_rows(answers: _Counted, top: int, *, has_lines: bool) -> None:
    columns = ["File", *(["Line"] if has_lines else []), *["Label", "Probability"] * top]
    rows: list[list[object]] = []
    for a in answers:
        if a.prediction is None:
            continue
        row: list[object] = [a.item.source, *([a.item.line] if has_lines else [])]
        chosen = a.prediction.label
        # The chosen label first, which a threshold may have made the less likely one.
        ranked = sorted(a.prediction.probs.items(), key=lambda pair: (pair[0] != chosen, -pair[1]))
        for label, value in ranked[:top]:
            row += [label, f"{value:.4f}"]
        rows.append(row)
        if not sys.stdout.isatty() or len(rows) == _TABLE_ROWS:
            terminal.write_table(columns, rows)
            rows = []
    if rows:
        terminal.write_table(columns, rows)

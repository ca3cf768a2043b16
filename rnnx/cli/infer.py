"""`rnnx infer`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from rnnx.bundle.directory import DEFAULT_MODEL
from rnnx.cli import tags, terminal
from rnnx.cli.answers import cells, describe_answer, headings
from rnnx.errors import UsageError

if TYPE_CHECKING:
    from rnnx.bundle.config import ModelConfig
    from rnnx.infer.predictor import Predictor
    from rnnx.infer.text_files import Answer, Item

# A table is laid out as a whole; this many rows go into one.
_TABLE_ROWS = 200


class DeviceName(StrEnum):
    """The choices of `--device`."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


def infer(
    files: Annotated[
        list[str],
        typer.Argument(help="Texts, one per file, or .conllu, or .npy, .npz, .csv; - is stdin.", metavar="FILE..."),
    ],
    follow: Annotated[
        bool, typer.Option("--follow", help="The file, or stdin, is one text that grows: answers so far, line by line.")
    ] = False,
    lines: Annotated[bool, typer.Option("--lines", help="Each line is one text.")] = False,
    model: Annotated[str, typer.Option(help="The name of a shipped model, or the path of a bundle.")] = DEFAULT_MODEL,
    device: Annotated[DeviceName, typer.Option(help="cuda never lands on the CPU.")] = DeviceName.AUTO,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Texts that run together. [default: 64, on CUDA 1024]")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Batches that run at once. [default: the cores there are, on CUDA 1]")
    ] = None,
    top: Annotated[int, typer.Option("-k", min=1, help="How many labels to show, the likeliest first.")] = 1,
    threshold: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Two labels: from which probability the second is chosen.")
    ] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="One line of JSON per text, flushed.")] = False,
    as_conllu: Annotated[bool, typer.Option("--conllu", help="CoNLL-U, of a model that tags words.")] = False,
) -> int:
    """Run an exported model on texts, or on numbers; needs no TensorFlow."""
    if as_json + as_jsonl + as_conllu > 1:
        raise UsageError("--json, --jsonl and --conllu exclude each other")
    if follow:
        if as_json or as_conllu or lines or len(files) > 1:
            raise UsageError(
                "--follow reads one growing text, and answers by lines: one FILE, no --lines, --json or --conllu"
            )
        from rnnx.cli.follow import follow as follow_file

        return follow_file(model, files[0], device.value, threshold, top, as_jsonl=as_jsonl)
    from rnnx.infer.predictor import DEFAULT_THRESHOLD, load
    from rnnx.infer.text_files import answer

    predictor = load(model, device=device.value, batch_size=batch_size, threads=threads)
    say_device(device, predictor)
    is_tagger = predictor.config.words is not None
    if as_conllu and not is_tagger:
        raise UsageError(f"--conllu is for models that tag words; {model} does not")
    if is_tagger and (top > 1 or threshold != DEFAULT_THRESHOLD):
        raise UsageError(f"-k and --threshold are for labels of whole texts; {model} tags words")
    if threshold != DEFAULT_THRESHOLD and len(predictor.labels) != 2:
        raise UsageError(f"--threshold is for two labels; {model} has {len(predictor.labels)}")
    answers = CountedAnswers(answer(predictor, _read(predictor, files, lines=lines), threshold))
    position = "line" if predictor.config.tokenizer or is_tagger else "index"
    if as_json:
        terminal.write_json_list(describe_answer(a, position) for a in answers)
    elif as_jsonl:
        for a in answers:
            terminal.write_json(describe_answer(a, position), indent=None)
    elif as_conllu:
        tags.write_conllu(answers)
    else:
        shown = position if lines or position == "index" or any(map(_is_treebank, files)) else None
        _write_rows(answers, predictor.config, min(top, len(predictor.labels)), shown)
    terminal.hint(f"rnnx info {model}")
    return 1 if answers.failed_count else 0


def say_device(asked: DeviceName, predictor: Predictor) -> None:
    """Says where `auto` runs, if that could have been elsewhere."""
    from rnnx.runtime.session import has_choice

    if asked is DeviceName.AUTO and has_choice():
        terminal.note(f"running on {predictor.device}")


def _read(predictor: Predictor, files: list[str], *, lines: bool) -> Iterator[Item | None]:
    from rnnx.infer.array_files import read_arrays_of
    from rnnx.infer.encoders import ArrayReader, TextReader
    from rnnx.infer.text_files import read_files, read_lines

    if predictor.config.words is not None:
        return _read_words(files, lines=lines)
    if not isinstance(predictor.reader, ArrayReader):
        tokenizer = predictor.reader.tokenizer if isinstance(predictor.reader, TextReader) else None
        return read_lines(files, tokenizer) if lines else read_files(files, tokenizer)
    if lines:
        raise UsageError(f"--lines is for texts; this model reads {predictor.reader.describe()}")
    return read_arrays_of(predictor.reader, files)


def _is_treebank(file: str) -> bool:
    from rnnx.datasets import kind_of

    return kind_of(file) == "sentences"


def _read_words(files: list[str], *, lines: bool) -> Iterator[Item | None]:
    """Texts, and treebanks sentence by sentence."""
    from rnnx.infer.text_files import read_files, read_lines, read_treebank

    for file in files:
        if _is_treebank(file):
            yield from read_treebank(file)
        else:
            yield from read_lines([file]) if lines else read_files([file])


class CountedAnswers:
    """Passes answers on, says on stderr what is wrong with each, and counts those without a prediction.

    Attributes:
        failed_count: How many have none so far.
    """

    def __init__(self, answers: Iterator[Answer], *, has_bar: bool = True) -> None:
        """Counts from here on.

        Args:
            answers: Of `rnnx.infer.text_files.answer`.
            has_bar: Whether a progress bar may be shown: not among answers that are shown one by one.
        """
        self.failed_count = 0
        self._answers = answers
        self._has_bar = has_bar

    def __iter__(self) -> Iterator[Answer]:
        with terminal.progress("answering", is_wanted=self._has_bar) as update:
            for done, a in enumerate(self._answers, 1):
                where = a.item.source if a.item.line is None else f"{a.item.source}:{a.item.line}"
                if a.prediction is None:
                    self.failed_count += 1
                    terminal.error(f"{where}: {a.item.error}")
                elif a.item.error:
                    terminal.warning(f"{where}: {a.item.error}")
                yield a
                update(done, "", None)


def _write_rows(answers: CountedAnswers, config: ModelConfig, top: int, position: str | None) -> None:
    from rnnx.infer.predictions import Tagging

    if config.words is not None:
        tags.write_rows(answers, with_lines=position is not None)
        return
    columns = ["File", *([position.capitalize()] if position else []), *headings(config, top)]
    rows: list[list[object]] = []
    for a in answers:
        if a.prediction is None or isinstance(a.prediction, Tagging):
            continue
        place = [getattr(a.item, position)] if position else []
        rows.append([a.item.source, *place, *cells(config, a.prediction, top)])
        if not sys.stdout.isatty() or len(rows) == _TABLE_ROWS:
            terminal.write_table(columns, rows)
            rows = []
    if rows:
        terminal.write_table(columns, rows)

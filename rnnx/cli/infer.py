"""`rnnx infer`."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from rnnx.bundle.find_model import DEFAULT_MODEL
from rnnx.cli import tags, terminal
from rnnx.cli.answer_kinds import answer_kind
from rnnx.cli.answers import describe_answer
from rnnx.cli.infer_corpus import CorpusOptions, EngineName, infer_corpus, is_corpus
from rnnx.cli.progress_bars import show_progress
from rnnx.cli.table_options import DelimiterOption, EncodingOption, HeaderOption, QuotesOption
from rnnx.errors import UsageError

if TYPE_CHECKING:
    from rnnx.infer.input_items import Answer
    from rnnx.infer.predictor import Predictor


class DeviceName(StrEnum):
    """The choices of `--device`."""

    AUTO = "auto"
    CPU = "cpu"
    CUDA = "cuda"


DeviceOption: TypeAlias = Annotated[
    DeviceName, typer.Option(help="auto takes CUDA if it is available; cuda never falls back to the CPU.")
]


def infer(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Texts, one per file; or .conllu, .conll; or numbers in .npy, .npz or .csv; - is stdin.",
            metavar="FILE...",
        ),
    ],
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Read one growing text, from a file or stdin; answer after each line."),
    ] = False,
    lines: Annotated[bool, typer.Option("--lines", help="Each line is one text.")] = False,
    model: Annotated[str, typer.Option(help="The name of a shipped model, or the path of a bundle.")] = DEFAULT_MODEL,
    device: DeviceOption = DeviceName.AUTO,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Texts that run together. [default: 64, on CUDA 1024]")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Batches that run at once. [default: the number of cores, on CUDA 1]")
    ] = None,
    top: Annotated[int, typer.Option("-k", min=1, help="How many labels to show, the most likely first.")] = 1,
    threshold: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="With two labels: the least probability of the second one."),
    ] = 0.5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="One line of JSON per text, written at once.")] = False,
    as_conllu: Annotated[bool, typer.Option("--conllu", help="CoNLL-U; for a model that tags words.")] = False,
    text_column: Annotated[
        str | None, typer.Option(help="FILE is a table: answer each row; the column of the text, by name or number.")
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(help="The table with the answers (.csv, .tsv, .jsonl, .parquet), or a folder. [default: stdout]"),
    ] = None,
    has_probs: Annotated[bool, typer.Option("--probs", help="A column for each label, with its probability.")] = False,
    delimiter: DelimiterOption = None,
    encoding: EncodingOption = None,
    has_header: HeaderOption = True,
    quotes: QuotesOption = None,
    key: Annotated[
        Path | None,
        typer.Option(help="Refuse a bundle that is not signed with this public key or certificate, in PEM."),
    ] = None,
    engine: Annotated[
        EngineName | None, typer.Option(help="Who runs the parts of many tables: this machine or a Ray cluster.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that answer tables at once. [default: the number of cores]")
    ] = None,
) -> int:
    """Run an exported model on texts or numbers. Needs no TensorFlow."""
    _require_one_load(model, key, is_other=follow or is_corpus(out, has_engine=bool(engine or workers)))
    if as_json + as_jsonl + as_conllu > 1:
        raise UsageError("--json, --jsonl and --conllu exclude each other; give one of them")
    if follow:
        if as_json or as_conllu or lines or len(files) > 1:
            raise UsageError(
                "--follow reads one growing text and answers line by line: give one FILE, and no --lines, --json or "
                "--conllu"
            )
        from rnnx.cli.follow import follow as follow_file

        return follow_file(model, files[0], device.value, threshold, top, as_jsonl=as_jsonl)
    from rnnx.infer.input_items import answer
    from rnnx.infer.load import load
    from rnnx.infer.predictor import DEFAULT_THRESHOLD

    has_form = bool(delimiter or encoding or quotes is not None or not has_header)
    needs_table = bool(out or has_probs or has_form or engine or workers)
    _require_table_options(text_column, needs_table=needs_table, is_other=as_json or as_conllu or lines or top > 1)
    if is_corpus(out, has_engine=bool(engine or workers)):
        if has_probs or as_jsonl:
            raise UsageError("a folder of answers has a column with all probabilities: give no --probs or --jsonl")
        from rnnx.datasets import TableForm

        options = CorpusOptions(model, str(text_column), str(out), threshold, device.value, batch_size, threads)
        form = TableForm(delimiter, encoding, has_header, quotes)
        return infer_corpus(options, files, form, engine or EngineName.LOCAL, workers)
    predictor = load(model, device=device.value, batch_size=batch_size, threads=threads, key=key)
    say_device(device, predictor)
    kind = answer_kind(predictor, model)
    kind.require_options(top=top, has_threshold=threshold != DEFAULT_THRESHOLD, as_conllu=as_conllu)
    if text_column is not None:
        from rnnx.cli.infer_table import infer_table
        from rnnx.datasets import TableForm

        return infer_table(
            predictor,
            model,
            files,
            text_column,
            TableForm(delimiter, encoding, has_header, quotes),
            Path(out) if out else None,
            threshold=threshold,
            has_probs=has_probs,
            as_jsonl=as_jsonl,
        )
    answers = CountedAnswers(answer(predictor, kind.read(files, lines=lines), threshold))
    if as_json:
        terminal.write_json_list(describe_answer(a, kind.position) for a in answers)
    elif as_jsonl:
        for a in answers:
            terminal.write_json(describe_answer(a, kind.position), indent=None)
    elif as_conllu:
        tags.write_conllu(answers, predictor.config.words.tag_column if predictor.config.words else "upos")
    else:
        kind.write_rows(answers, files, lines=lines, top=top)
    if answers.failed_count:
        return 1
    terminal.hint(f"rnnx info {model}")
    return 0


def _require_table_options(text_column: str | None, *, needs_table: bool, is_other: bool) -> None:
    """Refuses options of tables without a table, and a table with options of other inputs."""
    if text_column is None and needs_table:
        raise UsageError("--out, --probs, --engine, --workers and the options of tables need --text-column")
    if text_column is not None and is_other:
        raise UsageError("--text-column writes a table: give no --json, --conllu, --lines or -k")


def _require_one_load(model: str, key: Path | None, *, is_other: bool) -> None:
    """Refuses a key where the bundle is opened in another way than by `rnnx.load`."""
    if key is not None and is_other:
        raise UsageError(
            "--key goes with no --follow and no folder of answers; check the bundle first: "
            f"rnnx verify {model} --key {key}"
        )


def say_device(asked: DeviceName, predictor: Predictor) -> None:
    """Prints on which device `auto` runs, if there was a choice."""
    from rnnx.runtime.session import has_choice

    if asked is DeviceName.AUTO and has_choice():
        terminal.note(f"running on {predictor.device}")


class CountedAnswers:
    """Iterates over answers, prints their errors and warnings to stderr, and counts those without a prediction.

    Attributes:
        failed_count: How many answers had no prediction so far.
    """

    def __init__(self, answers: Iterator[Answer], *, has_bar: bool = True) -> None:
        """Begins to count.

        Args:
            answers: From `rnnx.infer.input_items.answer`.
            has_bar: Whether a progress bar may be shown; not if answers are printed one by one for a reader.
        """
        self.failed_count = 0
        self._answers = answers
        self._has_bar = has_bar

    def __iter__(self) -> Iterator[Answer]:
        with show_progress("answering", is_wanted=self._has_bar) as update:
            for done, a in enumerate(self._answers, 1):
                if a.prediction is None:
                    self.failed_count += 1
                    terminal.error(f"{_place(a)}: {a.item.error}")
                elif a.item.error:
                    terminal.warning(f"{_place(a)}: {a.item.error}")
                yield a
                update(done, "", None)


def _place(a: Answer) -> str:
    return a.item.source if a.item.line is None else f"{a.item.source}:{a.item.line}"

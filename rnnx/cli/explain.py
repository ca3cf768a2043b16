"""`rnnx explain`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnx.bundle.find_model import DEFAULT_MODEL
from rnnx.cli import terminal
from rnnx.cli.answers import describe_answer
from rnnx.cli.infer import CountedAnswers, DeviceName, DeviceOption, say_device
from rnnx.cli.infer_table import require_no_table, require_one_table
from rnnx.cli.table_options import DelimiterOption, EncodingOption, HeaderOption, QuotesOption, make_listener
from rnnx.errors import UsageError

if TYPE_CHECKING:
    from rnnx.datasets import TableForm
    from rnnx.infer.explain import Explainer, Explanation
    from rnnx.infer.input_items import Answer, Item
    from rnnx.infer.predictor import Predictor

    Explained = tuple[Answer, Explanation | None]


def explain(
    files: Annotated[list[str], typer.Argument(help="Texts, one per file; - is stdin.", metavar="FILE...")],
    lines: Annotated[bool, typer.Option("--lines", help="Each line is one text.")] = False,
    model: Annotated[str, typer.Option(help="The name of a shipped model, or the path of a bundle.")] = DEFAULT_MODEL,
    device: DeviceOption = DeviceName.AUTO,
    label: Annotated[
        str | None, typer.Option(help="The label whose probability is explained. [default: the predicted one]")
    ] = None,
    top: Annotated[
        int,
        typer.Option("-k", min=1, help="On a terminal: how many strong words to list, for and against."),
    ] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    as_jsonl: Annotated[bool, typer.Option("--jsonl", help="One line of JSON per text, written at once.")] = False,
    text_column: Annotated[
        str | None, typer.Option(help="FILE is a table: explain each row. The column of the text, by name or number.")
    ] = None,
    delimiter: DelimiterOption = None,
    encoding: EncodingOption = None,
    has_header: HeaderOption = True,
    quotes: QuotesOption = None,
) -> int:
    """Show which words move a prediction.

    For each word: the probability of the label at this position, and how much the label loses without the word.
    Of a model that gives a number: the number at this position, and how much it falls without the word.
    """
    if as_json and as_jsonl:
        raise UsageError("--json and --jsonl exclude each other; give one of them")
    if text_column is None and (delimiter or encoding or quotes is not None or not has_header):
        raise UsageError("the options of tables need --text-column")
    if text_column is not None and lines:
        raise UsageError("--text-column and --lines exclude each other; give one of them")
    from rnnx.datasets.table_form import TableForm
    from rnnx.infer.explain import load_explainer

    explainer = load_explainer(model, device=device.value)
    predictor = explainer.predictor
    if label is not None and label not in predictor.labels:
        has = f"has {', '.join(predictor.labels)}" if predictor.labels else "gives a number, and has no labels"
        raise UsageError(f"--label {label}: {model} {has}")
    say_device(device, predictor)
    form = TableForm(delimiter, encoding, has_header, quotes)
    is_shown_at_once = sys.stdout.isatty() and not as_json
    answers = CountedAnswers(_answer(predictor, files, text_column, form, lines=lines), has_bar=not is_shown_at_once)
    explained = _explain_all(explainer, answers, label)
    if as_json:
        terminal.write_json_list(_describe_explained(*pair) for pair in explained)
    elif as_jsonl:
        for pair in explained:
            terminal.write_json(_describe_explained(*pair), indent=None)
    else:
        _show(explained, top, with_lines=lines or text_column is not None)
    if answers.failed_count:
        return 1
    column = "" if text_column is None else f" --text-column {text_column}"
    terminal.hint(f"rnnx infer --model {model} {files[0]}{column}")
    return 0


def _answer(
    predictor: Predictor, files: list[str], text_column: str | None, form: TableForm, *, lines: bool
) -> Iterator[Answer]:
    """Answers the texts of files, lines or the rows of a table."""
    from rnnx.infer.input_items import answer
    from rnnx.infer.predictor import DEFAULT_THRESHOLD
    from rnnx.infer.text_files import read_files, read_lines

    if text_column is None:
        if not lines:
            require_no_table(files, has_labels=True)
        return answer(predictor, read_lines(files) if lines else read_files(files), DEFAULT_THRESHOLD)
    from rnnx.datasets.packed_tables import find_table
    from rnnx.datasets.tables import open_table
    from rnnx.infer.table_items import TableRows

    listener = make_listener()
    table, column = open_table(find_table(require_one_table(files), listener), text_column, form, listener)
    rows = TableRows(files[0], table, column)
    return (a for _, a in rows.join(answer(predictor, rows.items(), DEFAULT_THRESHOLD)))


def _explain_all(explainer: Explainer, answers: CountedAnswers, label: str | None) -> Iterator[Explained]:
    from rnnx.infer.predictions import LabelSet, Prediction, Rating

    for a in answers:
        if isinstance(a.prediction, Prediction | LabelSet | Rating) and a.item.text is not None:
            yield a, explainer.explain(a.item.text, a.prediction, label)
        else:
            yield a, None


def _describe_explained(a: Answer, explanation: Explanation | None) -> dict[str, Any]:
    """Returns the JSON object of `rnnx infer` for an answer, with the words of its explanation added."""
    item = describe_answer(a, "line")
    if explanation is None:
        return item
    label = explanation.label
    figure, rounded = ("value", _digits) if label is None else ("probability", _decimals)
    words = [
        {
            "word": word.word,
            "start": word.start,
            "end": word.end,
            "is_known": word.is_known,
            figure: rounded(word.probability),
            "effect": rounded(word.effect),
        }
        for word in explanation.words
    ]
    return {**item, **({} if label is None else {"explained_label": label}), "words": words}


def _decimals(probability: float) -> float:
    return round(probability, 6)


def _digits(value: float) -> float:
    return float(f"{value:.7g}")


def _show(explained: Iterator[Explained], top: int, *, with_lines: bool) -> None:
    """Prints each text in colour if the terminal has colours, else a row for each word; prints notes to stderr."""
    from rnnx.cli.highlight import write_strongest, write_text

    is_coloured = terminal.has_colour(sys.stdout)
    for a, explanation in explained:
        if explanation is None:
            continue
        place = a.item.source if a.item.line is None else f"{a.item.source}:{a.item.line}"
        if is_coloured:
            write_text(place, a.item.text or b"", explanation)
        else:
            _write_rows(a.item, explanation, with_lines=with_lines)
        if sys.stdout.isatty():
            write_strongest(explanation, top)
        terminal.flush()
        if note := _find_note(explanation, is_cut_shown=is_coloured):
            terminal.note(f"{place}: {note}")
        if is_coloured:
            terminal.write("")


def _write_rows(item: Item, explanation: Explanation, *, with_lines: bool) -> None:
    """Prints a row for each word that was read, with its number in the whole text, from 1."""
    label = explanation.label
    about = ["Value", "Number", "Word", "Value here"] if label is None else ["Label", "Number", "Word", "Probability"]
    columns = ["File", *(["Line"] if with_lines else []), *about, "Effect", "Known"]
    head = [
        item.source,
        *([item.line] if with_lines else []),
        f"{explanation.probability:.4f}" if label is None else label,
    ]
    rows = [
        [*head, number, word.word, f"{word.probability:.4f}", f"{word.effect:+.4f}", "yes" if word.is_known else "no"]
        for number, word in enumerate(explanation.words, explanation.first_number)
    ]
    terminal.write_tables(columns, rows)


def _find_note(explanation: Explanation, *, is_cut_shown: bool) -> str:
    """Returns a note on what the list of words does not show; empty if there is nothing to say."""
    prediction, words = explanation.prediction, explanation.words
    if not words:
        return f"the text has no words; {_name_answer(explanation)} is the answer of the model to an empty text"
    if not explanation.known_count:
        return "no word of the text is in the vocabulary, so none has an effect"
    if prediction.truncated and not is_cut_shown:
        which = "first" if explanation.first_number == 1 else "last"
        return f"the model reads the {which} {len(words)} of the {prediction.tokens} words"
    return ""


def _name_answer(explanation: Explanation) -> str:
    from rnnx.infer.predictions import Prediction, Rating

    match explanation.prediction:
        case Prediction() as prediction:
            return prediction.label
        case Rating() as rating:
            return f"{rating.value:.4g}"
        case chosen:
            return ", ".join(chosen.labels) or "no label"

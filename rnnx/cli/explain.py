"""`rnnx explain`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rnnx.bundle.directory import DEFAULT_MODEL
from rnnx.cli import terminal
from rnnx.cli.answers import describe_answer
from rnnx.cli.infer import CountedAnswers, DeviceName, DeviceOption, say_device
from rnnx.errors import UsageError

if TYPE_CHECKING:
    from rnnx.infer.explain import Explainer, Explanation
    from rnnx.infer.text_files import Answer, Item

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
) -> int:
    """Show which words move a prediction.

    For each word: the probability of the label at this position, and how much the label loses without the word.
    """
    if as_json and as_jsonl:
        raise UsageError("--json and --jsonl exclude each other; give one of them")
    from rnnx.infer.explain import load_explainer
    from rnnx.infer.predictor import DEFAULT_THRESHOLD
    from rnnx.infer.text_files import answer, read_files, read_lines

    explainer = load_explainer(model, device=device.value)
    predictor = explainer.predictor
    if label is not None and label not in predictor.labels:
        raise UsageError(f"--label {label}: {model} has {', '.join(predictor.labels)}")
    say_device(device, predictor)
    items = read_lines(files) if lines else read_files(files)
    is_shown_at_once = sys.stdout.isatty() and not as_json
    answers = CountedAnswers(answer(predictor, items, DEFAULT_THRESHOLD), has_bar=not is_shown_at_once)
    explained = _explain_all(explainer, answers, label)
    if as_json:
        terminal.write_json_list(_describe_explained(*pair) for pair in explained)
    elif as_jsonl:
        for pair in explained:
            terminal.write_json(_describe_explained(*pair), indent=None)
    else:
        _show(explained, top, with_lines=lines)
    if answers.failed_count:
        return 1
    terminal.hint(f"rnnx infer --model {model} {files[0]}")
    return 0


def _explain_all(explainer: Explainer, answers: CountedAnswers, label: str | None) -> Iterator[Explained]:
    from rnnx.infer.predictions import Prediction

    for a in answers:
        if isinstance(a.prediction, Prediction) and a.item.text is not None:
            yield a, explainer.explain(a.item.text, a.prediction, label)
        else:
            yield a, None


def _describe_explained(a: Answer, explanation: Explanation | None) -> dict[str, Any]:
    """Returns the JSON object of `rnnx infer` for an answer, with the words of its explanation added."""
    item = describe_answer(a, "line")
    if explanation is None:
        return item
    words = [
        {
            "word": word.word,
            "start": word.start,
            "end": word.end,
            "is_known": word.is_known,
            "probability": round(word.probability, 6),
            "effect": round(word.effect, 6),
        }
        for word in explanation.words
    ]
    return {**item, "explained_label": explanation.label, "words": words}


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
    columns = ["File", *(["Line"] if with_lines else []), "Label", "Number", "Word", "Probability", "Effect", "Known"]
    head = [item.source, *([item.line] if with_lines else []), explanation.label]
    rows = [
        [*head, number, word.word, f"{word.probability:.4f}", f"{word.effect:+.4f}", "yes" if word.is_known else "no"]
        for number, word in enumerate(explanation.words, explanation.first_number)
    ]
    terminal.write_tables(columns, rows)


def _find_note(explanation: Explanation, *, is_cut_shown: bool) -> str:
    """Returns a note on what the list of words does not show; empty if there is nothing to say."""
    prediction, words = explanation.prediction, explanation.words
    if not words:
        return f"the text has no words; {prediction.label} is the answer of the model to an empty text"
    if not explanation.known_count:
        return "no word of the text is in the vocabulary, so none has an effect"
    if prediction.truncated and not is_cut_shown:
        which = "first" if explanation.first_number == 1 else "last"
        return f"the model reads the {which} {len(words)} of the {prediction.tokens} words"
    return ""

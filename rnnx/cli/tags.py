"""The tagged words and the spans of `rnnx infer` as rows of a table, as JSON and as CoNLL-U."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from rnnx.cli import terminal

if TYPE_CHECKING:
    from rnnx.infer.input_items import Answer
    from rnnx.infer.predictions import TaggedWord, Tagging


def describe_words(tagging: Tagging) -> list[dict[str, Any]]:
    """Returns the words for the JSON output: each with its tag, its sentence (from 1), and its place in the text."""
    return [
        {
            "word": word.word,
            "tag": word.tag,
            "probability": round(word.probability, 6),
            "sentence": number,
            **({} if word.start is None else {"start": word.start, "end": word.end}),
        }
        for number, sentence in enumerate(tagging.sentences, 1)
        for word in sentence
    ]


def describe_spans(tagging: Tagging) -> list[dict[str, Any]]:
    """Returns the spans for the JSON output: each with its label, its sentence (from 1), and its place in the text."""
    return [
        {
            "text": span.text,
            "label": span.label,
            "probability": round(span.probability, 6),
            "sentence": span.sentence + 1,
            **({} if span.start is None else {"start": span.start, "end": span.end}),
        }
        for span in tagging.spans or ()
    ]


def write_rows(answers: Iterable[Answer], *, with_lines: bool) -> None:
    """Prints a row for each word: file, line if texts are lines, sentence, word, tag, probability.

    Args:
        answers: The answers of a tagger.
        with_lines: Whether to print the line of each text.
    """

    def rows_of(tagging: Tagging) -> Iterator[list[object]]:
        for number, sentence in enumerate(tagging.sentences, 1):
            yield from ([number, word.word, word.tag, f"{word.probability:.4f}"] for word in sentence)

    _write_rows(answers, ["Sentence", "Word", "Tag", "Probability"], rows_of, with_lines=with_lines)


def write_span_rows(answers: Iterable[Answer], *, with_lines: bool) -> None:
    """Prints a row for each span: file, line if texts are lines, sentence, text, label, probability, start, end.

    Args:
        answers: The answers of a tagger of spans.
        with_lines: Whether to print the line of each text.
    """

    def rows_of(tagging: Tagging) -> Iterator[list[object]]:
        for span in tagging.spans or ():
            place = ["-" if offset is None else offset for offset in (span.start, span.end)]
            text = " ".join(span.text.split())
            yield [span.sentence + 1, text, span.label, f"{span.probability:.4f}", *place]

    columns = ["Sentence", "Text", "Label", "Probability", "Start", "End"]
    _write_rows(answers, columns, rows_of, with_lines=with_lines)


def _write_rows(
    answers: Iterable[Answer],
    columns: Sequence[str],
    rows_of: Callable[[Tagging], Iterator[list[object]]],
    *,
    with_lines: bool,
) -> None:
    columns = ["File", *(["Line"] if with_lines else []), *columns]
    rows: list[list[object]] = []
    for item, tagging in _tagged(answers):
        place = [item.line] if with_lines else []
        rows += [[item.source, *place, *row] for row in rows_of(tagging)]
        if not sys.stdout.isatty() or len(rows) >= terminal.TABLE_ROWS:
            terminal.write_tables(columns, rows)
            rows = []
    terminal.write_tables(columns, rows)


def write_conllu(answers: Iterable[Answer], tag_column: str) -> None:
    """Prints CoNLL-U: for a treebank its own lines with the new tags, for a text only its words and their tags.

    Args:
        answers: The answers of a tagger.
        tag_column: The column of its tags, as `WordsConfig.tag_column`; tags of another file are written as UPOS.

    Source: https://universaldependencies.org/format.html.
    """
    from rnnx.datasets.conllu import ConlluSentence
    from rnnx.datasets.conllu_columns import UPOS, find_conllu_column

    column = UPOS if tag_column.isdecimal() else find_conllu_column(tag_column)
    number = 0
    for item, tagging in _tagged(answers):
        if isinstance(item.sentence, ConlluSentence):
            _write_lines(item.sentence.with_tags([word.tag for word in tagging.words], column))
            continue
        for sentence in tagging.sentences:
            number += 1
            _write_lines(_to_lines(number, sentence, column.place))


def _tagged(answers: Iterable[Answer]) -> Iterator[tuple[Any, Tagging]]:
    from rnnx.infer.predictions import Tagging

    for a in answers:
        if isinstance(a.prediction, Tagging):
            yield a.item, a.prediction


def _to_lines(number: int, sentence: Sequence[TaggedWord], tag_index: int) -> list[bytes]:
    from rnnx.text.tokenizer import to_bytes

    # The format wants the text to agree with the words, so white space of any kind and length becomes one space.
    is_joined = [a.end is not None and a.end == b.start for a, b in pairwise(sentence)] + [True]
    forms = [to_bytes(word.word) for word in sentence]
    text = b"".join(form + (b"" if joined else b" ") for form, joined in zip(forms, is_joined, strict=True))
    lines = [b"# sent_id = %d" % number, b"# text = " + text]
    for i, (word, form) in enumerate(zip(sentence, forms, strict=True)):
        no_space = b"SpaceAfter=No" if is_joined[i] and i + 1 < len(sentence) else b"_"
        cells = [b"%d" % (i + 1), form, *[b"_"] * 7, no_space]
        cells[tag_index] = word.tag.encode()
        lines.append(b"\t".join(cells))
    return lines


def _write_lines(lines: Sequence[bytes]) -> None:
    """Writes bytes as they are to a pipe or file, escaped to a terminal."""
    if not sys.stdout.isatty():
        terminal.put(b"".join(line + b"\n" for line in [*lines, b""]))
        return
    from rnnx.text.tokenizer import to_text

    for line in [*lines, b""]:
        fields = to_text(line).split("\t")
        terminal.put("\t".join(map(terminal.printable, fields)) + "\n")

"""The tagged words of `rnnx infer` as rows of a table, as JSON and as CoNLL-U."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from rnnx.cli import terminal

if TYPE_CHECKING:
    from rnnx.infer.predictions import TaggedWord, Tagging
    from rnnx.infer.text_files import Answer


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


def write_rows(answers: Iterable[Answer], *, with_lines: bool) -> None:
    """Prints a row for each word: file, line if texts are lines, sentence, word, tag, probability.

    Args:
        answers: The answers of a tagger.
        with_lines: Whether to print the line of each text.
    """
    columns = ["File", *(["Line"] if with_lines else []), "Sentence", "Word", "Tag", "Probability"]
    rows: list[list[object]] = []
    for item, tagging in _tagged(answers):
        place = [item.line] if with_lines else []
        for number, sentence in enumerate(tagging.sentences, 1):
            rows += [[item.source, *place, number, word.word, word.tag, f"{word.probability:.4f}"] for word in sentence]
        if not sys.stdout.isatty() or len(rows) >= terminal.TABLE_ROWS:
            terminal.write_tables(columns, rows)
            rows = []
    terminal.write_tables(columns, rows)


def write_conllu(answers: Iterable[Answer]) -> None:
    """Prints CoNLL-U: for a treebank its own lines with the new tags, for a text only its words and their tags.

    Source: https://universaldependencies.org/format.html.
    """
    number = 0
    for item, tagging in _tagged(answers):
        if item.sentence is not None:
            _write_lines(item.sentence.with_tags([word.tag for word in tagging.words]))
            continue
        for sentence in tagging.sentences:
            number += 1
            _write_lines(_to_lines(number, sentence))


def _tagged(answers: Iterable[Answer]) -> Iterator[tuple[Any, Tagging]]:
    from rnnx.infer.predictions import Tagging

    for a in answers:
        if isinstance(a.prediction, Tagging):
            yield a.item, a.prediction


def _to_lines(number: int, sentence: Sequence[TaggedWord]) -> list[bytes]:
    from rnnx.text.tokenizer import to_bytes

    # The format wants the text to agree with the words, so white space of any kind and length becomes one space.
    is_joined = [a.end is not None and a.end == b.start for a, b in pairwise(sentence)] + [True]
    forms = [to_bytes(word.word) for word in sentence]
    text = b"".join(form + (b"" if joined else b" ") for form, joined in zip(forms, is_joined, strict=True))
    lines = [b"# sent_id = %d" % number, b"# text = " + text]
    for i, (word, form) in enumerate(zip(sentence, forms, strict=True)):
        no_space = b"SpaceAfter=No" if is_joined[i] and i + 1 < len(sentence) else b"_"
        lines.append(b"\t".join([b"%d" % (i + 1), form, b"_", word.tag.encode(), *[b"_"] * 5, no_space]))
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

"""Reads treebanks in CoNLL-U: words with their tags, which are the universal parts of speech or another column.

Three of the ten columns are read: ID, FORM and that of the tags. Multiword ranges (`1-2`) and empty nodes (`1.1`) are
not words of their own and are skipped. Source: https://universaldependencies.org/format.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnx.datasets.archives import require_regular
from rnnx.datasets.column_files import bounded_lines, warn_of_breaks
from rnnx.datasets.conllu_columns import NO_VALUE, UPOS, ConlluColumn
from rnnx.datasets.sentences import TaggedWords
from rnnx.datasets.table_form import Listener
from rnnx.errors import DataError
from rnnx.text.tokenizer import BYTE_ORDER_MARK, to_text

CONLLU_ENDING = ".conllu"

_COLUMN_COUNT = 10
_NO_LISTENER = Listener()
_SKIPPED_ID = re.compile(rb"\d+[-.]\d+")


def read_conllu(path: Path, column: ConlluColumn = UPOS, listener: Listener = _NO_LISTENER) -> list[TaggedWords]:
    """Reads the sentences of one file.

    Args:
        path: The file.
        column: The column of the tags.
        listener: Is told of tags of spans, and warned of those that break their scheme.

    Raises:
        DataError: If it is not CoNLL-U, or cannot be read; the message names the file and the line.
    """
    try:
        require_regular(path)
        with path.open("rb") as file:
            sentences = list(parse_conllu(path, bounded_lines(path, file)))
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", path) from error
    if not sentences:
        raise DataError("holds no sentence", path)
    tagged = [_tagged(path, sentence, column) for sentence in sentences]
    warn_of_breaks(path, tagged, lambda i, word: sentences[i].line_of(word), listener)
    return tagged


@dataclass(frozen=True)
class ConlluSentence:
    """A sentence with the lines of its file.

    Attributes:
        first_line: The number of its first line, from 1.
        lines: Its lines without line ends, including comments, multiword ranges and empty nodes.
        places: The indices of the lines that are words.
    """

    first_line: int
    lines: tuple[bytes, ...]
    places: tuple[int, ...]

    @property
    def words(self) -> tuple[bytes, ...]:
        """The FORM of each word."""
        return tuple(self.lines[i].split(b"\t")[1] for i in self.places)

    def tags(self, column: ConlluColumn = UPOS) -> tuple[bytes, ...]:
        """The tag of each word, in a column of tags."""
        return tuple(column.value(self.lines[i].split(b"\t")[column.place]) for i in self.places)

    def line_of(self, word: int) -> int:
        """The number of the line of a word, which is counted from 0."""
        return self.first_line + self.places[word]

    def with_tags(self, tags: Sequence[str], column: ConlluColumn = UPOS) -> list[bytes]:
        """The lines with other tags in a whole column, one for each word; everything else is unchanged."""
        lines = list(self.lines)
        for i, tag in zip(self.places, tags, strict=True):
            columns = lines[i].split(b"\t")
            lines[i] = b"\t".join([*columns[: column.place], tag.encode(), *columns[column.place + 1 :]])
        return lines


def parse_conllu(name: str | Path, lines: Iterable[bytes]) -> Iterator[ConlluSentence]:
    """Parses sentences one by one; tags are not checked.

    Args:
        name: The name of the file, for messages.
        lines: Its lines.

    Raises:
        DataError: If a line is not CoNLL-U; the message names the file and the line.
    """
    block: list[bytes] = []
    places: list[int] = []
    first = 1
    for number, raw in enumerate(lines, 1):
        line = (raw.removeprefix(BYTE_ORDER_MARK) if number == 1 else raw).rstrip(b"\r\n")
        if not line.strip():
            if places:
                yield ConlluSentence(first, tuple(block), tuple(places))
                block, places = [], []
            continue
        first = first if block else number
        if not line.startswith(b"#") and _is_word(line, len(places) + 1, name, number):
            places.append(len(block))
        block.append(line)
    if places:  # many files lack the last blank line
        yield ConlluSentence(first, tuple(block), tuple(places))


def _is_word(line: bytes, expected_id: int, name: str | Path, number: int) -> bool:
    """Whether a line is a word of its own; `name` and `number` are the file and the line for messages."""
    columns = line.split(b"\t")
    if len(columns) != _COLUMN_COUNT:
        raise DataError(f"should have {_COLUMN_COUNT} columns between tabs, not {len(columns)}", name, number)
    token_id, form = columns[:2]
    if _SKIPPED_ID.fullmatch(token_id):
        return False
    if token_id != b"%d" % expected_id:
        raise DataError(
            f"the ID should be {expected_id}, not {token_id!r:.20} (no blank line before it?)", name, number
        )
    if not form:
        raise DataError("the FORM (column 2) is empty", name, number)
    return True


def _tagged(path: Path, sentence: ConlluSentence, column: ConlluColumn) -> TaggedWords:
    tags = [to_text(tag) for tag in sentence.tags(column)]
    for word, tag in enumerate(tags):
        if (tag == NO_VALUE and not column.may_be_empty) or not tag.isprintable() or not tag:
            what = f"the {column.name.upper()} tag (column {column.place + 1}) should be a name, not {tag!r:.20}"
            raise DataError(what, path, sentence.line_of(word))
    return TaggedWords(sentence.words, tuple(tags))

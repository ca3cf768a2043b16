"""Reads files with a word and its tags per line, and a blank line after each sentence: CoNLL-2003 and its relatives.

The cells of a line are between tabs, or between blanks. Lines with `-DOCSTART-` and comments are skipped. The first
column may number the words of a sentence, as in GermEval 2014. Source: https://www.clips.uantwerpen.be/conll2003/ner/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple

from rnnx.bundle.span_tags import are_span_tags, find_breaks, find_scheme, is_span_tag
from rnnx.datasets.archives import require_regular
from rnnx.datasets.sentences import TaggedWords
from rnnx.datasets.table_form import Listener
from rnnx.errors import DataError
from rnnx.text.tokenizer import BYTE_ORDER_MARK, to_text

COLUMN_ENDINGS = (".conll", ".conll2002", ".conll2003", ".bio", ".iob", ".iob2", ".bioes", ".bilou")
# Files with these endings are looked into: they may as well be tables or texts.
MAYBE_ENDINGS = (".tsv", ".tab", ".txt", ".train", ".testa", ".testb", ".dev", ".test")

_SAMPLE_BYTES = 1 << 16
_MOST_COLUMNS = 9  # ten are CoNLL-U
_LEAST_SHARE = 0.99
_SHOWN = 5
_MOST_LINE_BYTES = 16 << 20


@dataclass(frozen=True)
class ColumnForm:
    """How a file of words and tags is written.

    Attributes:
        has_tabs: Whether cells are between tabs; between blanks otherwise.
        count: The number of columns.
        word: The index of the column of the words.
        tag: The index of the column of the tags.
        has_span_tags: Whether the tags are those of spans, such as `B-PER`.
    """

    has_tabs: bool
    count: int
    word: int
    tag: int
    has_span_tags: bool

    def cells(self, line: bytes) -> list[bytes]:
        """Splits a line into its cells; empty ones after the last column are left out."""
        if not self.has_tabs:
            return line.split()
        cells = line.split(b"\t")
        while len(cells) > self.count and not cells[-1]:
            cells.pop()
        return cells

    def is_skipped(self, line: bytes) -> bool:
        """Whether a line is a comment, or the beginning of a document; a word may begin with `#`, too."""
        cells = self.cells(line)
        if cells[0] == b"-DOCSTART-":
            return True
        if not line.startswith(b"#"):
            return False
        if self.word > 0 or len(cells) != self.count:
            return True
        return not is_span_tag(to_text(cells[self.tag])) if self.has_span_tags else cells[0] != b"#"


class ColumnSentence(NamedTuple):
    """A sentence of such a file.

    Attributes:
        first_line: The number of its first word's line, from 1.
        lines: The lines of its words, without line ends.
        words: Its words.
        tags: The tag of each word, not checked.
        numbers: The number of the line of each word.
    """

    first_line: int
    lines: tuple[bytes, ...]
    words: tuple[bytes, ...]
    tags: tuple[bytes, ...]
    numbers: tuple[int, ...]


def find_form(path: Path, tag_column: str | None = None, *, is_strict: bool = False) -> ColumnForm | None:
    """Finds out how a file is written, from its first lines.

    Args:
        path: The file.
        tag_column: The number of the column of the tags, from 1. None takes the last column of tags of spans, or the
            first one if a column numbers the words; without such tags, the last column.
        is_strict: Whether nearly all lines must have the same number of columns.

    Returns:
        The form; None if its lines do not have two to nine columns.

    Raises:
        DataError: If there is no column of that number.
        OSError: If it cannot be read.
    """
    require_regular(path)
    with path.open("rb") as file:
        sample = file.read(_SAMPLE_BYTES)
    lines = sample.removeprefix(BYTE_ORDER_MARK).splitlines()
    if len(sample) == _SAMPLE_BYTES:
        lines = lines[:-1]
    lines = [line for line in lines if line.strip() and not line.startswith(b"-DOCSTART-")]
    has_tabs = all(b"\t" in line for line in lines if not line.startswith(b"#"))
    cells = [line.split(b"\t") if has_tabs else line.split() for line in lines]
    certain = [row for row in cells if not row[0].startswith(b"#")]
    count = len(certain[0]) if certain else 0
    if not 2 <= count <= _MOST_COLUMNS:
        return None
    # The reader names the lines of the other rows. A word may begin with the sign of a comment.
    rows = [row for row in cells if len(row) == count and (row[0][:1] != b"#" or is_span_tag(to_text(row[-1])))]
    if is_strict and len(rows) < _LEAST_SHARE * len(certain):
        return None
    word = 1 if count > 2 and _numbers_words([row[0] for row in rows]) else 0
    of_spans = [i for i in range(word + 1, count) if are_span_tags(to_text(row[i]) for row in rows)]
    tag = (of_spans[0] if word else of_spans[-1]) if of_spans else count - 1
    if tag_column is not None:
        tag = _to_index(tag_column, word, count, path)
    return ColumnForm(has_tabs, count, word, tag, tag in of_spans)


def holds_span_tags(path: Path) -> bool:
    """Whether a file is one of words with tags of spans, in nearly all lines that were looked at."""
    try:
        form = find_form(path, is_strict=True) if path.is_file() else None
    except OSError:
        return False
    return form is not None and form.has_span_tags


def _numbers_words(cells: Sequence[bytes]) -> bool:
    """Whether the first cells count the words of each sentence: 1, 2, 3, 1, 2."""
    expected = 1
    for cell in cells:
        if cell not in (b"1", b"%d" % expected):
            return False
        expected = int(cell) + 1
    return True


def _to_index(tag_column: str, word: int, count: int, path: Path) -> int:
    if not tag_column.isdecimal() or not 1 <= int(tag_column) <= count or int(tag_column) == word + 1:
        choices = ", ".join(str(i + 1) for i in range(count) if i != word)
        raise DataError(f"--tag-column should be a number of a column ({choices}), not {tag_column!r:.40}", path)
    return int(tag_column) - 1


def parse_columns(name: str | Path, lines: Iterable[bytes], form: ColumnForm) -> Iterator[ColumnSentence]:
    """Parses sentences one by one; tags are not checked.

    Args:
        name: The name of the file, for messages.
        lines: Its lines.
        form: How it is written.

    Raises:
        DataError: If a line has another number of columns, or no word; the message names the file and the line.
    """
    block: list[tuple[int, bytes, bytes, bytes]] = []
    for number, raw in enumerate(lines, 1):
        line = (raw.removeprefix(BYTE_ORDER_MARK) if number == 1 else raw).rstrip(b"\r\n")
        if not line.strip() or form.is_skipped(line):
            if block:
                yield _to_sentence(block)
                block = []
            continue
        cells = form.cells(line)
        if len(cells) != form.count:
            between = "tabs" if form.has_tabs else "blanks"
            raise DataError(
                f"should have {form.count} columns between {between} as the lines before it, not {len(cells)}",
                name,
                number,
            )
        if not cells[form.word]:
            raise DataError(f"the word (column {form.word + 1}) is empty", name, number)
        block.append((number, line, cells[form.word], cells[form.tag]))
    if block:
        yield _to_sentence(block)


def _to_sentence(block: Sequence[tuple[int, bytes, bytes, bytes]]) -> ColumnSentence:
    numbers, lines, words, tags = zip(*block, strict=True)
    return ColumnSentence(numbers[0], lines, words, tags, numbers)


def bounded_lines(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """Reads the lines of a file; raises DataError at one that is too long to be kept."""
    for number, line in enumerate(iter(partial(file.readline, _MOST_LINE_BYTES), b""), 1):
        if len(line) == _MOST_LINE_BYTES:
            raise DataError(f"a line of {_MOST_LINE_BYTES >> 20} MB or more", path, number)
        yield line


def read_columns(path: Path, form: ColumnForm, listener: Listener) -> list[TaggedWords]:
    """Reads the sentences of one file, and warns of tags that break their scheme.

    Raises:
        DataError: If a line is broken, a tag is empty, or the file cannot be read; the message names the line.
    """
    try:
        with path.open("rb") as file:
            sentences = list(parse_columns(path, bounded_lines(path, file), form))
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", path) from error
    if not sentences:
        raise DataError("holds no sentence", path)
    tagged = [TaggedWords(sentence.words, tuple(_to_tags(sentence, form, path))) for sentence in sentences]
    warn_of_breaks(path, tagged, lambda i, word: sentences[i].numbers[word], listener)
    return tagged


def _to_tags(sentence: ColumnSentence, form: ColumnForm, path: Path) -> Iterator[str]:
    for number, cell in zip(sentence.numbers, sentence.tags, strict=True):
        tag = to_text(cell)
        if not tag or not tag.isprintable():
            raise DataError(f"the tag (column {form.tag + 1}) should be a name, not {tag!r:.20}", path, number)
        yield tag


def warn_of_breaks(
    path: Path, sentences: Sequence[TaggedWords], line_of: Callable[[int, int], int], listener: Listener
) -> None:
    """Says which scheme the tags of spans have, and warns of those that break it; does nothing for other tags.

    Args:
        path: The file.
        sentences: Its sentences.
        line_of: Gives the number of a line, for a sentence and a word of it, both from 0.
        listener: Takes the messages.
    """
    if not are_span_tags(tag for sentence in sentences for tag in sentence.tags):
        return
    scheme = find_scheme(sentence.tags for sentence in sentences)
    listener.on_note(f"{path}: tags of spans, scheme {scheme}")
    broken = [(i, word) for i, sentence in enumerate(sentences) for word in find_breaks(sentence.tags, scheme)]
    if broken:
        shown = ", ".join(f"line {line_of(i, word)} ({sentences[i].tags[word]})" for i, word in broken[:_SHOWN])
        more = f" and {len(broken) - _SHOWN:,} more" if len(broken) > _SHOWN else ""
        counted = "1 tag breaks" if len(broken) == 1 else f"{len(broken):,} tags break"
        listener.on_warning(
            f"{path}: {counted} the scheme {scheme}: {shown}{more}; a span begins where none was begun, "
            "and ends where the next one begins"
        )

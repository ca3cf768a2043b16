"""Reads treebanks in CoNLL-U: words with their universal part-of-speech tags.

Three of the ten columns are read: ID, FORM and UPOS. Multiword ranges (`1-2`) and empty nodes (`1.1`) are not words of
their own and are skipped. Source: https://universaldependencies.org/format.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from rnnx.datasets.archives import require_regular
from rnnx.datasets.folders_and_tables import short_name
from rnnx.datasets.sentences import TaggedDataset, TaggedWords
from rnnx.errors import DataError
from rnnx.text.tokenizer import BYTE_ORDER_MARK, to_text

CONLLU_ENDING = ".conllu"

_COLUMN_COUNT = 10
_MOST_LINE_BYTES = 16 << 20
_TRAIN_IN_NAME = re.compile(r"(?<![A-Za-z])train(?![A-Za-z])")
_SKIPPED_ID = re.compile(rb"\d+[-.]\d+")


def load_conllu(path: Path) -> TaggedDataset:
    """Loads a treebank with its parts.

    Args:
        path: A `.conllu` file. If its name contains `train` (`en_ewt-ud-train.conllu`), the files in the same folder
            with `dev` and `test` in its place are the validation and the test part, if they exist.

    Raises:
        DataError: If one of the files is not CoNLL-U; the message names the file and the line.
    """
    if not _TRAIN_IN_NAME.search(path.name):
        return TaggedDataset.from_parts(short_name(path), read_conllu(path))
    files = [path.with_name(_TRAIN_IN_NAME.sub(part, path.name)) for part in ("dev", "test")]
    parts = [read_conllu(file) if file.exists() else [] for file in files]
    name = short_name(path.with_name(re.sub(r"[-_.]*" + _TRAIN_IN_NAME.pattern, "", path.name)))
    return TaggedDataset.from_parts(name, read_conllu(path), *parts)


def read_conllu(path: Path) -> list[TaggedWords]:
    """Reads the sentences of one file.

    Raises:
        DataError: If it is not CoNLL-U, or cannot be read; the message names the file and the line.
    """
    try:
        require_regular(path)
        with path.open("rb") as file:
            sentences = [_tagged(path, sentence) for sentence in parse_conllu(path, _bounded(path, file))]
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", path) from error
    if not sentences:
        raise DataError("holds no sentence", path)
    return sentences


def _bounded(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """Reads the lines of a file; raises DataError at one that is too long to be kept."""
    for number, line in enumerate(iter(partial(file.readline, _MOST_LINE_BYTES), b""), 1):
        if len(line) == _MOST_LINE_BYTES:
            raise DataError(f"a line of {_MOST_LINE_BYTES >> 20} MB or more", path, number)
        yield line


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

    @property
    def tags(self) -> tuple[bytes, ...]:
        """The UPOS of each word."""
        return tuple(self.lines[i].split(b"\t")[3] for i in self.places)

    def with_tags(self, tags: Sequence[str]) -> list[bytes]:
        """The lines with other tags, one for each word; everything else is unchanged."""
        lines = list(self.lines)
        for i, tag in zip(self.places, tags, strict=True):
            columns = lines[i].split(b"\t")
            lines[i] = b"\t".join([*columns[:3], tag.encode(), *columns[4:]])
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


def _tagged(path: Path, sentence: ConlluSentence) -> TaggedWords:
    tags = [to_text(tag) for tag in sentence.tags]
    for place, tag in zip(sentence.places, tags, strict=True):
        if tag == "_" or not tag.isprintable() or not tag:
            number = sentence.first_line + place
            raise DataError(f"the UPOS tag (column 4) should be a name, not {tag!r:.20}", path, number)
    return TaggedWords(sentence.words, tuple(tags))

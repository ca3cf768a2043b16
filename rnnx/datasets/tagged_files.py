"""Loads data sets of tagged sentences with their parts: CoNLL-U, and files of a word and its tags per line."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rnnx.datasets.column_files import (
    COLUMN_ENDINGS,
    MAYBE_ENDINGS,
    find_form,
    holds_span_tags,
    parse_columns,
    read_columns,
)
from rnnx.datasets.conllu import CONLLU_ENDING, parse_conllu, read_conllu
from rnnx.datasets.conllu_columns import UPOS, find_conllu_column
from rnnx.datasets.folders_and_tables import short_name
from rnnx.datasets.sentences import TaggedDataset, TaggedWords
from rnnx.datasets.table_form import Listener
from rnnx.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rnnx.datasets.column_files import ColumnSentence
    from rnnx.datasets.conllu import ConlluSentence

_TRAIN_IN_NAME = re.compile(r"(?<![A-Za-z])train(?![A-Za-z])")
# What takes the place of `train` in the names of the other parts; `testa` and `testb` are those of CoNLL-2003.
_VALIDATION_NAMES = ("dev", "valid", "testa")
_TEST_NAMES = ("test", "testb")


def is_tagged_file(name: str) -> bool:
    """Whether a file holds tagged sentences, by its ending, or if others share its ending, by its first lines."""
    lower = name.lower()
    if lower.endswith((CONLLU_ENDING, *COLUMN_ENDINGS)):
        return True
    return lower.endswith(MAYBE_ENDINGS) and holds_span_tags(Path(name))


def default_tag_column(name: str, trained_on: str) -> str | None:
    """Chooses the column of tags with which a tagger is measured.

    Args:
        name: The file.
        trained_on: The column that its tags were read from, as `WordsConfig.tag_column`.

    Returns:
        The same column if the file is of the same kind; None finds it.
    """
    is_conllu = name.lower().endswith(CONLLU_ENDING)
    return trained_on if is_conllu != trained_on.isdecimal() else None


def load_tagged(path: Path, tag_column: str | None, listener: Listener) -> TaggedDataset:
    """Loads tagged sentences with their parts.

    Args:
        path: A file. If its name contains `train` (`en_ewt-ud-train.conllu`, `eng.train`), the files in the same folder
            with `dev` and `test` in its place, or names like these, are the validation and the test part, if they
            exist.
        tag_column: The column of the tags, as `Columns.tag`.
        listener: Takes what was found out, and what is probably wrong.

    Raises:
        DataError: If one of the files is not in its format; the message names the file and the line.
        UsageError: If there is no such column of CoNLL-U.
    """
    if path.name.lower().endswith(CONLLU_ENDING):
        column = UPOS if tag_column is None else find_conllu_column(tag_column)
        data = _load_parts(path, lambda part: read_conllu(part, column, listener))
        return dataclasses.replace(data, tag_column=str(column))
    form = find_form(path, tag_column)
    if form is None:
        raise DataError("does not have a word and two to nine columns in its first line", path)
    listener.on_note(
        f"{path}: words in column {form.word + 1}, tags in column {form.tag + 1} of {form.count}"
        + ("" if tag_column or form.count == 2 else " (--tag-column takes another one)")
    )
    data = _load_parts(path, lambda part: read_columns(part, form, listener))
    return dataclasses.replace(data, tag_column=str(form.tag + 1), file_name=path.name)


def _load_parts(path: Path, read: Callable[[Path], list[TaggedWords]]) -> TaggedDataset:
    if not _TRAIN_IN_NAME.search(path.name):
        return TaggedDataset.from_parts(short_name(path), read(path))
    parts = [read(path)]
    for names in (_VALIDATION_NAMES, _TEST_NAMES):
        files = [path.with_name(_TRAIN_IN_NAME.sub(part, path.name)) for part in names]
        file = next(filter(Path.exists, files), None)
        parts.append(read(file) if file else [])
    bare = re.sub(r"[-_.]*" + _TRAIN_IN_NAME.pattern, "", path.name)
    name = short_name(path.with_name(bare)) if re.match(r"\w", bare) else short_name(path)
    return TaggedDataset.from_parts(name, *parts)


def read_sentences(path: Path, lines: Iterable[bytes]) -> Iterator[ConlluSentence | ColumnSentence]:
    """Parses the sentences of a file one by one, for a tagger that only needs their words.

    Args:
        path: The file.
        lines: Its lines.

    Raises:
        DataError: If a line is broken; the message names the file and the line.
        OSError: If the file cannot be read.
    """
    if path.name.lower().endswith(CONLLU_ENDING):
        yield from parse_conllu(path, lines)
        return
    form = find_form(path)
    if form is None:
        raise DataError("does not have a word and two to nine columns in its first line", path, 1)
    yield from parse_columns(path, lines, form)

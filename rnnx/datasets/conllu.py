"""Treebanks as CoNLL-U files: words with their universal part-of-speech tags.

Of the ten columns, ID, FORM and UPOS are read. Multiword ranges (`1-2`) and empty nodes (`1.1`) are no words of their
own and are passed over. Source: https://universaldependencies.org/format.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from rnnx.datasets.readers import BYTE_ORDER_MARK, short_name
from rnnx.datasets.sentences import TaggedDataset, TaggedWords
from rnnx.errors import DataError

CONLLU_ENDING = ".conllu"

_COLUMN_COUNT = 10
_TRAIN_IN_NAME = re.compile(r"(?<![A-Za-z])train(?![A-Za-z])")
_PASSED_OVER = re.compile(rb"\d+[-.]\d+")


def load_conllu(path: Path) -> TaggedDataset:
    """Loads a treebank.

    Args:
        path: A `.conllu` file. If `train` stands in its name (`en_ewt-ud-train.conllu`), the files beside it with `dev`
            and `test` in that place are the validation and the test part, as far as they are there.

    Raises:
        DataError: If one of the files is no CoNLL-U; the message names the file and the line.
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
        DataError: If it is no CoNLL-U, or cannot be read; the message names the file and the line.
    """
    try:
        with path.open("rb") as file:
            sentences = list(_sentences(path, file))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    if not sentences:
        raise DataError(f"{path}: no sentence in it")
    return sentences


def _sentences(path: Path, lines: Iterator[bytes]) -> Iterator[TaggedWords]:
    words: list[bytes] = []
    tags: list[str] = []
    for number, raw in enumerate(lines, 1):
        line = (raw.removeprefix(BYTE_ORDER_MARK) if number == 1 else raw).rstrip(b"\r\n")
        if line.startswith(b"#"):
            continue
        if line.strip():
            if token := _read_word(f"{path}:{number}", line, len(words) + 1):
                words.append(token[0])
                tags.append(token[1])
        elif words:
            yield TaggedWords(tuple(words), tuple(tags))
            words, tags = [], []
    if words:  # the last blank line is forgotten often
        yield TaggedWords(tuple(words), tuple(tags))


def _read_word(where: str, line: bytes, expected_id: int) -> tuple[bytes, str] | None:
    columns = line.split(b"\t")
    if len(columns) != _COLUMN_COUNT:
        raise DataError(f"{where}: should have {_COLUMN_COUNT} columns between tabs, not {len(columns)}")
    token_id, form, upos = columns[0], columns[1], columns[3].decode("utf-8", "surrogateescape")
    if _PASSED_OVER.fullmatch(token_id):
        return None
    if token_id != b"%d" % expected_id:
        raise DataError(f"{where}: the ID should be {expected_id}, not {token_id!r:.20} (no blank line before it?)")
    if not form:
        raise DataError(f"{where}: the FORM (column 2) is empty")
    if upos == "_" or not upos.isprintable() or not upos:
        raise DataError(f"{where}: the UPOS tag (column 4) should be a name, not {upos!r:.20}")
    return form, upos

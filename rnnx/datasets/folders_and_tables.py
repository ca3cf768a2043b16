"""Reads data sets of labelled texts: folders and archives of `train/<label>/*.txt`, and tables.

Archives are read by `rnnx.datasets.archives`. Standard library only.
"""

from __future__ import annotations

import csv
import json
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from rnnx.datasets.archives import read_archive
from rnnx.datasets.films import read_films
from rnnx.datasets.texts import Dataset
from rnnx.errors import DataError, ModelError
from rnnx.files.read import read_file
from rnnx.text.tokenizer import BYTE_ORDER_MARK, to_bytes, to_text

# The IMDB archive keeps its unlabelled reviews in train/unsup, next to the folders of the labels.
UNLABELLED = "unsup"

_ARCHIVE_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")
_CSV_FIELD_LIMIT_BYTES = 64 << 20


@dataclass(frozen=True)
class Columns:
    """Which columns (or JSON keys) of a table hold the text and the label."""

    text: str = "text"
    label: str = "label"


def read_dataset(path: Path, columns: Columns) -> Dataset:
    """Reads a data set; the format is told by the ending of the path.

    Args:
        path: A folder, an archive or a table.
        columns: The columns of a table; ignored for the others.

    Raises:
        DataError: If it cannot be read in its format; the message names the file, and the line if there is one.
        UntrustedDataError: If it is an archive that is refused by `rnnx.datasets.archives`.
    """
    name = short_name(path)
    try:
        if path.is_dir():
            return _from_files(path, name, _walk_folder(path))
        if path.name.lower().endswith(_ARCHIVE_ENDINGS):
            return _from_files(path, name, read_archive(path, _is_wanted))
        reader = {".csv": _read_csv, ".tsv": _read_csv, ".jsonl": _read_jsonl}.get(path.suffix.lower())
        if reader is None:
            raise DataError(
                f"not a folder, an archive ({', '.join(_ARCHIVE_ENDINGS)}), .csv, .tsv, .jsonl or .conllu", path
            )
        return Dataset.from_pairs(name, reader(path, columns))
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"the archive is damaged or cut short ({error}); get it again", path) from error
    except RuntimeError as error:  # zipfile: a password, or (NotImplementedError) an unknown compression
        raise DataError(
            f"the archive cannot be read ({error}); pack it with deflate and without a password", path
        ) from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", path) from error


def short_name(path: Path) -> str:
    """The name of a data set: that of its file or folder, without the ending and characters that a config refuses."""
    name = path.resolve().name
    for ending in (*_ARCHIVE_ENDINGS, ".csv", ".tsv", ".jsonl", ".conllu", ".npz"):
        name = name.removesuffix(ending)
    return re.sub(r"[^\w .-]", "-", name).strip(" .-") or "data"


def _from_files(path: Path, name: str, files: Iterable[tuple[PurePosixPath, bytes]]) -> Dataset:
    parts: dict[str, list[tuple[PurePosixPath, bytes, str]]] = {"train": [], "test": [], UNLABELLED: []}
    urls: dict[str, bytes] = {}
    for file, data in files:
        if _is_url_list(file):
            urls[file.stem.removeprefix("urls_")] = data
            continue
        part = UNLABELLED if file.parts[-2] == UNLABELLED else file.parts[-3]
        parts[part].append((file, data.removeprefix(BYTE_ORDER_MARK), file.parts[-2]))
    if not parts["train"]:
        raise DataError("no train/<label>/*.txt inside; put the texts into one such folder per label", path)
    # Sorted by path, because the order of the files in a folder or an archive is arbitrary.
    train, test, unlabelled = (sorted(part) for part in parts.values())
    dataset = Dataset.from_pairs(name, *([(data, label) for _, data, label in part] for part in (train, test)))
    groups = read_films([(file, label) for file, _, label in train], urls)
    labelled = replace(dataset.train, groups=groups)
    return replace(dataset, train=labelled, unlabelled=[data for _, data, _ in unlabelled])


def _is_wanted(file: PurePosixPath) -> bool:
    """Whether a file is a text (labelled, or an unlabelled one of the training part) or a url list."""
    is_text = file.suffix == ".txt" and len(file.parts) >= 3 and file.parts[-3] in ("train", "test")
    return (is_text and (file.parts[-3:-1] != ("test", UNLABELLED))) or _is_url_list(file)


def _is_url_list(file: PurePosixPath) -> bool:
    return len(file.parts) >= 2 and file.parts[-2] == "train" and file.match("urls_*.txt")


def _walk_folder(folder: Path) -> Iterator[tuple[PurePosixPath, bytes]]:
    for file in (*folder.glob("*/*.txt"), *folder.glob("*/*/*.txt")):
        relative = PurePosixPath(file.relative_to(folder).as_posix())
        if _is_wanted(relative):
            yield relative, _read_text(file)


def _read_text(file: Path) -> bytes:
    try:
        return read_file(file)
    except ModelError as error:
        raise DataError(str(error)) from error


def _read_csv(path: Path, columns: Columns) -> Iterator[tuple[bytes, str]]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    csv.field_size_limit(_CSV_FIELD_LIMIT_BYTES)
    # surrogateescape keeps bytes that are not UTF-8 for the tokenizer, which is defined on bytes.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        rows = csv.DictReader(file, delimiter=delimiter, strict=True)
        try:
            _require_columns(path, columns, rows.fieldnames or [])
            for row in rows:
                yield _pair(path, rows.line_num, row, columns)
        except csv.Error as error:
            raise DataError(f"the row after line {rows.line_num}: {error}; check its quotes", path) from error


def _read_jsonl(path: Path, columns: Columns) -> Iterator[tuple[bytes, str]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                row = json.loads(to_text(line.removeprefix(BYTE_ORDER_MARK)))
            except (ValueError, RecursionError) as error:
                raise DataError(f"not a line of JSON ({error})", path, number) from error
            if not isinstance(row, dict):
                raise DataError(f"should be a JSON object, not {type(row).__name__}", path, number)
            _require_columns(path, columns, list(row), number)
            yield _pair(path, number, row, columns)


def _require_columns(path: Path, columns: Columns, found: Iterable[str], line: int = 1) -> None:
    found = list(found)
    if missing := [column for column in (columns.text, columns.label) if column not in found]:
        names = ", ".join(map(repr, found)) or "none"
        raise DataError(
            f"no column {' and no column '.join(map(repr, missing))}; the columns are {names}; "
            "name yours with --text-column and --label-column",
            path,
            line,
        )


def _pair(path: Path, line: int, row: dict[str, object], columns: Columns) -> tuple[bytes, str]:
    text, label = row[columns.text], row[columns.label]
    if isinstance(label, int):  # JSON: 0 and 1, true and false
        label = json.dumps(label)
    if not isinstance(text, str) or not isinstance(label, str) or not label.strip():
        raise DataError(
            f"the text should be a string and the label a name, not {text!r:.40}, {label!r:.40}", path, line
        )
    return to_bytes(text), label.strip()

"""Reads labelled texts from a folder or an archive: a folder per label, or a file per label with a text per line.

Both may be inside `train/` and `test/`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from rnnx.datasets.archives import read_archive
from rnnx.datasets.films import read_films
from rnnx.datasets.table_files import table_ending
from rnnx.datasets.table_form import Listener
from rnnx.datasets.table_formats import READERS
from rnnx.datasets.text_file_checks import TextFileCheck, is_text_name
from rnnx.datasets.texts import Dataset
from rnnx.errors import DataError, ModelError
from rnnx.files.read import read_file
from rnnx.text.tokenizer import BYTE_ORDER_MARK

# The IMDB archive keeps its unlabelled reviews in train/unsup, next to the folders of the labels.
UNLABELLED = "unsup"

_PARTS = ("train", "test")
# Files of text that hold no data, and names of parts, which are no labels.
_NO_LABELS = ("readme", "license", "licence", "notice", "changelog", "requirements", "citation")
_PART_NAMES = frozenset(("train", "training", "test", "testing", "dev", "val", "valid", "validation"))
_SHOWN = 5

Files = Iterable[tuple[PurePosixPath, bytes]]
# Reads the wanted files of a folder or an archive.
Read = Callable[[Callable[[PurePosixPath], bool]], Files]
_Labelled = tuple[PurePosixPath, bytes, str]


def read_folder(path: Path, name: str, listener: Listener) -> Dataset:
    """Reads a folder; `name` is that of the data set.

    Raises:
        DataError: If there are no labelled texts in it, or a text cannot be read.
    """
    return _read(path, name, lambda is_wanted: _walk_folder(path, is_wanted), listener)


def read_packed_folder(path: Path, name: str, listener: Listener) -> Dataset:
    """Reads an archive of a folder; `name` is that of the data set.

    Raises:
        DataError: If there are no labelled texts in it.
        UntrustedDataError: If `rnnx.datasets.archives` refuses it.
    """
    return _read(path, name, lambda is_wanted: read_archive(path, is_wanted), listener)


def _read(path: Path, name: str, read: Read, listener: Listener) -> Dataset:
    others: list[PurePosixPath] = []

    def is_wanted(file: PurePosixPath) -> bool:
        if wanted := _is_wanted(file):
            return wanted
        if is_text_name(file):
            others.append(file)
        return False

    parts: dict[str, list[_Labelled]] = {part: [] for part in (*_PARTS, UNLABELLED)}
    urls: dict[str, bytes] = {}
    check = TextFileCheck()
    for file, data in read(is_wanted):
        if _is_url_list(file):
            urls[file.stem.removeprefix("urls_")] = data
            continue
        check.add(file, data)
        part = UNLABELLED if file.parts[-2] == UNLABELLED else file.parts[-3]
        parts[part].append((file, data.removeprefix(BYTE_ORDER_MARK), file.parts[-2]))
    if not parts["train"]:
        return _read_other_layout(path, name, read, others, listener)
    check.report(path, listener)
    # Sorted by path, because the order of the files in a folder or an archive is arbitrary.
    train, test, unlabelled = (sorted(part) for part in parts.values())
    dataset = Dataset.from_pairs(name, *([(data, label) for _, data, label in part] for part in (train, test)))
    groups = read_films([(file, label) for file, _, label in train], urls)
    labelled = replace(dataset.train, groups=groups)
    return replace(dataset, train=labelled, unlabelled=[data for _, data, _ in unlabelled])


class _Layout(NamedTuple):
    """The files of a data set, how many folders are around all of them, and whether each line of a file is a text."""

    files: list[PurePosixPath]
    root: int
    is_line_by_line: bool


def _read_other_layout(path: Path, name: str, read: Read, files: list[PurePosixPath], listener: Listener) -> Dataset:
    """Reads `<label>/*.txt`, or a file per label; the files are all the texts that there are."""
    layout = _choose_layout(path, files)
    root, wanted = layout.root, frozenset(layout.files)
    pairs: dict[str, list[tuple[bytes, str]]] = {part: [] for part in _PARTS}
    check = TextFileCheck()
    for file, data in sorted(read(wanted.__contains__)):
        check.add(file, data)
        content = data.removeprefix(BYTE_ORDER_MARK)
        if layout.is_line_by_line:
            part = file.parts[root] if file.parts[root] in _PARTS else "train"
            pairs[part] += [(line.strip(), file.stem) for line in content.split(b"\n") if line.strip()]
        else:
            pairs["train"].append((content, file.parts[-2]))
    check.report(path, listener)
    what = "one file per label, a text per line" if layout.is_line_by_line else "one folder per label"
    left_out = [file.name for file in sorted(set(files) - wanted)]
    shown = ", ".join(left_out[:_SHOWN]) + (", ..." if len(left_out) > _SHOWN else "")
    listener.on_note(f"{name}: {what}" + (f"; not read: {shown}" if left_out else ""))
    return Dataset.from_pairs(name, *pairs.values())


def _choose_layout(path: Path, files: list[PurePosixPath]) -> _Layout:
    """Tells the layout from the names of all texts."""
    root = 0  # an archive may have a folder around everything
    while files and all(len(file.parts) > root + 1 and file.parts[root] == files[0].parts[root] for file in files):
        root += 1
    at_top = [file for file in files if len(file.parts) == root + 1 and file.stem.casefold() not in _NO_LABELS]
    in_folders = [file for file in files if len(file.parts) == root + 2]
    in_parts = [file for file in in_folders if file.parts[root] in _PARTS]
    if any(file.parts[root] == "train" for file in in_parts):
        return _Layout(in_parts, root, is_line_by_line=True)
    if len({file.parts[root] for file in in_folders}) > 1:
        return _Layout(in_folders, root, is_line_by_line=False)
    if len(at_top) < 2:
        tables = sorted(file.name for file in path.iterdir() if table_ending(file) in READERS) if path.is_dir() else ()
        more = f"; or name one of its tables: {', '.join(tables[:_SHOWN])}" if tables else ""
        raise DataError(
            "no train/<label>/*.txt inside, and not <label>/*.txt of several labels; put the texts into one such "
            f"folder per label{more}",
            path,
        )
    if parts := [f.name for f in sorted(at_top) if not _PART_NAMES.isdisjoint(re.split(r"[\W_]+", f.stem.casefold()))]:
        raise DataError(f"{' and '.join(parts)} are parts of a data set, not labels; name one of the files", path)
    return _Layout(at_top, root, is_line_by_line=True)


def _is_wanted(file: PurePosixPath) -> bool:
    """Whether a file is a text (labelled, or an unlabelled one of the training part) or a url list."""
    is_text = is_text_name(file) and len(file.parts) >= 3 and file.parts[-3] in _PARTS
    return (is_text and (file.parts[-3:-1] != ("test", UNLABELLED))) or _is_url_list(file)


def _is_url_list(file: PurePosixPath) -> bool:
    return len(file.parts) >= 2 and file.parts[-2] == "train" and file.match("urls_*.txt")


def _walk_folder(folder: Path, is_wanted: Callable[[PurePosixPath], bool]) -> Iterator[tuple[PurePosixPath, bytes]]:
    for pattern in ("*/*", "*/*/*", "*"):
        for file in folder.glob(pattern):
            relative = PurePosixPath(file.relative_to(folder).as_posix())
            if is_text_name(relative) and is_wanted(relative):
                yield relative, _read_text(file)


def _read_text(file: Path) -> bytes:
    try:
        return read_file(file)
    except ModelError as error:
        raise DataError(str(error)) from error

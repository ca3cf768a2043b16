"""Reads labelled texts from a folder or an archive: a folder per label, or a file per label with a text per line.

Both may be inside `train/` and `test/`. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath

from rnnx.datasets.archives import read_archive
from rnnx.datasets.films import read_films
from rnnx.datasets.table_form import Listener
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
        if file.suffix == ".txt":
            others.append(file)
        return False

    parts: dict[str, list[_Labelled]] = {part: [] for part in (*_PARTS, UNLABELLED)}
    urls: dict[str, bytes] = {}
    for file, data in read(is_wanted):
        if _is_url_list(file):
            urls[file.stem.removeprefix("urls_")] = data
            continue
        part = UNLABELLED if file.parts[-2] == UNLABELLED else file.parts[-3]
        parts[part].append((file, data.removeprefix(BYTE_ORDER_MARK), file.parts[-2]))
    if not parts["train"]:
        return _read_other_layout(path, name, read, others, listener)
    # Sorted by path, because the order of the files in a folder or an archive is arbitrary.
    train, test, unlabelled = (sorted(part) for part in parts.values())
    dataset = Dataset.from_pairs(name, *([(data, label) for _, data, label in part] for part in (train, test)))
    groups = read_films([(file, label) for file, _, label in train], urls)
    labelled = replace(dataset.train, groups=groups)
    return replace(dataset, train=labelled, unlabelled=[data for _, data, _ in unlabelled])


def _read_other_layout(path: Path, name: str, read: Read, files: list[PurePosixPath], listener: Listener) -> Dataset:
    """Reads `<label>/*.txt`, or a file per label; the files are all the texts that there are."""
    missing = DataError("no train/<label>/*.txt inside; put the texts into one such folder per label", path)
    # An archive may have a folder around everything.
    root = 0
    while (
        files and all(len(file.parts) > root + 1 for file in files) and len({file.parts[root] for file in files}) == 1
    ):
        root += 1
    depths: dict[int, list[PurePosixPath]] = {}
    for file in files:
        if not (len(file.parts) == root + 1 and file.stem.casefold() in _NO_LABELS):
            depths.setdefault(len(file.parts) - root, []).append(file)
    in_parts = [file for file in depths.get(2, ()) if file.parts[root] in _PARTS]
    if in_parts and any(file.parts[root] == "train" for file in in_parts):
        chosen, is_line_by_line = in_parts, True
    elif len({file.parts[root] for file in depths.get(2, ())}) > 1:
        chosen, is_line_by_line = depths[2], False
    elif len(depths.get(1, ())) > 1:
        chosen, is_line_by_line = depths[1], True
    else:
        raise missing
    if parts := sorted(
        file.name
        for file in chosen
        if len(file.parts) == root + 1 and not _PART_NAMES.isdisjoint(re.split(r"[\W_]+", file.stem.casefold()))
    ):
        raise DataError(f"{' and '.join(parts)} are parts of a data set, not labels; name one of the files", path)
    wanted = set(chosen)
    pairs: dict[str, list[tuple[bytes, str]]] = {part: [] for part in _PARTS}
    for file, data in sorted(read(wanted.__contains__)):
        part = file.parts[root] if is_line_by_line and file.parts[root] in _PARTS else "train"
        label = file.stem if is_line_by_line else file.parts[-2]
        content = data.removeprefix(BYTE_ORDER_MARK)
        texts = [line.strip() for line in content.split(b"\n")] if is_line_by_line else [content]
        pairs[part] += [(text, label) for text in texts if text or not is_line_by_line]
    layout = "one file per label, a text per line" if is_line_by_line else "one folder per label"
    left_out = [file.name for file in sorted(set(files) - wanted)]
    shown = ", ".join(left_out[:5]) + (", ..." if len(left_out) > 5 else "")
    more = f"; not read: {shown}" if left_out else ""
    listener.on_note(f"{name}: {layout}{more}")
    return Dataset.from_pairs(name, *pairs.values())


def _is_wanted(file: PurePosixPath) -> bool:
    """Whether a file is a text (labelled, or an unlabelled one of the training part) or a url list."""
    is_text = file.suffix == ".txt" and len(file.parts) >= 3 and file.parts[-3] in _PARTS
    return (is_text and (file.parts[-3:-1] != ("test", UNLABELLED))) or _is_url_list(file)


def _is_url_list(file: PurePosixPath) -> bool:
    return len(file.parts) >= 2 and file.parts[-2] == "train" and file.match("urls_*.txt")


def _walk_folder(folder: Path, is_wanted: Callable[[PurePosixPath], bool]) -> Iterator[tuple[PurePosixPath, bytes]]:
    for pattern in ("*/*.txt", "*/*/*.txt", "*.txt"):
        for file in folder.glob(pattern):
            relative = PurePosixPath(file.relative_to(folder).as_posix())
            if is_wanted(relative):
                yield relative, _read_text(file)


def _read_text(file: Path) -> bytes:
    try:
        return read_file(file)
    except ModelError as error:
        raise DataError(str(error)) from error

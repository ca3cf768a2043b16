"""Reads data sets of labelled texts: folders, archives and tables; the name tells which.

Folders are read by `rnnx.datasets.label_folders`, archives by `rnnx.datasets.archives`, tables by
`rnnx.datasets.tables`.
"""

from __future__ import annotations

import re
from pathlib import Path

from rnnx.datasets.column_files import COLUMN_ENDINGS
from rnnx.datasets.label_folders import read_folder, read_packed_folder
from rnnx.datasets.packed_tables import ARCHIVE_ENDINGS, find_packed_table, is_archive
from rnnx.datasets.table_files import PACKINGS, TableFile, report_damage
from rnnx.datasets.table_form import Columns, Listener, TableForm, warn_of_table_options
from rnnx.datasets.tables import ENDINGS, known_endings, read_table
from rnnx.datasets.targets import TextDataset, TextTask
from rnnx.errors import DataError, UsageError
from rnnx.files.foreign import name_document


def read_dataset(
    path: Path,
    columns: Columns,
    form: TableForm | None = None,
    listener: Listener | None = None,
    task: TextTask | None = "classification",
) -> TextDataset:
    """Reads a data set; the format is told by the ending of the path, or by the first bytes of the file.

    Args:
        path: A folder, an archive or a table.
        columns: The columns of a table; ignored for the others.
        form: What the user said about the form of a table; ignored for the others.
        listener: Takes notes and warnings.
        task: What a text of a table has; None finds out whether it is one label or several.

    Raises:
        DataError: If it cannot be read in its format; the message names the file, and the line if there is one.
        UntrustedDataError: If it is an archive that is refused by `rnnx.datasets.archives`.
        MissingExtraError: If its format needs a package that is not installed.
    """
    form, listener = form or TableForm(), listener or Listener()
    name = short_name(path)
    data: TextDataset
    with report_damage(path):
        if path.is_dir():
            _require_labels_for(path, task)
            warn_of_table_options(str(path), columns, form, listener)
            data = read_folder(path, name, listener)
        elif not is_archive(path):
            data = _read_table(TableFile(path), name, columns, form, listener, task)
        elif table := find_packed_table(path, listener):
            data = _read_table(table, name, columns, form, listener, task)
        else:
            _require_labels_for(path, task)
            warn_of_table_options(str(path), columns, form, listener)
            data = read_packed_folder(path, name, listener)
    return data


def short_name(path: Path) -> str:
    """The name of a data set: that of its file or folder, without the ending and characters that a config refuses."""
    name = path.resolve().name
    for ending in (*ARCHIVE_ENDINGS, *PACKINGS, *ENDINGS, ".conllu", *COLUMN_ENDINGS, ".npz"):
        name = name.removesuffix(ending)
    return re.sub(r"[^\w .-]", "-", name).strip(" .-") or "data"


def _require_labels_for(path: Path, task: TextTask | None) -> None:
    """Refuses a task that folders cannot hold: each text is in the folder of its one label."""
    if task not in (None, "classification"):
        raise UsageError(f"{path}: the task {task} needs a table; a folder has one label for each text")


def _read_table(
    file: TableFile, name: str, columns: Columns, form: TableForm, listener: Listener, task: TextTask | None
) -> TextDataset:
    rows = read_table(file, columns, form, listener, task)
    if rows is None:
        raise DataError(_describe_unknown(file), file.path)
    return rows.dataset(name, listener)


def _describe_unknown(file: TableFile) -> str:
    """Says that a file is none that can be read, and what to do."""
    if not file.head:
        return "the file is empty"
    if file.head.startswith(b"\x93NUMPY"):
        return (
            "one array of NumPy; save the sequences and their labels in one file: numpy.savez('NAME.npz', x=..., y=...)"
        )
    if what := name_document(file.head):
        return f"{what}, not a table; save it as .csv with a column for the texts and one for the labels"
    if file.path.suffix == ".txt":
        return (
            "texts without labels; give a table with a column for the texts and one for the labels, such as a .csv, or "
            "a folder with a folder of texts, or a file of lines, for each label"
        )
    return f"not a folder, an archive ({', '.join(ARCHIVE_ENDINGS)}), {known_endings()} or .conllu"

"""Finds the one table that an archive holds."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from rnnx.datasets.archives import read_archive
from rnnx.datasets.table_files import TableFile, report_damage, table_ending
from rnnx.datasets.table_form import Listener
from rnnx.datasets.tables import ENDINGS
from rnnx.datasets.text_file_checks import is_text_name
from rnnx.errors import DataError

_SHOWN = 5

ARCHIVE_ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")


def is_archive(path: Path) -> bool:
    """Whether a file has the name of an archive."""
    return path.name.lower().endswith(ARCHIVE_ENDINGS)


def find_table(path: Path, listener: Listener) -> TableFile:
    """Returns the table at a path: the file itself, or the only table of an archive.

    Args:
        path: The file.
        listener: Takes the name of a table in an archive.

    Raises:
        DataError: If an archive is damaged, or has texts, or not exactly one table.
        UntrustedDataError: If it is refused by `rnnx.datasets.archives`.
    """
    if not is_archive(path):
        return TableFile(path)
    with report_damage(path):
        file = find_packed_table(path, listener)
    if file is None:
        raise DataError("an archive without a table, or with several; unpack it, and name the table", path)
    return file


def find_packed_table(archive: Path, listener: Listener) -> TableFile | None:
    """Returns the only table of an archive; None if it has texts, or not exactly one table.

    Args:
        archive: The archive.
        listener: Takes the name of the table.

    Raises:
        DataError: If it has several tables and no text, so that it must be unpacked.
    """
    tables: list[PurePosixPath] = []
    texts: list[PurePosixPath] = []

    def is_text(file: PurePosixPath) -> bool:
        if is_text_name(file):
            texts.append(file)
        if file.parts[0] != "__MACOSX" and not file.name.startswith(".") and table_ending(file) in ENDINGS:
            tables.append(file)
        return is_text_name(file) and len(file.parts) > 1

    if any(True for _ in read_archive(archive, is_text)) or len(tables) != 1:
        if len(tables) > 1 and not texts:
            names = ", ".join(sorted(str(file) for file in tables)[:_SHOWN]) + (", ..." if len(tables) > _SHOWN else "")
            raise DataError(f"holds several tables ({names}); unpack it, and name one of them", archive)
        return None
    member = next(read_archive(archive, tables.__contains__))
    listener.on_note(f"{archive}: holds one table, {member[0]}")
    return TableFile(archive, member)

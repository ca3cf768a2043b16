"""The files of a corpus and the folder of its answers, on a disk or in object storage.

pyarrow knows `s3://`, `gs://`, `abfs://` and `hdfs://`; for other schemes fsspec is asked, if it is installed.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from rnnx.datasets.archives import require_regular
from rnnx.engines.arrow_predictor import import_pyarrow
from rnnx.errors import DataError, MissingExtraError, UsageError

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_MAGIC = re.compile(r"[*?[]")
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{16}\.rnnx")


class FileSize(NamedTuple):
    """What tells whether a file has changed.

    Attributes:
        size_bytes: Its size.
        modified_us: When it was written last; 0 if unknown.
    """

    size_bytes: int
    modified_us: int


def is_remote(path: str) -> bool:
    """Whether a path names a file system, as `s3://bucket/file` does."""
    return bool(_SCHEME.match(path))


def absolute(path: str) -> str:
    """The absolute path, which every process understands in any working directory."""
    path = path.removeprefix("file://")
    return path.rstrip("/") if is_remote(path) else os.path.abspath(path)  # noqa: PTH100  # Path.absolute keeps ".."


def open_place(path: str) -> tuple[Any, str]:
    """Opens the file system of a path.

    Returns:
        A `pyarrow.fs.FileSystem`, and the path in it.

    Raises:
        MissingExtraError: If the file system needs a package that is not installed.
        UsageError: If there is no such file system.
    """
    import_pyarrow()
    import pyarrow.fs

    scheme, _, rest = path.partition("://")
    if not is_remote(path):
        return pyarrow.fs.LocalFileSystem(), path
    try:
        system, base = _from_uri(scheme, rest.partition("/")[0])
    except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError):  # a scheme that pyarrow does not know
        return _from_fsspec(scheme), rest
    return system, base + path[len(f"{scheme}://{rest.partition('/')[0]}") :]


@lru_cache(16)
def _from_uri(scheme: str, host: str) -> tuple[Any, str]:
    import pyarrow.fs

    found: tuple[Any, str] = pyarrow.fs.FileSystem.from_uri(f"{scheme}://{host}")
    return found


@lru_cache(16)
def _from_fsspec(scheme: str) -> Any:
    import pyarrow.fs

    try:
        import fsspec

        return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(fsspec.filesystem(scheme)))
    except ImportError as error:
        raise MissingExtraError(f"{scheme}://: {error}; install fsspec and its package for {scheme}") from error
    except ValueError as error:
        raise UsageError(f"{scheme}://: {error}") from error


def find_files(patterns: Sequence[str]) -> list[str]:
    """Finds the files of a corpus: files, folders (all files in them), and patterns with `*`, `?` and `[]`.

    Returns:
        Absolute paths, sorted, each once.

    Raises:
        UsageError: If nothing is found for a pattern.
    """
    found: set[str] = set()
    for pattern in patterns:
        files = _files_of(absolute(pattern))
        if not files:
            raise UsageError(f"{pattern}: no such file")
        found.update(files)
    return sorted(found)


def _files_of(pattern: str) -> list[str]:
    if not is_remote(pattern):
        paths = [pattern] if os.path.lexists(pattern) else glob.glob(pattern, recursive=True)  # noqa: PTH207  # patterns are absolute
        return [str(file) for path in paths for file in _in_folder(Path(path))]
    import_pyarrow()
    import pyarrow.fs

    is_pattern = _MAGIC.search(pattern) is not None
    system, path = open_place(_MAGIC.split(pattern)[0].rpartition("/")[0] if is_pattern else pattern)
    prefix = pattern[: len(pattern) - len(open_place(pattern)[1])]
    if not is_pattern and system.get_file_info(path).is_file:
        return [pattern]
    selector = pyarrow.fs.FileSelector(path, recursive=True, allow_not_found=True)
    files = [prefix + info.path.lstrip("/") for info in system.get_file_info(selector) if info.is_file]
    wanted = pattern if is_pattern else f"{pattern}/*"
    return [file for file in files if fnmatch.fnmatchcase(file, wanted) and not _is_hidden(file)]


def _in_folder(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (file for file in path.rglob("*") if file.is_file() and not _is_hidden(file.name))
    else:
        yield path


def _is_hidden(path: str) -> bool:
    """Whether engines leave a file out: a temporary file or a mark such as `_SUCCESS`."""
    return path.rpartition("/")[2].startswith((".", "_"))


def file_size(path: str) -> FileSize:
    """Looks up the size of a file and when it was written.

    Raises:
        DataError: If there is no such file, or it is a pipe or a device.
    """
    try:
        system, place = open_place(path)
        info = system.get_file_info(place)
        if not is_remote(path):
            require_regular(Path(path))
    except OSError as error:
        raise DataError(f"cannot be read ({error})", path) from error
    if not info.is_file:
        raise DataError("no such file", path)
    return FileSize(info.size, (info.mtime_ns or 0) // 1000)


@contextmanager
def open_input(path: str) -> Iterator[Any]:
    """Opens a file for reading at any place.

    Raises:
        DataError: If it cannot be opened.
    """
    try:
        system, place = open_place(path)
        file = system.open_input_file(place)
    except OSError as error:
        raise DataError(f"cannot be read ({error})", path) from error
    with file:
        yield file


def read_unpacked(path: str) -> bytes:
    """Reads a whole file; one whose name ends in .gz, .bz2 or .zst is unpacked.

    Raises:
        DataError: If it cannot be read.
    """
    system, place = open_place(path)
    try:
        with system.open_input_stream(place) as file:
            return bytes(file.read())
    except OSError as error:
        raise DataError(f"cannot be read ({error})", path) from error


def make_folder(folder: str) -> None:
    """Makes a folder, if it is not there."""
    system, place = open_place(folder)
    system.create_dir(place, recursive=True)


def list_names(folder: str) -> set[str]:
    """The names of the files in a folder."""
    import_pyarrow()
    import pyarrow.fs

    system, place = open_place(folder)
    infos = system.get_file_info(pyarrow.fs.FileSelector(place, allow_not_found=True))
    return {info.base_name for info in infos if info.is_file}


@contextmanager
def open_output(folder: str, name: str) -> Iterator[Any]:
    """Opens a file that is there when the block has ended, and not if it fails or is killed.

    It is written under a hidden name in the same folder, and then renamed.
    """
    system, place = open_place(folder)
    temporary = f"{place}/.{name}.{secrets.token_hex(8)}.rnnx"
    try:
        with system.open_output_stream(temporary) as file:
            yield file
        if not is_remote(folder):
            _sync(temporary)
        system.move(temporary, f"{place}/{name}")
    except BaseException:
        with suppress(OSError):
            system.delete_file(temporary)
        raise


def remove_temporary(folder: str) -> None:
    """Removes what killed processes have left in a folder."""
    system, place = open_place(folder)
    for name in list_names(folder):
        if _TEMPORARY.fullmatch(name):
            with suppress(OSError):
                system.delete_file(f"{place}/{name}")


def _sync(path: str) -> None:
    """Flushes a file to the disk, so that it is whole after a power failure."""
    descriptor = os.open(path, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""Opens the file of a table as bytes, unpacked; the packing is told by the first bytes. Zstandard needs `[tables]`."""

from __future__ import annotations

import io
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePath
from typing import IO, BinaryIO, cast

from rnnx.datasets.archives import decompress, require_regular, require_unpacked
from rnnx.errors import DataError, MissingExtraError

PACKINGS = (".gz", ".bz2", ".xz", ".zst")
_GZIP, _XZ, _BZIP2, _ZSTANDARD = b"\x1f\x8b\x08", b"\xfd7zXZ\0", b"BZh[1-9]1AY&SY", b"(\xb5/\xfd"
_HEAD_BYTES, _BUFFER_BYTES = 1 << 16, 1 << 18


@dataclass(frozen=True)
class TableFile:
    """A file that holds a table.

    Attributes:
        path: Its path, for messages.
        member: The name and the content of the one table of an archive; None if the file is the table itself.
    """

    path: Path
    member: tuple[PurePath, bytes] | None = None

    @property
    def ending(self) -> str:
        """The ending of the name in lower case, without that of a packing."""
        return table_ending(self.path if self.member is None else self.member[0])

    @cached_property
    def head(self) -> bytes:
        """The first bytes, unpacked."""
        with self.open() as file:
            return file.read(_HEAD_BYTES)

    def open(self) -> BinaryIO:
        """Opens the file at its beginning, unpacked.

        Raises:
            DataError: If it is a pipe or a device.
            UntrustedDataError: While it is read, if it unpacks to too much.
            MissingExtraError: If it is packed with Zstandard and pyarrow is not installed.
        """
        if self.member is not None:
            return io.BytesIO(self.member[1])
        require_regular(self.path)
        with self.path.open("rb") as file:
            begin = file.read(16)
        if begin.startswith(_ZSTANDARD):
            return io.BufferedReader(_Unpacked(self.path, _open_zstandard(self.path), is_seekable=False), _BUFFER_BYTES)
        if begin.startswith((_GZIP, _XZ)) or re.match(_BZIP2, begin):
            return io.BufferedReader(_Unpacked(self.path, decompress(self.path)), _BUFFER_BYTES)
        return cast("BinaryIO", self.path.open("rb"))


def table_ending(name: PurePath) -> str:
    """The ending of the name of a table in lower case, without that of a packing."""
    lower = name.name.lower()
    for packing in PACKINGS:
        lower = lower.removesuffix(packing)
    return PurePath(lower).suffix


@contextmanager
def report_damage(path: Path) -> Iterator[None]:
    """Turns what the standard library raises for a file that cannot be read into a DataError that names the file."""
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"the archive is damaged or cut short ({error}); get it again", path) from error
    except UnicodeError as error:
        raise DataError(f"not in the encoding that --encoding names ({error})", path) from error
    except RuntimeError as error:  # zipfile: a password, or (NotImplementedError) an unknown compression
        raise DataError(
            f"the archive cannot be read ({error}); pack it with deflate and without a password", path
        ) from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", path) from error


class _Unpacked(io.RawIOBase):
    """A stream of unpacked bytes that ends with an error if they are too many for the size of the file."""

    def __init__(self, path: Path, file: IO[bytes], *, is_seekable: bool = True) -> None:
        self._path, self._file, self._is_seekable = path, file, is_seekable
        self._count = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._is_seekable

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # any buffer, but it is always this one
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._count = self._file.tell() if self._is_seekable else self._count + len(data)
        require_unpacked(self._path, self._count)
        return len(data)

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()
        super().close()


def _open_zstandard(path: Path) -> IO[bytes]:
    try:
        import pyarrow
    except ImportError as error:
        raise MissingExtraError(f"{path}: reading .zst needs pyarrow: pip install 'rnnx[tables]'") from error
    return cast("IO[bytes]", pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd"))

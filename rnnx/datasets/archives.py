"""Reads untrusted archives of texts and of numbers in memory, member by member; nothing is unpacked to disk.

An archive with a path that leaves its folder, or one that would fill the memory, is refused as a whole, although
nothing of it would be written: it is malicious or damaged. tarfile's `data` filter does not help: it is for extraction,
does not limit sizes, and does not exist for `.zip`. Standard library only.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, cast

from rnnx.errors import DataError, UntrustedDataError

# The IMDB archive has 100,000 members of at most 14 kB, and unpacks to 6 times its size.
_MOST_MEMBERS = 2_000_000
_MOST_MEMBER_BYTES = 1 << 26
_MOST_TIMES_PACKED, _MOST_UNPACKED_BYTES, _NO_BOMB_BYTES = 100, 1 << 34, 1 << 30
_MOST_XZ_MEMORY_BYTES = 1 << 28  # xz -9 needs a quarter of it

Members = Iterator[tuple[PurePosixPath, bytes]]


def read_archive(path: Path, is_wanted: Callable[[PurePosixPath], bool]) -> Members:
    """Reads the wanted members of a `.zip` or `.tar.*` file, in their order.

    Args:
        path: The archive.
        is_wanted: Tells from a member's path whether to read it.

    Yields:
        The path and the content of each wanted member.

    Raises:
        UntrustedDataError: If a member's path leaves the archive, a member is a link or a device, or the archive
            unpacks to too much.
        tarfile.TarError, zipfile.BadZipFile, EOFError, lzma.LZMAError, zlib.error, RuntimeError: If it is damaged.
        OSError: If it cannot be read.
    """
    try:
        yield from (_read_zip if path.suffix.lower() == ".zip" else _read_tar)(path, is_wanted)
    except (ValueError, ArithmeticError, LookupError, struct.error) as error:
        # tarfile and zipfile raise these for some damaged headers.
        raise tarfile.TarError(f"a header is impossible: {error}") from error


def require_no_bomb(path: Path, entries: Sequence[zipfile.ZipInfo]) -> None:
    """Refuses a `.zip` (or `.npz`) file whose members unpack to much more than their packed size.

    The declared sizes can be trusted: zipfile reads no more of a member than it declares.

    Raises:
        UntrustedDataError: If they unpack to too much, or there are too many members.
    """
    unpacked, most = sum(entry.file_size for entry in entries), _most_unpacked(path)
    if unpacked > most or len(entries) > _MOST_MEMBERS:
        raise _bomb(path, f"to {unpacked:,} bytes in {len(entries):,} members", most)


def require_unpacked(path: Path, size: int) -> None:
    """Refuses a packed file that has unpacked to too many bytes.

    Raises:
        UntrustedDataError: If they are more than the limit for a file of this size.
    """
    if size > (most := _most_unpacked(path)):
        raise _bomb(path, f"to {size:,} bytes or more", most)


def _read_zip(path: Path, is_wanted: Callable[[PurePosixPath], bool]) -> Members:
    with zipfile.ZipFile(path) as archive:
        require_no_bomb(path, archive.infolist())
        for entry in archive.infolist():
            mode = stat.S_IFMT(entry.external_attr >> 16)
            _require_plain(path, entry.filename, is_plain=mode in (0, stat.S_IFREG, stat.S_IFDIR))
        for entry in archive.infolist():
            if not entry.is_dir() and is_wanted(PurePosixPath(entry.filename)):
                _require_member_size(path, entry.filename, entry.file_size)
                yield PurePosixPath(entry.filename), archive.read(entry)


def _read_tar(path: Path, is_wanted: Callable[[PurePosixPath], bool]) -> Members:
    with decompress(path) as unpacked, tarfile.open(fileobj=_Bounded(path, unpacked), mode="r:") as tar:
        for count, member in enumerate(tar):
            _require_plain(path, member.name, is_plain=member.isreg() or member.isdir())
            if count > _MOST_MEMBERS:
                raise _bomb(path, f"to more than {_MOST_MEMBERS:,} members", _most_unpacked(path))
            tar.members = []  # type: ignore[attr-defined]  # tarfile would keep every member in memory
            if member.isreg() and is_wanted(PurePosixPath(member.name)):
                _require_member_size(path, member.name, member.size)
                stream = cast("IO[bytes]", tar.extractfile(member))
                yield PurePosixPath(member.name), stream.read()


def require_regular(path: Path) -> None:
    """Makes sure that a path is no pipe or device: a data set is read more than once, and has an end.

    Raises:
        DataError: If it is one.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise DataError("a pipe or a device, not a file; save the data as a file first", path)


def decompress(path: Path) -> IO[bytes]:
    """Opens a file; if its first bytes are those of xz, gzip or bzip2, it is unpacked while it is read.

    Raises:
        lzma.LZMAError: If it is packed with xz and needs too much memory.
        OSError: If it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(1 << 16)
    if head.startswith(b"\xfd7zXZ"):
        lzma.LZMADecompressor(memlimit=_MOST_XZ_MEMORY_BYTES).decompress(head, max_length=1)
        return cast("IO[bytes]", lzma.open(path))
    if head.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(path))
    return cast("IO[bytes]", bz2.open(path) if head.startswith(b"BZh") else path.open("rb"))


class _Bounded(io.RawIOBase):
    """A stream of unpacked bytes that refuses to go beyond the limit of the archive, or to read too large a piece."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path, self._file, self._most = path, file, _most_unpacked(path)

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MOST_MEMBER_BYTES:  # a header may declare any length
            raise _bomb(self._path, f"to a piece of {size:,} bytes", _MOST_MEMBER_BYTES)
        self._require(self._file.tell() + size)
        return self._file.read(size)

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        self._require(place)
        return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()

    def _require(self, place: int) -> None:
        if place > self._most + tarfile.RECORDSIZE:
            raise _bomb(self._path, f"to {place:,} bytes or more", self._most)


def _require_plain(path: Path, name: str, *, is_plain: bool) -> None:
    plain = name.replace("\\", "/")  # Windows takes both for separators
    if plain.startswith("/") or plain[1:2] == ":" or ".." in plain.split("/"):
        raise UntrustedDataError(
            f"its member {name!r:.80} has a path that leaves the archive; nothing of it is read", path
        )
    if not is_plain:
        raise UntrustedDataError(f"its member {name!r:.80} is a link or a device; nothing of it is read", path)


def _require_member_size(path: Path, name: str, size: int) -> None:
    if size > _MOST_MEMBER_BYTES:
        raise _bomb(path, f"its member {name!r:.80} to {size:,} bytes", _MOST_MEMBER_BYTES)


def _most_unpacked(path: Path) -> int:
    packed = path.stat().st_size
    return max(packed, min(_MOST_UNPACKED_BYTES, max(_NO_BOMB_BYTES, _MOST_TIMES_PACKED * packed)))


def _bomb(path: Path, what: str, most: int) -> UntrustedDataError:
    return UntrustedDataError(f"unpacks {what}, but the limit is {most:,}; it is not read", path)

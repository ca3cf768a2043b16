"""Tests archives that lead out of themselves or unpack to too much, and harmless ones that only look like that."""

from __future__ import annotations

import io
import lzma
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rnnx.datasets import load_dataset, load_series
from rnnx.errors import DataError, UntrustedDataError
from tests.archives import MiB, overlapping_zip


def add(tar: tarfile.TarFile, name: str, data: bytes = b"good", **fields: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(data)
    for field, value in fields.items():
        setattr(member, field, value)
    tar.addfile(member, io.BytesIO(data))


def write_tar(path: Path, spoil: Callable[[tarfile.TarFile], None], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        add(tar, "r/train/pos/1.txt")
        spoil(tar)
        add(tar, "r/train/neg/1.txt", b"bad")
    return path


def write_zip(path: Path, *entries: zipfile.ZipInfo | str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for entry in ("r/train/pos/1.txt", "r/train/neg/1.txt", *entries):
            archive.writestr(entry, b"text")
    return path


def link_entry() -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo("r/train/pos/2.txt")
    entry.external_attr = 0o120777 << 16
    return entry


ESCAPES: dict[str, Callable[[Path], Path]] = {
    "tar ..": lambda folder: write_tar(folder / "a.tar", lambda tar: add(tar, "../evil.txt")),
    "tar .. inside": lambda folder: write_tar(folder / "a.tar.gz", lambda tar: add(tar, "r/../../evil.txt"), "w:gz"),
    "tar absolute": lambda folder: write_tar(folder / "a.tar.xz", lambda tar: add(tar, "/tmp/evil.txt"), "w:xz"),  # noqa: S108
    "tar drive": lambda folder: write_tar(folder / "a.tar", lambda tar: add(tar, "C:\\evil.txt")),
    "tar symlink": lambda folder: write_tar(
        folder / "a.tar", lambda tar: add(tar, "r/train/pos/2.txt", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")
    ),
    "tar hard link": lambda folder: write_tar(
        folder / "a.tar", lambda tar: add(tar, "r/train/pos/2.txt", b"", type=tarfile.LNKTYPE, linkname="../../x")
    ),
    "tar device": lambda folder: write_tar(
        folder / "a.tar.bz2", lambda tar: add(tar, "r/train/pos/2.txt", b"", type=tarfile.CHRTYPE, devmajor=1), "w:bz2"
    ),
    "tar pipe": lambda folder: write_tar(folder / "a.tar", lambda tar: add(tar, "r/p", b"", type=tarfile.FIFOTYPE)),
    "zip ..": lambda folder: write_zip(folder / "a.zip", "../../evil.txt"),
    "zip backslashes": lambda folder: write_zip(folder / "a.zip", "..\\evil.txt"),
    "zip absolute": lambda folder: write_zip(folder / "a.zip", "/evil.txt"),
    "zip link": lambda folder: write_zip(folder / "a.zip", link_entry()),
}


@pytest.mark.parametrize("name", ESCAPES)
def test_an_archive_with_a_path_out_of_it_is_refused_whole(name: str, tmp_path: Path) -> None:
    path = ESCAPES[name](tmp_path)
    with pytest.raises(UntrustedDataError, match=r"has a path that leaves the archive|is a link or a device"):
        load_dataset(str(path))
    assert list(tmp_path.iterdir()) == [path]


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """Returns the header of a member, without the data that it announces."""
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf()


def write_headers(path: Path, *headers: bytes) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        add(tar, "r/train/pos/1.txt")
        assert tar.fileobj is not None
        for member in headers:
            tar.fileobj.write(member)
    return path


BOMBS: dict[str, Callable[[Path], Path]] = {
    "zip": lambda folder: overlapping_zip(folder / "a.zip"),
    "a wanted member": lambda folder: write_headers(folder / "a.tar.gz", header("r/train/pos/2.txt", 1 << 32)),
    "a member that nobody wants": lambda folder: write_headers(folder / "a.tgz", header("zeros", 1 << 32)),
    "a long name": lambda folder: write_headers(folder / "a.tgz", header("x", 1 << 32, tarfile.GNUTYPE_LONGNAME)),
    "a long header": lambda folder: write_headers(folder / "a.tgz", header("x", 1 << 32, tarfile.XHDTYPE)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_is_unpacked(name: str, tmp_path: Path) -> None:
    with pytest.raises(UntrustedDataError, match=r"unpacks .*to .*bytes.*, but the limit is [\d,]+; it is not read"):
        load_dataset(str(BOMBS[name](tmp_path)))


def test_an_xz_file_that_needs_much_memory_is_refused(tmp_path: Path) -> None:
    tar = write_tar(tmp_path / "a.tar", lambda tar: None).read_bytes()
    path = tmp_path / "b.tar.xz"
    path.write_bytes(lzma.compress(tar, filters=[{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 29}]))
    with pytest.raises(DataError, match=r"emory usage limit"):
        load_dataset(str(path))
    path.write_bytes(lzma.compress(tar, preset=9))
    assert len(load_dataset(str(path)).train) == 2


def test_a_repetitive_text_and_a_large_unread_file_are_accepted(tmp_path: Path) -> None:
    """A text that repeats one letter packs to a thousandth of its size, and a file that nobody reads may be large."""

    def more(tar: tarfile.TarFile) -> None:
        add(tar, "r/train/pos/2.txt", b"a" * 5 * MiB)
        add(tar, "r/features.bin", bytes(80 * MiB))

    data = load_dataset(str(write_tar(tmp_path / "a.tar.gz", more, "w:gz")))
    assert [len(text) for text in data.train.texts] == [3, 4, 5 * MiB]


def test_an_array_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.zeros((4, 3, 2), np.float32), y=np.arange(4))
    data = bytearray(path.read_bytes())
    directory = data.rindex(b"PK\x01\x02", 0, data.rindex(b"PK\x01\x02"))  # the entry of x, the first of two
    data[directory + 24 : directory + 28] = (0xFFFF_FFF0).to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(UntrustedDataError, match="unpacks to 4,294,9"):
        load_series(str(path), "classification")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_named_pipe_in_a_folder_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "d" / "train" / "pos").mkdir(parents=True)
    os.mkfifo(tmp_path / "d" / "train" / "pos" / "1.txt")
    with pytest.raises(DataError, match=r"1\.txt: not a regular file"):
        load_dataset(str(tmp_path / "d"))


def test_an_invalid_header_is_reported_as_damage(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", lambda tar: add(tar, "r/train/pos/2.txt", pax_headers={"GNU.sparse.map": "x"}))
    with pytest.raises(DataError, match=r"a\.tar: the archive is damaged .*a header is impossible: invalid literal"):
        load_dataset(str(path))


def test_a_member_that_claims_an_enormous_size_is_refused_at_once(tmp_path: Path) -> None:
    """Python's tarfile would try to read all of the member, which would never end."""
    path = write_tar(tmp_path / "a.tar", lambda tar: add(tar, "r/train/pos/2.txt", pax_headers={"size": "9" * 30}))
    with pytest.raises(UntrustedDataError, match=r"a\.tar: unpacks .*9,999,999"):
        load_dataset(str(path))

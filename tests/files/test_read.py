"""Tests the reading of files that would block, lead out of a folder, or fill the memory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rnnx.bundle.directory import read_directory, write_directory
from rnnx.errors import ModelError
from rnnx.files.read import MAX_FILE_BYTES, read_file
from rnnx.onnx_file.admission import require_loadable
from tests.bundles import CONFIG, FILES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_directory(tmp_path / "m", CONFIG, FILES)
    return tmp_path / "m"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_named_pipe_does_not_block(folder: Path) -> None:
    (folder / "a.txt").unlink()
    os.mkfifo(folder / "a.txt")
    with pytest.raises(ModelError, match=r"a\.txt: not a regular file"):
        read_directory(folder)
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")
    with pytest.raises(ModelError, match=r"config\.json: not a regular file"):
        read_directory(folder)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no such device here")
def test_a_device_is_not_read() -> None:
    with pytest.raises(ModelError, match="not a regular file"):
        read_file(Path("/dev/zero"))


@pytest.mark.parametrize("target", ["../secret", "/etc/passwd", "sub/../../secret"])
def test_a_link_out_of_a_bundle_is_not_followed(folder: Path, target: str) -> None:
    (folder.parent / "secret").write_bytes(FILES["a.txt"])  # even with the right hash
    (folder / "sub").mkdir()
    (folder / "a.txt").unlink()
    (folder / "a.txt").symlink_to(target)
    with pytest.raises(ModelError, match=r"a\.txt: the link leads out of .*m and is not followed"):
        read_directory(folder)


def test_a_linked_folder_and_links_within_it_are_read(folder: Path) -> None:
    (folder / "c.txt").write_bytes(FILES["a.txt"])
    (folder / "a.txt").unlink()
    (folder / "a.txt").symlink_to("c.txt")
    (folder.parent / "link").symlink_to("m")
    assert read_directory(folder.parent / "link").files == FILES


def test_a_file_with_two_names_is_read(folder: Path) -> None:
    """Some installers lay out packages with hard links."""
    os.link(folder / "a.txt", folder.parent / "other")
    assert read_directory(folder).files == FILES


def test_a_file_that_is_too_large_is_not_read(folder: Path) -> None:
    for name in ("a.txt", "config.json"):
        with (folder / name).open("r+b") as file:
            file.truncate(MAX_FILE_BYTES + 1)  # a sparse file, which takes no space on the disk
        with pytest.raises(ModelError, match=rf"{name}: the file is larger than (1|64) MB and was not read"):
            read_directory(folder)


def test_an_inadmissible_file_is_named(tmp_path: Path) -> None:
    write_directory(tmp_path / "m", CONFIG, {"model.onnx": b"\x08\x03", "notes.txt": b"\x08\x03"})
    with pytest.raises(ModelError, match=r"model\.onnx: not an ONNX model"):
        read_directory(tmp_path / "m")
    require_loadable(tmp_path / "notes.txt", b"\x08\x03")

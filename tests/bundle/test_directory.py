from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from rnnx.bundle.directory import find_directory, read_directory, require_replaceable, write_directory
from rnnx.errors import ModelError, UsageError
from rnnx.files import publish
from tests.bundles import CONFIG, FILES


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_directory_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    written = write_directory(tmp_path / "deep" / "m", CONFIG, FILES)
    read = read_directory(tmp_path / "deep" / "m")
    assert read.files == FILES
    assert read.config == written
    assert names(tmp_path / "deep") == ["m"]  # nothing temporary is left


def test_one_error_names_every_missing_or_altered_file(tmp_path: Path) -> None:
    write_directory(tmp_path / "m", CONFIG, {**FILES, "c.txt": b"third"})
    (tmp_path / "m" / "a.txt").unlink()
    (tmp_path / "m" / "b.txt").write_bytes(b"secone")
    with pytest.raises(ModelError, match=r"missing: a\.txt; altered: b\.txt"):
        read_directory(tmp_path / "m")


@pytest.mark.parametrize("content", ["", "{}", "[1, 2]", '{"name": "x"}'])
def test_a_broken_config_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=r"config\.json"):
        read_directory(tmp_path)


def test_a_config_cannot_name_a_file_outside_its_directory(tmp_path: Path) -> None:
    write_directory(tmp_path / "m", CONFIG, FILES)
    config = tmp_path / "m" / "config.json"
    config.write_text(config.read_text(encoding="utf-8").replace('"a.txt"', '"../a.txt"'), encoding="utf-8")
    with pytest.raises(ModelError, match="not a plain file name"):
        read_directory(tmp_path / "m")


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_second_write_replaces_the_whole_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool
) -> None:
    if not can_exchange:
        monkeypatch.setattr(publish, "_exchange", lambda a, b: False)
    write_directory(tmp_path / "m", CONFIG, FILES)
    write_directory(tmp_path / "m", CONFIG, {"c.txt": b"third"})
    assert names(tmp_path) == ["m"]
    assert names(tmp_path / "m") == ["c.txt", "config.json"]


def test_a_full_disk_leaves_the_old_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_directory(tmp_path / "m", CONFIG, FILES)
    calls = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_directory(tmp_path / "m", CONFIG, {"c.txt": b"x", "d.txt": b"y"})
    assert names(tmp_path) == ["m"]
    assert read_directory(tmp_path / "m").files == FILES


def test_a_directory_with_foreign_files_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_bytes(b"x")
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    (tmp_path / "huggingface").mkdir()
    (tmp_path / "huggingface" / "config.json").write_text('{"architectures": []}', encoding="utf-8")
    write_directory(tmp_path / "noted", CONFIG, FILES)
    (tmp_path / "noted" / "notes.md").write_bytes(b"mine")
    for name in ("photos", "file", "huggingface", "noted"):
        with pytest.raises(UsageError, match="choose another --out"):
            write_directory(tmp_path / name, CONFIG, FILES)
    assert (tmp_path / "photos" / "me.jpg").read_bytes() == b"x"
    assert (tmp_path / "noted" / "notes.md").read_bytes() == b"mine"
    require_replaceable(tmp_path / "empty")
    write_directory(tmp_path / "empty", CONFIG, FILES)
    assert read_directory(tmp_path / "empty").files == FILES


def test_an_unknown_model_is_answered_with_the_shipped_names(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no such model or path; the shipped models are .*imdb"):
        find_directory("imbd")
    with pytest.raises(ModelError, match=r"not a model of rnnx, because it has no config\.json"):
        find_directory(tmp_path)


def test_a_model_is_found_by_name_folder_and_file(tmp_path: Path) -> None:
    write_directory(tmp_path / "m", CONFIG, FILES)
    assert find_directory(tmp_path / "m") == tmp_path / "m"
    assert find_directory(str(tmp_path / "m" / "a.txt")) == tmp_path / "m"
    assert find_directory("imdb").name == "imdb"
    (tmp_path / "m" / "other.onnx").write_bytes(b"x")  # in the folder of a model, but not part of it
    with pytest.raises(ModelError, match=r"no such model|not a model of rnnx"):
        find_directory(tmp_path / "m" / "other.onnx")

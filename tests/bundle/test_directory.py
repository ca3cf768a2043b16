from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from rnnx.bundle import directory as directory_module
from rnnx.bundle.directory import open_directory, read_directory, require_replaceable, write_directory
from rnnx.errors import ModelError, UsageError
from rnnx.files import publish
from rnnx.files.read import read_file
from rnnx.onnx_file import admission
from rnnx.onnx_file.messages import parse_model
from rnnx.onnx_file.wire import Message, read_model
from rnnx.runtime.session import Session
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


@pytest.fixture
def read_paths(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of all files that are read, in order."""
    names = []

    def count(path: Path, *args: Any, **kwargs: Any) -> bytes:
        names.append(path.name)
        return read_file(path, *args, **kwargs)

    monkeypatch.setattr(directory_module, "read_file", count)
    return names


def test_only_the_named_files_are_read_and_each_is_admitted_once(
    stream_bundles: dict[str, Path], read_paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = []

    def count(data: bytes) -> Message:
        parsed.append(len(data))
        return read_model(data)

    monkeypatch.setattr(admission, "read_model", count)
    path = stream_bundles["states"]
    directory = open_directory(path, lambda config: ["model.onnx", "vocabulary.txt"])  # it has no vocabulary
    assert read_paths == ["config.json", "model.onnx"]
    assert directory.files.keys() == {"model.onnx"}
    assert directory["model.onnx"] == (path / "model.onnx").read_bytes()
    Session(directory["model.onnx"])
    parse_model(directory["model.onnx"])
    assert len(parsed) == 1


def test_a_file_that_was_not_named_is_read_and_checked_when_it_is_needed(tmp_path: Path, read_paths: list[str]) -> None:
    write_directory(tmp_path / "m", CONFIG, {**FILES, "c.txt": b"third", "bad.onnx": b"\x08\x03"})
    directory = open_directory(tmp_path / "m", lambda config: ["a.txt"])
    assert directory["b.txt"] == FILES["b.txt"]
    assert read_paths == ["config.json", "a.txt", "b.txt"]
    assert open_directory(tmp_path / "m", lambda config: [min(config.files)]).files == {"a.txt": FILES["a.txt"]}
    (tmp_path / "m" / "c.txt").write_bytes(b"other")
    with pytest.raises(ModelError, match=r"m: altered: c\.txt; get or export this model again"):
        directory["c.txt"]
    (tmp_path / "m" / "c.txt").unlink()
    with pytest.raises(ModelError, match=r"m: missing: c\.txt; get or export this model again"):
        directory["c.txt"]
    with pytest.raises(ModelError, match=r"m/bad\.onnx: not an ONNX model"):
        directory["bad.onnx"]
    with pytest.raises(ModelError, match=r"m: no model\.onnx: this bundle is incomplete"):
        directory["model.onnx"]


def test_named_files_are_refused_as_when_all_are_read(tmp_path: Path) -> None:
    write_directory(tmp_path / "m", CONFIG, {**FILES, "bad.onnx": b"\x08\x03"})
    (tmp_path / "m" / "a.txt").unlink()
    (tmp_path / "m" / "b.txt").write_bytes(b"secone")
    for names in (["a.txt", "b.txt"], ["a.txt"], ["bad.onnx"]):
        with pytest.raises(ModelError) as refused:
            open_directory(tmp_path / "m", lambda config, names=names: names)  # type: ignore[misc]
        for name in ("a.txt", "b.txt"):
            assert (name in str(refused.value)) == (name in names)
    config = tmp_path / "m" / "config.json"
    config.write_text(config.read_text(encoding="utf-8").replace('"a.txt"', '"../a.txt"'), encoding="utf-8")
    with pytest.raises(ModelError, match="not a plain file name"):
        open_directory(tmp_path / "m", lambda config: ["b.txt"])


def test_a_directory_that_is_replaced_while_it_is_opened_is_opened_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_directory(tmp_path / "m", CONFIG, FILES)
    calls = []

    def replace_first(path: Path, *args: Any, **kwargs: Any) -> bytes:
        data = read_file(path, *args, **kwargs)
        calls.append(path.name)
        if calls == ["config.json"]:
            write_directory(tmp_path / "m", CONFIG, {"a.txt": b"new"})
        return data

    monkeypatch.setattr(directory_module, "read_file", replace_first)
    assert open_directory(tmp_path / "m", lambda config: ["a.txt"])["a.txt"] == b"new"


def test_a_training_run_is_told_from_a_bundle_without_reading_its_samples(tmp_path: Path) -> None:
    write_directory(tmp_path / "run", CONFIG, {"samples.json": b"[]"})
    with pytest.raises(ModelError, match=r"no model\.onnx: this is a training run; rnnx export"):
        open_directory(tmp_path / "run", lambda config: ["model.onnx"])["model.onnx"]

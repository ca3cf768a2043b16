"""Tests the layouts of folders other than `train/<label>/*.txt`, which test_folders_and_tables.py tests."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from rnnx.errors import DataError
from tests.datasets.tables import load

ROWS = [("bad film", "neg"), ("worse", "neg"), ("good film", "pos"), ("nice", "pos")]
LAYOUTS = {
    "folders": {"neg/1.txt": "bad film", "neg/2.txt": "worse", "pos/1.txt": "\ufeffgood film", "pos/2.txt": "nice"},
    "files": {"neg.txt": "bad film\r\nworse\r\n", "pos.txt": "\ufeffgood film\n\n nice", "README.txt": "about"},
    "parts": {"train/neg.txt": "bad film\nworse\n", "train/pos.txt": "good film\nnice\n", "test/pos.txt": "fine\n"},
}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="")
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("form", ["folder", "zip", "gztar"])
def test_each_layout_is_read_from_a_folder_and_from_an_archive(tmp_path: Path, layout: str, form: str) -> None:
    path = write(tmp_path / "reviews", LAYOUTS[layout])
    if form != "folder":
        path = Path(shutil.make_archive(str(tmp_path / "packed"), form, tmp_path, "reviews"))
    loaded = load(path)
    assert loaded.pairs == ROWS
    assert (loaded.data.test is not None) == (layout == "parts")
    what = "one folder per label" if layout == "folders" else "one file per label, a text per line"
    more = "; not read: README.txt" if layout == "files" else ""
    assert loaded.notes == [f"{loaded.data.name}: {what}{more}"]


def test_folders_in_train_come_first(tmp_path: Path) -> None:
    files = {"train/neg/1.txt": "bad", "train/pos/1.txt": "good", "other/1.txt": "x", "note.txt": "y", "more.txt": "z"}
    loaded = load(write(tmp_path / "d", files))
    assert loaded.pairs == [("bad", "neg"), ("good", "pos")]
    assert loaded.notes == []


@pytest.mark.parametrize("names", [("train.txt", "test.txt"), ("set.training.txt", "set.test.txt")])
def test_files_of_parts_are_no_labels(tmp_path: Path, names: tuple[str, str]) -> None:
    with pytest.raises(DataError, match="are parts of a data set, not labels; name one of the files"):
        load(write(tmp_path / "d", dict.fromkeys(names, "a\n")))


@pytest.mark.parametrize("files", [{"neg/1.txt": "x"}, {"pos.txt": "x"}, {"README.txt": "x", "LICENSE.txt": "y"}])
def test_a_folder_with_a_single_label_is_refused(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(DataError, match=r"no train/<label>/\*\.txt inside"):
        load(write(tmp_path / "d", files))


def test_a_folder_of_tables_names_them(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no train/<label>/.*; or name one of its tables: test\.csv, train\.csv\.gz"):
        load(write(tmp_path / "d", {"train.csv.gz": "", "test.csv": "", "README.md": ""}))


@pytest.mark.parametrize("layout", ["folders", "files", "train"])
def test_files_that_are_empty_or_not_utf8_are_a_warning(tmp_path: Path, layout: str) -> None:
    files = {
        "neg/1.txt": "Das war übel",
        "neg/2.txt": "",
        "pos/1.txt": "Das Essen war köstlich und schön",
        "pos/2.txt": "x",
    }
    if layout == "files":
        files = {name.replace("/", ""): content for name, content in files.items()}
    elif layout == "train":
        files = {f"train/{name}": content for name, content in files.items()}
    path = write(tmp_path / "reviews", files)
    for name, content in files.items():
        (path / name).write_bytes(content.encode("cp1252"))
    warnings = load(path).warnings
    first, empty, second, _ = files
    assert warnings[0] == f"{path}: 1 file without text ({empty})"
    assert warnings[1].startswith(f"{path}: 2 files not in UTF-8 ({first}, {second}), read byte by byte; convert")
    (path / first).write_bytes("übel".encode("utf-16-le"))
    assert f"2 files not in UTF-8 ({first}, {second})" in load(path).warnings[1]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_an_ending_may_be_in_capitals(tmp_path: Path, layout: str, form: str) -> None:
    names = list(LAYOUTS[layout])
    files = {name.replace(".txt", ".TXT") if i % 2 else name: LAYOUTS[layout][name] for i, name in enumerate(names)}
    path = write(tmp_path / "reviews", files)
    if form == "zip":
        path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, "reviews"))
    assert load(path).pairs == ROWS

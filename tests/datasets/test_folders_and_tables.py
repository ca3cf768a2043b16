from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rnnx.datasets import Columns, load_dataset
from rnnx.errors import DataError, UsageError

FILES = {
    "train/neg/1.txt": b"bad caf\xe9",
    "train/neg/2.txt": b"worse",
    "train/pos/1.txt": b"\xef\xbb\xbfgood",
    "train/pos/note.md": b"not a text",
    "train/unsup/1.txt": b"no label",
    "test/pos/9.txt": b"fine",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        path = tmp_path / "reviews" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "reviews"


@pytest.mark.parametrize("form", ["folder", "zip", "tar", "gztar", "xztar"])
def test_a_folder_and_its_archive_give_the_same_data(folder: Path, form: str) -> None:
    path = folder
    if form != "folder":
        path = Path(shutil.make_archive(str(folder.parent / "packed"), form, folder.parent, "reviews"))
    data = load_dataset(str(path))
    assert data.labels == ("neg", "pos")
    assert list(data.train.texts) == [b"bad caf\xe9", b"worse", b"good"]  # sorted by path, no byte order mark
    assert data.train.label_ids.tolist() == [0, 0, 1]
    assert data.test is not None
    assert list(data.test.texts) == [b"fine"]


def test_a_damaged_archive_is_reported_as_damaged(folder: Path) -> None:
    path = Path(shutil.make_archive(str(folder.parent / "packed"), "gztar", folder.parent, "reviews"))
    for damaged in (path.read_bytes()[:-40], b"not an archive at all"):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match="damaged or cut short"):
            load_dataset(str(path))


def write_table(path: Path, rows: list[tuple[str, str]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(json.dumps({"text": t, "label": y}) + "\n" for t, y in rows), encoding="utf-8")
        return path
    separator = {".csv": ",", ".tsv": "\t"}[path.suffix]
    lines = [f"text{separator}label", *(f'"{t.replace(chr(34), chr(34) * 2)}"{separator}{y}' for t, y in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl"])
def test_each_kind_of_table_is_read(tmp_path: Path, ending: str) -> None:
    rows = [('say "yes", please', "b"), ("two\nlines", "a"), ("déjà vu", "c")]
    data = load_dataset(str(write_table(tmp_path / f"t{ending}", rows)))
    assert data.labels == ("a", "b", "c")
    assert list(data.train.texts) == [text.encode() for text, _ in rows]


def test_columns_can_be_named_and_labels_can_be_numbers(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"review": "x", "stars": 1}\n\n{"review": "y", "stars": 2}\n', encoding="utf-8")
    assert load_dataset(str(path), columns=Columns("review", "stars")).labels == ("1", "2")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("t.csv", b"review,stars\nx,1\n", "no column 'label'; the columns are 'review', 'stars'"),
        ("t.csv", b"", "the columns are none"),
        ("t.csv", b"text,label\nx\n", r"t\.csv:2: the text should be"),
        ("t.csv", b"text,label\nx,\n", r"t\.csv:2: the text should be"),
        ("t.csv", b'text,label\n"x,1\n', "the row after line 1: unexpected end of data"),
        ("t.jsonl", b'{"text": "x", "label": "a"}\n{"text": \n', r"t\.jsonl:2: not a line of JSON"),
        ("t.jsonl", b"[]\n", r"t\.jsonl:1: should be a JSON object"),
        ("t.jsonl", b'{"text": 3, "label": "a"}\n', r"t\.jsonl:1: the text should be a string"),
        ("t.csv", b"text,label\nx,p\xff\n", "is not printable"),
        ("t.csv", b"text,label\n", "no labelled text"),
        ("t.parquet", b"PAR1", "is it damaged"),
        ("t.pickle", b"\x80\x04K\x01.", "not a folder, an archive"),
    ],
)
def test_a_bad_table_names_file_line_and_remedy(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=reason):
        load_dataset(str(tmp_path / name))


def test_an_unknown_data_set_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"no data set 'imbd'; did you mean imdb\?"):
        load_dataset("imbd")
    with pytest.raises(UsageError, match=r"no data set 'reviews': give imdb, or the path of .*, \.conll or \.npz"):
        load_dataset("reviews")


def test_one_array_of_numpy_is_answered_with_how_to_save_both(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 3, 1)))
    with pytest.raises(DataError, match=r"one array of NumPy; .*: numpy\.savez\('NAME\.npz', x=\.\.\., y=\.\.\.\)"):
        load_dataset(str(tmp_path / "x.npy"))


def test_an_archive_of_several_tables_names_them(tmp_path: Path) -> None:
    path = tmp_path / "both.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/test.csv", "text,label\nx,a\n")
        archive.writestr("a/train.csv", "text,label\nx,a\n")
    with pytest.raises(DataError, match=r"holds several tables \(a/test\.csv, a/train\.csv\); unpack it, and name one"):
        load_dataset(str(path))


def test_a_folder_without_texts_is_answered_with_the_expected_layout(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no train/<label>/\*\.txt inside"):
        load_dataset(str(tmp_path))


def test_a_table_keeps_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"text,label\ncaf\xe9,a\nx,b\n")
    assert load_dataset(str(tmp_path / "t.csv")).train.texts[0] == b"caf\xe9"


def test_lone_surrogates_are_read_as_bytes(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"text": "a \\ud800 b", "label": "x"}\n', encoding="utf-8")
    assert load_dataset(str(tmp_path / "t.jsonl")).train.texts[0] == b"a \xed\xa0\x80 b"


def test_an_encrypted_archive_is_refused(tmp_path: Path) -> None:
    """Python cannot write an encrypted zip, so the test sets the bit for encryption in both headers of the entry."""
    path = tmp_path / "locked.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train/pos/1.txt", "good")
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="encrypted"):
        load_dataset(str(path))

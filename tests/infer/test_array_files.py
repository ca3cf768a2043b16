"""Tests files of numbers: each way to write `.npy`, `.npz` and `.csv`, and what is said about broken files."""

from __future__ import annotations

import io
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnx.bundle.config import InputConfig
from rnnx.infer import array_files
from rnnx.infer.array_files import read_arrays_of
from rnnx.infer.encoders import ArrayReader
from rnnx.infer.input_items import Item

NUMBERS = ArrayReader("m", [InputConfig("x", "numbers", (None, 2), 0)])
IDS = ArrayReader("m", [InputConfig("ids", "ids", (None,), 10)])
SEVERAL = ArrayReader("m", [InputConfig("a", "numbers", (None, 2), 0), InputConfig("b", "ids", (None,), 10)])

X = np.arange(12.0).reshape(2, 3, 2)


def read(reader: ArrayReader, *paths: Path) -> list[Item]:
    return list(read_arrays_of(reader, map(str, paths)))


def rows(items: list[Item], name: str = "x") -> list[Any]:
    assert all(item.error is None and item.encoded is not None for item in items), items
    return [item.encoded.given[name].tolist() for item in items if item.encoded is not None]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_npy_is_one_sequence_or_a_batch(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", X[0])
    np.save(tmp_path / "two.npy", X)
    items = read(NUMBERS, tmp_path / "one.npy", tmp_path / "two.npy")
    assert rows(items) == [X[0].tolist(), *X.tolist()]
    assert [(Path(item.source).name, item.index) for item in items] == [("one.npy", 0), ("two.npy", 0), ("two.npy", 1)]


def test_npz_is_read_by_name_and_x_may_name_a_single_input(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", a=X, b=[[1, 2], [3, 4]])
    items = read(SEVERAL, tmp_path / "a.npz")
    assert (rows(items, "a"), rows(items, "b")) == (X.tolist(), [[1, 2], [3, 4]])
    np.savez(tmp_path / "ids.npz", x=[1, 2, 3], y=np.array([None]))
    assert rows(read(IDS, tmp_path / "ids.npz"), "ids") == [[1, 2, 3]]


def test_a_mask_may_be_true_and_false_or_1_and_0(tmp_path: Path) -> None:
    reader = ArrayReader("m", [InputConfig("x", "numbers", (None, 2), 0), InputConfig("m", "mask", (None,), 0)])
    mask = np.array([[True, False, True], [False, False, True]])
    for dtype in (bool, np.uint8, np.int64):
        np.savez(tmp_path / "a.npz", x=X, m=mask.astype(dtype))
        items = read(reader, tmp_path / "a.npz")
        assert (rows(items), rows(items, "m")) == (X.tolist(), mask.tolist())
    np.savez(tmp_path / "a.npz", x=X, m=[[1, 0, 2], [0, 0, 1]])
    wrong, right = read(reader, tmp_path / "a.npz")
    assert "m, sequence 0: 2 at [2] should be 1 or 0" in str(wrong.error)
    assert right.error is None
    assert reader.describe() == "x float32 (time, 2), m bool (time,)"


def test_npz_with_lengths_drops_the_padding(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.where(np.arange(3)[:, None] < 2, X, np.nan), lengths=[2, 1])
    assert rows(read(NUMBERS, tmp_path / "a.npz")) == [X[0, :2].tolist(), X[1, :1].tolist()]


@pytest.mark.parametrize("head", ["", "a,b\n", "\ufeffa,b\n", "\n"])
def test_csv_of_numbers_has_one_step_per_line(tmp_path: Path, head: str) -> None:
    path = write(tmp_path / "a.csv", f"{head}1,2\r\n3,4e0\n\n5, 6\n")
    assert rows(read(NUMBERS, path)) == [[[1, 2], [3, 4], [5, 6]]]


def test_csv_of_ids_has_one_sequence_per_line(tmp_path: Path) -> None:
    items = read(IDS, write(tmp_path / "a.csv", "1,2,3\n4\n5,99\n"))
    assert rows(items[:2], "ids") == [[1, 2, 3], [4]]
    assert items[2].error == "ids, sequence 2: 99 at [1] should be in 0..9"


def test_stdin_is_read_as_csv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"1,2\n3,4\n")))
    assert rows(list(read_arrays_of(NUMBERS, ["-"]))) == [[[1, 2], [3, 4]]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "good", "not .npy, .npz or .csv; this model reads x float32 (time, 2)"),
        ("a.csv", "1,2\n3\n", "line 2: 1 numbers where the first one has 2"),
        ("a.csv", "1,2\n3,x\n", "line 2: should hold numbers, separated by commas"),
        ("a.csv", "1,2,3\n", "x, sequence 0: should be (time, 2) with a time of at least 1, not (1, 3)"),
        ("a.csv", "1,nan\n", "x, sequence 0: nan at [0, 1] should be a finite float32"),
        ("a.csv", "good film\n", "line 1: should hold numbers"),
        ("a.csv", "a,b\n", "line 1: should hold numbers"),
        ("a.csv", "", "has no line of numbers"),
        ("a.csv", '"1,2\n', "not a table of numbers"),
        ("a.npy", "good", "this file: "),
        ("a.npz", "good", "not a .npz file"),
    ],
)
def test_a_bad_file_fails_only_its_own_item(tmp_path: Path, name: str, content: str, message: str) -> None:
    np.save(tmp_path / "good.npy", X[0])
    bad = write(tmp_path / name, content)
    items = read(NUMBERS, tmp_path / "good.npy", bad, tmp_path, tmp_path / "none.npy", tmp_path / "good.npy")
    assert [item.error is None for item in items] == [True, False, False, False, True]
    assert message in str(items[1].error)
    assert "\n" not in str(items[1].error)
    assert str(bad) not in str(items[1].error)


def test_a_table_that_is_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(array_files, "_MOST_CSV_BYTES", 1 << 20)
    good, long = write(tmp_path / "a.csv", "1,2\n" * (1 << 18)), write(tmp_path / "b.csv", "1" * (1 << 21))
    first, second = read(NUMBERS, good, long)
    assert rows([first])[0][-1] == [1, 2]
    assert second.error == "longer than 1 MB, the most for a .csv; give it as .npy"


def test_a_bad_row_of_a_batch_fails_only_itself(tmp_path: Path) -> None:
    x = X.copy()
    x[0, 1, 1] = np.inf
    np.save(tmp_path / "a.npy", x)
    first, second = read(NUMBERS, tmp_path / "a.npy")
    assert (first.index, first.error) == (0, "x, sequence 0: inf at [1, 1] should be a finite float32")
    assert (second.index, second.error) == (1, None)


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([None, 1]), allow_pickle=True)
    np.savez(tmp_path / "a.npz", x=np.array([None, 1]))
    for item in read(NUMBERS, tmp_path / "a.npy", tmp_path / "a.npz"):
        assert "holds Python objects, not numbers, and is not unpickled" in str(item.error)


def test_a_batch_of_any_size_is_read_row_by_row(tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((1_000, 4_000, 2)).astype(np.float32)
    np.save(tmp_path / "a.npy", x)
    np.savez(tmp_path / "b.npz", x=x)
    for name in ("a.npy", "b.npz"):
        tracemalloc.start()
        try:
            for item, expected in zip(read_arrays_of(NUMBERS, [str(tmp_path / name)]), x, strict=True):
                assert item.encoded is not None
                assert np.array_equal(item.encoded.given["x"], expected)
            assert tracemalloc.get_traced_memory()[1] < x.nbytes / 4
        finally:
            tracemalloc.stop()


def test_arrays_in_fortran_order_give_the_same_rows(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.asfortranarray(X))
    np.savez(tmp_path / "b.npz", x=np.asfortranarray(X))
    assert rows(read(NUMBERS, tmp_path / "a.npy")) == rows(read(NUMBERS, tmp_path / "b.npz")) == X.tolist()


def test_the_header_of_an_old_python_is_read_without_a_word(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    data = (tmp_path / "x.npy").read_bytes()
    (tmp_path / "x.npy").write_bytes(data.replace(b"(2, 3, 2)", b"(2L,3, 2)", 1))  # pytest fails at a warning
    assert rows(read(NUMBERS, tmp_path / "x.npy")) == X.tolist()


def test_a_truncated_file_is_refused_before_its_first_row(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    data = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(data[:-1])
    (item,) = read(NUMBERS, tmp_path / "a.npy")
    assert item.index is None
    assert "the header promises (2, 3, 2) of float64, and 95 bytes follow" in str(item.error)


def test_rows_before_the_damage_of_a_file_are_read(tmp_path: Path) -> None:
    """Each row is larger than a block of the reader; zipfile finds damage at the end of the member at the latest."""
    x = np.random.default_rng(0).standard_normal((3, 1 << 17, 2))
    np.savez(tmp_path / "a.npz", x=x)
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[len(data) * 5 // 6] ^= 1
    (tmp_path / "a.npz").write_bytes(data)
    *good, bad = read(NUMBERS, tmp_path / "a.npz")
    assert [item.index for item in good] == [0, 1]
    assert bad.index == 2
    assert "damaged" in str(bad.error)


@pytest.mark.parametrize("length", [0, -1])
def test_a_sequence_without_steps_is_refused(tmp_path: Path, length: int) -> None:
    np.savez(tmp_path / "a.npz", x=X, lengths=[3, length])
    (item,) = read(NUMBERS, tmp_path / "a.npz")
    assert item.error == f"lengths: {length} of sequence 1 (from 0) should be at least 1"


@pytest.mark.filterwarnings("ignore:Stored array in format 3.0")
def test_arrays_with_named_columns_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(2, [("größe", "f4")]))
    np.save(tmp_path / "b.npy", np.zeros(2, [("\u5927", "f4")]))
    first, second = read(IDS, tmp_path / "a.npy", tmp_path / "b.npy")
    assert "should hold integers" in str(first.error)
    assert "format 3.0 is for tables with named columns" in str(second.error)


def test_several_inputs_need_an_npz_with_all_of_them(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    np.savez(tmp_path / "b.npz", a=X)
    np.savez(tmp_path / "c.npz", a=X, b=[[1, 2]])
    errors = [str(item.error) for item in read(SEVERAL, *(tmp_path / name for name in ("a.npy", "b.npz", "c.npz")))]
    assert "give them by name, in a .npz" in errors[0]
    assert errors[1].startswith("no array b in it")
    assert errors[2] == "the arrays hold different numbers of sequences: a (2, 3, 2), b (1, 2)"


def test_an_error_does_not_repeat_the_path_of_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([None]))
    monkeypatch.chdir(tmp_path)
    (item,) = read_arrays_of(NUMBERS, ["./a.npz"])
    assert str(item.error).startswith("x: holds Python objects")

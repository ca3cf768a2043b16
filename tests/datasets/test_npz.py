from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnx.datasets import load_dataset, load_series, split_series
from rnnx.datasets.npz import read_npz
from rnnx.errors import DataError, UsageError
from tests.sensors import save

X = np.arange(24.0).reshape(4, 3, 2)


def test_labels_are_sorted_as_numbers_or_as_names(tmp_path: Path) -> None:
    data = read_npz(save(tmp_path / "a.npz", x=X, y=[10, 9, 9, 10]), "classification")
    assert (data.name, data.labels, data.features) == ("a", ("9", "10"), 2)
    assert data.train.targets.tolist() == [1, 0, 0, 1]
    data = read_npz(save(tmp_path / "b.npz", x=X, y=["b", "a", "b", "a"]), "classification")
    assert (data.labels, data.train.targets.tolist()) == (("a", "b"), [1, 0, 1, 0])
    assert data.summary() == "4 sequences of 3 steps, 2 features each"


def test_the_test_part_is_kept_apart(tmp_path: Path) -> None:
    data = read_npz(
        save(tmp_path / "a.npz", x=X, y=["b", "a", "b", "a"], x_test=X[:1, :2], y_test=["b"], more=[1]),
        "classification",
    )
    assert data.test is not None
    assert (data.test.targets.tolist(), data.test.rows[0].shape) == ([1], (2, 2))
    assert data.choose(None)[1] == "test"
    assert data.choose("train")[0] is data.train


def test_steps_beyond_the_length_are_ignored(tmp_path: Path) -> None:
    x = X.copy()
    x[1, 1:] = np.nan
    data = read_npz(save(tmp_path / "a.npz", x=x, y=[0, 1, 0, 1], lengths=[3, 1, 2, 3]), "classification")
    assert [row.shape for row in data.train.rows] == [(3, 2), (1, 2), (2, 2), (3, 2)]
    assert data.summary() == "4 sequences of 1 to 3 steps, 2 features each"


def test_regression_targets_have_one_row_per_sequence(tmp_path: Path) -> None:
    data = read_npz(save(tmp_path / "a.npz", x=X, y=[0.5, 1, 2, 3]), "regression")
    assert (data.labels, data.train.targets.shape, str(data.train.targets.dtype)) == ((), (4, 1), "float32")
    data = read_npz(save(tmp_path / "a.npz", x=X, y=np.ones((4, 3), int)), "regression")
    assert data.train.targets.shape == (4, 3)


# NumPy warns of a signalling NaN when it is cast.
SIGNALLING = np.array([0x7FF0090000000000], np.uint64).view(np.float64)
NAN = np.where(np.arange(24).reshape(4, 3, 2) == 9, np.nan, X)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": [0, 1]}, r"x: is missing \(the keys are y\); save it with numpy\.savez"),
        ({"x": X}, r"y: is missing \(the keys are x\)"),
        ({"data": X, "target": [0, 1, 0, 1]}, r"x: is missing \(the keys are data, target\)"),
        ({"x": X, "y": [0, 1, np.nan, 1]}, r"y: entry 2 \(from 0\) is nan, not a label; leave that sequence out"),
        ({"x": X, "y": [0, 1, 0, 1], "x_test": X}, "y_test: is missing"),
        ({"x": X, "y": [0, 1, 0, 1], "y_test": [0]}, "x_test: is missing"),
        ({"x": X[:, :, 0], "y": [0, 1, 0, 1]}, r"x: should be \(count, time, features\), not \(4, 3\); .*add an axis"),
        ({"x": X[:0], "y": []}, r"x: is empty: \(0, 3, 2\)"),
        ({"x": X[:, :0], "y": [0, 1, 0, 1]}, r"x: is empty: \(4, 0, 2\)"),
        ({"x": np.full((4, 3, 2), "a"), "y": [0, 1, 0, 1]}, "x: should hold numbers, not <U1"),
        ({"x": NAN, "y": [0, 1, 0, 1]}, r"x: sequence 1, step 1, feature 1 \(from 0\) is nan; fill in such values"),
        (
            {"x": np.tile(SIGNALLING, (4, 3, 2)), "y": [0, 1, 0, 1]},
            r"x: sequence 0, step 0, feature 0 \(from 0\) is nan",
        ),
        ({"x": 1e300 * X, "y": [0, 1, 0, 1]}, r"x: sequence 0, step 0, feature 1 \(from 0\) is inf"),
        ({"x": X, "y": [0, 1, 0]}, r"y: has shape \(3,\) for 4 sequences; it should have one entry for each"),
        ({"x": X, "y": 1}, r"y: has shape \(\) for 4 sequences"),
        ({"x": X, "y": [0.0, 1, 0, 1]}, "y: holds fractions, not labels; rnnx train --task regression predicts values"),
        ({"x": X, "y": [[0], [1], [0], [1]]}, r"y: should be \(count,\) integers or strings"),
        ({"x": X, "y": ["a", "b\n", "a", "b\n"]}, r"y: the label 'b\\n' is not printable"),
        (
            {"x": X, "y": np.array(["a", None, 1, 2], object)},
            "y: holds Python objects, not numbers, and is not unpickl",
        ),
        ({"x": np.array([[1], [1, 2]], object), "y": [0, 1]}, "x: holds Python objects"),
        (
            {"x": X, "y": [0, 1, 0, 1], "lengths": [3, 4, 1, 1]},
            r"lengths: 4 of sequence 1 \(from 0\) should be in 1\.\.3",
        ),
        ({"x": X, "y": [0, 1, 0, 1], "lengths": [3.0, 1, 1, 1]}, "lengths: should be 4 integers, one per sequence"),
        ({"x": X, "y": [0, 1, 0, 1], "x_test": X[:, :, :1], "y_test": [0, 1, 0, 1]}, "x_test: has 1 features, x has 2"),
        ({"x": X, "y": [0, 1, 0, 1], "x_test": X[:1], "y_test": [7]}, "y_test: has labels that are not in y: 7"),
    ],
)
def test_a_refusal_names_file_key_and_reason(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    path = save(tmp_path / "bad.npz", **arrays)
    with pytest.raises(DataError, match=rf"bad\.npz: {message}"):
        read_npz(path, "classification")


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (["a", "b", "c", "d"], "y: should hold numbers, not <U1; for labels, train without --task regression"),
        ([0, 1, np.nan, 1], r"y: entry 2 \(from 0\) is not finite in float32: nan"),
        (np.tile(SIGNALLING, 4), r"y: entry 0 \(from 0\) is not finite in float32: nan"),
        (np.zeros((4, 1, 1)), r"y: should be \(count,\) or \(count, outputs\), not \(4, 1, 1\)"),
    ],
)
def test_invalid_regression_targets_are_refused(tmp_path: Path, y: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_npz(save(tmp_path / "a.npz", x=X, y=y), "regression")


def test_a_file_that_is_not_an_npz_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_text("text", encoding="utf-8")
    with pytest.raises(DataError, match=r"a\.npz: not a \.npz file"):
        read_npz(path, "classification")
    data = save(path, x=X, y=[0, 1, 0, 1]).read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="damaged, or not written by NumPy"):
        read_npz(path, "classification")
    path.write_bytes(data.replace(b"NUMPY", b"NUMPX"))
    with pytest.raises(DataError, match=r"a\.npz: x: "):
        read_npz(path, "classification")
    with pytest.raises(UsageError, match=r"give the path of a \.npz file"):
        load_series(str(tmp_path / "no.npz"), "classification")
    with pytest.raises(
        UsageError, match=r"holds sequences of numbers \(\.npz\), but texts with a label each are needed here"
    ):
        load_dataset(str(path))


def test_a_member_that_is_not_an_array_is_refused(tmp_path: Path) -> None:
    """NumPy would return the bytes of the first member as they are; the header of the second is not valid Python."""
    header = b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4'" + b" " * 1
    for name, content, told in (
        ("x", b"text", "not an array of NumPy \\("),
        ("x.npy", header, "not an array of NumPy \\("),
    ):
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.writestr(name, content)
        with pytest.raises(DataError, match=rf"a\.npz: x: {told}"):
            read_npz(tmp_path / "a.npz", "classification")


def test_a_member_that_lzma_cannot_unpack_is_reported_as_damaged(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x.npy", bytes(range(200)))
    data = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(data[:50] + bytes(100) + data[150:])
    with pytest.raises(DataError, match=r"a\.npz: x: damaged, or not written by NumPy \(Corrupt"):
        read_npz(tmp_path / "a.npz", "classification")


def test_a_split_keeps_the_proportions_of_the_labels(tmp_path: Path) -> None:
    x, y = np.arange(100.0).reshape(50, 1, 2), np.arange(50) % 5 == 0
    data = read_npz(save(tmp_path / "a.npz", x=x, y=y), "classification")
    assert data.labels == ("False", "True")
    kept, held_out = split_series(data, 0.2, 3)
    assert [np.bincount(part.targets).tolist() for part in (kept, held_out)] == [[32, 8], [8, 2]]
    assert sorted(row[0, 0] for row in [*kept.rows, *held_out.rows]) == x[:, 0, 0].tolist()
    again = split_series(data, 0.2, 3)[1]
    assert np.array_equal(np.stack(held_out.rows), np.stack(again.rows))


@pytest.mark.parametrize(
    ("y", "task", "message"),
    [
        ([1, 1, 1, 1], "classification", r"a: y holds one label \('1'\); a classifier needs at least two"),
        (
            [1, 1, 1, 2],
            "classification",
            "a: there is a single sequence of 2; at least two are needed, because one is held out",
        ),
        (
            [1, 2, 3, 4],
            "classification",
            r"a: there is a single sequence of 1, 2, 3, 4; .* \(rnnx train --task regression, if y holds values\)",
        ),
        ([1.0], "regression", "a: there is a single sequence; at least two are needed"),
    ],
)
def test_too_few_sequences_for_a_split_are_refused(tmp_path: Path, y: list[int], task: Any, message: str) -> None:
    data = read_npz(save(tmp_path / "a.npz", x=X[: len(y)], y=y), task)
    with pytest.raises(DataError, match=message):
        split_series(data, 0.2, 0)

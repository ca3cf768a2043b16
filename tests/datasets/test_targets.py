"""Tests how tables with several labels, or a number, for each text are read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from rnnx.datasets import (
    Columns,
    Dataset,
    LabelSetDataset,
    LabelSets,
    Listener,
    RatingDataset,
    TextTask,
    load_any,
    split_label_sets,
    split_ratings,
)
from rnnx.errors import DataError, UsageError

Pairs = list[tuple[str, list[str]]]
EXPECTED: Pairs = [("my card and pin", ["card", "pin"]), ("my pin", ["pin"]), ("hello", [])]


def load(
    folder: Path, name: str, content: str, task: TextTask | None = None, columns: Columns | None = None
) -> tuple[object, list[str]]:
    """Writes a file and loads it; returns the data set, and everything that was said."""
    path = folder / name
    path.write_text(content, encoding="utf-8")
    said: list[str] = []
    return load_any(str(path), task, columns=columns, listener=Listener(said.append, said.append)), said


def pairs_of(data: object) -> Pairs:
    assert isinstance(data, LabelSetDataset)
    rows = zip(data.train.texts, data.train.has_label, strict=True)
    return [(t.decode(), [label for label, has in zip(data.labels, row, strict=True) if has]) for t, row in rows]


def to_lines(key: str) -> str:
    return "".join(json.dumps({"text": text, key: labels}) + "\n" for text, labels in EXPECTED)


@pytest.mark.parametrize(
    ("name", "content", "task", "columns"),
    [
        ("t.jsonl", to_lines("labels"), None, None),
        ("t.jsonl", to_lines("label"), "multilabel", None),
        ("t.json", json.dumps([{"text": t, "labels": labels} for t, labels in EXPECTED]), None, None),
        ("t.csv", "text,labels\nmy card and pin,card|pin\nmy pin, pin\nhello,\n", None, Columns(label_delimiter="|")),
        (
            "t.tsv",
            "text\tlabel\nmy card and pin\tcard, pin,\nmy pin\tpin\nhello\t\n",
            None,
            Columns(label_delimiter=","),
        ),
        ("t.csv", "text,labels\nmy card and pin,['card' 'pin']\nmy pin,[pin]\nhello,[]\n", "multilabel", None),
        ("t.csv", 'text,labels\nmy card and pin,"[""card"", ""pin""]"\nmy pin,[pin]\nhello,[ ]\n', "multilabel", None),
        ("t.csv", "text,pin,card\nmy card and pin,1,1\nmy pin,1,0\nhello,0,0\n", None, Columns(labels=("card", "pin"))),
        ("t.csv", "text,pin,card\nmy card and pin,1,1.0\nmy pin,True,0\nhello,0,0\n", None, Columns(labels=("3", "2"))),
    ],
)
def test_several_labels_are_read_from_every_form(
    tmp_path: Path, name: str, content: str, task: TextTask | None, columns: Columns | None
) -> None:
    data, _ = load(tmp_path, name, content, task, columns)
    assert pairs_of(data) == EXPECTED


def test_a_list_of_a_parquet_file_is_read(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    texts, labels = zip(*EXPECTED, strict=True)
    parquet.write_table(pa.table({"text": texts, "labels": labels}), tmp_path / "t.parquet")
    assert pairs_of(load_any(str(tmp_path / "t.parquet"), None)) == EXPECTED


def test_lists_are_found_and_the_user_is_told(tmp_path: Path) -> None:
    _, said = load(tmp_path, "t.jsonl", to_lines("label"))
    assert said[0] == "the labels are lists: several labels for each text (--task multilabel)"


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        ('{"text": "a", "label": null}\n', None, "there are no labels; an empty list is a text without a label"),
        ('{"text": "a", "label": [1.5]}\n', None, "the labels should be a list of names, not [1.5]"),
        ('{"text": "a", "label": {"x": 1}}\n', None, "the labels should be a list of names"),
        ('{"text": "a", "x": 2, "y": 1}\n', Columns(labels=("x", "y")), "the column x should hold 0 or 1, not 2"),
        ('{"text": "a", "x": 1}\n', Columns(labels=("x", "y")), "no column 'y'; the columns are 'text', 'x'"),
        ('{"text": 3, "label": ["x"]}\n', None, "the text should be a string, not 3"),
        ('{"text": "a", "label": []}\n', None, "no text of the training part has a label"),
    ],
)
def test_a_wrong_cell_says_what_it_should_be(
    tmp_path: Path, content: str, columns: Columns | None, message: str
) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        load(tmp_path, "t.jsonl", content, "multilabel", columns)


def test_one_label_for_each_text_is_a_warning(tmp_path: Path) -> None:
    _, said = load(tmp_path, "t.csv", "text,label\na b,x|y\nc d,y\ne,x|y\nf,y\n", "multilabel")
    assert any("no text has more than one label" in line and "--label-delimiter" in line for line in said)


@pytest.mark.parametrize(
    ("name", "content", "columns", "expected"),
    [
        ("t.jsonl", '{"text": "a", "label": 1.0}\n{"text": "b", "label": 3}\n', None, [1.0, 3.0]),
        ("t.csv", "text,stars\na,5\nb, -2.5e1\n", None, [5.0, -25.0]),
        ("t.csv", "id,text,stars\n1,a,5\n2,b,4\n", None, [5.0, 4.0]),
        ("t.csv", "text,mark\na,0\nb,7\n", Columns(label="mark"), [0.0, 7.0]),
    ],
)
def test_numbers_are_read(
    tmp_path: Path, name: str, content: str, columns: Columns | None, expected: list[float]
) -> None:
    data, _ = load(tmp_path, name, content, "regression", columns)
    assert isinstance(data, RatingDataset)
    assert data.train.targets.tolist() == [[number] for number in expected]
    assert data.labels == ()


@pytest.mark.parametrize("cell", ['"good"', "true", "[1]", "null", '""', "NaN", "1e999"])
def test_what_is_no_number_is_a_bad_row(tmp_path: Path, cell: str) -> None:
    with pytest.raises(DataError, match=r"there is no number|there should be a (finite )?number, not"):
        load(tmp_path, "t.jsonl", f'{{"text": "a", "label": {cell}}}\n', "regression")


def test_numbers_stay_labels_unless_the_user_says_otherwise(tmp_path: Path) -> None:
    rows = "".join(f"text {i},{i % 10}\n" for i in range(40))
    data, said = load(tmp_path, "t.csv", "text,label\n" + rows)
    assert isinstance(data, Dataset)
    assert data.labels == tuple(map(str, range(10)))
    assert any("10 different numbers" in line and "--task regression" in line for line in said)
    _, said = load(tmp_path, "t.csv", "text,label\n" + "".join(f"text {i},{i % 5}\n" for i in range(40)))
    assert said == []


def test_labels_that_look_like_lists_are_a_warning(tmp_path: Path) -> None:
    data, said = load(tmp_path, "t.csv", "text,label\na,[0 1]\nb,[]\nc,[0 1]\nd,[]\n")
    assert isinstance(data, Dataset)
    assert any("; rnnx train --task multilabel reads several labels" in line for line in said)


@pytest.mark.parametrize("task", ["multilabel", "regression"])
def test_folders_have_one_label(tmp_path: Path, task: TextTask) -> None:
    for label in ("a", "b"):
        (tmp_path / "d" / label).mkdir(parents=True)
        (tmp_path / "d" / label / "1.txt").write_text("x", encoding="utf-8")
    with pytest.raises(UsageError, match="needs a table; a folder has one label"):
        load_any(str(tmp_path / "d"), task)


def test_the_split_holds_out_every_label_in_proportion() -> None:
    rng = np.random.default_rng(0)
    has_label = rng.random((1000, 3)) < (0.5, 0.1, 0.04)
    examples = LabelSets([str(i).encode() for i in range(1000)], has_label)
    train, held_out = split_label_sets(examples, 0.2, 7)
    assert len(train) + len(held_out) == 1000
    assert sorted([*train.texts, *held_out.texts]) == sorted(examples.texts)
    share = held_out.has_label.sum(axis=0) / has_label.sum(axis=0)
    assert np.all(np.abs(share - 0.2) < 0.08), share
    again = split_label_sets(examples, 0.2, 7)[1]
    assert again.texts == held_out.texts


def test_a_split_of_two_texts_has_one_in_each_part() -> None:
    examples = LabelSets([b"a", b"b"], np.array([[True, False], [False, True]]))
    assert list(map(len, split_label_sets(examples, 0.1, 0))) == [1, 1]
    ratings = RatingDataset.from_pairs("r", [(b"a", 1.0), (b"b", 2.0)])
    assert list(map(len, split_ratings(ratings.train, 0.1, 0))) == [1, 1]


def test_a_decimal_comma_is_answered_with_what_to_write(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    for stars, message in (("4,5", "not '4,5'; write it with a point; "), ("good", "not 'good'; 2 of 2 rows")):
        table.write_text(f"text;stars\na;{stars}\nb;x\n", encoding="utf-8")
        with pytest.raises(DataError, match=f"there should be a number, {message}"):
            load_any(str(table), "regression")

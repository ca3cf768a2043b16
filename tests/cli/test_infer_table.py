"""Tests a table in, the same table with the answers out."""

from __future__ import annotations

import csv
import io
import json
import os
import zipfile
from pathlib import Path

import pytest

import rnnx
from rnnx.cli import infer_table, run
from rnnx.datasets.table_files import PACKINGS
from rnnx.datasets.tables import ENDINGS
from tests.texts import make_texts

Capture = pytest.CaptureFixture[str]

REVIEWS = 'id,text\n1,"A joy from start to end, truly."\n2,"Two hours\nI will not get back."\n'


@pytest.fixture
def reviews(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    path.write_text(REVIEWS, encoding="utf-8")
    return path


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_the_known_tables_are_those_that_can_be_read() -> None:
    assert (infer_table.TABLE_ENDINGS, infer_table.PACKING_ENDINGS) == (ENDINGS, PACKINGS)


def test_each_row_gets_one_answer(reviews: Path, capsys: Capture) -> None:
    assert run(["infer", str(reviews), "--text-column", "text", "--probs"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    rows = read_csv(out)
    assert list(rows[0]) == ["id", "text", "label", "probability", "neg", "pos", "error"]
    predictions = rnnx.load("imdb").predict([row["text"] for row in read_csv(REVIEWS)])
    assert [(row["id"], row["label"]) for row in rows] == [("1", predictions[0].label), ("2", predictions[1].label)]
    assert [float(row["pos"]) for row in rows] == [round(p.probs["pos"], 6) for p in predictions]
    assert rows[1]["text"] == "Two hours\nI will not get back."


def test_the_only_table_of_an_archive_is_answered(tmp_path: Path, reviews: Path, capsys: Capture) -> None:
    run(["infer", str(reviews), "--text-column", "text"])
    expected = capsys.readouterr().out
    archive = tmp_path / "reviews.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(reviews, "data/reviews.csv")
    assert run(["infer", str(archive), "--text-column", "text"]) == 0
    assert capsys.readouterr() == (expected, f"{archive}: holds one table, data/reviews.csv\n")
    with zipfile.ZipFile(archive, "a") as file:
        file.write(reviews, "more.csv")
    assert run(["infer", str(archive), "--text-column", "text"]) == 1
    assert (
        "holds several tables (data/reviews.csv, more.csv); unpack it, and name one of them" in capsys.readouterr().err
    )


def test_the_rows_of_a_long_table_keep_their_order(tmp_path: Path) -> None:
    texts = [text.decode() for text, _ in make_texts(3000, 5)]
    path, out = tmp_path / "t.jsonl", tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps({"n": i, "text": t}) + "\n" for i, t in enumerate(texts)), encoding="utf-8")
    assert run(["infer", str(path), "--text-column", "text", "--out", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert [(row["n"], row["text"]) for row in rows] == list(enumerate(texts))
    predictions = rnnx.load("imdb").predict(texts)
    assert [(r["label"], r["probability"]) for r in rows] == [(p.label, round(p.probability, 6)) for p in predictions]
    assert names_in(tmp_path) == ["answers.jsonl", "t.jsonl"]


def test_rows_without_an_answer_say_why(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "t.csv"
    path.write_text("text,label\ngood,pos\nbad, but short,neg\nlonely\nfine,\n", encoding="utf-8")
    assert run(["infer", str(path), "--text-column", "text"]) == 1
    out, err = capsys.readouterr()
    rows = read_csv(out)
    assert list(rows[0]) == ["text", "label", "predicted_label", "probability", "error"]
    assert [bool(row["predicted_label"]) for row in rows] == [True, False, True, True]
    assert rows[1]["error"].startswith("3 cells, but there are 2 columns")
    assert "t.csv: 1 row has no answer: line 3: 3 cells" in err


def test_bytes_that_are_not_utf8_are_kept(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    path, out = tmp_path / "t.tsv", tmp_path / "o.tsv"
    path.write_bytes(b'text\n"caf\xe9 good\n')
    assert run(["infer", str(path), "--text-column", "text", "--no-quotes", "--out", str(out)]) == 0
    assert b"1 with a warning, the first in line 2: not UTF-8" in capfdbinary.readouterr().err
    assert b"caf\xe9 good" in out.read_bytes()


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="needs the [tables] extra")
    from pyarrow import parquet

    table = pyarrow.table({"id": [1, 2, 3], "stars": [4.5, None, 1.0], "text": ["good", None, "bad"]})
    path, out = tmp_path / "t.parquet", tmp_path / "o.parquet"
    parquet.write_table(table, path)
    assert run(["infer", str(path), "--text-column", "text", "--out", str(out)]) == 1
    answers = parquet.read_table(out)
    assert answers.select(["id", "stars", "text"]).equals(table)
    assert answers["error"].to_pylist() == [None, "no text", None]
    assert answers["probability"].type == pyarrow.float64()


@pytest.mark.parametrize("name", ["reviews.csv", "reviews.tsv.gz", "reviews.jsonl", "reviews.xlsx"])
@pytest.mark.parametrize("model", ["imdb", "pos"])
def test_a_table_is_not_taken_for_one_text(tmp_path: Path, capsys: Capture, name: str, model: str) -> None:
    path = tmp_path / name
    path.write_text(REVIEWS, encoding="utf-8")
    assert run(["infer", "--model", model, str(path)]) == 2
    err = capsys.readouterr().err
    assert "is a table, not one text; give " in err
    assert ("--text-column" in err) == (model == "imdb")
    assert "--lines" in err


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--text-column", "txt"], 1, "no column 'txt'; the columns are 'id', 'text'"),
        (["--text-column", "text", "--out", "answers.doc"], 2, "--out: a name that ends in .csv"),
        (["--text-column", "text", "--json"], 2, "--text-column writes a table: give no --json"),
        (["--text-column", "text", "--model", "pos"], 2, "--text-column is for models that label texts"),
        (["--out", "answers.csv"], 2, "need --text-column"),
        (["--text-column", "text", "--out", "reviews.csv"], 2, "is the table itself"),
        (["--text-column", "text", "missing.csv"], 2, "give one FILE"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused(
    reviews: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, options: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(reviews.parent)
    assert run(["infer", "reviews.csv", *options]) == code
    assert message in capsys.readouterr().err
    assert names_in(reviews.parent) == ["reviews.csv"]
    assert reviews.read_text(encoding="utf-8") == REVIEWS


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")
def test_a_link_is_followed_and_a_pipe_is_written_to(reviews: Path, tmp_path: Path) -> None:
    command = ["infer", str(reviews), "--text-column", "text", "--out"]
    (tmp_path / "link.csv").symlink_to("answers.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    assert run([*command, str(tmp_path / "link.csv")]) == 0
    reader = os.open(tmp_path / "pipe.csv", os.O_RDONLY | os.O_NONBLOCK)
    assert run([*command, str(tmp_path / "pipe.csv")]) == 0
    assert os.read(reader, 1 << 16) == (tmp_path / "answers.csv").read_bytes()
    os.close(reader)
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "pipe.csv").is_fifo()
    assert names_in(tmp_path) == ["answers.csv", "link.csv", "pipe.csv", "reviews.csv"]


def test_a_table_that_breaks_off_leaves_the_old_answers(tmp_path: Path, capsys: Capture) -> None:
    path, out = tmp_path / "t.json", tmp_path / "o.csv"
    out.write_text("old", encoding="utf-8")
    path.write_text('[{"text": "good"}, {"text"', encoding="utf-8")
    assert run(["infer", str(path), "--text-column", "text", "--out", str(out)]) == 1
    assert "t.json:1: not JSON" in capsys.readouterr().err
    assert out.read_text(encoding="utf-8") == "old"
    assert names_in(tmp_path) == ["o.csv", "t.json"]

"""Tests the options of tables on the command line, with `rnnx evaluate`, which needs no TensorFlow."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rnnx.cli import run

Capture = pytest.CaptureFixture[str]


def evaluate(path: Path, capsys: Capture, *options: str) -> tuple[int, int | None, str]:
    """Runs the command; returns the exit code, the number of texts and what it said on stderr."""
    code = run(["evaluate", "imdb", str(path), "--json", *options])
    out, err = capsys.readouterr()
    return code, json.loads(out)["count"] if out else None, err


def test_a_table_without_header(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "reviews.tsv"
    path.write_text('pos\t"A great film\nneg\tA bad film\npos\tGreat\nneg\tBad\n', encoding="utf-8")
    code, _, err = evaluate(path, capsys)
    assert code == 1
    assert "give --no-header" in err
    code, count, err = evaluate(path, capsys, "--no-header", "--text-column", "2", "--label-column", "1")
    assert (code, count, err) == (0, 4, "")


def test_columns_that_were_found_are_printed(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text("Label;Review\npos;Great\npos;Fun\nneg;Bad\nneg;Dull\n", encoding="utf-16")
    code, count, err = evaluate(path, capsys)
    assert (code, count) == (0, 4)
    assert err == "text column: Review\nlabel column: Label\n"


def test_bad_rows_are_skipped_on_request(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "reviews.csv"
    path.write_text("text,label\nGreat,pos\nFun,pos\nlonely\nBad,neg\nDull,neg\n", encoding="utf-8")
    code, count, err = evaluate(path, capsys)
    assert (code, count) == (1, None)
    assert "reviews.csv:4: " in err
    assert "--skip-bad-rows" in err
    code, count, err = evaluate(path, capsys, "--skip-bad-rows")
    assert (code, count) == (0, 4)
    assert "skipped 1 of 5 rows: line 4: no label" in err


def test_delimiter_encoding_and_quotes_can_be_given(tmp_path: Path, capsys: Capture) -> None:
    path = tmp_path / "reviews.csv"
    path.write_bytes('text#label\n"Très great#pos\nFun#pos\nBad#neg\nDull#neg\n'.encode("cp1252"))
    options = ("--delimiter", "#", "--encoding", "cp1252", "--no-quotes")
    assert evaluate(path, capsys, *options) == (0, 4, "")
    code, _, err = evaluate(path, capsys, "--encoding", "nonsense")
    assert code == 2
    assert "there is no such encoding" in err

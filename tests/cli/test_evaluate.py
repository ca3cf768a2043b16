"""Tests what `rnnx evaluate` prints, on artificial texts and the network of the article, which reads 500 tokens."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from rnnx.bundle.find_model import find_directory
from rnnx.cli import run
from tests.texts import make_texts


@pytest.fixture
def table(tmp_path: Path) -> str:
    rows = [(text if i % 4 else b" ".join([text] * 200), label) for i, (text, label) in enumerate(make_texts(40, 5))]
    lines = ["text,label", *(f'"{text.decode()}",{label}' for text, label in rows)]
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(tmp_path / "t.csv")


def test_a_pipe_gets_the_same_figures_as_json(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "imdb-article", table, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert set(figures) == {"accuracy", "macro_f1", "labels", "confusion", "count", "calibration", "by_length"}
    assert run(["evaluate", "imdb-article", table]) == 0
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    calibration, by_length = figures["calibration"], figures["by_length"]
    assert rows[:6] == [
        ["accuracy", f"{figures['accuracy']:.4f}"],
        ["macro F1", f"{figures['macro_f1']:.4f}"],
        ["count", "40"],
        ["expected calibration error", f"{calibration['expected_calibration_error']:.4f}"],
        ["negative log likelihood", f"{calibration['negative_log_likelihood']:.4f}"],
        ["Brier score", f"{calibration['brier_score']:.4f}"],
    ]
    assert [row[0] for row in rows[6:8]] == ["neg", "pos"]
    lengths, bins = rows[8 : 8 + len(by_length)], rows[8 + len(by_length) :]
    assert lengths[0] == [
        f"{by_length[0]['shortest']} to {by_length[0]['longest']} tokens",
        f"{by_length[0]['accuracy']:.4f}",
        str(by_length[0]["count"]),
    ]
    assert lengths[-1][0].startswith("cut, ")
    assert [row[1:] for row in bins] == [
        [f"{row['confidence']:.4f}", f"{row['accuracy']:.4f}", str(row["count"])] for row in calibration["bins"]
    ]
    assert bins[-1][0] == f"{calibration['bins'][-1]['low']:.3f} to {calibration['bins'][-1]['high']:.3f}"


def test_several_models_are_compared_side_by_side(
    table: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = tmp_path / "mine"
    shutil.copytree(find_directory("imdb-article"), bundle)
    assert (
        run(["evaluate", str(bundle), table, "--beside", "imdb", "--beside", "imdb-article", "--save", "--json"]) == 0
    )
    figures = json.loads(capsys.readouterr().out)
    rows = figures["side_by_side"]
    assert [row["name"] for row in rows] == ["imdb-article", "imdb", "imdb-article"]
    assert rows[0]["accuracy"] == rows[2]["accuracy"] == figures["accuracy"]
    assert rows[0]["model_sha256"] != rows[1]["model_sha256"]
    card = (bundle / "README.md").read_text(encoding="utf-8")
    assert "--beside imdb --beside imdb-article --save" in card
    assert f"| imdb | default | 0 | {rows[1]['parameter_count']:,} |" in card
    assert run(["verify", str(bundle)]) == 0, "the bundle should be whole after the card was written again"


def test_a_tagger_is_not_compared_with_a_classifier(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "imdb-article", table, "--beside", "pos"]) == 1
    expected = "model pos reads sentences with a tag for each word: give a .conllu or .conll file, or --tag-column\n"
    assert capsys.readouterr().err == f"error: {table}: {expected}"


def test_texts_without_a_known_word_are_counted_in_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["text,label", *["很好吃,pos", "太难吃了,neg", "qzxvqzxv,neg", "a good film,pos"] * 5]
    (tmp_path / "t.csv").write_text("\n".join(lines), encoding="utf-8")
    assert run(["evaluate", "imdb-article", str(tmp_path / "t.csv"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["count"] == 20
    assert err == (
        "warning: imdb-article: 75 % of the train texts have no known word, so the model can only guess their labels; "
        "train with --tokenizer unicode-14, which finds the words of every script\n"
    )


def test_a_few_texts_without_a_known_word_are_no_warning(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "imdb-article", table, "--json"]) == 0
    assert capsys.readouterr().err == ""

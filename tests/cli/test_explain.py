"""Tests `rnnx explain` as a user types it: every form of output, and the agreement with `rnnx infer`."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path

import pytest

from rnnx.cli import run
from tests.processes import on_a_terminal

Capture = pytest.CaptureFixture[str]
TEXT = "A wonderful film,<br />I loved it, qzxv!"
WORDS = ["A", "wonderful", "film", "I", "loved", "it", "qzxv"]


@pytest.fixture
def good(tmp_path: Path) -> str:
    (tmp_path / "good.txt").write_text(TEXT, encoding="utf-8")
    return str(tmp_path / "good.txt")


def write(tmp_path: Path, name: str, data: bytes) -> str:
    (tmp_path / name).write_bytes(data)
    return str(tmp_path / name)


def test_a_pipe_gets_a_line_for_each_word(good: str, capsys: Capture) -> None:
    assert run(["explain", good]) == 0
    out, err = capsys.readouterr()
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[:4] for row in rows] == [[good, "pos", str(i), word] for i, word in enumerate(WORDS, 1)]
    for row in rows:
        assert 0 <= float(row[4]) <= 1
        assert re.fullmatch(r"[+-][01]\.\d{4}", row[5])
    assert [row[6] for row in rows] == ["yes"] * 6 + ["no"]
    assert rows[-1][5] == "+0.0000"
    assert err == ""


@pytest.mark.parametrize("model", ["imdb", "imdb-article"])
def test_json_adds_the_words_to_what_infer_says(model: str, good: str, tmp_path: Path, capsys: Capture) -> None:
    """The same files in one call of the same shape give the same bits."""
    files = [good, write(tmp_path, "b.txt", b"awful " * 30), write(tmp_path, "c.txt", b"the " * 700), str(tmp_path)]
    assert run(["infer", "--model", model, "--json", *files]) == 1
    expected = json.loads(capsys.readouterr().out)
    assert run(["explain", "--model", model, "--json", *files]) == 1
    items = json.loads(capsys.readouterr().out)
    for inferred, item in zip(expected, items, strict=True):
        assert {key: item[key] for key in inferred} == inferred
        assert item.keys() - inferred.keys() == ({"explained_label", "words"} if inferred["status"] == "ok" else set())
    item = items[0]
    assert item["explained_label"] == item["label"]
    assert [word["word"] for word in item["words"]] == WORDS
    assert [TEXT.encode()[word["start"] : word["end"]].decode() for word in item["words"]] == WORDS
    assert [list(word) for word in item["words"]] == [["word", "start", "end", "is_known", "probability", "effect"]] * 7
    assert items[2]["truncated"]
    assert items[2]["words"][-1]["end"] == 700 * 4 - 1


def test_lines_are_explained_one_by_one(tmp_path: Path, capsys: Capture) -> None:
    path = write(tmp_path, "l.txt", b"\xef\xbb\xbfgood film\r\n\nx\0y\nbad\n")
    assert run(["explain", "--lines", "--jsonl", path]) == 1
    out, err = capsys.readouterr()
    items = [json.loads(line) for line in out.splitlines()]
    assert [item["line"] for item in items] == [1, 2, 3, 4]
    assert [[word["word"] for word in item.get("words", [])] for item in items] == [["good", "film"], [], [], ["bad"]]
    assert items[0]["words"][0]["start"] == 0
    assert err.startswith(f"error: {path}:3: not a text: a zero byte")
    assert run(["explain", "--lines", path]) == 1
    assert [line.split("\t")[1] for line in capsys.readouterr().out.splitlines()] == ["1", "1", "4"]


def test_a_dash_reads_stdin(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"wonderful")))
    assert run(["explain", "-"]) == 0
    assert capsys.readouterr().out.split("\t")[:4] == ["-", "pos", "1", "wonderful"]


def test_an_effect_on_another_label_has_the_opposite_sign(good: str, capsys: Capture) -> None:
    assert run(["explain", "--json", "--label", "neg", good]) == 0
    (item,) = json.loads(capsys.readouterr().out)
    assert (item["label"], item["explained_label"]) == ("pos", "neg")
    assert run(["explain", "--json", good]) == 0
    (other,) = json.loads(capsys.readouterr().out)
    for for_neg, for_pos in zip(item["words"], other["words"], strict=True):
        assert for_neg["effect"] == pytest.approx(-for_pos["effect"], abs=1e-6)  # both rounded to six digits
        assert for_neg["probability"] == pytest.approx(1 - for_pos["probability"], abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--label", "good"], 2, "--label good: imdb has neg, pos"),
        (["--json", "--jsonl"], 2, "--json and --jsonl exclude each other"),
        (["--model", "pos"], 2, "only a model that labels whole texts can be explained; pos tags words"),
        (["--model", "nowhere"], 4, "nowhere: no such model or path; the shipped models are "),
    ],
)
def test_what_cannot_be_explained_is_refused_with_one_line(
    arguments: list[str], code: int, message: str, good: str, capsys: Capture
) -> None:
    assert run(["explain", *arguments, good]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"error: {message}")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("data", "rows", "said"),
    [
        (b"", 0, "error: {}: the file is empty"),
        (b"... !", 0, "{}: the text has no words; "),
        (b"qzxv vvqqz", 2, "{}: no word of the text is in the vocabulary, so none has an effect"),
        (b"a caf\xe9 film", 3, "warning: {}: not UTF-8 at byte 5; read all the same, byte by byte"),
        (b"the " * 600, 500, "{}: the model reads the last 500 of the 600 words"),
    ],
)
def test_an_unusual_text_is_answered_with_one_clear_line(
    data: bytes, rows: int, said: str, tmp_path: Path, capsys: Capture
) -> None:
    path = write(tmp_path, "odd.txt", data)
    assert run(["explain", "--model", "imdb-article", path]) == (0 if data else 1)
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == rows
    assert err.startswith(said.format(path))
    assert len(err.splitlines()) == 1
    if rows == 500:
        assert out.splitlines()[0].split("\t")[2] == "101"


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = write(tmp_path, "a.txt", "good\x1b[2J film \x9b31m\u202e bad\x07\ttab".encode())
    for environment in ({"NO_COLOR": ""}, {"NO_COLOR": "1"}):
        shown = on_a_terminal(["explain", path], **environment)
        assert "\x1b[2J" not in shown
        assert not set("\x9b\u202e\x07\t") & set(shown)
    assert "\\x1b" in on_a_terminal(["explain", path], NO_COLOR="")


def without_styles(shown: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", shown)


def test_a_terminal_shows_the_text_in_colour(good: str) -> None:
    shown = on_a_terminal(["explain", "--model", "imdb-article", "--label", "neg", good], NO_COLOR="")
    plain = without_styles(shown)
    assert "A wonderful film,\r\nI loved it, qzxv!" in plain  # the HTML break is shown as a line break
    assert re.search(rf"{re.escape(good)}  pos [01]\.\d+, neg [01]\.\d+  7 words, 1 unknown", plain.replace("\r\n", ""))
    for part in ("for neg: little some more most", "strongest ", "head, neg: ", "For neg", "Against neg"):
        assert part in plain
    # The strongest word has a background and is bold; an unknown word is dimmed and in italics.
    assert re.search(r"\x1b\[1;[\d;]*48;[\d;]*m(wonderful|loved)\x1b\[0m", shown)
    assert "\x1b[2;3mqzxv\x1b[0m" in shown


def test_a_terminal_without_colour_gets_tables(good: str) -> None:
    shown = on_a_terminal(["explain", good], NO_COLOR="1")
    assert "Probability" in shown
    assert "For pos" in shown
    assert not re.search(r"\x1b\[[\d;]*[34]8;", shown)  # no extended colours, for the text or its background
    assert all(word in shown for word in WORDS)
    assert "\t" not in shown


def test_truncation_is_shown_where_the_text_was_cut(tmp_path: Path) -> None:
    path = write(tmp_path, "long.txt", b"start " + b"the " * 998 + b"end\n")
    shown = without_styles(on_a_terminal(["explain", "--model", "imdb-article", path], NO_COLOR=""))
    assert "[500 words before, not read] the the" in shown
    assert "start" not in shown
    assert "the model reads" not in shown

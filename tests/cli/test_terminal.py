"""Tests what a person sees on a real pseudo-terminal, with and without colour."""
# ruff: noqa: RUF001  # letters that look like others are what is tested

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from rich.cells import cell_len

from rnnx.cli import terminal
from rnnx.cli.directions import isolate
from tests.processes import on_a_terminal


@pytest.fixture
def text(tmp_path: Path) -> str:
    path = tmp_path / "text.txt"
    path.write_text("A wonderful film.", encoding="utf-8")
    return str(path)


def test_a_terminal_gets_a_table_and_the_next_command(text: str) -> None:
    shown = on_a_terminal(["infer", text])
    assert "Probability" in shown
    assert "pos" in shown
    assert "next: rnnx info imdb" in shown
    assert "\t" not in shown


def test_errors_are_red_unless_no_color(text: str) -> None:
    assert "\x1b[31merror:" in on_a_terminal(["infer", text + "x"], NO_COLOR="")
    assert "\x1b[31m" not in on_a_terminal(["infer", text + "x"], NO_COLOR="1")


def test_a_long_message_is_shortened_in_its_middle(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.error("a" * 5000 + ": do this")
    err = capsys.readouterr().err
    assert len(err) < 1100
    assert err.startswith("error: aaa")
    assert err.endswith("a: do this\n")


def test_a_terminal_without_cursor_control_gets_no_progress_bar(text: str) -> None:
    """On such a terminal, rich draws no bar but ends it with an empty line."""
    assert "" not in on_a_terminal(["infer", text], TERM="dumb").splitlines()


def test_a_progress_bar_does_not_reach_a_piped_stdout() -> None:
    """Here stderr is a terminal and shows the bar, and stdout is a pipe, as in `rnnx infer --lines texts > labels`."""
    code = (
        "from rnnx.cli import progress_bars, terminal\nprogress_bars._DELAY_S = 0\n"
        "with progress_bars.show_progress('working') as update:\n"
        "    update(1, '', None)\n    terminal.write_row(['a', 1])\n    terminal.write_table(['n'], [[2]])\n"
        "    terminal.write_json({}, indent=None)\n"
    )
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=slave, check=True, timeout=60, env=env)  # noqa: S603  # ours
    os.close(slave)
    assert b"working" in os.read(master, 65536)
    os.close(master)
    assert done.stdout == b"a\t1\n2\n{}\n"


_STAGES = (
    "import time\nfrom rnnx.cli import progress_bars, terminal\nprogress_bars._DELAY_S = 0\n"
    "with progress_bars.show_stages() as update:\n"
    "    update('reading', 0, 1)\n    update('comparing [red]a[/red]', 0, 3)\n    time.sleep(0.5)\n"
    "    update('comparing [red]a[/red]', 1, 3)\n    time.sleep(0.5)\n    terminal.note('a note')\n"
    "    terminal.write_row(['a', 1])\n    update('reading', 1, 1)\n    update('comparing [red]a[/red]', 3, 3)\n"
)


def _read_terminal(master: int) -> str:
    """Reads what a terminal was sent, after everyone who wrote to it has closed it."""
    shown = b""
    with suppress(OSError), os.fdopen(master, "rb", buffering=0) as stream:  # the end is an error on Linux
        while part := stream.read(65536):
            shown += part
    return shown.decode()


def test_each_stage_has_a_bar_on_a_terminal_only() -> None:
    master, slave = pty.openpty()
    env = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100"}
    command = [sys.executable, "-c", _STAGES]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=slave, check=True, timeout=60, env=env)  # noqa: S603  # ours
    os.close(slave)
    shown = _read_terminal(master)
    for text in ("reading", "comparing [red]a[/red]", "1/3", "a note"):
        assert text in shown
    assert done.stdout == b"a\t1\n"


def test_stages_leave_a_pipe_as_it_is() -> None:
    done = subprocess.run([sys.executable, "-c", _STAGES], capture_output=True, check=True, timeout=60)  # noqa: S603  # ours
    assert done.stdout == b"a\t1\n"
    assert done.stderr == b"a note\n"


def test_a_verification_says_nothing_of_its_progress_to_a_pipe() -> None:
    command = [sys.executable, "-m", "rnnx", "verify", "imdb-article"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=120)  # noqa: S603  # ours
    assert done.stderr == b""
    assert b"\x1b" not in done.stdout


# Escape sequences with ESC and with C1, a bell, marks of writing direction, a tab, a new line, and the markup of rich.
HOSTILE = "\x1b[31m\x9b2J\x07\u202e\u2066a\tb\nc [red]x[/red] :bomb:"


@pytest.mark.parametrize("arguments", [["infer"], ["explain"], ["infer", "--model", "pos"]])
def test_no_file_name_and_no_text_controls_the_terminal(arguments: list[str], tmp_path: Path) -> None:
    path = tmp_path / HOSTILE.replace("/", "_")
    path.write_text(f"fine {HOSTILE} film", encoding="utf-8")
    shown = on_a_terminal([*arguments, str(path)], NO_COLOR="1", COLUMNS="400")
    assert not {"\x9b", "\x07", "\u202e", "\u2066"} & set(shown)
    assert "\x1b[31m" not in shown
    assert "\x1b[2J" not in shown
    assert "\\x1b[31m\\x9b2J\\x07\\u202e\\u2066a\\tb\\nc [red]x[_red] :bomb:" in shown  # the whole file name, escaped


def test_a_pipe_gets_an_escaped_name_and_json_the_exact_name(tmp_path: Path) -> None:
    path = tmp_path / HOSTILE.replace("/", "_")
    path.write_text("fine", encoding="utf-8")
    for option in ([], ["--jsonl"]):
        command = [sys.executable, "-m", "rnnx", "infer", *option, str(path)]
        out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout  # noqa: S603  # ours
        assert len(out.splitlines()) == 1
        assert out.isascii()
        if option:
            assert json.loads(out)["source"] == str(path)
        else:
            assert len(out.split("\t")) == 3


def test_a_long_note_is_shortened_in_the_middle(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.note("a" * 5000 + "the end")
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) <= 1010
    assert " ... " in line
    assert line.endswith("the end")


ISOLATES = "\u2066\u2067\u2069"


def test_text_from_right_to_left_is_marked_in_a_line() -> None:
    assert isolate("شكرا") == "\u2067شكرا\u2069"
    assert isolate("good שלום") == "\u2066good שלום\u2069"
    assert isolate("25 ريالا") == "\u206725 ريالا\u2069"
    assert isolate("was fast, شكرا", "وسأطلب was fast, شكرا") == "\u2067was fast, شكرا\u2069"
    for text in ("", "good", "很好", "Привет", "é 25"):
        assert isolate(text) == text


def test_a_person_sees_the_spaces_and_joiners_of_other_scripts() -> None:
    text = "\u3000好\xa0می\u200cخواهم 👨\u200d👧"
    assert terminal.readable(text) == text
    assert "\\u3000" in terminal.printable(text)
    assert terminal.readable("a\x1b\u202e\n\u2028\ud800") == r"a\x1b\u202e\n\u2028\ud800"


def test_an_explained_text_in_arabic_stays_readable(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("شكرا جزيلا 25 good film. " * 8, encoding="utf-8")
    shown = on_a_terminal(["explain", str(tmp_path / "text.txt")], NO_COLOR="")
    plain = re.sub(r"\x1b\[[\d;]*m", "", shown)
    rows = [line for line in plain.splitlines() if "شكرا" in line]
    assert len(rows) > 1
    assert all(row[0] == "\u2067" and row[-1] == "\u2069" for row in rows)
    assert all(cell_len(row.strip(ISOLATES)) <= 100 for row in rows)
    table = on_a_terminal(["explain", str(tmp_path / "text.txt")], NO_COLOR="1")
    assert "\u2067شكرا\u2069" in table
    with (tmp_path / "out.txt").open("wb") as out:  # a program gets the word alone
        subprocess.run([sys.executable, "-m", "rnnx", "explain", str(tmp_path / "text.txt")], stdout=out, check=True)  # noqa: S603  # ours
    assert not set(ISOLATES) & set((tmp_path / "out.txt").read_text(encoding="utf-8"))


def test_each_line_of_a_broken_cell_is_marked_by_itself(tmp_path: Path) -> None:
    word = "شكراجزيلا" * 5
    (tmp_path / "text.txt").write_text(f"good {word} film", encoding="utf-8")
    shown = on_a_terminal(["explain", str(tmp_path / "text.txt")], NO_COLOR="1", COLUMNS="80")
    rows = [line for line in shown.splitlines() if "شكر" in line]
    assert len(rows) > 2
    assert "".join(re.search(r"\u2067(\w+)\u2069", row)[1] for row in rows) == word  # type: ignore[index]  # it matched
    assert all(row.count("\u2067") == row.count("\u2069") == 1 for row in rows)


def test_columns_with_wide_characters_are_aligned(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("很好吃 good ｶﾀｶﾅ 😀 bad 한국어", encoding="utf-8")
    shown = on_a_terminal(["explain", str(tmp_path / "text.txt")], NO_COLOR="1")
    rows = [line for line in shown.splitlines() if re.search(r"[+-]0\.\d{4} +(yes|no)", line)]
    assert len(rows) > 4
    assert len({cell_len(row[: re.search(r"[+-]0\.\d{4}", row).start()]) for row in rows}) == 1  # type: ignore[union-attr]  # it matched

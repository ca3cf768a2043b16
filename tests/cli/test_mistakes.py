"""Tests that a wrong command line is answered with what was probably meant."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import typer

from rnnx.cli import COMMANDS, make_app, run
from rnnx.cli.examples import EXAMPLES
from rnnx.cli.mistakes import _OTHER_COMMANDS, _OTHER_OPTIONS
from tests import documents

Capture = pytest.CaptureFixture[str]
OPTIONS = {
    name: {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    for name, command in typer.main.get_command(make_app()).commands.items()  # type: ignore[attr-defined]
}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "x"], "there is no command 'predict'; did you mean rnnx infer?"),
        (["infr", "x"], "there is no command 'infr'; did you mean rnnx infer or rnnx info?"),
        (["zzz"], f"there is no command 'zzz'; the commands are {', '.join(COMMANDS)}"),
        (["infer", "--batchsize", "3", "x"], "there is no option --batchsize; did you mean --batch-size?"),
        (["infer", "--gpu", "x"], "there is no option --gpu; did you mean --device cuda?"),
        (["infer", "--zzz", "x"], "there is no option --zzz; see rnnx infer --help"),
        (["--zzz"], "there is no option --zzz; see rnnx --help"),
        (["infer", "--device", "gpu", "x"], "--device should be auto, cpu or cuda, not 'gpu'; did you mean cuda?"),
        (["infer", "--device", "quick", "x"], "--device should be auto, cpu or cuda, not 'quick'"),
        (
            ["export", "--storage", "int9"],
            "--storage should be f32, int16, f16 or int8, not 'int9'; did you mean int8?",
        ),
        (["infer"], "missing argument 'FILE...'; see rnnx infer --help"),
    ],
)
def test_a_mistake_is_answered_with_what_was_meant(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert capsys.readouterr().err in {f"error: {message}\n", f"error: {message}"}


@pytest.mark.parametrize("value", ["x", "0", "1.5"])
def test_a_wrong_number_is_one_line_that_names_the_option(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["infer", "--threads", value, "x"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: --threads: ")
    assert error.endswith("; see rnnx infer --help\n")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["train", "x.csv", "--epochs", "ten"], "--epochs: should be a whole number of at least 1, not 'ten'"),
        (
            ["train", "x.csv", "--validation-split", "20"],
            "--validation-split: should be a number from 0.001 to 0.9, not",
        ),
        (["train", "https://example.org/x.csv"], "an address, not a file; download it"),
        (["train", "nowhere.csv"], "no data set 'nowhere.csv': there is no such file or folder here"),
        (["train", "reviews.txt"], "texts without labels; give a table with a column for the texts and one for the"),
        (["train", "page.pdf"], "a PDF, not a table; save it as .csv"),
        (["train", "letter.docx"], "; save it as .csv or .xlsx"),
        (["train", "empty.csv"], "the file is empty"),
        (["train", "single.csv"], "only double quotes enclose a cell, not single ones"),
        (
            ["train", "ratings.jsonl"],
            "--task regression predicts a number; 2 of 2 rows are bad (lines 1, 2); mend the file\n",
        ),
        (["train", "ratings.jsonl", "--out", "net.pt/run"], "net.pt/run: net.pt is not a folder, so nothing can be"),
        (["embed", "python", "imdb", "--out", "net.pt/app"], "net.pt/app: net.pt is not a folder, so nothing can be"),
        (["infer", "single.csv", "--text-column", "1", "--out", "net.pt/a.csv"], "net.pt is not a folder, so nothing"),
        (
            ["infer", "single.csv", "--text-column", "1", "--out", "new/a.csv"],
            "there is no folder new; make it, or choose",
        ),
        (["infer", "single.csv", "--text-column", "1", "--out", "net"], "net: is not a folder; choose another --out"),
        (
            ["infer", "single.csv", "ratings.jsonl", "--text-column", "1"],
            "give one FILE, or --out FOLDER for the answers",
        ),
        (["infer", "-", "--text-column", "1"], "reads a table from a file, not from -: write stdin to a file first"),
        (["diff", "imdb", "imdb", "--plot", "net.pt/a.png"], "net.pt is not a folder, so nothing can be written in it"),
        (["infer", "page.pdf"], "not a text: a PDF; this model reads texts: save it as plain text (.txt)"),
        (["infer", "A fine film."], "if it is a text itself, send it to stdin: echo TEXT | rnnx infer -"),
        (["infer", "https://example.org/x.txt"], "an address, not a file; download it"),
        (["infer", "reviews.txt", "--model", "imbd"], "did you mean imdb?"),
        (["infer", "reviews.txt", "--model", "net.keras"], "a file of Keras, of which rnnx export makes a model"),
        (["export", "net.pt"], "it seems to be a file of PyTorch, and rnnx exports files of Keras (.keras, .h5)"),
    ],
)
def test_the_mistakes_of_a_newcomer_are_answered_with_what_to_do(
    arguments: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """None of these needs TensorFlow: the data are looked at before it is loaded."""
    monkeypatch.chdir(tmp_path)
    files = {
        "reviews.txt": b"a good film\na bad film\n",
        "page.pdf": b"%PDF-1.7\n1 0 obj\n",
        "empty.csv": b"",
        "single.csv": b"text,label\n'a good, long film',pos\n'bad',neg\n",
        "ratings.jsonl": b'{"text": "a", "label": 1.5}\n{"text": "b", "label": 2.5}\n',
        "net.keras": b"x",
        "net.pt": b"x",
        "net": b"x",
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    with zipfile.ZipFile(tmp_path / "letter.docx", "w") as archive:
        archive.writestr(
            "[Content_Types].xml", "<Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'/>"
        )
        archive.writestr("word/document.xml", "<w/>")
    monkeypatch.setattr("rnnx.cli.train.import_stage", lambda *modules: pytest.fail("TensorFlow is loaded"))
    monkeypatch.setattr("rnnx.cli.train.require_packages", lambda *packages: None)
    assert run(arguments) in (1, 2, 4)
    err = capsys.readouterr().err
    assert expected in err
    assert err.count("\n") == 1
    assert err.startswith("error: ")


def test_a_column_by_number_is_named_and_a_row_taken_for_a_header_is_a_warning(tmp_path: Path, capsys: Capture) -> None:
    table = tmp_path / "sms.tsv"
    table.write_text("ham\tsee you at noon\nspam\tWIN a prize now\nham\tok\n", encoding="utf-8")
    assert run(["infer", str(table), "--text-column", "2", "--out", str(tmp_path / "a.csv")]) == 0
    err = capsys.readouterr().err
    assert "text column: see you at noon\n" in err
    assert "the first row is taken for a header, and column 2 is called 'see you at noon'" in err
    assert run(["infer", str(table), "--text-column", "2", "--no-header", "--out", str(tmp_path / "b.csv")]) == 0
    assert capsys.readouterr().err == ""
    assert len((tmp_path / "b.csv").read_text(encoding="utf-8").splitlines()) == 4


def test_every_guess_exists() -> None:
    assert set(_OTHER_COMMANDS.values()) <= set(COMMANDS)
    assert not set(_OTHER_COMMANDS) & set(COMMANDS)
    known = set().union(*OPTIONS.values())
    assert {guess.split()[0] for guess in _OTHER_OPTIONS.values()} <= known
    assert not set(_OTHER_OPTIONS) & known


def test_every_command_has_examples_with_options_that_exist() -> None:
    assert set(EXAMPLES) == set(COMMANDS)
    for command, examples in EXAMPLES.items():
        for example in examples:
            assert example == f"rnnx {command}" or example.startswith(f"rnnx {command} ")
            assert documents.options(example) <= OPTIONS[command], example


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_short_h_too_and_ends_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "-h"]) == 0
    out = capsys.readouterr().out
    assert [line.strip() for line in out.rstrip().splitlines()[-len(EXAMPLES[command]) :]] == list(EXAMPLES[command])


def test_the_list_of_commands_is_not_cut_off(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["-h"]) == 0
    lines = capsys.readouterr().out.rstrip().splitlines()[-len(COMMANDS) :]
    assert [line.split()[0] for line in lines] == list(COMMANDS)
    assert not any(line.endswith("...") for line in lines)


def test_an_unknown_model_is_refused_before_tensorflow_is_loaded() -> None:
    code = (
        "import sys\nfrom rnnx.cli import run\nassert run(['export', 'nosuch']) == 4\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603  # ours
    assert done.stderr.startswith("error: nosuch: no such model or path; the shipped models are ")


def test_the_shell_can_complete_commands() -> None:
    env = {**os.environ, "_RNNX_COMPLETE": "complete_bash", "COMP_WORDS": "rnnx ex", "COMP_CWORD": "1"}
    command = [sys.executable, "-m", "rnnx"]
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False, timeout=60)  # noqa: S603  # ours
    assert set(done.stdout.split()) == {"export", "explain"}


@pytest.mark.parametrize("arguments", [["infer", "a\0b"], ["evaluate", "imdb", "--text-column", "\0"], ["a\0"]])
def test_a_zero_byte_in_an_argument_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == 2
    assert capsys.readouterr().err == "error: an argument has a zero byte, which no name may have; take it out\n"

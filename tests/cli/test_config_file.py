"""Tests the file of options: what is written is read back, and what is wrong in it is one line. No TensorFlow."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer

from rnnx.cli import run
from rnnx.cli.config_file import read_config, write_config

Capture = pytest.CaptureFixture[str]


def call(*arguments: str) -> tuple[dict[str, Any], bytes]:
    """Runs a small command, and returns what it was given and the file that repeats it."""
    app = typer.Typer(pretty_exceptions_enable=False)
    seen: dict[str, Any] = {}

    @app.command()
    def command(
        context: typer.Context,
        dataset: Annotated[str, typer.Argument()] = "imdb",
        units: Annotated[int | None, typer.Option(min=1)] = None,
        learning_rate: Annotated[float | None, typer.Option()] = None,
        has_header: Annotated[bool, typer.Option("--header/--no-header")] = True,
        text_column: Annotated[str | None, typer.Option()] = None,
        out: Annotated[Path | None, typer.Option()] = None,
        config: Annotated[Path | None, typer.Option(callback=read_config, is_eager=True)] = None,
    ) -> None:
        seen.update(
            dataset=dataset,
            units=units,
            rate=learning_rate,
            header=has_header,
            column=text_column,
            out=out,
            config=config,
        )
        seen["file"] = write_config(context)

    app(list(arguments), standalone_mode=False)
    return {name: value for name, value in seen.items() if name != "file"}, seen["file"]


@pytest.mark.parametrize("column", ["text", 'a "b" \\ c', "тест 🎬", "line\nbreak\x7f"])
def test_what_is_written_repeats_the_command(tmp_path: Path, column: str) -> None:
    given, written = call(
        *("x.csv", "--units", "7", "--learning-rate", "0.001", "--no-header"), "--text-column", column, "--out", "there"
    )
    path = tmp_path / "train.toml"
    path.write_bytes(written)
    assert tomllib.loads(written.decode())["text-column"] == column
    assert "out" not in tomllib.loads(written.decode())
    again, rewritten = call("--config", str(path))
    assert again == {**given, "out": None, "config": path}
    assert rewritten == written


def test_the_command_line_wins(tmp_path: Path) -> None:
    path = tmp_path / "train.toml"
    path.write_text('dataset = "x.csv"\nunits = 7\n', encoding="utf-8")
    given, _ = call("y.csv", "--units", "8", "--config", str(path))
    assert (given["dataset"], given["units"]) == ("y.csv", 8)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("unit = 7\n", "train.toml: there is no option unit; did you mean units?"),
        ("zzz = 7\n", "train.toml: there is no option zzz"),
        ("units = [1, 2]\n", "train.toml: units should be one value, not a list"),
        ("units = \n", "is not TOML: "),
        ("units = 0\n", "--units: should be a whole number of at least 1, not '0'"),
        ('units = "x"\n', "--units: should be a whole number of at least 1, not 'x'"),
        ('cell = "rnn"\n', "--cell should be simple, lstm or gru, not 'rnn'"),
    ],
)
def test_a_mistake_in_the_file_is_one_line(
    tmp_path: Path, content: str, message: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("train.toml").write_text(content, encoding="utf-8")
    assert run(["train", "--config", "train.toml"]) != 0
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_missing_file_is_named(tmp_path: Path, capsys: Capture) -> None:
    assert run(["train", "--config", str(tmp_path / "no.toml")]) == 1
    assert "no.toml" in capsys.readouterr().err


def test_the_help_of_a_training_is_in_groups(capsys: Capture) -> None:
    assert run(["train", "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    titles = [line for line in lines if line and not line.startswith(" ") and line.endswith(":")]
    assert titles == ["Arguments:", "Options:", "Network:", "Learning:", "Words:"]

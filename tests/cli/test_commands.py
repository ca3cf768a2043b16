"""Tests the commands that have no file of their own, called as a user types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import rnnx
from rnnx.bundle.directory import read_directory
from rnnx.bundle.find_model import find_directory
from rnnx.cli import extras, make_app, run
from rnnx.datasets import Dataset
from rnnx.errors import MissingExtraError
from tests.texts import make_texts

Capture = pytest.CaptureFixture[str]
COMMANDS = ("train", "export", "infer", "explain", "verify", "diff", "evaluate", "info", "embed", "doctor")


def test_every_command_has_help(capsys: Capture) -> None:
    assert sorted(
        command.callback.__name__ for command in make_app().registered_commands if command.callback
    ) == sorted(COMMANDS)
    for command in COMMANDS:
        assert run([command, "--help"]) == 0
        out = capsys.readouterr().out
        assert f"rnnx {command}" in out
        assert "--json" in out or command == "embed"  # embed writes files and prints their names


def test_the_printed_version_is_that_of_the_package(capsys: Capture) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"rnnx {rnnx.__version__}\n"


def test_every_public_name_can_be_imported() -> None:
    assert all(getattr(rnnx, name) is not None for name in rnnx.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = rnnx.nothing


def test_info_shows_labels_inputs_and_proof(capsys: Capture) -> None:
    assert run(["info", "imdb"]) == 0
    out = capsys.readouterr().out
    for part in ("labels\t0 neg, 1 pos", "input\tids int32 (batch, time)", "proof\tproved: ", "rnnx.load("):
        assert part in out
    assert run(["info", "--json", "imdb"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["config"]["labels"] == ["neg", "pos"]
    assert data["parity"]["passed"] is True
    assert data["sizes_bytes"]["model.onnx"] > 1_000_000


def test_the_printed_snippets_run(capsys: Capture) -> None:
    run(["info", "imdb"])
    lines = capsys.readouterr().out.splitlines()
    first, second, *_ = (i for i, line in enumerate(lines) if line.startswith("import "))
    for snippet, said in ((lines[first:second], "neg"), (lines[second:], "{'neg': ")):
        done = subprocess.run(  # noqa: S603  # ours
            [sys.executable, "-c", "\n".join(snippet)],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
            cwd=find_directory("imdb"),
        )
        assert done.stdout.startswith((said, "pos"))


def test_doctor_finds_no_problem_in_this_installation(capsys: Capture) -> None:
    assert run(["doctor", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["problems"] == []
    assert "CPUExecutionProvider" in data["providers"]
    assert "imdb" in data["models"]


def test_rnnx_without_arguments_shows_its_help(capsys: Capture) -> None:
    assert run([]) == 0
    out, err = capsys.readouterr()
    assert "train" in out
    assert err == ""


def test_a_closed_stdout_gives_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("fine", encoding="utf-8")
    command = f"{sys.executable} -m rnnx infer {tmp_path / 't.txt'} >&-"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False, timeout=60)  # noqa: S603, S607  # ours
    assert (done.returncode, done.stderr) == (0, "")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "reviews.csv"
    rows = [f'"{text.decode()}",{label}' for text, label in make_texts(120, 7)]
    path.write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.train
def test_train_export_infer_evaluate_from_a_table(
    table: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A user can take a table of their own through every step, from training to evaluation."""
    pytest.importorskip("tensorflow", reason="needs the [train] extra")
    run_dir, bundle = tmp_path / "run", tmp_path / "bundle"
    assert run(["train", str(table), "--out", str(run_dir), "--epochs", "2", "--json"]) == 0
    out, err = capfd.readouterr()
    assert json.loads(out)["run"] == str(run_dir)
    # TensorFlow may have logged when it was imported in this process; these lines come from the command.
    told = [line for line in err.splitlines() if line.startswith(("reviews", "epoch"))]
    assert told[0] == "reviews: 120 labelled texts, labels neg, pos; recipe default"
    assert [line[:7] for line in told[1:]] == ["epoch 1", "epoch 2"]

    assert run(["export", str(run_dir), "--out", str(bundle)]) == 0
    out, err = capfd.readouterr()
    assert out.splitlines()[-2].startswith("proved: on ")
    assert out.splitlines()[-1] == str(bundle)
    assert "publishing" in err

    assert run(["evaluate", str(bundle), str(table), "--json", "--save"]) == 0
    figures = json.loads(capfd.readouterr().out)
    assert figures["count"] == sum(map(sum, figures["confusion"])) == 120
    assert set(figures["labels"]["pos"]) == {"precision", "recall", "f1", "support"}
    saved = read_directory(bundle)
    assert json.loads(saved["evaluation.json"])["accuracy"] == figures["accuracy"]
    assert f"**{figures['accuracy']:.4f}**" in saved["README.md"].decode()

    (tmp_path / "t.txt").write_text("a superb film, great fun", encoding="utf-8")
    assert run(["infer", "--model", str(bundle), str(tmp_path / "t.txt")]) == 0
    assert capfd.readouterr().out.count("\t") == 2


@pytest.mark.train
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("text,label\na,pos\nb,pos\n", "one label ('pos') in the training part; a classifier needs at least two"),
        ("text,label\na,pos\nb,neg\nc,neg\n", "there is a single text of pos; at least two are needed"),
        ("text,label\n...,pos\n!,pos\n?,neg\n:,neg\n", "the training texts hold no word"),
        ("body,stars\na,1\n", "no column 'label'; the columns are 'body', 'stars'"),
    ],
)
def test_a_bad_table_is_refused_with_one_line(content: str, reason: str, tmp_path: Path, capsys: Capture) -> None:
    pytest.importorskip("tensorflow", reason="needs the [train] extra")
    (tmp_path / "t.csv").write_text(content, encoding="utf-8")
    assert run(["train", str(tmp_path / "t.csv"), "--out", str(tmp_path / "run")]) == 1
    err = capsys.readouterr().err
    assert reason in err
    assert [line for line in err.splitlines() if line.startswith("error: ")] == err.splitlines()[-1:]
    assert not (tmp_path / "run").exists()


@pytest.mark.train
@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_keeps_the_best_epoch(tiny_dataset: Dataset, tmp_path: Path) -> None:
    """A real process gets a real SIGINT after the first epoch; this recipe never stops early on its own."""
    pytest.importorskip("tensorflow", reason="needs the [train] extra")
    rows = [f'"{text.decode()}",{label}' for text, label in make_texts(400, 8)]
    (tmp_path / "t.csv").write_text("\n".join(["text,label", *rows]) + "\n", encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "rnnx",
        "train",
        str(tmp_path / "t.csv"),
        "--out",
        str(tmp_path / "run"),
        "--recipe",
        "article",
        "--epochs",
        "500",
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603  # ours
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("epoch 2"):
                break
        time.sleep(0.2)
        os.kill(process.pid, signal.SIGINT)
        rest = process.stderr.read()
        assert process.wait(timeout=60) == 130
    assert "holds the best epoch" in rest
    assert "Traceback" not in rest
    assert read_directory(tmp_path / "run").config.training is not None


@pytest.mark.train
def test_a_broken_model_exits_with_4_and_a_failed_proof_with_3(
    run_copy: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    config = run_copy / "config.json"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('"neg",\n    "pos"', '"pos",\n    "neg"'), encoding="utf-8")
    assert run(["export", str(run_copy), "--out", str(tmp_path / "out")]) == 3
    out, err = capfd.readouterr()
    assert out == ""
    assert "Difference" not in err  # a pipe gets rows without a header
    assert "was recorded as" in err.splitlines()[-1]
    assert err.splitlines()[-1].endswith("nothing was published")
    (run_copy / "model.keras").write_bytes(b"")
    assert run(["export", str(run_copy), "--out", str(tmp_path / "out")]) == 4
    assert "altered: model.keras" in capfd.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("installed", "extra"), [([], "cpu"), ([object()], "cuda")])
def test_the_named_extra_fits_the_installed_onnxruntime(
    installed: list[object], extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "distributions", lambda name: installed)
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(MissingExtraError, match=rf"keras is not installed: pip install 'rnnx\[train,{extra}\]'"):
        extras.import_stage("keras")

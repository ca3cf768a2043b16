"""Tests that the commands write only what they were asked for, and contact nobody; and that the watch can fail."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rnnx.bundle.embed import write_project
from tests.make_bundles import BUNDLES
from tests.watch import Watched, has_strace, watch

ROOT = Path(__file__).parents[2]
RUN = "import sys; from rnnx.__main__ import main; main()"
MODEL = str(BUNDLES / "article")


def run(code: str, arguments: list[str], folder: Path, **environment: str) -> Watched:
    """Runs Python code with an empty home and an empty folder for temporary files, in an environment without settings.

    Variables such as CI, by which onnxruntime recognizes a test, are left out.
    """
    for name in ("home", "tmp"):
        (folder / name).mkdir()
    homes = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}
    kept = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}
    return watch(code, arguments, folder / "calls.log", {**kept, **homes, **environment})


def left(folder: Path) -> list[str]:
    """Lists what a process left in its home and in its folder for temporary files."""
    return sorted(str(path.relative_to(folder)) for name in ("home", "tmp") for path in (folder / name).rglob("*"))


def require_nothing(done: Watched, folder: Path, *asked_for: Path) -> None:
    """Makes sure that a process wrote only what was asked for and temporary files, which it removed."""
    assert done.network == ()
    allowed = [folder / "tmp", *asked_for]
    others = [path for path in done.written if not any(Path(path).is_relative_to(place) for place in allowed)]
    assert [path for path in others if not path.startswith("/proc/")] == []
    assert left(folder) == []


FAST = ["infer --model {model} {text}", "infer --lines {text}", "explain --model {model} {text}", "verify {model}"]
FAST += [
    "info {model}",
    "diff {model} {model}",
    "evaluate {model} {table}",
    "embed python {model} --out {out}",
    "doctor",
]


def fill(command: str, folder: Path) -> list[str]:
    """Makes the files that a command names; returns its words."""
    (folder / "results").mkdir()
    (folder / "text.txt").write_text("A wonderful film.\n", encoding="utf-8")
    (folder / "table.csv").write_text("text,label\n" + "fine,pos\nawful,neg\n" * 8, encoding="utf-8")
    names = {"text": "text.txt", "table": "table.csv", "out": "results/out", "png": "results/plot.png"}
    return [word.format(model=MODEL, **{key: folder / name for key, name in names.items()}) for word in command.split()]


@pytest.mark.parametrize("command", FAST)
def test_a_command_writes_and_sends_nothing(command: str, tmp_path: Path) -> None:
    done = run(RUN, fill(command, tmp_path), tmp_path)
    assert done.code == 0, done.stderr
    require_nothing(done, tmp_path, tmp_path / "results")
    assert (tmp_path / "calls.log").exists()


@pytest.mark.parametrize(
    "command",
    ["diff {model} {model} --plot {png}", "export {model} --out {out}", "train {table} --epochs 1 --out {out}"],
)
def test_a_command_with_keras_or_matplotlib_leaves_no_file_in_the_home(command: str, tmp_path: Path) -> None:
    pytest.importorskip("tensorflow", reason="needs the [train] extra")
    done = run(RUN, fill(command, tmp_path), tmp_path)
    assert done.code == 0, done.stderr
    require_nothing(done, tmp_path, tmp_path / "results")


def test_the_python_sample_writes_and_sends_nothing(tmp_path: Path) -> None:
    write_project("python", MODEL, tmp_path / "app")
    code = "import runpy, sys; runpy.run_path(sys.argv[0], run_name='__main__')"
    done = run(f"import sys; del sys.argv[0]; {code}", [str(tmp_path / "app" / "main.py"), "fine"], tmp_path)
    assert done.code == 0, done.stderr
    require_nothing(done, tmp_path)


@pytest.mark.slow
def test_a_process_that_runs_for_long_contacts_nobody(tmp_path: Path) -> None:
    code = f"import sys, time, rnnx; rnnx.load({MODEL!r}).predict(['fine'] * 200); time.sleep(40)"
    require_nothing(run(code, [], tmp_path), tmp_path)


@pytest.mark.parametrize("does", ["look-up", "connection", "file", "folder"])
def test_the_watch_finds_what_a_process_does(does: str, tmp_path: Path) -> None:
    code = {
        "look-up": "import socket\ntry: socket.getaddrinfo('rnnx.invalid', 80)\nexcept OSError: pass",
        "connection": "import socket\ntry: socket.create_connection(('127.0.0.1', 9))\nexcept OSError: pass",
        "file": "import os; open(os.environ['HOME'] + '/x', 'w')",
        "folder": "import os; os.mkdir(os.environ['HOME'] + '/x')",
    }[does]
    done = run(code, [], tmp_path)
    if does in ("look-up", "connection"):
        assert done.network
    else:
        assert str(tmp_path / "home" / "x") in done.written
        assert left(tmp_path) == ["home/x"]
    with pytest.raises(AssertionError):
        require_nothing(done, tmp_path)


@pytest.mark.skipif(not has_strace(), reason="only strace sees what native code does")
def test_the_watch_finds_the_telemetry_of_onnxruntime_where_the_user_wants_it(tmp_path: Path) -> None:
    from onnxruntime import __version__

    if tuple(map(int, __version__.split(".")[:2])) < (1, 29):
        pytest.skip("this onnxruntime has no telemetry on Linux")
    done = run(RUN, fill("infer {text}", tmp_path), tmp_path, ORT_DISABLE_TELEMETRY="0")
    assert done.code == 0
    assert left(tmp_path) != []

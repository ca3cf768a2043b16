"""Tests the package of `rnnx embed python --streaming`: its words and answers, its command, and its types."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import rnnx
from rnnx.bundle.embed import write_project
from tests.runtimes.kits import read_example, require_no_telemetry, run
from tests.runtimes.stream_texts import (
    BUNDLE,
    RULES,
    draw_chunks,
    format_chunks,
    require_same_answers,
    write_stream,
)

pytestmark = [pytest.mark.runtimes, pytest.mark.slow]
TEXT = "A wonderful film, but dull and boring"
_STREAM = """
import json, sys
from pathlib import Path
from rnnx_text_stream import Answer, State, StreamError, StreamModel

model = StreamModel.load(sys.argv[1] if len(sys.argv) > 1 else None)
rows: list[list[object]] = []
for number, chunks in enumerate(json.load(sys.stdin)):
    state: State = model.begin()
    answers: list[Answer] = []
    for chunk in map(bytes.fromhex, chunks):
        before, given = state, state.to_json()
        state, answer = model.step(before, chunk)
        answers.append(answer)
        if number % 16 == 0:
            assert before.to_json() == given
            assert model.step(State.from_json(given), chunk)[0].to_json() == state.to_json()
    state, answer = model.finish(state)
    answers.append(answer)
    rows.append([[a.words, a.label, a.probability, a.probs] for a in answers])
labels: tuple[str, ...] = model.labels
assert labels == ("neg", "pos")
strange = State.from_json('{"arrays": {"h": [0.0]}, "positions": 0, "held": "", "latest": []}')
for refused in (lambda: StreamModel.load("absent"), lambda: State.from_json("[]"), lambda: model.step(strange, "a")):
    try:
        refused()
        raise SystemExit("no error")
    except StreamError:
        pass
try:
    model.step(state, 5)  # type: ignore[arg-type]
    raise SystemExit("no error")
except TypeError:
    pass
json.dump(rows, sys.stdout)
"""


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("python") / "kit"
    write_project("python", BUNDLE, folder, streaming=True)
    return folder


@pytest.mark.parametrize("rule", RULES)
def test_the_words_and_answers_are_those_of_rnnx_on_chunks_cut_at_any_byte(
    rule: str, kit: Path, tmp_path: Path
) -> None:
    texts = draw_chunks(1_000)
    write_stream(rule, tmp_path)
    done = run([sys.executable, "-B", "-c", _STREAM, tmp_path], kit, format_chunks(texts))
    assert done.returncode == 0, done.stderr
    require_same_answers(rule, texts, json.loads(done.stdout), "surrogateescape")


def test_the_command_answers_a_text_and_after_each_line(kit: Path, tmp_path: Path) -> None:
    main: list[str | Path] = [sys.executable, kit / "main.py"]
    require_no_telemetry([*main, TEXT], tmp_path)
    (tmp_path / "text.txt").write_text(f"{TEXT}\n", encoding="utf-8")
    expected = rnnx.load(BUNDLE, device="cpu").predict([TEXT, "A wonderful film"])
    lines = [f"{answer.label}\t{answer.probability:.6f}" for answer in expected]
    assert run([*main, TEXT], tmp_path).stdout.splitlines() == lines[:1]
    assert run([*main, "--", TEXT], tmp_path).stdout.splitlines() == lines[:1]
    assert run([*main, "--file", "text.txt"], tmp_path).stdout.splitlines() == lines[:1]
    given = TEXT.replace(", ", "\n").encode()
    assert run([*main, "--file", "-"], tmp_path, given).stdout.splitlines() == [lines[1], lines[0]]
    assert len(run(main, tmp_path, b"").stdout.splitlines()) == 1
    for wrong in (["--strange"], ["two", "texts"], ["--file"], ["--golden", "x"]):
        done = run([*main, *wrong], tmp_path)
        assert (done.returncode, done.stdout, done.stderr.split(":")[0]) == (2, "", "usage")
    absent = run([*main, "--file", "absent.txt"], tmp_path)
    assert (absent.returncode, absent.stderr.count("\n"), "absent.txt" in absent.stderr) == (1, 1, True)


def test_the_golden_texts_are_right_and_a_wrong_one_is_found(kit: Path) -> None:
    path = kit / "rnnx_text_stream" / "model" / "golden.json"
    whole = path.read_bytes()
    rows = json.loads(whole)
    count = 3 * len(rows)
    assert f"{count} of {count} right" in run([sys.executable, "main.py", "--golden"], kit).stdout
    for key, value in (("outputs", [0.5]), ("ids", [1, *[5] * 9])):
        changed = json.loads(whole)
        changed[0][key] = value
        path.write_text(json.dumps(changed), encoding="utf-8")
        wrong = run([sys.executable, "main.py", "--golden"], kit)
        assert (wrong.returncode, wrong.stdout.startswith("golden text 0 ")) == (1, True)
    path.write_bytes(whole)


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("model.stream.onnx", 0.0, "cannot read"),
        ("model.stream.onnx", 0.5, "is not a whole model"),
        ("vocabulary.txt", 0.5, "is not the vocabulary of this model"),
        ("config.json", 0.5, "is not that of a stream"),
    ],
)
def test_a_broken_model_is_one_line(name: str, size: float, said: str, tmp_path: Path) -> None:
    write_project("python", BUNDLE, tmp_path / "kit", streaming=True)
    path = tmp_path / "kit" / "rnnx_text_stream" / "model" / name
    whole = path.read_bytes()
    path.unlink()
    if size:
        path.write_bytes(whole[: int(len(whole) * size)])
    done = run([sys.executable, tmp_path / "kit" / "main.py", TEXT], tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert name in line


def test_an_installed_package_has_types_its_model_and_its_command(kit: Path, tmp_path: Path) -> None:
    installed = tmp_path / "packages"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
    done = run([*pip, "--target", installed, kit], tmp_path)
    assert done.returncode == 0, done.stderr
    for program, given in (
        (read_example(kit, "py"), b""),
        ((kit / "snippet.py").read_text(), b""),
        (_STREAM, b'[["61"]]'),
    ):
        (tmp_path / "program.py").write_text(program, encoding="utf-8")
        used = run(["env", f"PYTHONPATH={installed}", sys.executable, "program.py"], tmp_path, given)
        assert used.returncode == 0, used.stderr
    assert (installed / "bin" / "rnnx-text-stream").exists()
    if find_spec("mypy"):
        strict: list[str | Path] = ["--strict", "--warn-unused-ignores", "--ignore-missing-imports"]
        mypy = [sys.executable, "-m", "mypy", *strict, "--cache-dir", tmp_path / "cache"]
        typed = run(["env", f"MYPYPATH={installed}", *mypy, "program.py"], tmp_path)
        assert typed.returncode == 0, typed.stdout

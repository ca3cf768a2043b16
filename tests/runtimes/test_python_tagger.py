"""Tests the package of `rnnx embed python` for a tagger: its rules, its command, and its library."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import rnnx
from rnnx.bundle.embed import write_project
from rnnx.bundle.find_model import SAMPLES_PATH, find_directory
from tests.runtimes.kits import BAD_TEXTS, read_example, require_no_telemetry, run
from tests.runtimes.tagger_texts import (
    RULES,
    draw_tagger_texts,
    given_to_rules,
    require_same_rules,
    require_same_words,
    write_characters,
)

pytestmark = [pytest.mark.runtimes, pytest.mark.slow]
TEXT = "They didn't see it. Nobody did!"
SAMPLE = SAMPLES_PATH / "taggers" / "python"
# Runs the rules of the package on the texts of the standard input, as `given_to_rules` writes them.
_RULES = """
import json, sys
from pathlib import Path
from rnnx_tagger.tagger import _make_rule
given = json.load(sys.stdin)
tokens = [b"<pad>", b"<start>", b"<unknown>", *map(bytes.fromhex, given["words"]), b"SUFFIX1=s"]
rule = _make_rule(given["settings"], tokens, Path(sys.argv[1]))
found = []
for text in map(bytes.fromhex, given["texts"]):
    sentences = list(rule.split(text))
    words = [rule.to_tokens(text[start:end], given["settings"]["features"]) for s in sentences for start, end in s]
    found.append([sentences, [[token.hex() for token in word] for word in words]])
json.dump(found, sys.stdout)
"""
_TAG = """
import json, sys
from rnnx_tagger import Sentence, Tagger, TaggerError, Word

tagger = Tagger.load(sys.argv[1] if len(sys.argv) > 1 else None)
texts = [bytes.fromhex(text) for text in json.load(sys.stdin)]
many: list[list[Sentence]] = tagger.tag_many(texts)
rows = [[[[w.start, w.end, w.tag, w.probability] for w in sentence] for sentence in text] for text in many]
words: list[Word] = [word for sentence in tagger.tag("\\U0001f600 caf\\xe9 d'or, \\udcff!") for word in sentence]
assert [w.text for w in words] == ["\\U0001f600", "caf\\xe9", "d'or", ",", "\\udcff", "!"]
assert [w.start for w in words] == [0, 2, 7, 11, 13, 14] and words[-1].end == 15
assert tagger.tag("") == [] and tagger.tag_many([]) == []
tags: tuple[str, ...] = tagger.tags
assert tags[0] == "ADJ"
long = tagger.tag("word " * 1000)
assert [len(sentence) for sentence in long] == [1000]
for wrong in (5, None):
    try:
        tagger.tag(wrong)  # type: ignore[arg-type]
        raise SystemExit("no error")
    except TypeError:
        pass
try:
    Tagger.load("absent")
    raise SystemExit("no error")
except TaggerError as error:
    assert "model.onnx" in str(error)
json.dump(rows, sys.stdout)
"""


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("python") / "kit"
    write_project("python", find_directory("pos"), folder)
    return folder


@pytest.mark.parametrize("rule", RULES)
def test_the_rules_are_those_of_rnnx_on_any_bytes(rule: str, tmp_path: Path) -> None:
    texts = draw_tagger_texts(2_000)
    write_characters(tmp_path)
    done = run([sys.executable, "-B", "-c", _RULES, tmp_path], SAMPLE, given_to_rules(rule, texts))
    assert done.returncode == 0, done.stderr
    require_same_rules(rule, texts, json.loads(done.stdout))


def test_the_words_and_tags_are_those_of_rnnx(kit: Path) -> None:
    texts = [*draw_tagger_texts(300), *(text[:50_000] for text in BAD_TEXTS.values()), b"a " * 250]
    given = json.dumps([text.hex() for text in texts]).encode()
    done = run([sys.executable, "-B", "-c", _TAG], kit, given)
    assert done.returncode == 0, done.stderr
    require_same_words(rnnx.load("pos", device="cpu"), texts, json.loads(done.stdout))


def test_the_command_reads_an_argument_a_file_and_the_standard_input_from_any_folder(kit: Path, tmp_path: Path) -> None:
    main: list[str | Path] = [sys.executable, kit / "main.py"]
    require_no_telemetry([*main, TEXT], tmp_path)
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    answers = [
        run([*main, TEXT], tmp_path),
        run([*main, "--", TEXT], tmp_path),
        run([*main, "--file", "text.txt"], tmp_path),
        run([*main, "--file", "-"], tmp_path, TEXT.encode()),
        run(main, tmp_path, TEXT.encode()),
    ]
    assert len({answer.stdout for answer in answers}) == 1
    lines = [line.split("\t") for line in answers[0].stdout.splitlines()]
    model: Any = rnnx.load("pos", device="cpu")
    (expected,) = model.predict([TEXT])
    assert [(line[1], line[2]) for line in lines] == [(word.word, word.tag) for word in expected.words]
    assert [line[0] for line in lines] == ["1"] * 6 + ["2"] * 3
    for wrong in (["--strange"], ["two", "texts"], ["--file"], ["--golden", "x"]):
        done = run([*main, *wrong], tmp_path)
        assert (done.returncode, done.stdout, done.stderr.split(":")[0]) == (2, "", "usage")
    absent = run([*main, "--file", "absent.txt"], tmp_path)
    assert (absent.returncode, absent.stderr.count("\n"), "absent.txt" in absent.stderr) == (1, 1, True)
    assert "1\tcaf?\t" in run(main, tmp_path, b"caf\xe9").stdout
    assert "1\t?\t" in run(main, tmp_path, b"\x1b").stdout


def test_the_golden_words_are_right_and_a_wrong_one_is_found(kit: Path) -> None:
    done = run([sys.executable, "main.py", "--golden"], kit)
    assert done.returncode == 0, done.stdout
    path = kit / "rnnx_tagger" / "model" / "golden.json"
    whole = path.read_bytes()
    golden = json.loads(whole)
    count = 2 * sum(len(row["bytes"]) for row in golden["sentences"])
    assert f"{count} of {count} right" in done.stdout
    for kind, key, value in (("sentences", "tags", ["X"]), ("texts", "sentences", [[[0, 1]]])):
        changed = json.loads(whole)
        changed[kind][-1][key] = value
        path.write_text(json.dumps(changed), encoding="utf-8")
        wrong = run([sys.executable, "main.py", "--golden"], kit)
        assert (wrong.returncode, wrong.stdout.startswith("golden ")) == (1, True)
    path.write_bytes(whole)


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("model.onnx", 0.0, "cannot read"),
        ("model.onnx", 0.5, "is not a whole model"),
        ("vocabulary.txt", 0.0, "cannot read"),
        ("vocabulary.txt", 0.5, "is not the vocabulary of this model"),
    ],
)
def test_a_broken_model_is_one_line(name: str, size: float, said: str, tmp_path: Path) -> None:
    write_project("python", find_directory("pos"), tmp_path / "kit")
    path = tmp_path / "kit" / "rnnx_tagger" / "model" / name
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
    for program, given in ((read_example(kit, "py"), b""), ((kit / "snippet.py").read_text(), b""), (_TAG, b"[]")):
        (tmp_path / "program.py").write_text(program, encoding="utf-8")
        used = run(["env", f"PYTHONPATH={installed}", sys.executable, "program.py"], tmp_path, given)
        assert used.returncode == 0, used.stderr
    assert (installed / "bin" / "rnnx-tagger").exists()
    if find_spec("mypy"):
        strict: list[str | Path] = [
            "--strict",
            "--warn-unused-ignores",
            "--ignore-missing-imports",
            "--cache-dir",
            tmp_path / "cache",
        ]
        typed = run(["env", f"MYPYPATH={installed}", sys.executable, "-m", "mypy", *strict, "program.py"], tmp_path)
        assert typed.returncode == 0, typed.stdout

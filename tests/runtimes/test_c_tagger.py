"""Tests the CMake package of `rnnx embed c` for a tagger: its rules, its command, and its library from C and C++."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import rnnx
from rnnx.bundle.find_model import SAMPLES_PATH, find_directory
from tests.runtimes.c_kits import build_app, compile_program, sanitizers
from tests.runtimes.kits import BAD_TEXTS, require_no_telemetry, run
from tests.runtimes.samples import Project
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
SAMPLE = SAMPLES_PATH / "taggers" / "c"
_RULES = ("patterns.c", "rule.c", "bytes_rule.c", "unicode_rule.c", "unicode_table.c", "unicode_words.c")


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a program that runs the rules alone."""
    out = tmp_path_factory.mktemp("rules") / "rules"
    compile_program(Path(__file__).parent / "rules.c", SAMPLE, _RULES, out)
    return out


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Returns the package, built as its README says."""
    with sanitizers():
        yield Project("cpp", find_directory("pos"), tmp_path_factory.mktemp("c") / "kit")


@pytest.fixture(scope="module")
def app(kit: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_app(kit.folder, "rnnx_tagger", "tagger", SAMPLE.parent, tmp_path_factory.mktemp("app"))


@pytest.mark.parametrize("rule", RULES)
def test_the_rules_are_those_of_rnnx_on_any_bytes(rule: str, rules: Path, tmp_path: Path) -> None:
    long_words = [piece * 20_000 for piece in (b"a", b"a-", b"1.", b"a.", b"'s", b"\xe2\x80\xa6", b"!", b"\xc3\xa9")]
    texts = [*draw_tagger_texts(1_500), *long_words]
    write_characters(tmp_path)
    done = run([rules, "config.json"], tmp_path, given_to_rules(rule, texts))
    assert done.returncode == 0, done.stderr
    require_same_rules(rule, texts, json.loads(done.stdout))


@pytest.mark.parametrize("language", ["c", "cpp"])
def test_the_words_and_tags_of_a_program_are_those_of_rnnx(language: str, app: Path, tmp_path: Path) -> None:
    texts = [*draw_tagger_texts(200), *(text[:50_000] for text in BAD_TEXTS.values()), b"a " * 250, b"A film."]
    given = ",".join(text.hex() for text in texts).encode()
    done = run([app / f"program_{language}"], tmp_path, given)
    assert done.returncode == 0, done.stderr
    require_same_words(rnnx.load("pos", device="cpu"), texts, json.loads(done.stdout))


def test_the_examples_of_the_readmes_and_the_snippets_tag_a_text(app: Path, kit: Project, tmp_path: Path) -> None:
    for language in ("c", "cpp"):
        done = run([app / f"example_{language}"], tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("They 0 4 PRON 0.9")
    libraries, built = kit.folder / "onnxruntime" / "lib", kit.folder / "build"
    options = ["-Iinclude", "-fsanitize=address,undefined", "build/librnnx_tagger.a", f"-L{libraries}", "-lonnxruntime"]
    for compiler, file in (("cc", "snippet.c"), ("c++", "snippet.cpp")):
        command: list[str | Path] = [compiler, file, *options, f"-Wl,-rpath,{libraries}", "-o", built / "snippet"]
        done = run(command, kit.folder)
        assert done.returncode == 0, done.stderr
        assert run([built / "snippet"], tmp_path).stdout.split()[:2] == ["They/PRON", "did/AUX"]


def test_the_command_reads_an_argument_a_file_and_the_standard_input_from_any_folder(
    kit: Project, tmp_path: Path
) -> None:
    main: list[str | Path] = [kit.folder / "build" / "rnnx-tagger"]
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
    usage = run([*main, "--help"], tmp_path)
    assert usage.stdout.startswith("usage: rnnx-tagger TEXT")
    for wrong in (["--strange"], ["two", "texts"], ["--file"], ["--golden", "x"]):
        done = run([*main, *wrong], tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", usage.stdout)
    absent = run([*main, "--file", "absent.txt"], tmp_path)
    assert (absent.returncode, absent.stderr) == (1, "error: absent.txt: No such file or directory\n")
    assert "1\t?\t" in run(main, tmp_path, b"\x1b").stdout
    assert "1\t\ufffd\ufffdq\t" in run(main, tmp_path, b"\xff\xfeq").stdout
    assert run(main, tmp_path, b"").stdout == ""
    assert len(run(main, tmp_path, BAD_TEXTS["1 MB"]).stdout.splitlines()) == 4 * 58_000


def test_the_golden_words_are_right_and_a_wrong_one_is_found(kit: Project) -> None:
    path = kit.folder / "model" / "golden.json"
    whole = path.read_bytes()
    golden = json.loads(whole)
    count = 2 * sum(len(row["bytes"]) for row in golden["sentences"])
    assert f"{count} of {count} right" in kit.shell(kit.golden_command).stdout
    for kind, key, value in (
        ("sentences", "tags", ["X"]),
        ("sentences", "tolerance", 0),
        ("texts", "sentences", [[[0, 1]]]),
    ):
        changed = json.loads(whole)
        changed[kind][-1][key] = value
        path.write_text(json.dumps(changed), encoding="utf-8")
        wrong = kit.shell(f"cmake --build build >/dev/null; {kit.golden_command}")
        assert (wrong.returncode, wrong.stdout.startswith("golden ")) == (1, True)
    path.write_bytes(whole)
    kit.shell("cmake --build build").check_returncode()


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("model.onnx", 0.0, "cannot read"),
        ("model.onnx", 0.5, "is not a whole model"),
        ("vocabulary.txt", 0.5, "is not the vocabulary of this model"),
        ("config.json", 0.0, "cannot read"),
        ("config.json", 0.5, "is not that of a tagger"),
    ],
)
def test_a_broken_model_is_one_line(name: str, size: float, said: str, app: Path, kit: Project, tmp_path: Path) -> None:
    shutil.copytree(kit.folder / "model", tmp_path / "model")
    path = tmp_path / "model" / name
    whole = path.read_bytes()
    path.unlink()
    if size:
        path.write_bytes(whole[: int(len(whole) * size)])
    for language in ("c", "cpp"):
        done = run([app / f"program_{language}", "model"], tmp_path)
        assert (done.returncode, done.stdout) == (3, "")
        (line,) = done.stderr.splitlines()
        assert said in line
        assert name in line


def test_the_command_names_half_a_model_and_the_build_a_missing_file(kit: Project) -> None:
    path = kit.folder / "model" / "model.onnx"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    kit.shell("cmake --build build").check_returncode()
    done = kit.shell(kit.run_command)
    path.unlink()
    missing = kit.shell("cmake -B build")
    path.write_bytes(whole)
    kit.shell("cmake -B build && cmake --build build").check_returncode()
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("error: model.onnx is not a whole model: ")
    assert missing.returncode == 1
    assert "model/model.onnx is missing: it is compiled into the package" in " ".join(missing.stderr.split())

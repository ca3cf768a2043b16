"""Tests the CMake package of `rnnx embed c --streaming`: its words, answers and states, command, and library."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import rnnx
from rnnx.bundle.embed import write_project
from rnnx.bundle.find_model import SAMPLES_PATH
from tests.runtimes.c_kits import build, build_app, sanitizers
from tests.runtimes.kits import BAD_TEXTS, read_answer, require_no_telemetry, run
from tests.runtimes.samples import missing, place_onnxruntime
from tests.runtimes.stream_texts import BUNDLE, RULES, draw_chunks, require_same_answers, write_stream

pytestmark = [pytest.mark.runtimes, pytest.mark.slow]
TEXT = "A wonderful film, but dull and boring"
_BEGIN = (
    "from rnnx_text_stream import StreamModel as M; m = M.load(); print(m.step(m.begin(), 'dull won')[0].to_json())"
)
_READ = (
    "import sys; from rnnx_text_stream import State, StreamModel; s = State.from_json(sys.argv[1]);"
    "print(s.positions, StreamModel.load().finish(s)[1].label)"
)
_BEGIN_IN_NODE = (
    "import('rnnx-text-stream').then(async ({ StreamModel }) => { const model = await StreamModel.load();"
    "console.log(JSON.stringify((await model.step(model.begin(), 'dull won')).state)); });"
)


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Returns the folder of the package, built."""
    with sanitizers():
        folder = tmp_path_factory.mktemp("c") / "kit"
        write_project("cpp", BUNDLE, folder, streaming=True)
        place_onnxruntime(folder / "onnxruntime")
        build(folder)
        yield folder


@pytest.fixture(scope="module")
def app(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_app(kit, "rnnx_text_stream", "stream", SAMPLES_PATH / "streams", tmp_path_factory.mktemp("app"))


@pytest.mark.parametrize("rule", RULES)
def test_the_words_and_answers_are_those_of_rnnx_on_chunks_cut_at_any_byte(
    rule: str, app: Path, tmp_path: Path
) -> None:
    texts = draw_chunks(600)
    write_stream(rule, tmp_path)
    given = "".join("".join(f",{chunk.hex()}" for chunk in chunks) + "\n" for chunks in texts)
    done = run([app / "program_c", tmp_path], tmp_path, given.encode())
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    for row in rows:
        for answer in row:
            answer[0] = [bytes.fromhex(word).decode("utf-8", "surrogateescape") for word in answer[0]]
    require_same_answers(rule, texts, rows, "surrogateescape")


@pytest.mark.parametrize("text", BAD_TEXTS)
def test_a_program_in_cpp_reads_any_text_byte_by_byte(text: str, app: Path, tmp_path: Path) -> None:
    given = BAD_TEXTS[text][:20_000]
    done = run([app / "program_cpp"], tmp_path, given)
    model = rnnx.load(BUNDLE, device="cpu")
    stream = model.stream()
    answers = [stream.feed(given), stream.finish()]
    (expected,) = answers[-1].predictions or answers[0].predictions
    label, probability = read_answer(done)
    assert done.stdout.splitlines()[0] == str(sum(len(answer.words) for answer in answers))
    assert label == expected.label
    assert probability == pytest.approx(expected.probability, abs=2e-6)  # six digits are printed


def test_a_state_of_another_language_goes_on_and_back(kit: Path, app: Path, tmp_path: Path) -> None:
    write_project("python", BUNDLE, tmp_path / "python", streaming=True)
    states = [run([sys.executable, "-B", "-c", _BEGIN], tmp_path / "python").stdout]
    if missing("node") is None:
        write_project("node", BUNDLE, tmp_path / "node", streaming=True)
        install = ["npm", "install", "--no-fund", "--no-audit", "--onnxruntime-node-install=skip"]
        assert run([*install], tmp_path / "node").returncode == 0
        states.append(run(["node", "-e", _BEGIN_IN_NODE], tmp_path / "node").stdout)
    (expected,) = rnnx.load(BUNDLE, device="cpu").predict(["dull wonderful film"])
    for state in states:
        done = run([app / "program_c", "go-on", "derful film "], tmp_path, state.encode())
        assert done.returncode == 0, done.stderr
        words, answer, after = done.stdout.splitlines()
        assert words == "wonderful,film"
        assert answer.split("\t")[0] == expected.label
        assert float(answer.split("\t")[1]) == pytest.approx(expected.probability, abs=1e-6)
        back = run([sys.executable, "-B", "-c", _READ, after], tmp_path / "python")
        assert back.stdout == f"4 {expected.label}\n"


def test_the_command_answers_a_text_and_after_each_line(kit: Path, tmp_path: Path) -> None:
    main: list[str | Path] = [kit / "build" / "rnnx-text-stream"]
    require_no_telemetry([*main, TEXT], tmp_path)
    (tmp_path / "text.txt").write_text(f"{TEXT}\n", encoding="utf-8")
    expected = rnnx.load(BUNDLE, device="cpu").predict([TEXT, "A wonderful film"])
    lines = [f"{answer.label}\t{answer.probability:.6f}" for answer in expected]
    assert run([*main, TEXT], tmp_path).stdout.splitlines() == lines[:1]
    assert run([*main, "--", TEXT], tmp_path).stdout.splitlines() == lines[:1]
    assert run([*main, "--file", "text.txt"], tmp_path).stdout.splitlines() == lines[:1]
    given = TEXT.replace(", ", "\n").encode()
    assert run([*main, "--file", "-"], tmp_path, given).stdout.splitlines() == [lines[1], lines[0]]
    for text in BAD_TEXTS.values():
        done = run(main, tmp_path, text)
        assert (done.returncode, len(done.stdout.splitlines()), done.stderr) == (0, 1, "")
    usage = run([*main, "--help"], tmp_path)
    assert usage.stdout.startswith("usage: rnnx-text-stream TEXT")
    for wrong in (["--strange"], ["two", "texts"], ["--file"], ["--golden", "x"]):
        done = run([*main, *wrong], tmp_path)
        assert (done.returncode, done.stdout, done.stderr) == (2, "", usage.stdout)
    absent = run([*main, "--file", "absent.txt"], tmp_path)
    assert (absent.returncode, absent.stderr) == (1, "error: absent.txt: No such file or directory\n")


def test_the_golden_texts_are_right_and_a_wrong_one_is_found(kit: Path) -> None:
    path, main = kit / "model" / "golden.json", kit / "build" / "rnnx-text-stream"
    whole = path.read_bytes()
    count = 3 * len(json.loads(whole))
    assert f"{count} of {count} right" in run([main, "--golden"], kit).stdout
    for key, value in (("outputs", [0.5]), ("ids", [1, *[5] * 9])):
        changed = json.loads(whole)
        changed[0][key] = value
        path.write_text(json.dumps(changed), encoding="utf-8")
        build(kit)
        wrong = run([main, "--golden"], kit)
        assert (wrong.returncode, wrong.stdout.startswith("golden text 0 ")) == (1, True)
    path.write_bytes(whole)
    build(kit)


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("model.stream.onnx", 0.0, "cannot read"),
        ("model.stream.onnx", 0.5, "is not a whole model"),
        ("vocabulary.txt", 0.5, "is not the vocabulary of this model"),
        ("config.json", 0.5, "is not that of a stream"),
    ],
)
def test_a_broken_model_is_one_line(name: str, size: float, said: str, app: Path, kit: Path, tmp_path: Path) -> None:
    shutil.copytree(kit / "model", tmp_path / "model")
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


def test_the_examples_of_the_readme_answer_each_chunk(app: Path, kit: Path, tmp_path: Path) -> None:
    (expected,) = rnnx.load(BUNDLE, device="cpu").predict(["A wonderful film; I loved every minute of it."])
    for language in ("c", "cpp"):
        done = run([app / f"example_{language}"], tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        label, probability = done.stdout.splitlines()[-1].split()[:2]
        assert label == expected.label
        assert float(probability) == pytest.approx(expected.probability, abs=2e-6)  # six digits are printed
    library = kit / "onnxruntime" / "lib"
    options = ["-std=c11", "-Iinclude", "-fsanitize=address,undefined", "snippet.c", "build/librnnx_text_stream.a"]
    done = run(["cc", *options, f"-L{library}", "-lonnxruntime", f"-Wl,-rpath,{library}", "-o", "build/snippet"], kit)
    assert done.returncode == 0, done.stderr
    assert run([kit / "build" / "snippet"], tmp_path).stdout.split()[0] == expected.label

"""Tests the package of `rnnx embed browser --streaming`: its library in builds of Vite and webpack, and its page."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import rnnx
from rnnx.bundle.embed import write_project
from tests.runtimes import page
from tests.runtimes.bundlers import BUNDLERS, PAGE_PACKAGES, build_pages
from tests.runtimes.kits import read_example, run
from tests.runtimes.stream_texts import (
    BUNDLE,
    RULES,
    PythonKit,
    draw_chunks,
    draw_long_text,
    format_chunks,
    open_stream,
    require_same_answers,
    write_stream,
)

pytestmark = [pytest.mark.runtimes, pytest.mark.slow]
_HERE = Path(__file__).parent
# What a visitor types and pastes: a word that is not finished, an end that goes on, and a change in the middle.
_TYPED = (
    "A wonder",
    "A wonderful film, ",
    "A wonderful film, but du",
    "A wonderful film, but dull and boring",
    "A dull film, but dull and boring",
    "A dull film",
    "caf\xe9 \U0001f600 <br /> <b>dull</b>",
    "",
    "A wonderful film; the ",
    "A wonderful film; the plot is ",
    "A wonderful film; the plot is dull and boring. I hated ",
    "A wonderful film; the plot is dull and boring. I hated it and it",
)
_FILES = (b"A wonderful film \xff\xfe\xc3\x28.", b"", draw_long_text())


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if absent := page.missing():
        pytest.skip(f"needs {absent}")
    folder = tmp_path_factory.mktemp("browser") / "kit"
    write_project("browser", BUNDLE, folder, streaming=True)
    return folder


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> PythonKit:
    return PythonKit(tmp_path_factory.mktemp("python") / "kit")


@pytest.fixture(scope="module")
def state(python: PythonKit) -> str:
    return python.save("dull won")


@pytest.fixture(scope="module")
def app(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of another project, with the package as a registry would deliver it."""
    folder = tmp_path_factory.mktemp("app")
    packed = run(["npm", "pack", "--pack-destination", folder], kit).stdout.split()[-1]
    page.shell("npm init -y && npm pkg set type=module", folder)
    page.shell(f"npm install --no-fund --no-audit --prefer-offline ./{packed} {' '.join(PAGE_PACKAGES)}", folder)
    return folder


@pytest.fixture(scope="module")
def pages(kit: Path, app: Path, state: str) -> dict[str, Any]:
    """Builds the other project by each bundler, and returns what its pages said."""
    folder = app
    shutil.copyfile(_HERE / "stream_program.ts", folder / "program.ts")
    (folder / "example.js").write_text(read_example(kit, "js"), encoding="utf-8")
    build_pages(folder)
    _write_models(folder)
    (folder / "texts.json").write_bytes(format_chunks(draw_chunks(1_000)))
    (folder / "long.txt").write_bytes(draw_long_text())
    (folder / "state.json").write_text(state, encoding="utf-8")
    port = page.free_port()
    with page.served(f"{page.FILE_SERVER} {port}", folder, port) as url:
        return page.run_driver(_HERE / "programs.mjs", url, folder, *(f"{name}-out/" for name in BUNDLERS))


@pytest.fixture(scope="module", params=BUNDLERS)
def program(request: pytest.FixtureRequest, pages: dict[str, Any]) -> dict[str, Any]:
    """Returns what the page of one bundler said."""
    found: dict[str, Any] = pages[f"{request.param}-out/"]
    assert found["errors"] == []
    assert "error" not in found["finished"], found["finished"]
    return found


def _write_models(folder: Path) -> None:
    """Writes the models that the program loads by their addresses: of each rule, and broken ones."""
    for rule in RULES:
        (folder / rule).mkdir()
        write_stream(rule, folder / rule)
    for part, name in (("model", "model.stream.onnx"), ("vocabulary", "vocabulary.txt"), ("config", "config.json")):
        path = shutil.copytree(folder / "bytes", folder / f"half {part}") / name
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
    path = shutil.copytree(folder / "bytes", folder / "other config") / "config.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"states": {"c": 4}}), encoding="utf-8")


@pytest.mark.parametrize("rule", RULES)
def test_the_words_and_answers_are_those_of_rnnx_on_chunks_cut_at_any_byte(rule: str, program: dict[str, Any]) -> None:
    require_same_answers(rule, draw_chunks(1_000), program["finished"]["answers"][rule], "replace")


def test_a_program_goes_on_from_a_saved_state_and_reads_empty_and_long_texts(
    program: dict[str, Any], python: PythonKit
) -> None:
    seen = program["finished"]
    (expected,) = rnnx.load(BUNDLE, device="cpu").predict(["dull wonderful film"])
    assert seen["goesOn"][0] == ["wonderful", "film"]
    assert seen["goesOn"][1:3] == [expected.label, pytest.approx(expected.probability, abs=1e-6)]
    for name, text in (("empty", b""), ("long", draw_long_text())):
        label, probability = _finish(text)
        assert seen[name][1:3] == [label, pytest.approx(probability, abs=1e-6)]
    assert seen["labels"] == ["neg", "pos"]
    _require_same_end(python, json.dumps(seen["state"]), "lm", "A wonderful film")
    assert program["foreign"] == []
    assert any("[neg, pos]" in line for line in program["said"]), program["said"]


def test_each_mistake_is_one_clear_error(program: dict[str, Any]) -> None:
    errors = dict(program["finished"]["errors"])
    for name, start, said in (
        ("absent", "StreamError: cannot fetch http://localhost:", "absent/"),
        ("model", "StreamError: http://localhost:", "half%20model/model.stream.onnx is not a whole model"),
        ("vocabulary", "StreamError: http://localhost:", "vocabulary.txt is not the vocabulary of this model"),
        ("config", "StreamError: http://localhost:", "config.json is not JSON"),
    ):
        message = errors.pop(name)
        assert message.startswith(start), message
        assert said in message
        assert "\n" not in message
    assert errors == {
        "number": "TypeError: a chunk is a string or a Uint8Array",
        "address": "TypeError: the path of a model is a string or a URL",
        "strange": "StreamError: the state is not one of this model",
        "other": "StreamError: config.json: it does not belong to this model",
        "closed": "StreamError: the model is closed",
    }


def test_the_package_holds_the_library_alone(kit: Path) -> None:
    packed = run(["npm", "pack", "--dry-run", "--json"], kit)
    names = {file["path"] for file in json.loads(packed.stdout)[0]["files"]}
    model = {f"model/{name}" for name in ("model.stream.onnx", "vocabulary.txt", "config.json", "golden.json")}
    assert names == {"README.md", "package.json", "index.d.ts", "index.js", "steps.js", "words.js", *model}


@pytest.fixture(scope="module")
def seen(kit: Path, app: Path, state: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Builds and serves the page as its README says, and returns what a visitor saw."""
    folder = tmp_path_factory.mktemp("page")
    project = shutil.copytree(kit, folder / "kit")
    page.shell("npm install --no-fund --no-audit --prefer-offline", project)
    given = {"texts": _TYPED, "state": state, "goes_on": "derful film", "files": [text.hex() for text in _FILES]}
    port = page.free_port()
    with page.served(f"npm start -- --port {port} --strictPort", project, port) as url:
        return page.run_driver(_HERE / "stream_page.mjs", url, app, folder, given=given)


def test_the_page_shows_the_answers_of_rnnx_while_a_text_grows_and_changes(seen: dict[str, Any]) -> None:
    stream = open_stream("bytes")
    for text, answer in zip(_TYPED, seen["answers"], strict=True):
        stream.reset()
        now = stream.feed(text.encode())
        _require_answer(answer["now"], now.predictions)
        if not now.predictions:
            assert answer["shown"] == "No word yet."
        _require_answer(answer["end"], stream.finish().predictions)
    first, whole = seen["answers"][0], seen["answers"][2]
    assert (first["held"], first["words"], whole["held"], whole["words"]) == ("wonder", 1, "du", 4)
    assert first["shown"].startswith(("neg ", "pos "))


def test_the_page_saves_and_opens_a_state(seen: dict[str, Any], python: PythonKit) -> None:
    (expected,) = rnnx.load(BUNDLE, device="cpu").predict(["dull wonderful film"])
    assert seen["opened"]["held"] == "won"
    assert seen["goesOn"]["end"]["label"] == expected.label
    assert seen["goesOn"]["end"]["probability"] == pytest.approx(expected.probability, abs=1e-6)
    _require_same_end(python, seen["saved"], "", _TYPED[-1])
    assert seen["strange"] == "Something failed: strange.json: the state is not one of this model"
    assert (seen["cleared"]["words"], seen["cleared"]["held"]) == (0, "")


def test_the_page_reads_files_in_pieces(seen: dict[str, Any]) -> None:
    for text, answer in zip(_FILES, seen["files"], strict=True):
        label, probability = _finish(text)
        assert (answer["end"]["label"], answer["end"]["probability"]) == (label, pytest.approx(probability, abs=1e-6))
    assert seen["files"][-1]["rows"] == 200 < seen["files"][-1]["count"]
    label, probability = _finish(_FILES[-1] + b"derful film")
    assert seen["afterFile"]["end"]["probability"] == pytest.approx(probability, abs=1e-6)


def test_the_golden_texts_are_right_and_nothing_is_sent(seen: dict[str, Any], kit: Path) -> None:
    count = 3 * len(json.loads((kit / "model" / "golden.json").read_bytes()))
    assert f": {count} of {count} right, largest difference " in seen["golden"]
    assert (seen["errors"], seen["foreign"]) == ([], [])
    assert seen["widths"] == [True] * 4  # nothing is cut off in a large or a small window


def test_a_model_that_cannot_be_fetched_stays_the_error_of_the_page(seen: dict[str, Any]) -> None:
    """The page said `Cannot read properties of undefined` to a text that was typed after it."""
    first, later = seen["failures"]
    assert first.startswith("Something failed: cannot fetch http://localhost:")
    assert later == first


def _finish(text: bytes) -> tuple[str, float]:
    """Returns the last answer of rnnx's own stream to a text."""
    stream = open_stream("bytes")
    stream.feed(text)
    (prediction,) = stream.finish().predictions
    return prediction.label, prediction.probability


def _require_answer(answer: dict[str, Any] | None, predictions: Any) -> None:
    if not predictions:
        assert answer is None or "label" not in answer
        return
    assert answer is not None
    assert answer["label"] == predictions[0].label
    assert answer["probs"] == pytest.approx(list(predictions[0].probs.values()), abs=1e-6)


def _require_same_end(python: PythonKit, state: str, chunk: str, text: str) -> None:
    """Goes on with a chunk in Python, and compares with the answer to the whole text."""
    label, probability = _finish(text.encode())
    found = python.finish(state, chunk)
    assert found[0] == label
    assert found[1] == pytest.approx(probability, abs=1e-6)

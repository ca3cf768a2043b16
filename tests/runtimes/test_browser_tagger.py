"""Tests the package of `rnnx embed browser` for a tagger: its library in builds of Vite and webpack, and its page."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import rnnx
from rnnx.bundle.embed import write_project
from rnnx.bundle.find_model import SAMPLES_PATH, find_directory
from tests.runtimes import page
from tests.runtimes.bundlers import BUNDLERS, PAGE_PACKAGES, build_pages
from tests.runtimes.kits import BAD_TEXTS, read_example, run
from tests.runtimes.tagger_texts import draw_tagger_texts, require_same_words

pytestmark = [pytest.mark.runtimes, pytest.mark.slow]
_HERE = Path(__file__).parent
_TEXTS = (
    "They didn't see Mr. Smith. Nobody did!\nWhy?",
    "caf\xe9 \u201cna\xefve\u201d\u2026 \U0001f600 d'or <pad> <b>bold</b>",
    "\u8fd9\u90e8\u7535\u5f71\u4e00\u5f00\u59cb\u6709\u70b9\u6162\uff0c\u4f46\u662f\u7ed3\u5c3e\u7cbe\u5f69\u3002Good!",
    "",
    "long " * 500,
)


def _draw_texts() -> list[bytes]:
    return [*draw_tagger_texts(200), *(text[:50_000] for text in BAD_TEXTS.values()), b"a " * 250]


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if absent := page.missing():
        pytest.skip(f"needs {absent}")
    folder = tmp_path_factory.mktemp("browser") / "kit"
    write_project("browser", find_directory("pos"), folder)
    return folder


@pytest.fixture(scope="module")
def app(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of another project, with the package as a registry would deliver it."""
    folder = tmp_path_factory.mktemp("app")
    packed = run(["npm", "pack", "--pack-destination", folder], kit).stdout.split()[-1]
    page.shell("npm init -y && npm pkg set type=module", folder)
    page.shell(f"npm install --no-fund --no-audit --prefer-offline ./{packed} {' '.join(PAGE_PACKAGES)}", folder)
    return folder


@pytest.fixture(scope="module")
def pages(kit: Path, app: Path) -> dict[str, Any]:
    """Builds the other project by each bundler, and returns what its pages said."""
    shutil.copyfile(_HERE / "tagger_program.ts", app / "program.ts")
    (app / "example.js").write_text(read_example(kit, "js"), encoding="utf-8")
    build_pages(app)
    for part, name in (("model", "model.onnx"), ("vocabulary", "vocabulary.txt"), ("config", "config.json")):
        path = shutil.copytree(kit / "model", app / f"half {part}") / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    shutil.copytree(kit / "model", app / "model")
    (app / "texts.json").write_text(json.dumps([text.hex() for text in _draw_texts()]), encoding="utf-8")
    port = page.free_port()
    with page.served(f"{page.FILE_SERVER} {port}", app, port) as url:
        return page.run_driver(_HERE / "programs.mjs", url, app, *(f"{name}-out/" for name in BUNDLERS))


@pytest.fixture(scope="module", params=BUNDLERS)
def program(request: pytest.FixtureRequest, pages: dict[str, Any]) -> dict[str, Any]:
    """Returns what the page of one bundler said."""
    found: dict[str, Any] = pages[f"{request.param}-out/"]
    assert found["errors"] == []
    assert "error" not in found["finished"], found["finished"]
    return found


def test_the_words_and_tags_of_a_built_program_are_those_of_rnnx(program: dict[str, Any]) -> None:
    model = rnnx.load("pos", device="cpu")
    seen = program["finished"]
    require_same_words(model, _draw_texts(), seen["answers"])
    assert seen["tags"] == list(model.labels)
    assert (seen["isConsistent"], seen["none"], program["foreign"]) == (True, [], [])
    assert any(line.startswith("They 0 4 PRON 0.") for line in program["said"]), program["said"]


def test_each_mistake_is_one_clear_error(program: dict[str, Any]) -> None:
    errors = dict(program["finished"]["errors"])
    for name, start, said in (
        ("absent", "TaggerError: cannot fetch http://localhost:", "absent/"),
        ("model", "TaggerError: onnxruntime cannot load http://localhost:", "half%20model/model.onnx"),
        ("config", "TaggerError: http://localhost:", "config.json is not JSON"),
    ):
        message = errors.pop(name)
        assert message.startswith(start), message
        assert said in message
    assert errors == {
        "number": "TypeError: a text is a string or a Uint8Array",
        "address": "TypeError: the path of a model is a string or a URL",
        "vocabulary": "TaggerError: vocabulary.txt is not the vocabulary of this model",
        "closed": "TaggerError: the tagger is closed",
    }


def test_the_package_holds_the_library_alone(kit: Path) -> None:
    packed = run(["npm", "pack", "--dry-run", "--json"], kit)
    names = {file["path"] for file in json.loads(packed.stdout)[0]["files"]}
    model = {f"model/{name}" for name in ("model.onnx", "vocabulary.txt", "config.json", "golden.json")}
    scripts = {"index.d.ts", "index.js", "bytes-rule.js", "unicode-rule.js"}
    assert names == {"README.md", "package.json", *scripts, *model}


@pytest.fixture(scope="module")
def seen(kit: Path, app: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Builds and serves the page as its README says, and returns what a visitor saw."""
    folder = tmp_path_factory.mktemp("page")
    project = shutil.copytree(kit, folder / "kit")
    page.shell("npm install --no-fund --no-audit --prefer-offline", project)
    port = page.free_port()
    with page.served(f"npm start -- --port {port} --strictPort", project, port) as url:
        return page.run_driver(_HERE / "tagger_page.mjs", url, app, folder, given=_TEXTS)


def test_the_page_shows_the_words_and_tags_of_rnnx(seen: dict[str, Any]) -> None:
    model: Any = rnnx.load("pos", device="cpu")
    for text, answer, expected in zip(_TEXTS, seen["answers"], model.predict(list(_TEXTS)), strict=True):
        words = [(word["text"], word["tag"]) for sentence in answer["words"] for word in sentence]
        assert words == [(word.word, word.tag) for word in expected.words]
        assert answer["shown"] == [word for word, _ in words]
        assert len(answer["words"]) == len(expected.sentences)
        for sentence in answer["words"]:
            for word in sentence:
                units = text.encode("utf-16-le")[2 * word["start"] : 2 * word["end"]]  # JavaScript counts these
                assert units.decode("utf-16-le") == word["text"]


def test_the_golden_words_are_right_and_nothing_is_sent(seen: dict[str, Any]) -> None:
    rows = json.loads((find_directory("pos") / "golden.json").read_bytes())
    count = 2 * sum(len(row["words"]) for row in rows)
    assert f": {count} of {count} right, largest difference " in seen["golden"]
    assert (seen["errors"], seen["foreign"]) == ([], [])


def test_the_page_fits_its_window_and_names_its_fields(seen: dict[str, Any]) -> None:
    assert seen["widths"] == [True] * 4  # nothing is cut off in a large or a small window
    assert seen["unlabelled"] == []
    assert [seen["facts"][2].split(";")[0], seen["facts"][3]] == ["4 words in 1 sentence", "No word yet."]


def test_a_model_that_cannot_be_fetched_stays_the_error_of_the_page(seen: dict[str, Any]) -> None:
    """The page said `Cannot read properties of undefined` to a text that was typed after it."""
    first, later = seen["failures"]
    assert first.startswith("Something failed: cannot fetch http://localhost:")
    assert later == first


def test_the_rules_are_those_of_node() -> None:
    """The rules of the package for Node are compared with rnnx; here they differ in how a module is written alone."""
    samples = SAMPLES_PATH / "taggers"
    for name in ("bytes-rule", "unicode-rule"):
        of_node = (samples / "node" / f"{name}.cjs").read_text(encoding="utf-8")
        expected = (
            of_node.replace('"use strict";\n\n', "")
            .replace("module.exports = {", "export {")
            .replace('const { toBinary } = require("./bytes-rule.cjs");', 'import { toBinary } from "./bytes-rule.js";')
        )
        assert (samples / "browser" / f"{name}.js").read_text(encoding="utf-8") == expected

"""Tests the page of `rnnx embed browser` for a tagger in headless Chromium, and that its rules are those of Node."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import rnnx
from rnnx.bundle.directory import SAMPLES_PATH, find_directory
from rnnx.bundle.embed import write_project
from tests.runtimes.kits import run

pytestmark = [pytest.mark.runtimes, pytest.mark.slow]
_TEXTS = (
    "They didn't see Mr. Smith. Nobody did!\nWhy?",
    "caf\xe9 \u201cna\xefve\u201d\u2026 \U0001f600 d'or <pad> <b>bold</b>",
    "",
    "long " * 500,
)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    chromium = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
    if chromium is None or shutil.which("npm") is None:
        pytest.skip("needs Node 20.19 with npm, and chromium (apt-get install chromium)")
    folder = tmp_path_factory.mktemp("page")
    project, tools = folder / "kit", folder / "tools"
    write_project("browser", find_directory("pos"), project)
    tools.mkdir()
    for command, where in (
        (["npm", "install", "--no-fund", "--no-audit"], project),
        (["npm", "run", "build"], project),
        (["npm", "init", "-y"], tools),
        (["npm", "install", "--no-fund", "--no-audit", "playwright-core@1"], tools),
    ):
        done = run([*command], where)
        assert done.returncode == 0, done.stderr
    driver = Path(__file__).parent / "tagger_page.mjs"
    done = run(["node", driver, project / "build", chromium, f"{tools}/", folder], folder, json.dumps(_TEXTS).encode())
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_words_and_tags_are_those_of_rnnx(seen: dict[str, Any]) -> None:
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
    assert seen["widths"] == [True, True]  # nothing is cut off in a large or a small window


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

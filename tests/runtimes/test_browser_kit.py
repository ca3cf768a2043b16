"""Tests the npm package of `rnnx embed browser` from a second program, in builds of Vite and of webpack in Chromium."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnx.bundle.embed import write_project
from rnnx.runtime.session import Session
from rnnx.text.tokenizer import to_batch
from tests.runtimes import page
from tests.runtimes.bundlers import BUNDLERS, PAGE_PACKAGES, build_pages
from tests.runtimes.kits import break_model, copy_model, read_example, run

pytestmark = [pytest.mark.runtimes, pytest.mark.slow]

_HERE = Path(__file__).parent
THREADS = ("page", "worker")


@pytest.fixture(scope="module")
def kit(bundles: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    if absent := page.missing():
        pytest.skip(f"needs {absent}")
    folder = tmp_path_factory.mktemp("browser") / "kit"
    write_project("browser", bundles[0], folder)
    return folder


@pytest.fixture(scope="module")
def seen(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Builds another project, with the package as a registry would deliver it, and returns what its program saw."""
    folder = tmp_path_factory.mktemp("app")
    packed = run(["npm", "pack", "--pack-destination", folder], kit).stdout.split()[-1]
    page.shell("npm init -y && npm pkg set type=module", folder)
    page.shell(f"npm install --no-fund --no-audit --prefer-offline ./{packed} {' '.join(PAGE_PACKAGES)}", folder)
    shutil.copyfile(_HERE / "program.ts", folder / "program.ts")
    (folder / "example.js").write_text(read_example(kit, "js"), encoding="utf-8")
    build_pages(folder)
    write_models(kit, folder)
    port = page.free_port()
    with page.served(f"{page.FILE_SERVER} {port}", folder, port) as url:
        return page.run_driver(_HERE / "programs.mjs", url, folder, *(f"{name}-out/" for name in BUNDLERS))


def write_models(kit: Path, folder: Path) -> None:
    """Writes the models that the program loads by their addresses, and the golden vectors."""
    shutil.copyfile(kit / "golden.json", folder / "golden.json")
    models = {name: copy_model(kit, folder / name) for name in ("model", "truncated", "unlabelled", "swapped")}
    break_model(models["truncated"], "truncated")
    for name, labels in (("unlabelled", []), ("swapped", ["a", "b", "c"])):
        (models[name] / "config.json").write_text(json.dumps({"labels": labels}), encoding="utf-8")


@pytest.fixture(scope="module", params=BUNDLERS)
def program(request: pytest.FixtureRequest, seen: dict[str, Any]) -> dict[str, Any]:
    """Returns what the page of one bundler said."""
    found: dict[str, Any] = seen[f"{request.param}-out/"]
    assert found["errors"] == []
    assert "error" not in found["finished"], found["finished"]
    return found


@pytest.mark.parametrize("thread", THREADS)
def test_golden_vectors_pass_alone_and_in_one_batch(thread: str, program: dict[str, Any], kit: Path) -> None:
    rows = json.loads((kit / "golden.json").read_bytes())
    answers = program["finished"][thread]
    assert len(rows) == len(answers["alone"]) == len(answers["together"])
    for row, alone, together in zip(rows, answers["alone"], answers["together"], strict=True):
        for probs in (alone, together):
            assert np.abs(np.array(row["text_probs"]) - probs).max() <= row["tolerance"], row["text"]


@pytest.mark.parametrize("thread", THREADS)
def test_the_answers_are_those_of_the_predictor(thread: str, program: dict[str, Any], kit: Path) -> None:
    answers = program["finished"][thread]
    big = b"the film is great " * 60_000
    (expected,) = Session((kit / "model.text.onnx").read_bytes(), device="cpu").run(to_batch([big]))
    np.testing.assert_allclose(expected[0], answers["big"], rtol=0, atol=1e-6)
    assert answers["labels"] == ["neg", "pos"]
    assert answers["order"] == [3003, "neg", "pos", "pos", "neg"]
    assert answers["none"] == 0
    assert answers["isConsistent"] is True


@pytest.mark.parametrize("thread", THREADS)
def test_each_mistake_is_one_clear_error(thread: str, program: dict[str, Any]) -> None:
    errors = program["finished"][thread]["errors"]
    assert errors.pop("absent").startswith("ClassifierError: cannot fetch http://localhost:")
    truncated = errors.pop("truncated")
    assert truncated.startswith("ClassifierError: onnxruntime cannot load http://localhost:")
    assert "truncated/model.text.onnx" in truncated
    assert errors == {
        "number": "TypeError: a text is a string or a Uint8Array",
        "address": "TypeError: the path of a model is a string or a URL",
        "characters": "TypeError: predictMany takes many texts; predict takes one",
        "unlabelled": "ClassifierError: config.json has no labels",
        "swapped": "ClassifierError: the labels in config.json are not those of the model",
        "closed": "ClassifierError: the classifier is closed",
    }


def test_the_package_contacts_no_other_host(program: dict[str, Any]) -> None:
    assert program["foreign"] == []
    assert program["finished"]["isOneClass"] is True


def test_the_example_of_the_readme_runs(program: dict[str, Any]) -> None:
    assert any("pos" in line and "[neg, pos]" in line for line in program["said"]), program["said"]


def test_the_package_holds_the_library_alone(kit: Path) -> None:
    packed = run(["npm", "pack", "--dry-run", "--json"], kit)
    names = {file["path"] for file in json.loads(packed.stdout)[0]["files"]}
    scripts = {"index.js", "worker.js", "thread.js", "texts.js"}
    types = {"index.d.ts", "worker.d.ts"}
    assert names == {"README.md", "package.json", "config.json", "model.text.onnx", *scripts, *types}
    for name in scripts:
        assert "node_modules" not in (kit / name).read_text(encoding="utf-8")

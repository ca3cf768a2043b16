"""Tests the npm package of `rnnx embed node`: its command, and its library from programs of every kind."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import rnnx
from tests.runtimes.bundlers import WEBPACK_PACKAGES, build_for_node
from tests.runtimes.kits import BAD_TEXTS, break_model, copy_model, read_answer, read_example, require_no_telemetry, run
from tests.runtimes.samples import Project, missing

pytestmark = [pytest.mark.runtimes, pytest.mark.slow]
TEXT = "A wonderful film."
_INSTALL = ["npm", "install", "--no-fund", "--no-audit", "--onnxruntime-node-install=skip"]
_USE = f"""
  const classifier = await Classifier.load(process.argv[2]);
  const one = await classifier.predict({TEXT!r});
  const [awful, bytes, ...rest] = await classifier.predictMany(["awful", new TextEncoder().encode({TEXT!r})]);
  const names = classifier.labels.join();
  if (rest.length || awful.label !== "neg" || bytes.label !== one.label || names !== "neg,pos") throw Error(names);
  if (Math.abs(one.probs[1] - bytes.probability) > 1e-6) throw Error("a batch answers differently");
  if ((await classifier.predictMany([])).length) throw Error("no text has an answer");
  const many = await classifier.predictMany(["awful", ...Array(3000).fill(""), "wonderful"]);
  if (many.length !== 3002 || many[0].label !== "neg" || many[3001].label !== "pos") throw Error("the order");
  const [short, long] = await classifier.predictMany(["fine", "x ".repeat(500_000), ...Array(300).fill("fine")]);
  if (Math.abs((await classifier.predict("fine")).probs[1] - short.probs[1]) > 1e-6) throw Error("long and short");
  if (!(long.probability > 0.5)) throw Error("a long text");
  console.log(`${{one.label}}\\t${{one.probability}}`);
"""
_WRONG = """
  const isRefused = await Classifier.load("absent").catch((error) => error instanceof ClassifierError);
  const isTypeError = await classifier.predict(5).catch((error) => error instanceof TypeError);
  if (isRefused !== true || isTypeError !== true) throw Error("the wrong error");
"""
_IMPORT = 'import { Classifier, ClassifierError } from "rnnx-text-classifier";\n'
_REQUIRE = 'const { Classifier, ClassifierError } = require("rnnx-text-classifier");\n'
PROGRAMS = {
    "program.mjs": _IMPORT + _USE + _WRONG,
    "program.cjs": f"{_REQUIRE}(async () => {{{_USE}{_WRONG}}})();",
    "dynamic.cjs": f'(async () => {{ const {{ Classifier }} = await import("rnnx-text-classifier");{_USE}}})();',
    "both.mjs": 'import { createRequire } from "node:module";\n'
    f'{_IMPORT}const other = createRequire(import.meta.url)("rnnx-text-classifier");\n'
    f'if (other.ClassifierError !== ClassifierError) throw Error("two classes");{_USE}',
}
TYPED = """
const classifier: Classifier = await Classifier.load();
const labels: readonly string[] = classifier.labels;
const predictions = await classifier.predictMany(new Set(["a", new Uint8Array(1)]));
const probability: number | undefined = predictions[0]?.probs[0];
const { label }: Prediction = await classifier.predict("a");
// @ts-expect-error a number is no text
await classifier.predict(5).catch(() => "refused");
// @ts-expect-error only load makes a classifier
new Classifier();
console.log(labels, probability, label, new ClassifierError("a").message);
"""


@pytest.fixture(scope="module")
def kit(bundles: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Project:
    if absent := missing("node"):
        pytest.skip(f"needs {absent}")
    return Project("node", bundles[0], tmp_path_factory.mktemp("node") / "kit")


@pytest.fixture(scope="module")
def app(kit: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of another project, with the package as a registry would deliver it."""
    folder = tmp_path_factory.mktemp("app")
    packed = run(["npm", "pack", "--pack-destination", folder], kit.folder).stdout.split()[-1]
    run(["npm", "init", "-y"], folder)
    done = run([*_INSTALL, folder / packed, "esbuild@0.25", *WEBPACK_PACKAGES], folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def probability(bundles: list[Path]) -> float:
    return rnnx.load(bundles[0], device="cpu").predict([TEXT])[0].probs["pos"]


def require_positive(done: subprocess.CompletedProcess[str], probability: float) -> None:
    label, found = read_answer(done)
    assert label == "pos"
    assert found == pytest.approx(probability, abs=0.01)


def test_the_command_reads_a_word_a_file_and_the_standard_input_from_any_folder(
    kit: Project, probability: float, tmp_path: Path
) -> None:
    main: list[str | Path] = ["node", kit.folder / "main.js"]
    require_no_telemetry([*main, TEXT], tmp_path)
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    answers = [
        run([*main, TEXT], tmp_path),
        run([*main, "--", TEXT], tmp_path),
        run([*main, "--file", "text.txt"], tmp_path),
        run([*main, "--file", "-"], tmp_path, TEXT.encode()),
        run(main, tmp_path, TEXT.encode()),
    ]
    for done in answers:
        require_positive(done, probability)
    assert run([*main, "--help"], tmp_path).stdout.startswith("usage: node main.js TEXT")
    for wrong in (["--strange"], ["two", "texts"], ["--file"], ["--golden", "x"]):
        done = run([*main, *wrong], tmp_path)
        assert (done.returncode, done.stdout, done.stderr.split(":")[0]) == (2, "", "usage")
    absent = run([*main, "--file", "absent.txt"], tmp_path)
    assert (absent.returncode, absent.stderr.count("\n")) == (1, 1)
    assert "absent.txt" in absent.stderr


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_any_bytes_have_the_answer_of_the_predictor(name: str, kit: Project, bundles: list[Path]) -> None:
    label, probability = read_answer(run(["node", "main.js"], kit.folder, BAD_TEXTS[name]))
    expected = rnnx.load(bundles[0], device="cpu").predict([BAD_TEXTS[name].decode("utf-8", "surrogateescape")])[0]
    assert label == expected.label
    assert probability == pytest.approx(expected.probability, abs=0.01)


@pytest.mark.parametrize("how", ["missing", "truncated"])
def test_a_broken_model_is_one_line(how: str, kit: Project, tmp_path: Path) -> None:
    folder = tmp_path / "kit"
    shutil.copytree(kit.folder, folder, ignore=shutil.ignore_patterns("node_modules"))
    (folder / "node_modules").symlink_to(kit.folder / "node_modules")
    break_model(folder, how)
    done = run(["node", "main.js", TEXT], folder)
    assert (done.returncode, done.stdout) == (1, "")
    said = {"missing": "cannot read", "truncated": "is not a whole model"}[how]
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert "model.text.onnx" in line


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_uses_the_library(name: str, app: Path, kit: Project, probability: float, tmp_path: Path) -> None:
    (app / name).write_text(PROGRAMS[name], encoding="utf-8")
    require_positive(run(["node", app / name], tmp_path), probability)
    folder = copy_model(kit.folder, tmp_path / "model")
    assert read_answer(run(["node", app / name, "model"], tmp_path))[0] == "pos"
    break_model(folder, "missing")
    assert "ClassifierError" in run(["node", app / name, "model"], tmp_path).stderr


@pytest.mark.parametrize("ending", ["mjs", "cjs"])
def test_a_bundled_program_uses_the_library(ending: str, app: Path, kit: Project, tmp_path: Path) -> None:
    (app / f"entry.{ending}").write_text(PROGRAMS[f"program.{ending}"], encoding="utf-8")
    kind = {"mjs": "esm", "cjs": "cjs"}[ending]
    out = app / "dist" / f"out.{ending}"
    options = ["--bundle", "--platform=node", f"--format={kind}", "--external:onnxruntime-node", f"--outfile={out}"]
    done = run([app / "node_modules/.bin/esbuild", f"entry.{ending}", *options], app)
    assert done.returncode == 0, done.stderr
    for name in ("model.text.onnx", "config.json"):
        shutil.copyfile(kit.folder / name, out.parent / name)
    assert read_answer(run(["node", out], tmp_path))[0] == "pos"


def test_webpack_checks_the_types_and_makes_assets_of_the_model(app: Path, probability: float, tmp_path: Path) -> None:
    imported = 'import { Classifier, ClassifierError, type Prediction } from "rnnx-text-classifier";\n'
    said = f"const one = await classifier.predict({TEXT!r});\nconsole.log(`${{one.label}}\\t${{one.probability}}`);\n"
    (app / "program.ts").write_text(imported + TYPED + said, encoding="utf-8")
    require_positive(run(["node", build_for_node(app)], tmp_path), probability)


def test_the_types_are_those_of_both_kinds_of_modules(app: Path) -> None:
    names = "Classifier, ClassifierError, type Prediction"
    (app / "typed.mts").write_text(f'import {{ {names} }} from "rnnx-text-classifier";\n{TYPED}', encoding="utf-8")
    imported = f'import {{ {names} }} from "rnnx-text-classifier";\nexport async function use() {{{TYPED}}}'
    (app / "typed.cts").write_text(imported, encoding="utf-8")
    strict = [
        "--noEmit",
        "--strict",
        "--skipLibCheck",
        "--noUncheckedIndexedAccess",
        "--target",
        "es2022",
        "--module",
        "node16",
    ]
    done = run([app / "node_modules/.bin/tsc", *strict, "typed.mts", "typed.cts"], app)
    assert done.returncode == 0, done.stdout


def test_the_package_installs_its_command(app: Path, kit: Project, tmp_path: Path) -> None:
    command = app / "node_modules" / ".bin" / "rnnx-text-classifier"
    assert read_answer(run([command, TEXT], tmp_path))[0] == "pos"
    assert os.access(command, os.X_OK)
    (app / "example.mjs").write_text(read_example(kit.folder, "js"), encoding="utf-8")
    assert "'neg', 'pos'" in run(["node", app / "example.mjs"], tmp_path).stdout
    assert "50 of 50 right" in run([command, "--golden"], tmp_path).stdout

"""Tests the package of `rnnx embed node --streaming`: its words and answers, its command, and its types."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import rnnx
from rnnx.bundle.embed import write_project
from tests.runtimes.bundlers import WEBPACK_PACKAGES, build_for_node
from tests.runtimes.kits import read_answer, read_example, require_no_telemetry, run
from tests.runtimes.samples import missing
from tests.runtimes.stream_texts import (
    BUNDLE,
    RULES,
    PythonKit,
    draw_chunks,
    format_chunks,
    require_same_answers,
    write_stream,
)

pytestmark = [pytest.mark.runtimes, pytest.mark.slow]
TEXT = "A wonderful film, but dull and boring"
_INSTALL: list[str | Path] = ["npm", "install", "--no-fund", "--no-audit", "--onnxruntime-node-install=skip"]
_STREAM = """
  const model = await StreamModel.load(process.argv[2]);
  const rows = [];
  for (const chunks of JSON.parse(require("node:fs").readFileSync(0, "utf8"))) {
    let state = model.begin();
    let answer;
    const answers = [];
    for (const chunk of chunks.map((hex) => new Uint8Array(Buffer.from(hex, "hex")))) {
      const before = state;
      const given = JSON.stringify(state);
      ({ state, answer } = await model.step(before, chunk));
      answers.push(answer);
      if (rows.length % 16 === 0) {
        const again = await model.step(JSON.parse(given), chunk);
        if (JSON.stringify(before) !== given) throw Error("a step changed the state");
        if (JSON.stringify(again.state) !== JSON.stringify(state)) throw Error("a saved state goes on differently");
      }
    }
    answers.push((await model.finish(state)).answer);
    rows.push(answers.map((a) => [a.words, a.label ?? null, a.probability ?? null, a.probs]));
  }
  if (model.labels.join() !== "neg,pos") throw Error("labels");
  const begun = model.begin();
  for (const [call, kind] of [
    [() => StreamModel.load("absent"), StreamError],
    [() => model.step({}, "a"), StreamError],
    [() => model.step({ ...begun, arrays: { h: [0] } }, "a"), StreamError],
    [() => model.step(begun, 5), TypeError],
  ]) {
    if ((await call().catch((error) => error instanceof kind)) !== true) throw Error("the wrong error");
  }
  process.stdout.write(JSON.stringify(rows));
"""
_REQUIRE = 'import { createRequire } from "node:module";\nconst require = createRequire(import.meta.url);\n'
PROGRAMS = {
    "program.mjs": f'import {{ StreamModel, StreamError }} from "rnnx-text-stream";\n{_REQUIRE}{_STREAM}',
    "program.cjs": 'const { StreamModel, StreamError } = require("rnnx-text-stream");\n'
    f"(async () => {{{_STREAM}}})();",
}
_IMPORT = 'import { type Answer, type State, StreamError, StreamModel } from "rnnx-text-stream";\n'
_TYPED = """
const model: StreamModel = await StreamModel.load();
const begun: State = model.begin();
const { state, answer }: { state: State; answer: Answer } = await model.step(begun, new Uint8Array(1));
const label: string | undefined = answer.label;
const read: number = state.positions;
// @ts-expect-error a number is no text
await model.step(state, 5);
// @ts-expect-error only load makes a model
new StreamModel();
console.log(label, read, model.labels, new StreamError("a").message);
"""


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of the package, with its dependency."""
    if absent := missing("node"):
        pytest.skip(f"needs {absent}")
    folder = tmp_path_factory.mktemp("node") / "kit"
    write_project("node", BUNDLE, folder, streaming=True)
    done = run(_INSTALL, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def app(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of another project, with the package as a registry would deliver it."""
    folder = tmp_path_factory.mktemp("app")
    packed = run(["npm", "pack", "--pack-destination", folder], kit).stdout.split()[-1]
    run(["npm", "init", "-y"], folder)
    done = run([*_INSTALL, folder / packed, *WEBPACK_PACKAGES], folder)
    assert done.returncode == 0, done.stderr
    for name, program in PROGRAMS.items():
        (folder / name).write_text(program, encoding="utf-8")
    return folder


@pytest.mark.parametrize("rule", RULES)
def test_the_words_and_answers_are_those_of_rnnx_on_chunks_cut_at_any_byte(
    rule: str, app: Path, tmp_path: Path
) -> None:
    texts = draw_chunks(1_000)
    write_stream(rule, tmp_path)
    done = run(["node", app / "program.mjs", tmp_path], tmp_path, format_chunks(texts))
    assert done.returncode == 0, done.stderr
    require_same_answers(rule, texts, json.loads(done.stdout), "replace")


def test_a_program_that_requires_the_package_uses_its_model(app: Path, tmp_path: Path) -> None:
    texts = draw_chunks(20)
    done = run(["node", app / "program.cjs"], tmp_path, format_chunks(texts))
    assert done.returncode == 0, done.stderr
    require_same_answers("bytes", texts, json.loads(done.stdout), "replace")


def test_webpack_checks_the_types_and_makes_assets_of_the_model(app: Path, tmp_path: Path) -> None:
    (app / "program.ts").write_text(
        f"""{_IMPORT}
const model: StreamModel = await StreamModel.load();
const read: {{ state: State }} = await model.step(model.begin(), {TEXT!r});
const answer: Answer = (await model.finish(read.state)).answer;
// @ts-expect-error a number is no text
await model.step(read.state, 5).catch((error) => console.log(error instanceof TypeError, error instanceof StreamError));
console.log(`${{answer.label}}\\t${{answer.probability}}`);
""",
        encoding="utf-8",
    )
    (expected,) = rnnx.load(BUNDLE, device="cpu").predict([TEXT])
    label, probability = read_answer(run(["node", build_for_node(app)], tmp_path))
    assert label == expected.label
    assert probability == pytest.approx(expected.probability, abs=1e-6)


def test_the_command_answers_a_text_and_after_each_line(kit: Path, tmp_path: Path) -> None:
    main: list[str | Path] = ["node", kit / "main.js"]
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
    assert run([*main, "--help"], tmp_path).stdout.startswith("usage: node main.js TEXT")
    for wrong in (["--strange"], ["two", "texts"], ["--file"], ["--golden", "x"]):
        done = run([*main, *wrong], tmp_path)
        assert (done.returncode, done.stdout, done.stderr.split(":")[0]) == (2, "", "usage")
    absent = run([*main, "--file", "absent.txt"], tmp_path)
    assert (absent.returncode, absent.stderr.count("\n"), "absent.txt" in absent.stderr) == (1, 1, True)


def test_the_golden_texts_are_right_and_a_wrong_one_is_found(kit: Path) -> None:
    path = kit / "model" / "golden.json"
    whole = path.read_bytes()
    rows = json.loads(whole)
    count = 3 * len(rows)
    assert f"{count} of {count} right" in run(["node", "main.js", "--golden"], kit).stdout
    for key, value in (("outputs", [0.5]), ("ids", [1, *[5] * 9])):
        changed = json.loads(whole)
        changed[0][key] = value
        path.write_text(json.dumps(changed), encoding="utf-8")
        wrong = run(["node", "main.js", "--golden"], kit)
        assert (wrong.returncode, wrong.stdout.startswith("golden text 0 ")) == (1, True)
    path.write_bytes(whole)


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("model.stream.onnx", 0.0, "cannot read"),
        ("model.stream.onnx", 0.5, "is not a whole model"),
        ("vocabulary.txt", 0.5, "is not the vocabulary of this model"),
        ("config.json", 0.5, "is not JSON"),
    ],
)
def test_a_broken_model_is_one_line(name: str, size: float, said: str, kit: Path, tmp_path: Path) -> None:
    folder = tmp_path / "kit"
    shutil.copytree(kit, folder, ignore=shutil.ignore_patterns("node_modules"))
    (folder / "node_modules").symlink_to(kit / "node_modules")
    path = folder / "model" / name
    whole = path.read_bytes()
    path.unlink()
    if size:
        path.write_bytes(whole[: int(len(whole) * size)])
    done = run(["node", "main.js", TEXT], folder)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert name in line


def test_the_types_the_command_and_the_example_are_those_of_the_package(app: Path, kit: Path, tmp_path: Path) -> None:
    (app / "typed.mts").write_text(f"{_IMPORT}{_TYPED}", encoding="utf-8")
    (app / "typed.cts").write_text(f"{_IMPORT}export async function use() {{{_TYPED}}}", encoding="utf-8")
    strict = ["--noEmit", "--strict", "--skipLibCheck", "--noUncheckedIndexedAccess", "--target", "es2022"]
    done = run([app / "node_modules/.bin/tsc", *strict, "--module", "node16", "typed.mts", "typed.cts"], app)
    assert done.returncode == 0, done.stdout
    command = run([app / "node_modules" / ".bin" / "rnnx-text-stream", TEXT], tmp_path)
    assert command.stdout.split("\t")[0] in ("neg", "pos")
    (app / "example.mjs").write_text(read_example(kit, "js"), encoding="utf-8")
    assert "'neg', 'pos'" in run(["node", app / "example.mjs"], tmp_path).stdout
    assert run(["node", "snippet.mjs"], kit).stdout.startswith("pos ")


def test_a_state_goes_on_in_the_other_language(app: Path, tmp_path: Path) -> None:
    python = PythonKit(tmp_path / "kit")
    go_on = (
        "const { StreamModel } = require('rnnx-text-stream'); StreamModel.load().then(async (model) => {"
        "const { state, answer } = await model.step(JSON.parse(require('fs').readFileSync(0, 'utf8')), 'derful film ');"
        "console.log(`${answer.words}\\n${answer.label}\\t${answer.probability}\\n${JSON.stringify(state)}`); });"
    )
    (app / "go_on.cjs").write_text(go_on, encoding="utf-8")
    given = python.save("dull won").encode()
    words, answer, state = run(["node", app / "go_on.cjs"], tmp_path, given).stdout.splitlines()
    (expected,) = rnnx.load(BUNDLE, device="cpu").predict(["dull wonderful film"])
    assert words == "wonderful,film"
    assert answer.split("\t")[0] == expected.label
    assert float(answer.split("\t")[1]) == pytest.approx(expected.probability, abs=1e-6)
    assert python.finish(state, "")[1] == pytest.approx(expected.probability, abs=1e-6)

"""Tests the package of `rnnx embed node` for a tagger: its rules, its command, and its library."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import rnnx
from rnnx.bundle.find_model import SAMPLES_PATH, find_directory
from tests.runtimes.bundlers import WEBPACK_PACKAGES, build_for_node
from tests.runtimes.kits import BAD_TEXTS, read_example, require_no_telemetry, run
from tests.runtimes.samples import Project, missing
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
_INSTALL = ["npm", "install", "--no-fund", "--no-audit", "--onnxruntime-node-install=skip"]
_TAG = """
  const given = require("node:fs").readFileSync(0, "utf8");
  const tagger = await Tagger.load(process.argv[2]);
  const texts = JSON.parse(given).map((text) => new Uint8Array(Buffer.from(text, "hex")));
  const rows = (await tagger.tagMany(texts)).map((sentences) =>
    sentences.map((sentence) => sentence.map((word) => [word.start, word.end, word.tag, word.probability])));
  const text = "\\u{1f600} caf\\xe9 d'or, \\ud83d!";
  const words = (await tagger.tag(text)).flat();
  const written = words.map((word) => text.slice(word.start, word.end));
  if (written.join(" ") !== "\\u{1f600} caf\\xe9 d'or , \\ud83d !") throw Error(written.join(" "));
  if (words.some((word, i) => word.text !== written[i])) throw Error("another text");
  const [empty, long] = await tagger.tagMany(new Set(["", "word ".repeat(1000)]));
  if (empty.length || long.length !== 1 || long[0].length !== 1000) throw Error("a long sentence");
  if ((await tagger.tagMany([])).length || tagger.tags[0] !== "ADJ") throw Error("no text");
  const isRefused = await Tagger.load("absent").catch((error) => error instanceof TaggerError);
  const isTypeError = await tagger.tag(5).catch((error) => error instanceof TypeError);
  if (isRefused !== true || isTypeError !== true) throw Error("the wrong error");
  process.stdout.write(JSON.stringify(rows));
"""
_REQUIRE = 'import { createRequire } from "node:module";\nconst require = createRequire(import.meta.url);\n'
PROGRAMS = {
    "program.mjs": f'import {{ Tagger, TaggerError }} from "rnnx-tagger";\n{_REQUIRE}{_TAG}',
    "program.cjs": f'const {{ Tagger, TaggerError }} = require("rnnx-tagger");\n(async () => {{{_TAG}}})();',
}
_IMPORT = 'import { Tagger, TaggerError, type Sentence, type Word } from "rnnx-tagger";\n'
_TYPED = """
const tagger: Tagger = await Tagger.load();
const tags: readonly string[] = tagger.tags;
const many: Sentence[][] = await tagger.tagMany(new Set(["a", new Uint8Array(1)]));
const word: Word | undefined = many[0]?.[0]?.[0];
const place: number | undefined = word?.start;
// @ts-expect-error a number is no text
await tagger.tag(5);
// @ts-expect-error only load makes a tagger
new Tagger();
console.log(tags, place, new TaggerError("a").message);
"""


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Project:
    if absent := missing("node"):
        pytest.skip(f"needs {absent}")
    return Project("node", find_directory("pos"), tmp_path_factory.mktemp("node") / "kit")


@pytest.fixture(scope="module")
def app(kit: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of another project, with the package as a registry would deliver it."""
    folder = tmp_path_factory.mktemp("app")
    packed = run(["npm", "pack", "--pack-destination", folder], kit.folder).stdout.split()[-1]
    run(["npm", "init", "-y"], folder)
    done = run([*_INSTALL, folder / packed, "esbuild@0.25", *WEBPACK_PACKAGES], folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.parametrize("rule", RULES)
def test_the_rules_are_those_of_rnnx_on_any_bytes(rule: str, tmp_path: Path) -> None:
    if shutil.which("node") is None:
        pytest.skip("needs Node 18")
    texts = draw_tagger_texts(3_000)
    write_characters(tmp_path)
    program, library = Path(__file__).parent / "rules.mjs", SAMPLES_PATH / "taggers" / "node" / "tagger.cjs"
    done = run(["node", program, library, tmp_path / "config.json"], tmp_path, given_to_rules(rule, texts))
    assert done.returncode == 0, done.stderr
    require_same_rules(rule, texts, json.loads(done.stdout))


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_words_and_tags_of_a_program_are_those_of_rnnx(name: str, app: Path, tmp_path: Path) -> None:
    texts = [*draw_tagger_texts(200), *(text[:50_000] for text in BAD_TEXTS.values()), b"a " * 250]
    (app / name).write_text(PROGRAMS[name], encoding="utf-8")
    done = run(["node", app / name], tmp_path, json.dumps([text.hex() for text in texts]).encode())
    assert done.returncode == 0, done.stderr
    require_same_words(rnnx.load("pos", device="cpu"), texts, json.loads(done.stdout))


def test_a_bundled_program_uses_the_library(app: Path, kit: Project, tmp_path: Path) -> None:
    (app / "entry.mjs").write_text(PROGRAMS["program.mjs"], encoding="utf-8")
    out = app / "dist" / "out.mjs"
    options = ["--bundle", "--platform=node", "--format=esm", "--external:onnxruntime-node", f"--outfile={out}"]
    done = run([app / "node_modules/.bin/esbuild", "entry.mjs", *options], app)
    assert done.returncode == 0, done.stderr
    shutil.copytree(kit.folder / "model", out.parent / "model")
    done = run(["node", out], tmp_path, b"[]")
    assert (done.returncode, done.stdout) == (0, "[]"), done.stderr


def test_webpack_checks_the_types_and_makes_assets_of_the_model(app: Path, tmp_path: Path) -> None:
    (app / "program.ts").write_text(
        f"""{_IMPORT}
const tagger: Tagger = await Tagger.load();
const first: Sentence | undefined = (await tagger.tag({TEXT!r}))[0];
// @ts-expect-error a number is no text
await tagger.tag(5).catch((error) => console.log(error instanceof TypeError, error instanceof TaggerError));
console.log(first?.map((word: Word) => word.tag).join());
""",
        encoding="utf-8",
    )
    done = run(["node", build_for_node(app)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "PRON,AUX,PART,VERB,PRON,PUNCT"


def test_the_command_reads_an_argument_a_file_and_the_standard_input_from_any_folder(
    kit: Project, tmp_path: Path
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
    assert len({answer.stdout for answer in answers}) == 1
    lines = [line.split("\t") for line in answers[0].stdout.splitlines()]
    model: Any = rnnx.load("pos", device="cpu")
    (expected,) = model.predict([TEXT])
    assert [(line[1], line[2]) for line in lines] == [(word.word, word.tag) for word in expected.words]
    assert [line[0] for line in lines] == ["1"] * 6 + ["2"] * 3
    assert run([*main, "--help"], tmp_path).stdout.startswith("usage: node main.js TEXT")
    for wrong in (["--strange"], ["two", "texts"], ["--file"], ["--golden", "x"]):
        done = run([*main, *wrong], tmp_path)
        assert (done.returncode, done.stdout, done.stderr.split(":")[0]) == (2, "", "usage")
    absent = run([*main, "--file", "absent.txt"], tmp_path)
    assert (absent.returncode, absent.stderr.count("\n"), "absent.txt" in absent.stderr) == (1, 1, True)
    assert "1\t?\t" in run(main, tmp_path, b"\x1b").stdout
    assert run(main, tmp_path, b"").stdout == ""


def test_the_golden_words_are_right_and_a_wrong_one_is_found(kit: Project) -> None:
    done = kit.shell(kit.golden_command)
    assert done.returncode == 0, done.stdout
    path = kit.folder / "model" / "golden.json"
    whole = path.read_bytes()
    golden = json.loads(whole)
    count = 2 * sum(len(row["bytes"]) for row in golden["sentences"])
    assert f"{count} of {count} right" in done.stdout
    for kind, key, value in (("sentences", "tags", ["X"]), ("texts", "sentences", [[[0, 1]]])):
        changed = json.loads(whole)
        changed[kind][-1][key] = value
        path.write_text(json.dumps(changed), encoding="utf-8")
        wrong = run(["node", "main.js", "--golden"], kit.folder)
        assert (wrong.returncode, wrong.stdout.startswith("golden ")) == (1, True)
    path.write_bytes(whole)


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("model.onnx", 0.0, "cannot read"),
        ("model.onnx", 0.5, "is not a whole model"),
        ("vocabulary.txt", 0.5, "is not the vocabulary of this model"),
        ("config.json", 0.5, "is not JSON"),
    ],
)
def test_a_broken_model_is_one_line(name: str, size: float, said: str, kit: Project, tmp_path: Path) -> None:
    folder = tmp_path / "kit"
    shutil.copytree(kit.folder, folder, ignore=shutil.ignore_patterns("node_modules"))
    (folder / "node_modules").symlink_to(kit.folder / "node_modules")
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


def test_the_types_are_those_of_both_kinds_of_modules(app: Path) -> None:
    (app / "typed.mts").write_text(f"{_IMPORT}{_TYPED}", encoding="utf-8")
    (app / "typed.cts").write_text(f"{_IMPORT}export async function use() {{{_TYPED}}}", encoding="utf-8")
    strict = ["--noEmit", "--strict", "--skipLibCheck", "--noUncheckedIndexedAccess", "--target", "es2022"]
    done = run([app / "node_modules/.bin/tsc", *strict, "--module", "node16", "typed.mts", "typed.cts"], app)
    assert done.returncode == 0, done.stdout


def test_the_package_installs_its_command_and_its_example_runs(app: Path, kit: Project, tmp_path: Path) -> None:
    done = run([app / "node_modules" / ".bin" / "rnnx-tagger", TEXT], tmp_path)
    assert done.stdout.startswith("1\tThey\tPRON\t")
    (app / "example.mjs").write_text(read_example(kit.folder, "js"), encoding="utf-8")
    assert "They 0 4 PRON" in run(["node", app / "example.mjs"], tmp_path).stdout
    assert "They/PRON did/AUX n't/PART" in run(["node", "snippet.mjs"], kit.folder).stdout

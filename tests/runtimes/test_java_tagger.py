"""Tests the Maven artifact of `rnnx embed java` for a tagger: its rules, its command, and its library."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import rnnx
from rnnx.bundle.embed import write_project
from rnnx.bundle.find_model import find_directory
from tests.runtimes.kits import read_example, require_no_telemetry, run
from tests.runtimes.samples import missing
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
# Prints the words of texts as `require_same_words` reads them.
_TAG = """
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import rnnx.tagger.Tagger;
import rnnx.tagger.TaggerException;
import rnnx.tagger.Word;

public final class Tag {
  public static void main(String[] arguments) throws Exception {
    var texts = new ArrayList<byte[]>();
    for (String hex : new String(System.in.readAllBytes()).split(",")) {
      texts.add(HexFormat.of().parseHex(hex));
    }
    try (var tagger = Tagger.load()) {
      var rows = new ArrayList<List<List<List<Object>>>>();
      for (List<List<Word>> text : tagger.tagManyBytes(texts)) {
        rows.add(text.stream().map(sentence -> sentence.stream().map(word -> List.<Object>of(
            word.start(), word.end(), "\\"" + word.tag() + "\\"", word.probability())).toList()).toList());
      }
      String text = "\\ud83d\\ude00 caf\\u00e9 d'or, \\ud83d!";
      var words = new ArrayList<String>();
      tagger.tag(text).forEach(sentence -> sentence.forEach(
          word -> words.add(text.substring(word.start(), word.end()))));
      if (!words.equals(List.of("\\ud83d\\ude00", "caf\\u00e9", "d'or", ",", "\\ud83d", "!"))) {
        throw new AssertionError(words);
      }
      if (!tagger.tag("").isEmpty() || !tagger.tagMany(List.of()).isEmpty() || !tagger.tags().get(0).equals("ADJ")) {
        throw new AssertionError("an empty text");
      }
      System.out.println(rows);
    }
    try {
      Tagger.load(Path.of("absent"));
      throw new AssertionError("no error");
    } catch (TaggerException error) {
      if (!error.getMessage().contains("model.onnx")) {
        throw error;
      }
    }
  }
}
"""


@pytest.fixture(scope="module")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder of the artifact, built but not installed."""
    if absent := missing("java"):
        pytest.skip(f"needs {absent}")
    folder = tmp_path_factory.mktemp("java") / "kit"
    write_project("java", find_directory("pos"), folder)
    done = run(["mvn", "-q", "package"], folder)
    assert done.returncode == 0, done.stdout
    return folder


def run_java(kit: Path, source: Path, name: str, *arguments: str | Path, given: bytes = b"") -> str:
    """Compiles a class against the artifact, and returns what it prints."""
    path = f"{kit}/target/rnnx-tagger.jar:{kit}/target/lib/*"
    out = source.parent / "classes"
    done = run(["javac", "-Xlint:all", "-cp", path, "-d", out, source], source.parent)
    assert done.returncode == 0, done.stderr
    done = run(["java", "-cp", f"{out}:{path}", name, *arguments], source.parent, given)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("rule", RULES)
def test_the_rules_are_those_of_rnnx_on_any_bytes(rule: str, kit: Path, tmp_path: Path) -> None:
    long_words = [piece * 20_000 for piece in (b"a", b"a-", b"1.", b"a.", b"'s", b"\xe2\x80\xa6", b"!", b"\xc3\xa9")]
    texts = [*draw_tagger_texts(2_000), *long_words]
    write_characters(tmp_path)
    source = Path(shutil.copy(Path(__file__).parent / "Rules.java", tmp_path))
    given = given_to_rules(rule, texts)
    found = run_java(kit, source, "rnnx.tagger.Rules", tmp_path / "config.json", given=given)
    require_same_rules(rule, texts, json.loads(found))


def test_the_words_and_tags_of_a_program_are_those_of_rnnx(kit: Path, tmp_path: Path) -> None:
    texts = [*draw_tagger_texts(200), b"a " * 250, b"A wonderful film \xff\xfe\xc3\x28."]
    (tmp_path / "Tag.java").write_text(_TAG, encoding="utf-8")
    given = ",".join(text.hex() for text in texts).encode()
    found = run_java(kit, tmp_path / "Tag.java", "Tag", given=given)
    require_same_words(rnnx.load("pos", device="cpu"), texts, json.loads(found))


def test_the_command_and_the_examples_tag_a_text(kit: Path, tmp_path: Path) -> None:
    main: list[str | Path] = ["java", "-jar", kit / "target" / "rnnx-tagger.jar"]
    require_no_telemetry([*main, TEXT], tmp_path)
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    answers = [run([*main, TEXT], tmp_path), run([*main, "--file", "text.txt"], tmp_path)]
    answers += [run([*main, "--", TEXT], tmp_path), run(main, tmp_path, TEXT.encode())]
    assert len({answer.stdout for answer in answers}) == 1
    lines = [line.split("\t") for line in answers[0].stdout.splitlines()]
    model: Any = rnnx.load("pos", device="cpu")
    (expected,) = model.predict([TEXT])
    assert [(line[1], line[2]) for line in lines] == [(word.word, word.tag) for word in expected.words]
    assert run([*main, "--help"], tmp_path).stdout.startswith("usage: rnnx-tagger TEXT")
    done = run([*main, "two", "texts"], tmp_path)
    assert (done.returncode, done.stdout, done.stderr.split(":")[0]) == (2, "", "usage")
    absent = run([*main, "--file", "absent.txt"], tmp_path)
    assert (absent.returncode, absent.stderr.count("\n"), "absent.txt" in absent.stderr) == (1, 1, True)
    (tmp_path / "Example.java").write_text(read_example(kit, "java"), encoding="utf-8")
    assert "They 0 4 PRON" in run_java(kit, tmp_path / "Example.java", "Example")
    (tmp_path / "Snippet.java").write_bytes((kit / "Snippet.java").read_bytes())
    assert run_java(kit, tmp_path / "Snippet.java", "Snippet").split()[:2] == ["They/PRON", "did/AUX"]


def test_the_golden_words_are_right(kit: Path) -> None:
    rows = json.loads((find_directory("pos") / "golden.json").read_bytes())
    count = 2 * sum(len(row["words"]) for row in rows)
    command = re.findall(r"```sh\n(.*?)\n```", (kit / "README.md").read_text(encoding="utf-8"), re.DOTALL)[-1]
    done = run(command.split(), kit)
    assert f"{count} of {count} right" in done.stdout, done.stdout


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("model.onnx", 0.0, "cannot read"),
        ("model.onnx", 0.5, "is not a whole model"),
        ("vocabulary.txt", 0.5, "is not the vocabulary of this model"),
        ("config.json", 0.5, "is not that of a tagger"),
    ],
)
def test_a_broken_model_is_one_line(name: str, size: float, said: str, kit: Path, tmp_path: Path) -> None:
    shutil.copytree(kit / "target", tmp_path / "target")
    inside = "rnnx/tagger/model"
    whole = (kit / "src" / "main" / "resources" / inside / name).read_bytes()
    (tmp_path / inside).mkdir(parents=True)
    (tmp_path / inside / name).write_bytes(whole[: int(len(whole) * size)])
    jar = tmp_path / "target" / "rnnx-tagger.jar"
    change: list[str | Path] = (
        ["jar", "uf", jar, f"{inside}/{name}"] if size else ["zip", "-qd", jar, f"{inside}/{name}"]
    )
    if size == 0 and shutil.which("zip") is None:
        pytest.skip("needs zip")
    assert run(change, tmp_path).returncode == 0
    done = run(["java", "-jar", jar, TEXT], tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert name in line

"""Tests the Maven artifact of `rnnx embed java --streaming`: its words and answers, its command, and its library."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

import rnnx
from rnnx.bundle.embed import write_project
from tests.runtimes.kits import read_example, require_no_telemetry, run
from tests.runtimes.samples import missing
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
TEXT = "A wonderful film, but dull and boring"
# Prints the answers to texts in chunks as `require_same_answers` reads them.
_STREAM = """
import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import rnnx.textstream.Answer;
import rnnx.textstream.State;
import rnnx.textstream.Step;
import rnnx.textstream.StreamException;
import rnnx.textstream.StreamModel;

public final class Chunks {
  public static void main(String[] arguments) throws Exception {
    String[][] texts = new Gson().fromJson(new String(System.in.readAllBytes()), String[][].class);
    var rows = new ArrayList<List<List<Object>>>();
    try (var model = arguments.length > 0 ? StreamModel.load(Path.of(arguments[0])) : StreamModel.load()) {
      for (String[] chunks : texts) {
        State state = model.begin();
        var answers = new ArrayList<List<Object>>();
        for (String hex : chunks) {
          byte[] chunk = HexFormat.of().parseHex(hex);
          String given = state.toJson();
          Step step = model.step(state, chunk);
          if (rows.size() % 16 == 0) {
            require(state.toJson().equals(given));
            require(model.step(State.fromJson(given), chunk).state().toJson().equals(step.state().toJson()));
          }
          answers.add(row(step.answer()));
          state = step.state();
        }
        answers.add(row(model.finish(state).answer()));
        rows.add(answers);
      }
      require(model.labels().equals(List.of("neg", "pos")));
      refuse(() -> StreamModel.load(Path.of("absent")), "model.stream.onnx");
      refuse(() -> State.fromJson("[]"), "this is not a state");
      State strange = State.fromJson("{'arrays': {'h': [0]}, 'positions': 0, 'held': '', 'latest': []}");
      refuse(() -> model.step(strange, "a"), "the state is not one of this model");
      String half = "\\ud83d";
      require(model.step(model.begin(), "x " + half + " caf\\u00e9 y").answer().words().contains("caf\\u00e9"));
    }
    System.out.println(new GsonBuilder().serializeNulls().create().toJson(rows));
  }

  private static List<Object> row(Answer answer) {
    Double probability = answer.probability().isPresent() ? answer.probability().getAsDouble() : null;
    return Arrays.asList(answer.words(), answer.label().orElse(null), probability, answer.probs());
  }

  private static void refuse(Runnable act, String said) {
    try {
      act.run();
    } catch (StreamException error) {
      require(error.getMessage().contains(said));
      return;
    }
    throw new AssertionError(said);
  }

  private static void require(boolean isRight) {
    if (!isRight) {
      throw new AssertionError();
    }
  }
}
"""
# Goes on from a state, and prints the words, the label, its probability and the new state.
_GO_ON = """
import rnnx.textstream.State;
import rnnx.textstream.Step;
import rnnx.textstream.StreamModel;

public final class GoOn {
  public static void main(String[] arguments) throws Exception {
    try (var model = StreamModel.load()) {
      Step step = model.step(State.fromJson(new String(System.in.readAllBytes())), arguments[0]);
      System.out.println(String.join(",", step.answer().words()));
      System.out.println(step.answer().label().orElse("") + "\\t" + step.answer().probability().orElse(0));
      System.out.println(step.state().toJson());
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
    write_project("java", BUNDLE, folder, streaming=True)
    done = run(["mvn", "-q", "package"], folder)
    assert done.returncode == 0, done.stdout
    return folder


def run_java(kit: Path, code: str, folder: Path, *arguments: str | Path, given: bytes = b"") -> str:
    """Compiles a class against the artifact, and returns what it prints."""
    (name,) = re.findall(r"public (?:final )?class (\w+)", code)
    (folder / f"{name}.java").write_text(code, encoding="utf-8")
    path = f"{kit}/target/rnnx-text-stream.jar:{kit}/target/lib/*"
    done = run(["javac", "-Xlint:all", "-cp", path, "-d", folder / "classes", f"{name}.java"], folder)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    command = ["java", "-Dfile.encoding=UTF-8", "-cp", f"{folder}/classes:{path}", name]
    done = run([*command, *arguments], folder, given)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("rule", RULES)
def test_the_words_and_answers_are_those_of_rnnx_on_chunks_cut_at_any_byte(
    rule: str, kit: Path, tmp_path: Path
) -> None:
    texts = [*draw_chunks(1_000), [draw_long_text()], []]
    write_stream(rule, tmp_path)
    found = run_java(kit, _STREAM, tmp_path, tmp_path, given=format_chunks(texts))
    require_same_answers(rule, texts, json.loads(found), "replace")


def test_a_state_goes_on_in_the_other_language(kit: Path, tmp_path: Path) -> None:
    python = PythonKit(tmp_path / "kit")
    given = python.save("dull won").encode()
    words, answer, state = run_java(kit, _GO_ON, tmp_path, "derful film ", given=given).splitlines()
    (expected,) = rnnx.load(BUNDLE, device="cpu").predict(["dull wonderful film"])
    assert words == "wonderful,film"
    assert answer.split("\t")[0] == expected.label
    assert float(answer.split("\t")[1]) == pytest.approx(expected.probability, abs=1e-6)
    assert python.finish(state, "")[1] == pytest.approx(expected.probability, abs=1e-6)


def test_the_command_answers_a_text_and_after_each_line(kit: Path, tmp_path: Path) -> None:
    main: list[str | Path] = ["java", "-jar", kit / "target" / "rnnx-text-stream.jar"]
    require_no_telemetry([*main, TEXT], tmp_path)
    (tmp_path / "text.txt").write_text(f"{TEXT}\n", encoding="utf-8")
    expected = rnnx.load(BUNDLE, device="cpu").predict([TEXT, "A wonderful film"])
    lines = [f"{answer.label}\t{answer.probability:.6f}" for answer in expected]
    for arguments in ([TEXT], ["--", TEXT], ["--file", "text.txt"]):
        assert run([*main, *arguments], tmp_path).stdout.splitlines() == lines[:1]
    given = TEXT.replace(", ", "\n").encode()
    assert run([*main, "--file", "-"], tmp_path, given).stdout.splitlines() == [lines[1], lines[0]]
    assert len(run(main, tmp_path, b"").stdout.splitlines()) == 1
    long = draw_long_text()
    stream = open_stream("bytes")
    stream.feed(long)
    assert run(main, tmp_path, long).stdout.split("\t")[0] == stream.finish().predictions[0].label
    assert run([*main, "--help"], tmp_path).stdout.startswith("usage: rnnx-text-stream TEXT")
    for wrong in (["--strange"], ["two", "texts"], ["--file"], ["--golden", "x"]):
        done = run([*main, *wrong], tmp_path)
        assert (done.returncode, done.stdout, done.stderr.split(":")[0]) == (2, "", "usage")
    absent = run([*main, "--file", "absent.txt"], tmp_path)
    assert (absent.returncode, absent.stderr.count("\n"), "absent.txt" in absent.stderr) == (1, 1, True)


def test_the_golden_texts_are_right_and_the_examples_run(kit: Path, tmp_path: Path) -> None:
    golden = kit / "src/main/resources/rnnx/textstream/model/golden.json"
    count = 3 * len(json.loads(golden.read_bytes()))
    command = re.findall(r"```sh\n(.*?)\n```", (kit / "README.md").read_text(encoding="utf-8"), re.DOTALL)[-1]
    assert f"{count} of {count} right" in run(command.split(), kit).stdout
    assert "[neg, pos]" in run_java(kit, read_example(kit, "java"), tmp_path)
    snippet = (kit / "Snippet.java").read_text(encoding="utf-8")
    assert run_java(kit, snippet, tmp_path).startswith("pos ")


@pytest.mark.parametrize(
    ("name", "size", "said"),
    [
        ("model.stream.onnx", 0.0, "cannot read"),
        ("model.stream.onnx", 0.5, "is not a whole model"),
        ("vocabulary.txt", 0.5, "is not the vocabulary of this model"),
        ("config.json", 0.5, "is not that of a stream"),
        ("golden.json", 0.9, "golden.json"),
    ],
)
def test_a_broken_model_is_one_line(name: str, size: float, said: str, kit: Path, tmp_path: Path) -> None:
    shutil.copytree(kit / "target", tmp_path / "target")
    inside = "rnnx/textstream/model"
    whole = (kit / "src" / "main" / "resources" / inside / name).read_bytes()
    (tmp_path / inside).mkdir(parents=True)
    (tmp_path / inside / name).write_bytes(whole[: int(len(whole) * size)])
    jar = tmp_path / "target" / "rnnx-text-stream.jar"
    change: list[str | Path] = (
        ["jar", "uf", jar, f"{inside}/{name}"] if size else ["zip", "-qd", jar, f"{inside}/{name}"]
    )
    if size == 0 and shutil.which("zip") is None:
        pytest.skip("needs zip")
    assert run(change, tmp_path).returncode == 0
    done = run(["java", "-jar", jar, "--golden" if name == "golden.json" else TEXT], tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert name in line

"""Tests the library of `rnnx embed java`, from a program in Java and from one in Kotlin that name its coordinates."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

import rnnx
from tests.runtimes.kits import break_model, copy_model, read_example, require_answer, run
from tests.runtimes.samples import Project

pytestmark = [pytest.mark.runtimes, pytest.mark.slow]
TEXT = "A wonderful film."
PROGRAM = f"""
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Collections;
import java.util.ArrayList;
import java.util.List;
import rnnx.textclassifier.Classifier;
import rnnx.textclassifier.ClassifierException;
import rnnx.textclassifier.Prediction;

public class Program {{
  static void require(boolean isRight, String what) {{
    if (!isRight) throw new AssertionError(what);
  }}

  static void use(Classifier classifier) {{
    Prediction one = classifier.predict("{TEXT}");
    byte[] bytes = "{TEXT}".getBytes(StandardCharsets.UTF_8);
    List<Prediction> raw = classifier.predictManyBytes(List.of("awful".getBytes(), bytes));
    require(classifier.labels().equals(List.of("neg", "pos")), "the labels");
    require(raw.size() == 2 && raw.get(0).label().equals("neg"), "the order of two");
    require(Math.abs(raw.get(1).probability() - one.probs().get(1)) < 1e-6, "a batch answers differently");
    require(classifier.predictMany(List.of()).isEmpty(), "no text has an answer");
    var many = new ArrayList<String>(Collections.nCopies(3002, ""));
    many.set(0, "awful");
    many.set(3001, "wonderful");
    List<Prediction> answers = classifier.predictMany(many);
    require(answers.get(0).label().equals("neg") && answers.get(3001).label().equals("pos"), "the order");
    require(classifier.predict("\\ud83d").probs().equals(classifier.predict("\\ufffd").probs()), "half a pair");
    var mixed = new ArrayList<String>(Collections.nCopies(300, "fine"));
    mixed.add("x ".repeat(500_000));
    float fine = classifier.predictMany(mixed).get(0).probability();
    require(Math.abs(fine - classifier.predict("fine").probability()) < 1e-6, "long and short");
    System.out.println(one.label() + "\\t" + one.probability());
  }}

  public static void main(String[] arguments) {{
    try (Classifier classifier = arguments.length > 0 ? Classifier.load(Path.of(arguments[0])) : Classifier.load()) {{
      use(classifier);
    }} catch (ClassifierException error) {{
      System.out.println("refused: " + error.getMessage());
    }}
  }}
}}
"""
_CLASS_PATH = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath"
POM = """
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion><groupId>app</groupId><artifactId>app</artifactId><version>1</version>
  <properties>
    <maven.compiler.release>17</maven.compiler.release>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <dependencies>DEPENDENCY</dependencies>
  <build><plugins>PLUGINS</plugins></build>
</project>
"""


@pytest.fixture(scope="module")
def kit(project_of: Callable[[str], Project]) -> Project:
    return project_of("java")


@pytest.fixture(scope="module")
def app(kit: Project, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Returns the class path of another project, which has the dependency of the README and two programs."""
    folder = tmp_path_factory.mktemp("app")
    sources = folder / "src" / "main" / "java"
    sources.mkdir(parents=True)
    (sources / "Program.java").write_text(PROGRAM, encoding="utf-8")
    (sources / "Example.java").write_text(read_example(kit.folder, "java"), encoding="utf-8")
    plugins = re.findall(r"<plugin>.*?</plugin>", (kit.folder / "pom.xml").read_text(encoding="utf-8"), re.DOTALL)
    (compiler,) = (plugin for plugin in plugins if "maven-compiler-plugin" in plugin)
    pom = POM.replace("DEPENDENCY", read_example(kit.folder, "xml")).replace("PLUGINS", compiler)
    (folder / "pom.xml").write_text(pom, encoding="utf-8")
    done = run(["mvn", "-q", "-B", "compile", _CLASS_PATH, "-Dmdep.outputFile=path"], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    jars = (folder / "path").read_text(encoding="utf-8")
    assert "/rnnx/rnnx-text-classifier/1.0.0/" in jars
    return f"{folder}/target/classes:{jars}"


@pytest.fixture(scope="module")
def probability(bundles: list[Path]) -> float:
    return rnnx.load(bundles[0], device="cpu").predict([TEXT])[0].probs["pos"]


def test_a_program_uses_the_library_by_its_coordinates(
    app: str, bundles: list[Path], probability: float, tmp_path: Path
) -> None:
    program: list[str | Path] = ["java", "-cp", app, "Program"]
    require_answer(run(program, tmp_path), "pos", probability)
    folder = copy_model(bundles[0], tmp_path / "model")
    require_answer(run([*program, "model"], tmp_path), "pos", probability)
    for how, said in (("truncated", "is not a whole model"), ("missing", "cannot read")):
        break_model(folder, how)
        assert run([*program, "model"], tmp_path).stdout.startswith("refused: ")
        assert said in run([*program, "model"], tmp_path).stdout
    assert run(["java", "-cp", app, "Example"], tmp_path).stdout.startswith("[neg, pos] pos 0.9")


def test_the_script_runs_the_command_through_a_link(kit: Project, probability: float, tmp_path: Path) -> None:
    (tmp_path / "rnnx-text-classifier").symlink_to(kit.folder / "rnnx-text-classifier")
    require_answer(run([tmp_path / "rnnx-text-classifier", TEXT], tmp_path), "pos", probability)


def test_an_argument_that_the_locale_lost_is_an_error(kit: Project, tmp_path: Path) -> None:
    done = run(["env", "LC_ALL=C", kit.folder / "rnnx-text-classifier", "Ein schöner Film."], tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "LC_ALL=C.UTF-8" in done.stderr


def test_the_project_in_kotlin_uses_the_library(kit: Project, probability: float) -> None:
    done = kit.shell(f"""cd kotlin && mvn -q -B compile exec:java -Dexec.args="'{TEXT}'" """)
    require_answer(done, "pos", probability)

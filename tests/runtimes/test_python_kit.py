"""Tests the package of `rnnx embed python`: its command, and its library in a fresh environment."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import rnnx
from rnnx.bundle.embed import write_project
from tests.runtimes.kits import BAD_TEXTS, break_model, copy_model, read_answer, read_example, require_no_telemetry, run

pytestmark = [pytest.mark.runtimes, pytest.mark.slow]
TEXT = "A wonderful film."
PROGRAM = f"""
import sys
from rnnx_text_classifier import Classifier, ClassifierError, Prediction

classifier = Classifier.load(sys.argv[1] if len(sys.argv) > 1 else None)
labels: tuple[str, ...] = classifier.labels
one: Prediction = classifier.predict({TEXT!r})
awful, raw = classifier.predict_many(text for text in ("awful", {TEXT.encode()!r}))
assert labels == ("neg", "pos") and awful.label == "neg" and awful.labels == ("neg",)
assert abs(raw.probability - one.probs[1]) < 1e-6
assert classifier.predict_many([]) == []
many = classifier.predict_many(["awful", *[""] * 3000, "wonderful"])
assert [p.label for p in (many[0], many[-1])] == ["neg", "pos"] and len(many) == 3002
assert classifier.predict("\\ud83d").probs == classifier.predict("\\ufffd").probs
long, *short = classifier.predict_many(["x " * 500_000, *["fine"] * 300])
assert max(abs(p.probability - short[0].probability) for p in short) < 1e-6
for wrong in (
    lambda: Classifier.load("absent"),
    lambda: one.value,
):
    try:
        wrong()
        raise SystemExit("no error")
    except ClassifierError:
        pass
for text in (5, None):
    try:
        classifier.predict(text)  # type: ignore[arg-type]
        raise SystemExit("no error")
    except TypeError:
        pass
label: str = one.label
print(f"{{label}}\\t{{one.probability}}")
"""


@pytest.fixture(scope="module")
def kit(bundles: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("python") / "kit"
    write_project("python", bundles[0], folder)
    return folder


@pytest.fixture(scope="module")
def fresh(kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a fresh environment with the package in it, installed by its folder."""
    folder = tmp_path_factory.mktemp("environment") / ".venv"
    run([sys.executable, "-m", "venv", folder], kit)
    done = run([folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check", kit], folder.parent)
    assert done.returncode == 0, done.stderr
    return folder / "bin"


@pytest.fixture(scope="module")
def probability(bundles: list[Path]) -> float:
    return rnnx.load(bundles[0], device="cpu").predict([TEXT])[0].probs["pos"]


def require_positive(done: subprocess.CompletedProcess[str], probability: float) -> None:
    label, found = read_answer(done)
    assert label == "pos"
    assert found == pytest.approx(probability, abs=0.01)


def test_the_command_reads_an_argument_a_file_and_the_standard_input_from_any_folder(
    kit: Path, probability: float, tmp_path: Path
) -> None:
    main: list[str | Path] = [sys.executable, kit / "main.py"]
    require_no_telemetry([*main, TEXT], tmp_path)
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    require_positive(run([*main, TEXT], tmp_path), probability)
    require_positive(run([*main, "--", TEXT], tmp_path), probability)
    require_positive(run([*main, "--file", "text.txt"], tmp_path), probability)
    require_positive(run(main, tmp_path, TEXT.encode()), probability)
    assert "--golden" in run([*main, "--help"], tmp_path).stdout
    for wrong in (["--strange"], ["two", "texts"], ["--file"], ["--golden", "x"]):
        done = run([*main, *wrong], tmp_path)
        assert (done.returncode, done.stdout, done.stderr.split(":")[0]) == (2, "", "usage")
    absent = run([*main, "--file", "absent.txt"], tmp_path)
    assert (absent.returncode, absent.stderr.count("\n")) == (1, 1)
    assert "absent.txt" in absent.stderr


@pytest.mark.parametrize("name", BAD_TEXTS)
def test_any_bytes_have_the_answer_of_the_predictor(name: str, kit: Path, bundles: list[Path]) -> None:
    label, probability = read_answer(run([sys.executable, "main.py"], kit, BAD_TEXTS[name]))
    (expected,) = rnnx.load(bundles[0], device="cpu").predict([BAD_TEXTS[name].decode("utf-8", "surrogateescape")])
    assert label == expected.label
    assert probability == pytest.approx(expected.probability, abs=0.01)


@pytest.mark.parametrize("how", ["missing", "truncated"])
def test_a_broken_model_is_one_line(how: str, bundles: list[Path], tmp_path: Path) -> None:
    write_project("python", bundles[0], tmp_path / "kit")
    break_model(tmp_path / "kit", how)
    done = run([sys.executable, tmp_path / "kit" / "main.py", TEXT], tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert {"missing": "cannot read", "truncated": "is not a whole model"}[how] in line
    assert "model.text.onnx" in line


def test_a_program_in_a_fresh_environment_uses_the_library(
    fresh: Path, kit: Path, probability: float, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM, encoding="utf-8")
    require_positive(run([fresh / "python", "-P", "program.py"], tmp_path), probability)
    copy_model(kit, tmp_path / "model")
    require_positive(run([fresh / "python", "-P", "program.py", "model"], tmp_path), probability)
    if find_spec("mypy"):
        typed: list[str | Path] = [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--warn-unused-ignores",
            "--cache-dir",
            tmp_path / "cache",
        ]
        done = run([*typed, "--python-executable", fresh / "python", "program.py"], tmp_path)
        assert done.returncode == 0, done.stdout


def test_the_package_installs_its_command(fresh: Path, kit: Path, probability: float, tmp_path: Path) -> None:
    require_positive(run([fresh / "rnnx-text-classifier", TEXT], tmp_path), probability)
    (tmp_path / "example.py").write_text(read_example(kit, "py"), encoding="utf-8")
    assert run([fresh / "python", "-P", "example.py"], tmp_path).stdout.startswith("('neg', 'pos') pos 0.9")
    assert "50 of 50 right" in run([fresh / "rnnx-text-classifier", "--golden"], tmp_path).stdout


def test_the_wheel_holds_model_and_types_and_needs_two_packages(fresh: Path, kit: Path, tmp_path: Path) -> None:
    done = run([fresh / "pip", "wheel", "-q", "--no-deps", "--wheel-dir", tmp_path, kit], tmp_path)
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.startswith("rnnx_text_classifier/")}
        (metadata,) = [archive.read(name).decode() for name in archive.namelist() if name.endswith("/METADATA")]
    files = {"__init__.py", "classifier.py", "command.py", "golden.json", "model.text.onnx", "py.typed"}
    assert names == {f"rnnx_text_classifier/{name}" for name in files}
    assert {line for line in metadata.splitlines() if line.startswith("Requires-Dist")} == {
        "Requires-Dist: numpy",
        "Requires-Dist: onnxruntime",
    }

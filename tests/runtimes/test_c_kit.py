"""Tests the CMake package of `rnnx embed c` and `rnnx embed cpp`: its command, and its library from other projects."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnnx.bundle.embed import write_project
from tests.runtimes.kits import (
    PROGRAMS,
    read_answer,
    read_example,
    require_command,
    require_library,
    require_refusal_of_half_a_model,
    run,
)
from tests.runtimes.samples import Project, Row, missing, run_golden_vectors

pytestmark = [pytest.mark.runtimes, pytest.mark.slow]
STRICT = "-Wall -Wextra -Wpedantic -Werror"


@pytest.fixture(scope="module")
def kit(bundles: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Returns the package, built with all warnings as errors; so is what the tests build."""
    if absent := missing("cpp"):
        pytest.skip(f"needs {absent}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CFLAGS", STRICT)
        patch.setenv("CXXFLAGS", STRICT)
        yield Project("cpp", bundles[0], tmp_path_factory.mktemp("c") / "kit")


@pytest.fixture(scope="module")
def prefix(kit: Project) -> Path:
    """Returns the folder in which the package is installed."""
    done = run(["cmake", "--install", "build", "--prefix", "installed"], kit.folder)
    assert done.returncode == 0, done.stderr
    return kit.folder / "installed"


@pytest.fixture(scope="module")
def app(kit: Project, prefix: Path, bundles: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the build folder of another project that finds the installed package."""
    folder = tmp_path_factory.mktemp("app")
    for name in ("CMakeLists.txt", "program.c", "program.cpp"):
        shutil.copyfile(PROGRAMS / name, folder / name)
    write_project("c", bundles[0], folder / "c")
    (folder / "example.c").write_text(read_example(folder / "c", "c"), encoding="utf-8")
    (folder / "example.cpp").write_text(read_example(kit.folder, "cpp"), encoding="utf-8")
    build(folder, f"-DCMAKE_PREFIX_PATH={prefix}")
    return folder / "build"


def build(folder: Path, option: str) -> None:
    for command in (["cmake", "-B", "build", option], ["cmake", "--build", "build"]):
        done = run([*command], folder)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_truncated_model_is_one_line(kit: Project) -> None:
    require_refusal_of_half_a_model(kit)


def test_the_snippet_in_cpp_gives_the_answer_of_the_command(kit: Project) -> None:
    if absent := kit.lacks_for_snippet():
        pytest.skip(f"needs {absent}")
    assert kit.run_snippet() == pytest.approx(kit.answer()[1], abs=1e-5)


def test_the_golden_vectors_are_right(kit: Project, bundles: list[Path], id_bundle: Path, matrix: list[Row]) -> None:
    label, probability = kit.answer()
    assert label == "pos"
    assert probability > 0.9
    kit.target = "c"
    assert kit.run_snippet() == pytest.approx(probability, abs=1e-5)
    for bundle in (id_bundle, *reversed(bundles)):
        row = run_golden_vectors(kit, bundle)
        matrix += [row, dataclasses.replace(row, runtime="cpp")]  # the command is the same
        assert kit.fails_on_a_wrong_vector()
    assert run(["cmake", "--build", "build"], kit.folder).returncode == 0


def test_the_command_reads_an_argument_a_file_and_the_standard_input_from_any_folder(
    prefix: Path, bundles: list[Path], tmp_path: Path
) -> None:
    require_command([prefix / "bin" / "rnnx-text-classifier"], bundles[0], tmp_path)


@pytest.mark.parametrize("language", ["c", "cpp"])
def test_a_program_finds_the_installed_package(
    language: str, app: Path, kit: Project, bundles: list[Path], tmp_path: Path
) -> None:
    require_library([app / f"program_{language}"], kit.folder, bundles[0], tmp_path)


def test_the_examples_of_the_readmes_are_right(app: Path, tmp_path: Path) -> None:
    assert run([app / "example_c"], tmp_path).stdout.startswith("pos 0.9")
    assert run([app / "example_c"], tmp_path).stdout.endswith("then pos neg\n")
    assert run([app / "example_cpp"], tmp_path).stdout.startswith("neg pos pos 0.9")


def test_a_project_adds_the_folder(kit: Project, tmp_path: Path) -> None:
    for name in ("CMakeLists.txt", "program.c"):
        shutil.copyfile(PROGRAMS / name, tmp_path / name)
    build(tmp_path, f"-DKIT={kit.folder}")
    assert read_answer(run([tmp_path / "build" / "program_c"], tmp_path))[0] == "pos"
    assert not list((tmp_path / "build").rglob("rnnx-text-classifier*"))  # its command is not built


@pytest.mark.parametrize("name", ["model.text.onnx", "onnxruntime"])
def test_what_is_missing_is_named_before_the_build(
    name: str, bundles: list[Path], kit: Project, tmp_path: Path
) -> None:
    write_project("c", bundles[0], tmp_path / "kit")
    if name != "onnxruntime":
        (tmp_path / "kit" / name).unlink()
        (tmp_path / "kit" / "onnxruntime").symlink_to(kit.folder / "onnxruntime")
    done = run(["cmake", "-B", "build"], tmp_path / "kit")
    assert done.returncode == 1
    assert f"{name} is missing:" in " ".join(done.stderr.split())

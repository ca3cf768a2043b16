"""Tests the crate of `rnnx embed rust`: its command, and its library from another crate."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runtimes.kits import (
    PROGRAMS,
    TEXT,
    read_example,
    require_command,
    require_library,
    require_prediction,
    require_refusal_of_half_a_model,
    run,
)
from tests.runtimes.samples import Project, Row, missing, run_golden_vectors

pytestmark = [pytest.mark.runtimes, pytest.mark.slow]


@pytest.fixture(scope="module")
def kit(bundles: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Returns the crate, built without warnings. Other crates share its folder of what was built."""
    if absent := missing("rust"):
        pytest.skip(f"needs {absent}")
    folder = tmp_path_factory.mktemp("rust")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RUSTFLAGS", "-D warnings")
        patch.setenv("CARGO_TARGET_DIR", str(folder / "target"))
        patch.delenv("ORT_DYLIB_PATH", raising=False)
        yield Project("rust", bundles[0], folder / "kit")


@pytest.fixture(scope="module")
def programs(kit: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns the folder with the programs of another crate, to which the kit was added by its path."""
    folder = tmp_path_factory.mktemp("app")
    run(["cargo", "init", "--quiet", "--vcs", "none", "--name", "app"], folder)
    done = run(["cargo", "add", "--quiet", "--path", kit.folder], folder)
    assert done.returncode == 0, done.stderr
    shutil.copyfile(kit.folder / "Cargo.lock", folder / "Cargo.lock")
    shutil.copyfile(PROGRAMS / "program.rs", folder / "src" / "main.rs")
    (folder / "examples").mkdir()
    shutil.copyfile(PROGRAMS / "own_environment.rs", folder / "examples" / "own_environment.rs")
    (folder / "examples" / "example.rs").write_text(read_example(kit.folder, "rust"), encoding="utf-8")
    done = run(["cargo", "build", "--quiet", "--bins", "--examples"], folder)
    assert done.returncode == 0, done.stderr
    return kit.folder.parent / "target" / "debug"


def test_a_truncated_model_is_one_line(kit: Project) -> None:
    require_refusal_of_half_a_model(kit)


def test_the_golden_vectors_are_right(kit: Project, bundles: list[Path], id_bundle: Path, matrix: list[Row]) -> None:
    label, probability = kit.answer()
    assert label == "pos"
    assert probability > 0.9
    assert kit.run_snippet() == pytest.approx(probability, abs=1e-5)
    for bundle in (id_bundle, *reversed(bundles)):
        matrix.append(run_golden_vectors(kit, bundle))
        assert kit.fails_on_a_wrong_vector()


def test_the_command_reads_an_argument_a_file_and_the_standard_input_from_any_folder(
    kit: Project, programs: Path, bundles: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kit.shell(kit.build_command).returncode == 0
    command = programs / "rnnx-text-classifier"
    require_command([command], bundles[0], tmp_path)
    monkeypatch.setenv("ORT_DYLIB_PATH", "absent.so")
    done = run([command, TEXT], tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: cannot load onnxruntime: ")
    assert "absent.so" in line


def test_another_crate_uses_the_library(kit: Project, programs: Path, bundles: list[Path], tmp_path: Path) -> None:
    require_library([programs / "app"], kit.folder, bundles[0], tmp_path)
    example = run([programs / "examples" / "example"], tmp_path)
    assert example.stdout.startswith('["neg", "pos"] Prediction { label: "pos", probability: 0.9')


def test_a_program_gives_its_own_environment(kit: Project, programs: Path, bundles: list[Path], tmp_path: Path) -> None:
    library = kit.folder / "onnxruntime" / "lib" / "libonnxruntime.so"
    require_prediction(run([programs / "examples" / "own_environment", library], tmp_path), bundles[0])


def test_the_crate_holds_the_model_and_no_built_files(kit: Project) -> None:
    done = run(["cargo", "package", "--list", "--allow-dirty"], kit.folder)
    assert done.returncode == 0, done.stderr
    sources = {f"src/{name}.rs" for name in ("batches", "error", "golden", "lib", "main", "runtime")}
    data = {"README.md", "golden.json", "model.text.onnx", "examples/snippet.rs"}
    assert set(done.stdout.split()) == sources | data | {"Cargo.lock", "Cargo.toml", "Cargo.toml.orig"}

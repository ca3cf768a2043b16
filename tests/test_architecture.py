"""Tests that imports go down the levels of the rooms, and that each framework is imported in few places."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rnnx"

# A room imports rooms of lower levels, and itself. If code needs an upward import, it is in the wrong room.
LEVELS = (
    {"onnx_file", "primitives"},
    {"reference"},
    {"files", "rewrites", "rounding", "runtime"},
    {"bundle"},
    {"text", "metrics", "keras_models"},
    {"datasets", "card", "text_form"},
    {"proof"},
    {"train", "export", "infer"},
    {"engines"},
    {"cli"},
)
# Modules below all rooms; every room may import them.
FOUNDATIONS = {"_version", "errors", "strict_json", "versions"}

DOORS = {
    "google": {"onnx_file/messages.py"},
    "tf2onnx": {"export/convert.py"},
    "onnxruntime": {"runtime/session.py"},
    "typer": {"cli"},
    "rich": {"cli"},
    "matplotlib": {"train/curves.py", "export/plot.py"},
    "tensorflow": {
        "export/convert.py",
        "export/keras_states.py",
        "export/markers.py",
        "export/plain_encodings.py",
        "export/plain_jumps.py",
        "export/saved_model.py",
        "export/traced.py",
        "train/batches.py",
        "train/determinism.py",
        "train/device.py",
        "train/language_model.py",
        "train/fast_rnn.py",
        "train/subwords.py",
    },
    "sklearn": {"train/teacher.py"},
    "scipy": {"cli/memory_limit.py", "train/linear_part.py", "train/teacher.py", "train/word_votes.py"},
    "pyarrow": {"engines", "datasets/arrow_rows.py", "datasets/table_files.py", "datasets/table_writers.py"},
    "ray": {"engines/ray_data.py", "engines/ray_tasks.py"},
    "pyspark": {"engines/model_copies.py", "engines/spark.py"},
    "fsspec": {"engines/corpus_files.py"},
    "openpyxl": {"datasets/spreadsheet_rows.py"},
    "charset_normalizer": {"datasets/table_text.py"},
    "model_signing": {"bundle/signature.py"},
    "keras": {"keras_models", "train", "export", "datasets/imdb.py"},
    "onnx": {"export", "rewrites", "text_form"},
}


def imports_of(path: Path) -> Iterator[str]:
    """Yields what a module imports when it runs; imports for the type checker alone are left out."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    checked_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in checked_only:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ([f"rnnx.{a.name}" for a in node.names] if node.module == "rnnx" else [node.module])


MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
_LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}


def forbidden_imports(path: Path, package: Path = PACKAGE) -> list[str]:
    """Returns the imports of a module that go up a level, or sideways to another room."""
    room = path.relative_to(package).parts[0].removesuffix(".py")
    if room in ("__init__", "__main__"):
        return []  # above all rooms
    own_level = _LEVEL_OF.get(room, -1)  # the foundations are below all rooms
    targets = {name: name.split(".")[1] for name in imports_of(path) if name.startswith("rnnx.")}
    return [
        name
        for name, target in targets.items()
        if target != room and target not in FOUNDATIONS and _LEVEL_OF[target] >= own_level
    ]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_down(path: Path) -> None:
    assert not forbidden_imports(path)


@pytest.mark.parametrize(
    ("module", "line", "forbidden"),
    [
        ("reference/new.py", "from rnnx.proof.report import ParityReport", ["rnnx.proof.report"]),  # up
        ("infer/new.py", "from rnnx import export", ["rnnx.export"]),  # sideways
        ("errors.py", "import rnnx.reference.network", ["rnnx.reference.network"]),  # from below all rooms
        ("infer/new.py", "from rnnx.infer import predictor\nfrom rnnx.errors import DataError", []),
        ("cli/new.py", "from rnnx.train.run import train", []),
        (
            "reference/new.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from rnnx.proof import report",
            [],
        ),
    ],
)
def test_an_import_up_or_sideways_is_found(tmp_path: Path, module: str, line: str, forbidden: list[str]) -> None:
    path = tmp_path / module
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"{line}\n", encoding="utf-8")
    assert forbidden_imports(path, tmp_path) == forbidden


def test_every_room_has_a_level() -> None:
    rooms = {path.relative_to(PACKAGE).parts[0] for path in MODULES if path.parent != PACKAGE}
    assert rooms == _LEVEL_OF.keys()
    assert {path.stem for path in MODULES if path.parent == PACKAGE} == FOUNDATIONS | {"__init__", "__main__"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_framework_is_imported_only_where_it_is_allowed(path: Path) -> None:
    relative = path.relative_to(PACKAGE).as_posix()
    for name in {name.partition(".")[0] for name in imports_of(path)} & DOORS.keys():
        assert any(relative == door or relative.startswith(f"{door}/") for door in DOORS[name]), (
            f"{relative} imports {name}"
        )


def test_no_module_or_folder_has_a_catch_all_name() -> None:
    names = {path.stem for path in MODULES} | {path.parent.name for path in MODULES}
    assert not names & {"utils", "helpers", "common", "misc", "core", "manager"}
    assert all(len(path.relative_to(PACKAGE).parts) <= 2 for path in MODULES)


def test_no_file_name_occurs_twice() -> None:
    """A name must say which file is meant; only a command of `cli` may be named like the module that does its work."""
    names = [path.name for path in MODULES if path.parent.name != "cli" and path.name != "__init__.py"]
    assert sorted(names) == sorted(set(names))


def _types_of(path: Path) -> Iterator[str]:
    """Yields the public classes and type aliases of a module."""
    for statement in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.ClassDef):
            yield statement.name
        elif isinstance(statement, ast.Assign | ast.AnnAssign):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            yield from (target.id for target in targets if isinstance(target, ast.Name) and not target.id.isupper())


def test_no_type_name_has_two_meanings() -> None:
    names = [name for path in MODULES for name in _types_of(path) if not name.startswith("_")]
    assert sorted(names) == sorted(set(names))

"""Imports point one way, and each framework has one door."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "rnnx"

# What the modules of a part may import of rnnx; its own part is always allowed.
ALLOWED = {
    "errors": set(),
    "floors": {"errors"},
    "schema": set(),
    "config": set(),
    "words": {"config", "errors", "text"},
    "samples": {"errors", "schema"},
    "metadata": {"config", "errors", "schema"},
    "calibration": set(),
    "text": {"config", "errors"},
    "activations": set(),
    "layers": {"activations"},
    "arrangements": {"activations", "layers"},
    "reference": {"activations", "arrangements", "layers"},
    "cells": {"reference"},
    "head": {"arrangements", "errors", "reference"},
    "roundoff": {"activations"},
    "layer_bounds": {"activations", "reference", "roundoff"},
    "layer_gradients": {"activations", "reference"},
    "rounding": {"activations", "layer_bounds", "reference", "roundoff"},
    "steps": {"cells", "reference", "rounding"},
    "carried": {"reference"},
    "report": set(),
    "through_time": {"activations", "cells", "reference", "rounding", "steps"},
    "propagation": {"activations", "layer_gradients", "reference", "rounding", "through_time"},
    "parity": {"propagation", "reference", "report", "rounding", "steps"},
    "wire": {"errors"},
    "folding": {"errors", "wire"},
    "admission": {"errors", "folding", "wire"},
    "reading": {"admission", "errors"},
    "onnxfile": {"admission", "errors"},
    "states": {"errors", "onnxfile"},
    "invariance": {"propagation", "reference", "report"},
    "chunks": {"carried", "invariance", "parity", "propagation", "reference", "report"},
    "weights": {"errors", "onnxfile", "reference"},
    "evidence": {"carried", "cells", "errors", "onnxfile", "reference", "report", "schema", "states", "weights"},
    "diff": {"carried", "errors", "evidence", "metadata", "onnxfile", "reference", "states", "text", "infer.session"},
    "candidate": {
        "carried", "chunks", "errors", "invariance", "parity", "propagation", "reference", "report", "states", "text",
        "infer.session",
    },
    "verify": {
        "candidate", "errors", "evidence", "onnxfile", "parity", "propagation", "reference", "report", "text", "words",
        "infer.session",
    },
    "explain": {
        "bundle", "errors", "evidence", "head", "onnxfile", "text", "infer.predictions", "infer.predictor",
        "infer.readers", "infer.session",
    },
    "locks": set(),
    "publish": {"locks"},
    "bundle": {"config", "errors", "publish", "reading", "schema"},
    "usage": {"bundle", "config"},
    "card": {"bundle", "comparison", "config", "embed", "errors", "evaluation_card", "tagger_card", "usage"},
    "comparison": {"config"},
    "evaluation_card": {"comparison", "config"},
    "tagger_card": {"config", "usage"},
    "embed": {"bundle", "config", "errors", "publish", "schema"},
    "datasets": {"errors", "reading", "text"},
    "diagnosis": {"bundle", "errors", "floors", "infer.cuda", "infer.predictor", "infer.session"},
    "rewrites": {"carried", "errors", "states"},
    "text_form": {"config", "errors", "reference", "rewrites", "states", "text"},
    "infer": {"admission", "bundle", "calibration", "config", "datasets", "errors", "metadata", "text", "words"},
    "train": {
        "bundle", "calibration", "config", "datasets", "errors", "locks", "publish", "samples", "text", "words",
    },
    # From other stages: the session that users run, and the one line a layer that training writes.
    "export": {
        "activations", "bundle", "candidate", "card", "carried", "cells", "config", "diff", "errors", "evidence",
        "floors", "invariance", "metadata", "onnxfile", "parity", "propagation", "reading", "reference", "report",
        "rewrites", "rounding", "samples", "schema", "text", "text_form", "verify", "words", "infer.session",
        "train.run",
    },
}  # fmt: skip

DOORS = {
    "google": {"onnxfile.py"},
    "tf2onnx": {"export/convert.py"},
    "onnxruntime": {"infer/session.py"},
    "typer": {"cli"},
    "rich": {"cli"},
    "matplotlib": {"train/curves.py", "export/plot.py"},
    "tensorflow": {
        "export/convert.py",
        "export/markers.py",
        "train/batches.py",
        "train/determinism.py",
        "train/language_model.py",
        "train/recurrence.py",
    },
    "sklearn": {"train/teacher.py"},
    "scipy": {"train/teacher.py"},
    "keras": {"train", "export", "datasets/imdb.py"},
    "onnx": {"export", "rewrites", "text_form"},
}


def imports_of(path: Path) -> Iterator[str]:
    """What a module imports when it runs; what only a type checker reads is left out."""
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


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_one_way(path: Path) -> None:
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if part in ("cli", "__init__", "__main__"):
        return  # on top: they may import everything
    for name in imports_of(path):
        if not name.startswith("rnnx.") or name == "rnnx.__version__":
            continue
        _, target, *rest = name.split(".")
        allowed = {target, ".".join([target, *rest[:1]])} & (ALLOWED[part] | {part})
        assert allowed, f"{path.relative_to(PACKAGE)} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_each_framework_has_one_door(path: Path) -> None:
    relative = path.relative_to(PACKAGE).as_posix()
    for name in {name.partition(".")[0] for name in imports_of(path)} & DOORS.keys():
        assert any(relative == door or relative.startswith(f"{door}/") for door in DOORS[name]), (
            f"{relative} imports {name}"
        )


def test_there_are_no_drawers() -> None:
    names = {path.stem for path in MODULES} | {path.parent.name for path in MODULES}
    assert not names & {"utils", "helpers", "common", "misc", "core", "manager"}
    assert all(len(path.relative_to(PACKAGE).parts) <= 2 for path in MODULES)

"""Exports of which one form was tampered with; needs the [train] extra."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from rnnx.export import pipeline
from rnnx.export.forms import build_forms
from rnnx.export.pipeline import export
from rnnx.rewrites.replace import Rewritten

Mutation: TypeAlias = Callable[[onnx.ModelProto], None]


def exports_after(
    mutate: Mutation, monkeypatch: pytest.MonkeyPatch, run: Path, out: Path, form: str = "model.onnx"
) -> None:
    """Exports a run of which one form was tampered with."""

    def tampered(*args: Any) -> dict[str, Rewritten]:
        forms = build_forms(*args)
        mutate(forms[form].model)
        return forms

    monkeypatch.setattr(pipeline, "build_forms", tampered)
    export(run, out)


def floats(graph: onnx.ModelProto, minimum_rank: int = 1) -> list[onnx.TensorProto]:
    """The weights of a graph (biases too, if of rank 1)."""
    return [
        tensor
        for tensor in graph.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) >= minimum_rank
    ]


def change(tensor: onnx.TensorProto, change_values: Callable[[np.ndarray], np.ndarray]) -> None:
    changed = numpy_helper.from_array(change_values(numpy_helper.to_array(tensor).copy()), tensor.name)
    tensor.CopyFrom(changed)


def drop_bias(graph: onnx.ModelProto) -> None:
    change(next(t for t in floats(graph) if t.name.endswith((".B", ".bias"))), np.zeros_like)

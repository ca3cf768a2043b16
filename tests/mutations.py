"""Exports with a deliberate error in one form; needs the [train] extra."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import numpy as np
import onnx
from onnx import numpy_helper

from rnnx.export.pipeline import export
from rnnx.onnx_file.messages import stored_tensors
from tests.conversions import shared

Mutation: TypeAlias = Callable[[onnx.ModelProto], None]


def exports_after(mutate: Mutation, run: Path, out: Path, form: str = "model.onnx", *, streaming: bool = False) -> None:
    """Exports a run after one of its forms was changed by a mutation."""
    with shared(lambda forms: mutate(forms[form].model)):
        export(run, out, streaming=streaming)


def floats(graph: onnx.ModelProto, minimum_rank: int = 1) -> list[onnx.TensorProto]:
    """Returns the weights of a graph and of its Scans' bodies; with the default rank, the biases too."""
    return [
        tensor
        for tensor in stored_tensors(graph)
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) >= minimum_rank
    ]


def change(tensor: onnx.TensorProto, change_values: Callable[[np.ndarray], np.ndarray]) -> None:
    changed = numpy_helper.from_array(change_values(numpy_helper.to_array(tensor).copy()), tensor.name)
    tensor.CopyFrom(changed)


def drop_bias(graph: onnx.ModelProto) -> None:
    change(next(t for t in floats(graph) if t.name.endswith((".B", ".bias"))), np.zeros_like)

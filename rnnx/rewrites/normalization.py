"""Puts Keras's own numbers of a BatchNormalization back, where TensorFlow has folded them into two constants.

At inference the layer is x scale + offset with scale = gamma / sqrt(variance + epsilon) and offset = beta - mean scale,
and TensorFlow stores these two, rounded. Here they are made of the four weights again, by nodes on constants, which
onnxruntime folds when it loads the file: so that the file holds what Keras has, bit for bit, and says what it computes.

Source: S. Ioffe and C. Szegedy, "Batch normalization", 2015.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from rnnx.errors import ModelError
from rnnx.rewrites.graph import Graph

# How many roundings TensorFlow's own fold may have, and the reference's float64 has not (`rnnx.rounding.layer_bounds`).
_FOLDED = 10 * 2.0**-24


@dataclass(frozen=True, eq=False)
class Statistics:
    """A BatchNormalization's numbers; `gamma` and `beta` are ones and zeros where the layer has none."""

    name: str
    mean: npt.NDArray[np.float32]
    variance: npt.NDArray[np.float32]
    gamma: npt.NDArray[np.float32] | None
    beta: npt.NDArray[np.float32] | None
    epsilon: float

    def fold(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Scale and offset in float64, and how large what the offset is the difference of is."""
        scale = 1.0 / np.sqrt(self.variance.astype(np.float64) + self.epsilon)
        scale = scale if self.gamma is None else scale * self.gamma
        beta = np.zeros_like(scale) if self.beta is None else self.beta.astype(np.float64)
        return scale, beta - self.mean * scale, np.abs(beta) + np.abs(self.mean * scale)


def restore_statistics(model: onnx.ModelProto, normalizations: list[Statistics]) -> onnx.ModelProto:
    """Lets the two constants of each normalization be made of its weights.

    Returns:
        A new model.

    Raises:
        ModelError: If a normalization cannot be found.
    """
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = Graph(model.graph)
    taken: set[int] = set()
    for statistics in normalizations:
        found = next((pair for pair in _find(graph, statistics) if id(pair[0]) not in taken), None)
        if found is None:
            raise ModelError(
                f"layer {statistics.name}: the converted graph does not hold its statistics; please report this model"
            )
        taken.add(id(found[0]))
        _write(graph, statistics, *found)
    if normalizations:
        graph.clean()
    return model


def _find(graph: Graph, statistics: Statistics) -> Iterator[tuple[onnx.NodeProto, onnx.NodeProto | None]]:
    """Each Mul by the scale, with the Add of the offset behind it; without one where the offset is zero."""
    scale, offset, size = statistics.fold()
    for node in list(graph.proto.node):
        if node.op_type != "Mul" or not _holds(graph, node, scale, np.abs(scale)):
            continue
        readers = [other for other in graph.proto.node if node.output[0] in other.input]
        if len(readers) == 1 and readers[0].op_type == "Add" and _holds(graph, readers[0], offset, size):
            yield node, readers[0]
        elif not offset.any():
            yield node, None


def _holds(graph: Graph, node: onnx.NodeProto, expected: npt.NDArray[Any], size: npt.NDArray[Any]) -> bool:
    return _constant_of(graph, node, expected, size) is not None


def _constant_of(graph: Graph, node: onnx.NodeProto, expected: npt.NDArray[Any], size: npt.NDArray[Any]) -> int | None:
    for i, name in enumerate(node.input):
        constant = graph.constant(name)
        if constant is None or constant.dtype != np.float32 or constant.size != expected.size:
            continue
        if (np.abs(constant.reshape(-1) - expected) <= _FOLDED * size).all():
            return i
    return None


def _write(graph: Graph, statistics: Statistics, multiply: onnx.NodeProto, add: onnx.NodeProto | None) -> None:
    name = statistics.name
    scale, offset, size = statistics.fold()
    epsilon = graph.add_constant(f"{name}.epsilon", np.array(statistics.epsilon, np.float32))
    variance = graph.add_constant(f"{name}.variance", statistics.variance)
    total = graph.add("Add", [variance, epsilon], f"{name}.variance_and_epsilon")
    folded = graph.add("Reciprocal", [graph.add("Sqrt", [total], f"{name}.deviation")], f"{name}.inverse")
    if statistics.gamma is not None:
        gamma = graph.add_constant(f"{name}.gamma", statistics.gamma)
        folded = graph.add("Mul", [folded, gamma], f"{name}.scale")
    i = _constant_of(graph, multiply, scale, np.abs(scale))
    assert i is not None  # noqa: S101  # it was found by that
    multiply.input[i] = folded
    if add is None:
        return
    mean = graph.add_constant(f"{name}.mean", statistics.mean)
    shift = graph.add("Mul", [mean, folded], f"{name}.shift")
    if statistics.beta is None:
        shift = graph.add("Neg", [shift], f"{name}.offset")
    else:
        beta = graph.add_constant(f"{name}.beta", statistics.beta)
        shift = graph.add("Sub", [beta, shift], f"{name}.offset")
    i = _constant_of(graph, add, offset, size)
    assert i is not None  # noqa: S101  # it was found by that
    add.input[i] = shift

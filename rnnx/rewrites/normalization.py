"""Restores Keras's weights of a BatchNormalization, which TensorFlow has folded into two constants.

At inference the layer is x scale + offset with scale = gamma / sqrt(variance + epsilon) and offset = beta - mean scale,
and TensorFlow stores these two, rounded. The rewrite computes them from the four weights again, by nodes on constants,
which onnxruntime folds when it loads the file. So the file contains Keras's weights bit for bit and shows what it
computes from them.

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

# The relative error of TensorFlow's own fold: at most ten roundings in float32, which `Statistics.fold` does not have
# in float64 (`rnnx.rounding.layer_bounds`).
_FOLDED = 10 * 2.0**-24


@dataclass(frozen=True, eq=False)
class Statistics:
    """The weights of a BatchNormalization, (features,) each.

    Attributes:
        name: The name of the layer.
        mean: The moving mean.
        variance: The moving variance.
        gamma: The factor; None stands for ones.
        beta: The offset; None stands for zeros.
        epsilon: The number that is added to the variance.
    """

    name: str
    mean: npt.NDArray[np.float32]
    variance: npt.NDArray[np.float32]
    gamma: npt.NDArray[np.float32] | None
    beta: npt.NDArray[np.float32] | None
    epsilon: float

    def fold(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Returns scale and offset in float64, and |beta| + |mean scale|, with which the offset's error grows."""
        scale = 1.0 / np.sqrt(self.variance.astype(np.float64) + self.epsilon)
        scale = scale if self.gamma is None else scale * self.gamma
        beta = np.zeros_like(scale) if self.beta is None else self.beta.astype(np.float64)
        return scale, beta - self.mean * scale, np.abs(beta) + np.abs(self.mean * scale)


def restore_statistics(model: onnx.ModelProto, normalizations: list[Statistics]) -> onnx.ModelProto:
    """Replaces the two constants of each normalization by nodes that compute them from its weights.

    Args:
        model: The model, as tf2onnx converted it.
        normalizations: The weights of all its normalizations.

    Returns:
        A new model.

    Raises:
        ModelError: If the constants of a normalization are not in the graph.
    """
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = Graph(model.graph)
    taken: set[int] = set()
    for statistics in normalizations:
        found = next((pair for pair in _find(graph, statistics) if id(pair[0]) not in taken), None)
        if found is None:
            raise ModelError(
                f"layer {statistics.name}: the constants of this BatchNormalization were not found in the converted "
                "graph; please report this model"
            )
        taken.add(id(found[0]))
        _write(graph, statistics, *found)
    if normalizations:
        graph.clean()
    return model


def _find(graph: Graph, statistics: Statistics) -> Iterator[tuple[onnx.NodeProto, onnx.NodeProto | None]]:
    """Yields each Mul by the scale with the Add of the offset that follows it, or None if the offset is zero."""
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
    """Returns which input of a node is the expected constant, or None; `size` scales the error that is allowed."""
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
    assert i is not None  # noqa: S101  # `_find` compared the same constant
    multiply.input[i] = _in_shape(graph, multiply.input[i], folded)
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
    assert i is not None  # noqa: S101  # `_find` compared the same constant
    add.input[i] = _in_shape(graph, add.input[i], shift)


def _in_shape(graph: Graph, constant: str, restored: str) -> str:
    """Returns restored numbers in the shape of the constant: after a Conv, the features are not the last axis."""
    values = graph.constant(constant)
    assert values is not None  # noqa: S101  # `_constant_of` has found it
    if values.ndim == 0 or values.shape[-1] == values.size:
        return restored
    shape = graph.add_constant(f"{restored}.shape", np.array(values.shape, np.int64))
    return graph.add("Reshape", [restored, shape], f"{restored}.in_shape")

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
        is_multiplied: Whether a layer multiplies the output by another value.
    """

    name: str
    mean: npt.NDArray[np.float32]
    variance: npt.NDArray[np.float32]
    gamma: npt.NDArray[np.float32] | None
    beta: npt.NDArray[np.float32] | None
    epsilon: float
    is_multiplied: bool = False

    def scales_like(self, other: Statistics) -> bool:
        """Whether another normalization has the same scale and offset, bit for bit."""
        return all(map(np.array_equal, self.fold()[:2], other.fold()[:2]))

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
    written: list[Statistics] = []
    for statistics in normalizations:
        found = next((pair for pair in _find(graph, statistics) if id(pair[0]) not in taken), None)
        if found is None and any(statistics.scales_like(other) for other in written):
            continue  # TensorFlow computes two normalizations once, if they have the same weights and the same input
        # Without an offset, a product of the output looks like one that has to be moved.
        while (found is None or not (found[1] or statistics.is_multiplied)) and _pull_out(graph, statistics, taken):
            graph = Graph(model.graph)
            found = next((pair for pair in _find(graph, statistics) if id(pair[0]) not in taken), None)
        if found is None:
            raise ModelError(
                f"layer {statistics.name}: the constants of this BatchNormalization were not found in the converted "
                "graph; please report this model"
            )
        taken.add(id(found[0]))
        written.append(statistics)
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


def _pull_out(graph: Graph, statistics: Statistics, taken: set[int]) -> bool:
    """Multiplies by the scale after a product with another value, where TensorFlow does it before: (a s) b = (a b) s.

    TensorFlow moves constants into products, as that of a gelu. There, no value is the output of the layer before the
    normalization.

    Returns:
        Whether there was such a product.
    """
    scale, _, _ = statistics.fold()
    for node in graph.proto.node:
        i = _constant_of(graph, node, scale, np.abs(scale)) if node.op_type == "Mul" else None
        if i is None or id(node) in taken:
            continue
        early = node.output[0]
        readers = [reader for reader in graph.proto.node if early in reader.input]
        if len(readers) != 1 or readers[0].op_type != "Mul":
            continue
        product, other = readers[0], node.input[1 - i]
        if any(graph.constant(name) is not None for name in product.input):
            continue
        # The two exchange their names: the product without the scale becomes `early`.
        product.input[:] = [other if name == early else name for name in product.input]
        node.input[1 - i], node.output[0], product.output[0] = early, product.output[0], early
        return True
    return False


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
    i = _constant_of(graph, multiply, scale, np.abs(scale))
    assert i is not None  # noqa: S101  # `_find` compared the same constant
    # The weights of another axis than the last one have axes of size 1 after it.
    replaced = graph.constant(multiply.input[i])
    shape = scale.shape if replaced is None or replaced.shape[-1:] == scale.shape else replaced.shape

    def add_weight(weight: str, values: npt.NDArray[np.float32]) -> str:
        return graph.add_constant(f"{name}.{weight}", values.reshape(shape))

    epsilon = graph.add_constant(f"{name}.epsilon", np.array(statistics.epsilon, np.float32))
    variance = add_weight("variance", statistics.variance)
    total = graph.add("Add", [variance, epsilon], f"{name}.variance_and_epsilon")
    folded = graph.add("Reciprocal", [graph.add("Sqrt", [total], f"{name}.deviation")], f"{name}.inverse")
    if statistics.gamma is not None:
        gamma = add_weight("gamma", statistics.gamma)
        folded = graph.add("Mul", [folded, gamma], f"{name}.scale")
    multiply.input[i] = folded
    if add is None:
        return
    mean = add_weight("mean", statistics.mean)
    shift = graph.add("Mul", [mean, folded], f"{name}.shift")
    if statistics.beta is None:
        shift = graph.add("Neg", [shift], f"{name}.offset")
    else:
        beta = add_weight("beta", statistics.beta)
        shift = graph.add("Sub", [beta, shift], f"{name}.offset")
    i = _constant_of(graph, add, offset, size)
    assert i is not None  # noqa: S101  # `_find` compared the same constant
    add.input[i] = shift

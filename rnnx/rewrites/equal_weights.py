"""Stores equal weights once. A layer that Keras calls several times is several layers of a graph."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable

import numpy as np
import onnx
from onnx import numpy_helper

from rnnx.reference import Network
from rnnx.rewrites.graph import Graph
from rnnx.rewrites.replace import Rewritten

# Smaller constants are axes, shapes and numbers, which are shared already.
_FEWEST_NUMBERS = 5


def has_equal_layers(network: Network) -> bool:
    """Whether two layers of a network have the same weights, and at least one."""
    seen: set[Hashable] = set()
    for node in network.nodes:
        fields = [getattr(node.layer, field.name) for field in dataclasses.fields(node.layer)]
        weights = tuple(value.tobytes() for value in fields if isinstance(value, np.ndarray))
        if weights and (type(node.layer), weights) in seen:
            return True
        seen.add((type(node.layer), weights))
    return False


def merge_equal_weights(form: Rewritten) -> Rewritten:
    """Returns a form in which each constant is stored once, and all nodes that need it read the same one."""
    model = onnx.ModelProto.FromString(form.model.SerializeToString())
    extra = onnx.GraphProto.FromString(form.extra.SerializeToString())
    graph, outside = Graph(model.graph), Graph(extra)
    kept: dict[Hashable, str] = {}
    for tensor in list(model.graph.initializer):
        values = numpy_helper.to_array(tensor)
        first = kept.setdefault((tensor.data_type, values.shape, values.tobytes()), tensor.name)
        if values.size >= _FEWEST_NUMBERS and first != tensor.name:
            graph.replace(tensor.name, first)
            outside.replace(tensor.name, first)
            graph.remove_constant(tensor.name)
    return dataclasses.replace(form, model=model, extra=extra)

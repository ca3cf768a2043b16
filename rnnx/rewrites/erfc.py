"""Replaces Erfc by 1 - Erf, because ONNX has no Erfc and tf2onnx 1.17 copies TensorFlow's operator into the graph.

TensorFlow computes gelu as x / 2 erfc(-x / sqrt(2)). Delete this module when tf2onnx converts Erfc.

Source: erfc(x) = 1 - erf(x), by definition.
"""

from __future__ import annotations

import numpy as np
import onnx

from rnnx.rewrites.graph import Graph


def replace_erfc(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replaces every Erfc of the main graph and of the bodies of its Loops.

    Returns:
        A new model. Without Erfc it is equal to the given one.
    """
    model = onnx.ModelProto.FromString(model.SerializeToString())
    if _holds_erfc(model.graph):
        _replace(model.graph, Graph(model.graph).shared(1.0, np.float32))
    return model


def _holds_erfc(graph: onnx.GraphProto) -> bool:
    return any(node.op_type == "Erfc" or any(map(_holds_erfc, _bodies(node))) for node in graph.node)


def _replace(graph: onnx.GraphProto, one: str) -> None:
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in graph.node]
    del graph.node[:]
    for node in nodes:
        for body in _bodies(node):
            _replace(body, one)
        if node.op_type != "Erfc":
            graph.node.append(node)
            continue
        result, erf = node.output[0], f"{node.output[0]}.erf"
        graph.node.append(onnx.helper.make_node("Erf", [node.input[0]], [erf], name=erf))
        graph.node.append(onnx.helper.make_node("Sub", [one, erf], [result], name=result))


def _bodies(node: onnx.NodeProto) -> list[onnx.GraphProto]:
    return [attribute.g for attribute in node.attribute if attribute.type == onnx.AttributeProto.GRAPH]

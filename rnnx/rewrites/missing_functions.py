"""Replaces Erfc, Expm1 and Log1p, which ONNX lacks, because tf2onnx 1.17 copies TensorFlow's operators into the graph.

TensorFlow computes gelu as x / 2 erfc(-x / sqrt(2)), and Keras celu by expm1. Delete these when tf2onnx converts them.
ConstantOfShape, which remains of `ops.ones_like`, is replaced by Expand, and a Cast of truth values to float32 by
Where.

Source: erfc(x) = 1 - erf(x), expm1(x) = exp(x) - 1 and log1p(x) = log(1 + x), by definition.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rnnx.rewrites.graph import Graph

_MISSING = ("Erfc", "Expm1", "Log1p")


def replace_missing(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replaces every Erfc, Expm1 and Log1p of the graph.

    Returns:
        A new model. Without them it is equal to the given one.
    """
    model = onnx.ModelProto.FromString(model.SerializeToString())
    nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in model.graph.node]
    if any(node.op_type in _MISSING for node in nodes):
        one = Graph(model.graph).shared(1.0, np.float32)
        del model.graph.node[:]
        for node in nodes:
            model.graph.node.extend(_written(node, one) if node.op_type in _MISSING else [node])
    return model


def replace_fills(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replaces every ConstantOfShape of the main graph by an Expand.

    Returns:
        A new model, or the given one if it has none.
    """
    if not any(node.op_type == "ConstantOfShape" for node in model.graph.node):
        return model
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = Graph(model.graph)
    for node in model.graph.node:
        if node.op_type == "ConstantOfShape":
            values = [numpy_helper.to_array(attribute.t).reshape(()) for attribute in node.attribute]
            constant = graph.add_constant(f"{node.output[0]}.value", values[0] if values else np.zeros((), np.float32))
            node.op_type = "Expand"
            node.input[:] = [constant, node.input[0]]
            del node.attribute[:]
    return model


def replace_truth_casts(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replaces every Cast of truth values to float32 in the main graph by a Where that chooses 1 or 0.

    The float16 converter of onnxconverter-common (1.16) leaves a Cast to float32 as it is, and onnxruntime then refuses
    the file.

    Returns:
        A new model, or the given one if it has none.
    """
    casts = [node for node in model.graph.node if node.op_type == "Cast" and node.attribute[0].i == TensorProto.FLOAT]
    inferred = onnx.shape_inference.infer_shapes(model).graph if casts else onnx.GraphProto()
    typed = (*inferred.value_info, *inferred.input)
    truths = {value.name for value in typed if value.type.tensor_type.elem_type == TensorProto.BOOL}
    if truths.isdisjoint(node.input[0] for node in casts):
        return model
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = Graph(model.graph)
    names = {node.output[0] for node in casts if node.input[0] in truths}
    for node in model.graph.node:
        if node.output[0] in names:
            node.op_type = "Where"
            node.input.extend(graph.shared(number, np.float32) for number in (1.0, 0.0))
            del node.attribute[:]
    return model


def write_split_sizes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Writes the sizes of the parts into every Split of a form that has none.

    onnxruntime (1.32 too) takes two of them with the same input for the same node, even if one has more parts. Delete
    this when it does not.

    Args:
        model: The model.

    Returns:
        A new model, or the given one if it has no Split. A Split of an axis whose size is not known stays as it is.
    """
    if not any(node.op_type == "Split" for node in model.graph.node):
        return model
    model = onnx.ModelProto.FromString(model.SerializeToString())
    inferred = onnx.shape_inference.infer_shapes(model).graph.value_info
    shapes = {value.name: value.type.tensor_type.shape.dim for value in inferred}
    graph = Graph(model.graph)
    for node in model.graph.node:
        if node.op_type != "Split" or len(node.input) > 1:
            continue
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
        sizes = [shapes[name][axis].dim_value if shapes.get(name) else 0 for name in node.output]
        if all(sizes):
            node.input.append(graph.shared(sizes))
    return model


def _written(node: onnx.NodeProto, one: str) -> Iterator[onnx.NodeProto]:
    """Yields the nodes that compute the function."""
    x, result = node.input[0], node.output[0]
    if node.op_type == "Erfc":
        erf = f"{result}.erf"
        yield helper.make_node("Erf", [x], [erf], name=erf)
        yield helper.make_node("Sub", [one, erf], [result], name=result)
    elif node.op_type == "Expm1":
        power = f"{result}.exp"
        yield helper.make_node("Exp", [x], [power], name=power)
        yield helper.make_node("Sub", [power, one], [result], name=result)
    else:
        total = f"{result}.total"
        yield helper.make_node("Add", [one, x], [total], name=total)
        yield helper.make_node("Log", [total], [result], name=result)

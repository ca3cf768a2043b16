"""Removes the nodes that Keras puts before each Embedding for negative ids.

Keras 3.15 counts negative ids from the end: nine nodes compute where(ids < 0, ids + V, ids). The rewrite requires that
ids are never negative. Token ids are not, and onnxruntime's Gather still refuses ids that are out of range.
"""

from __future__ import annotations

import onnx

from rnnx.rewrites.graph import Graph, Op, Var

_IS_NEGATIVE = Op("Less", Op("Cast", Var("ids")), Var("zero"))
_PATTERN = Op(
    "Add",
    Op("Mul", Op("Cast", _IS_NEGATIVE), Op("Add", Var("ids"), Var("rows"))),
    Op("Mul", Var("ids"), Op("Cast", Op("Not", _IS_NEGATIVE))),
)


def remove_negative_ids(model: onnx.ModelProto) -> onnx.ModelProto:
    """Makes each Gather of an embedding read the ids directly.

    Returns:
        A new model. Where the pattern is missing, only dead nodes are removed.
    """
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = Graph(model.graph)
    for gather in list(graph.proto.node):
        if gather.op_type != "Gather" or (table := graph.constant(gather.input[0])) is None:
            continue
        found = graph.match(gather.input[1], _PATTERN)
        if found is None:
            continue
        zero, rows = graph.constant(found["zero"]), graph.constant(found["rows"])
        if zero is not None and rows is not None and zero == 0 and rows == len(table):
            gather.input[1] = found["ids"]
    graph.clean()
    return model

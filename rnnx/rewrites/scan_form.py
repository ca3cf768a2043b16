"""A recurrence as a Scan whose body is one Gemm and one activation: for batches on the CPU.

Everything that does not depend on the state is done before the loop: where the input is an embedding, the table is
multiplied by W and given b once, `table W + b`, which onnxruntime folds when it loads the file, and the steps look
their rows up in that. The body is exactly `Gemm(h, U, C = x_t)` and the activation, which onnxruntime fuses.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from rnnx.rewrites.graph import Graph, Op, Pattern, Var
from rnnx.rewrites.masks import add_order, carry, move_together
from rnnx.rewrites.recurrence import Recurrence

_EMBEDDED: Pattern = Op("Transpose", Op("Gather", Var("table"), Var("ids")))
_EMBEDDED_BACKWARDS: Pattern = Op("ReverseSequence", _EMBEDDED)
_INT64_MIN = -(2**63) + 1


def write_scan(graph: Graph, r: Recurrence) -> str:
    """Adds the recurrence; its states are the value `NAME.states` (time, batch, units)."""
    units = len(r.recurrent_kernel)
    x = _add_input(graph, r)
    if r.mask is None:
        return _add_scan(graph, r, x, f"{r.name}.states")
    order = add_order(graph, r.name, r.mask)
    # Behind the end of a row the Scan runs on over what does not count; nobody takes those states.
    y = _add_scan(graph, r, move_together(graph, r.name, order, x, units), f"{r.name}.y")
    states = carry(graph, r.name, order, y, units)
    if r.is_carried:
        return states
    return graph.add("Where", [r.mask, states, graph.shared(0.0, np.float32)], f"{r.name}.outputs")


def _add_input(graph: Graph, r: Recurrence) -> str:
    """Adds x W + b for all steps, (time, batch, units)."""
    kernel = graph.add_constant(f"{r.name}.kernel", r.kernel)
    bias = graph.add_constant(f"{r.name}.bias", r.bias)
    for pattern, is_backwards in ((_EMBEDDED, False), (_EMBEDDED_BACKWARDS, True)):
        found = graph.match(r.x, pattern)
        if found is None or graph.constant(found["table"]) is None:
            continue
        folded = graph.add("MatMul", [found["table"], kernel], f"{r.name}.folded_product")
        table = graph.add("Add", [folded, bias], f"{r.name}.folded")
        ids = graph.add("Transpose", [found["ids"]], f"{r.name}.ids", perm=[1, 0])
        if is_backwards:
            ends = [graph.shared([-1]), graph.shared([_INT64_MIN]), graph.shared([0]), graph.shared([-1])]
            ids = graph.add("Slice", [ids, *ends], f"{r.name}.ids_backwards")
        return graph.add("Gather", [table, ids], f"{r.name}.x", axis=0)
    product = graph.add("MatMul", [r.x, kernel], f"{r.name}.product")
    return graph.add("Add", [product, bias], f"{r.name}.x")


def _add_scan(graph: Graph, r: Recurrence, x: str, output: str) -> str:
    units = len(r.recurrent_kernel)
    u = graph.add_constant(f"{r.name}.recurrent_kernel", r.recurrent_kernel)
    shape = graph.add("Shape", [x], f"{r.name}.x_shape")
    batch = graph.add("Slice", [shape, graph.shared([1]), graph.shared([2]), graph.shared([0])], f"{r.name}.x_batch")
    state_shape = graph.add("Concat", [batch, graph.shared([units])], f"{r.name}.state_shape", axis=0)
    zero = graph.shared(0.0, np.float32)
    initial = graph.add("Expand", [zero, state_shape], f"{r.name}.initial")
    body = _body(r, u)
    node = helper.make_node(
        "Scan", [initial, x], [f"{r.name}.final", output], name=r.name, body=body, num_scan_inputs=1
    )
    graph.add_node(node)
    return output


def _body(r: Recurrence, u: str) -> onnx.GraphProto:
    def value(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", len(r.recurrent_kernel)])

    h, x_t, total, new, out = (f"{r.name}.{part}" for part in ("h", "x_t", "total", "h_new", "h_out"))
    nodes = [
        helper.make_node("Gemm", [h, u, x_t], [total]),
        helper.make_node(r.activation, [total], [new]),
        # A body that lists one value as state and as output gives wrong numbers in onnxruntime: an Identity between.
        helper.make_node("Identity", [new], [out]),
    ]
    return helper.make_graph(nodes, f"{r.name}.step", [value(h), value(x_t)], [value(new), value(out)])

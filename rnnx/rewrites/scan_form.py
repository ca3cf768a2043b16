"""A recurrence as a Scan whose body is one Gemm and one activation: for batches on the CPU.

Everything that does not depend on the state is done before the loop: where the input is an embedding, the table is
multiplied by W and given b once, `table W + b`, which onnxruntime folds when it loads the file, and the steps look
their rows up in that. The body is exactly `Gemm(h, U, C = x_t)` and the activation, which onnxruntime fuses.

Under a mask, what counts is moved to the back, behind rows of zeros: act(0 U + 0) = 0 keeps the state at zero until
the text starts, exactly. (Not so for sigmoid, nor where the input is not a lookup; there it is moved to the front, and
nobody takes the states behind.)
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from rnnx.rewrites.graph import Graph
from rnnx.rewrites.inputs import add_ids
from rnnx.rewrites.masks import add_order, carry, move_ids, move_rows
from rnnx.rewrites.recurrence import Embedded, Recurrence
from rnnx.rewrites.replace import Written


def write_scan(graph: Graph, r: Recurrence) -> Written:
    """Adds the recurrence."""
    if r.mask is None:
        y, last = _add_scan(graph, r, _add_input(graph, r))
        return Written(y, y, last)
    if r.embedded is not None and r.activation != "Sigmoid":
        return _write_behind_zeros(graph, r, r.embedded, r.mask)
    units = len(r.recurrent_kernel)
    is_there = graph.add("Squeeze", [r.mask, graph.shared([2])], f"{r.name}.is_there")
    order = add_order(graph, r.name, is_there, "front")
    y, _ = _add_scan(graph, r, move_rows(graph, r.name, order, _add_input(graph, r), units))
    states = carry(graph, r.name, order, y, units)
    ends = [graph.shared([-1]), graph.shared([2**31 - 1]), graph.shared([0])]
    last = graph.add("Slice", [states, *ends], f"{r.name}.last_step")
    return Written(
        states,
        _outputs(graph, r, r.mask, states),
        graph.add("Squeeze", [last, graph.shared([0])], f"{r.name}.last"),
    )


def _write_behind_zeros(graph: Graph, r: Recurrence, embedded: Embedded, mask: str) -> Written:
    name = r.name
    ids = add_ids(graph, name, embedded)
    is_there = graph.add("Cast", [ids], f"{name}.is_there", to=onnx.TensorProto.BOOL)
    order = add_order(graph, name, is_there, "back")
    folded = _add_folded(graph, r, embedded.table)
    zero_row = graph.add_constant(f"{name}.zero_row", np.zeros((1, len(r.recurrent_kernel)), np.float32))
    ends = [graph.shared([1]), graph.shared([2**31 - 1]), graph.shared([0])]
    words = graph.add("Slice", [folded, *ends], f"{name}.folded_words")
    table = graph.add("Concat", [zero_row, words], f"{name}.folded_from_zero", axis=0)
    x = graph.add("Gather", [table, move_ids(graph, name, order, ids)], f"{name}.x", axis=0)
    y, last = _add_scan(graph, r, x)
    states = carry(graph, name, order, y, len(r.recurrent_kernel))
    total = graph.add("ReduceSum", [y, graph.shared([0])], f"{name}.total", keepdims=0)
    return Written(states, _outputs(graph, r, mask, states), last, total)


def _outputs(graph: Graph, r: Recurrence, mask: str, states: str) -> str:
    if r.is_carried:
        return states
    return graph.add("Where", [mask, states, graph.shared(0.0, np.float32)], f"{r.name}.outputs")


def _add_folded(graph: Graph, r: Recurrence, table: str) -> str:
    kernel = graph.add_constant(f"{r.name}.kernel", r.kernel)
    bias = graph.add_constant(f"{r.name}.bias", r.bias)
    product = graph.add("MatMul", [table, kernel], f"{r.name}.product")
    return graph.add("Add", [product, bias], f"{r.name}.folded")


def _add_input(graph: Graph, r: Recurrence) -> str:
    """Adds x W + b for all steps, (time, batch, units)."""
    if r.embedded is None:
        return _add_folded(graph, r, r.x)
    folded = _add_folded(graph, r, r.embedded.table)
    return graph.add("Gather", [folded, add_ids(graph, r.name, r.embedded)], f"{r.name}.x", axis=0)


def _add_scan(graph: Graph, r: Recurrence, x: str) -> tuple[str, str]:
    """Adds the Scan; returns all states (time, batch, units) and the last one (batch, units)."""
    name, units = r.name, len(r.recurrent_kernel)
    u = graph.add_constant(f"{name}.recurrent_kernel", r.recurrent_kernel)
    shape = graph.add("Shape", [x], f"{name}.x_shape")
    batch = graph.add("Slice", [shape, graph.shared([1]), graph.shared([2]), graph.shared([0])], f"{name}.x_batch")
    state_shape = graph.add("Concat", [batch, graph.shared([units])], f"{name}.state_shape", axis=0)
    initial = graph.add("Expand", [graph.shared(0.0, np.float32), state_shape], f"{name}.initial")
    last, y = f"{name}.final", f"{name}.y"
    graph.add_node(helper.make_node("Scan", [initial, x], [last, y], name=name, body=_body(r, u), num_scan_inputs=1))
    return y, last


def _body(r: Recurrence, u: str) -> onnx.GraphProto:
    def value(name: str) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", len(r.recurrent_kernel)])

    h, x_t, total, new, out = (f"{r.name}.{part}" for part in ("h", "x_t", "total_t", "h_new", "h_out"))
    nodes = [
        helper.make_node("Gemm", [h, u, x_t], [total]),
        helper.make_node(r.activation, [total], [new]),
        # A body that lists one value as state and as output gives wrong numbers in onnxruntime: an Identity between.
        helper.make_node("Identity", [new], [out]),
    ]
    return helper.make_graph(nodes, f"{r.name}.step", [value(h), value(x_t)], [value(new), value(out)])

"""Recurrences as the native RNN operator: for apps, GPUs and other runtimes.

The operator takes lengths, not masks (`rnnx.rewrites.masks`): what counts is moved to the front. A length of 0 makes
the CPU kernel of old onnxruntimes read out of bounds (onnxruntime #28052), so lengths are at least 1, and what an
empty row gives is replaced by zero.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import helper

from rnnx.rewrites.graph import Graph
from rnnx.rewrites.inputs import add_ids
from rnnx.rewrites.masks import Order, add_order, carry, move_ids, move_rows
from rnnx.rewrites.recurrence import Recurrence
from rnnx.rewrites.replace import Written


def write_rnn(graph: Graph, recurrences: Sequence[Recurrence]) -> list[Written]:
    """Adds the recurrences, an operator each."""
    return [_write_one(graph, r) for r in recurrences]


def _write_one(graph: Graph, r: Recurrence) -> Written:
    name, units = r.name, len(r.recurrent_kernel)
    weights = [
        graph.add_constant(f"{name}.W", r.kernel.T[None]),
        graph.add_constant(f"{name}.R", r.recurrent_kernel.T[None]),
        graph.add_constant(f"{name}.B", np.concatenate([r.bias, np.zeros_like(r.bias)])[None]),
    ]
    if r.mask is None:
        y, last = _add_rnn(graph, r, [r.x, *weights])
        states = graph.add("Squeeze", [y, graph.shared([1])], f"{name}.states")
        return Written(states, states, graph.add("Squeeze", [last, graph.shared([0])], f"{name}.last"))
    x, order = _move(graph, r, r.mask)
    lengths = graph.add("Max", [order.lengths, graph.shared(1)], f"{name}.lengths_from_1")
    y, last = _add_rnn(graph, r, [x, *weights, lengths])
    zero = graph.shared(0.0, np.float32)
    is_empty = graph.add(
        "Unsqueeze",
        [graph.add("Equal", [order.lengths, graph.shared(0)], f"{name}.empty"), graph.shared([1])],
        f"{name}.is_empty",
    )
    states = carry(graph, name, order, graph.add("Squeeze", [y, graph.shared([1])], f"{name}.y"), units)
    # Behind its length a row is zero in Y.
    total = graph.add("ReduceSum", [y, graph.shared([0, 1])], f"{name}.sum", keepdims=0)
    return Written(
        states,
        states if r.is_carried else graph.add("Where", [r.mask, states, zero], f"{name}.outputs"),
        graph.add(
            "Where", [is_empty, zero, graph.add("Squeeze", [last, graph.shared([0])], f"{name}.h")], f"{name}.last"
        ),
        graph.add("Where", [is_empty, zero, total], f"{name}.total"),
    )


def _move(graph: Graph, r: Recurrence, mask: str) -> tuple[str, Order]:
    if r.embedded is None:
        is_there = graph.add("Squeeze", [mask, graph.shared([2])], f"{r.name}.is_there")
        order = add_order(graph, r.name, is_there, "front")
        return move_rows(graph, r.name, order, r.x, len(r.kernel)), order
    ids = add_ids(graph, r.name, r.embedded)
    is_there = graph.add("Cast", [ids], f"{r.name}.is_there", to=onnx.TensorProto.BOOL)
    order = add_order(graph, r.name, is_there, "front")
    moved = move_ids(graph, r.name, order, ids)
    return graph.add("Gather", [r.embedded.table, moved], f"{r.name}.x", axis=0), order


def _add_rnn(graph: Graph, r: Recurrence, inputs: list[str]) -> tuple[str, str]:
    y, last = f"{r.name}.Y", f"{r.name}.Y_h"
    units = len(r.recurrent_kernel)
    graph.add_node(
        helper.make_node(
            "RNN", inputs, [y, last], name=r.name, hidden_size=units, activations=[r.activation], direction="forward"
        )
    )
    return y, last

"""A recurrence as the native RNN operator: for apps, GPUs and other runtimes.

The operator takes lengths, not masks (`rnnx.rewrites.masks`). A length of 0 makes the CPU kernel of old onnxruntimes
read out of bounds (onnxruntime #28052): lengths are at least 1, and an empty row's states are zero by a Where.
"""

from __future__ import annotations

import numpy as np
from onnx import helper

from rnnx.rewrites.graph import Graph
from rnnx.rewrites.masks import add_order, carry, move_together
from rnnx.rewrites.recurrence import Recurrence


def write_rnn(graph: Graph, r: Recurrence) -> str:
    """Adds the recurrence; its states are the value `NAME.states` (time, batch, units)."""
    inputs, units = r.kernel.shape
    weights = [
        graph.add_constant(f"{r.name}.W", r.kernel.T[None]),
        graph.add_constant(f"{r.name}.R", r.recurrent_kernel.T[None]),
        graph.add_constant(f"{r.name}.B", np.concatenate([r.bias, np.zeros_like(r.bias)])[None]),
    ]
    if r.mask is None:
        return graph.add("Squeeze", [_add_rnn(graph, r, [r.x, *weights]), graph.shared([1])], f"{r.name}.states")
    order = add_order(graph, r.name, r.mask)
    together = move_together(graph, r.name, order, r.x, inputs)
    lengths = graph.add("Max", [order.lengths, graph.shared(1)], f"{r.name}.lengths_from_1")
    y = graph.add("Squeeze", [_add_rnn(graph, r, [together, *weights, lengths]), graph.shared([1])], f"{r.name}.y")
    states = carry(graph, r.name, order, y, units)
    if r.is_carried:
        return states
    return graph.add("Where", [r.mask, states, graph.shared(0.0, np.float32)], f"{r.name}.outputs")


def _add_rnn(graph: Graph, r: Recurrence, inputs: list[str]) -> str:
    units = len(r.recurrent_kernel)
    node = helper.make_node(
        "RNN", inputs, [f"{r.name}.Y"], name=r.name, hidden_size=units, activations=[r.activation], direction="forward"
    )
    return graph.add_node(node)

"""Writes a Scan that runs several recurrences of the same length, each with one Gemm and one activation per step.

One iteration of the Scan may run several steps. All states but the last are outputs of the body as they are. The last
one needs a copy, because the Scan carries it to the next iteration as well.

The weights are constants of the main graph: with its own ones, a body takes 5 to 10% longer in onnxruntime. The body
reads them through an Identity, whose name `onnx.compose.add_prefix` changes in the body too, and a node of the main
graph reads their shape, so that `onnx.utils.extract_model` keeps them. onnxruntime removes both when it loads a file.
The body has no symbolic dimensions, because tract 0.23 refuses a Scan whose body has any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from rnnx.rewrites.graph import Graph
from rnnx.rewrites.recurrence import ALPHAS, BETAS, NOT_NATIVE, ONNX_ACTIVATIONS, operator_of

# The operators of the bodies that `add_scan` writes: the activations that the operator RNN has too.
_OPERATORS = {"Gemm", "Identity", *map(operator_of, {*ONNX_ACTIVATIONS.values()} - NOT_NATIVE)}


@dataclass(frozen=True, eq=False)
class Part:
    """One product of a Scan's body.

    Attributes:
        name: The prefix of the new values' names.
        activation: ONNX's name of the activation.
        xs: The inputs of the steps of an iteration, in their order, (iterations, batch, units) each. Every part of a
            Scan has equally many.
        matrix: (units, units), by which the state of the step before is multiplied.
    """

    name: str
    activation: str
    xs: Sequence[str]
    matrix: npt.NDArray[np.float32]


def add_scan(graph: Graph, name: str, parts: Sequence[Part]) -> list[tuple[list[str], str]]:
    """Adds the Scan.

    Returns:
        For each part, the states of each step, (iterations, batch, units) each, and the last state (batch, units).
        Other nodes should read the last state through a Slice (`add_last`).
    """
    for part in parts:
        stored = graph.add_constant(f"{part.name}.recurrent_kernel", part.matrix)
        graph.add("Identity", [stored], _weights(part))
    initial = [_add_initial(graph, part) for part in parts]
    made = [([f"{part.name}.y{step}" for step in _steps(part)], f"{part.name}.final") for part in parts]
    outputs = [*(last for _, last in made), *(y for ys, _ in made for y in ys)]
    inputs = [*initial, *(x for part in parts for x in part.xs)]
    body, count = _body(name, parts), len(inputs) - len(parts)
    graph.add_node(helper.make_node("Scan", inputs, outputs, name=name, body=body, num_scan_inputs=count))
    return made


def count_states(scan: onnx.NodeProto) -> int:
    """Counts the states that a Scan carries. Its first inputs are their initial values, as many as there are states."""
    return len(scan.input) - next(int(a.i) for a in scan.attribute if a.name == "num_scan_inputs")


def add_last(graph: Graph, part: Part, final: str) -> str:
    """Adds the last state of a part, for the nodes that read it: all columns of the output of the Scan.

    OpenVINO 2026.4 gives wrong answers if a MatMul reads an output of a Scan, as soon as an input is longer than all
    before it in the same compiled model. A Slice in between, even of everything, prevents that.
    """
    return graph.slice(final, f"{part.name}.last", {1: (0, len(part.matrix))})


def has_native_steps(scan: onnx.NodeProto) -> bool:
    """Whether a Scan runs steps of the operator RNN, as `add_scan` writes them.

    Those of `rnnx.rewrites.step_scan` compute what no operator does, and are the same in every form.
    """
    return {node.op_type for node in scan.attribute[0].g.node} <= _OPERATORS


def _steps(part: Part) -> list[str]:
    """Returns the suffix of the values' names in each step."""
    return [f"_{i}" for i in range(len(part.xs))] if len(part.xs) > 1 else [""]


def _weights(part: Part) -> str:
    """Returns the name of the value with the matrix of a part, which the body reads."""
    return f"{part.name}.u"


def _add_initial(graph: Graph, part: Part) -> str:
    """Adds the initial state, zeros (batch, units)."""
    name, zero = part.name, graph.shared(0.0, np.float32)
    units = graph.slice(graph.add("Shape", [_weights(part)], f"{name}.u_shape"), f"{name}.units", {0: (1, 2)})
    shape = graph.add("Shape", [part.xs[0]], f"{name}.x_shape")
    batch = graph.add("Slice", [shape, graph.shared([1]), graph.shared([2]), graph.shared([0])], f"{name}.x_batch")
    state_shape = graph.add("Concat", [batch, units], f"{name}.state_shape", axis=0)
    return graph.add("Expand", [zero, state_shape], f"{name}.initial")


def _body(name: str, parts: Sequence[Part]) -> onnx.GraphProto:
    """Makes the body: one iteration."""

    def value(name: str, part: Part) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, len(part.matrix)])

    nodes, states, inputs, finals, collected = [], [], [], [], []
    for part in parts:
        u, h = _weights(part), f"{part.name}.h"
        states.append(value(h, part))
        for step in _steps(part):
            x_t, total, new = (f"{part.name}.{kind}{step}" for kind in ("x_t", "total_t", "h_new"))
            nodes.append(helper.make_node("Gemm", [h, u, x_t], [total]))
            nodes.append(_activate(part.activation, total, new))
            inputs.append(value(x_t, part))
            collected.append(value(new, part))
            h = new
        finals.append(collected.pop())
        # In onnxruntime a body that lists one value both as state and as output computes wrong numbers: hence Identity.
        out = f"{part.name}.h_out{_steps(part)[-1]}"
        nodes.append(helper.make_node("Identity", [h], [out]))
        collected.append(value(out, part))
    return helper.make_graph(nodes, f"{name}.step", [*states, *inputs], [*finals, *collected])


def _activate(activation: str, total: str, new: str) -> onnx.NodeProto:
    if activation == "Affine":  # with factor 1: the RNN operator's name for no activation
        return helper.make_node("Identity", [total], [new])
    given: dict[str, Any] = {"alpha": ALPHAS.get(activation), "beta": BETAS.get(activation)}
    return helper.make_node(
        operator_of(activation), [total], [new], **{key: value for key, value in given.items() if value is not None}
    )

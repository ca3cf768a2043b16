"""The Scan operator: several recurrences of one length, a Gemm and an activation each at every step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from rnnx.rewrites.graph import Graph
from rnnx.rewrites.recurrence import ALPHAS, BETAS


@dataclass(frozen=True, eq=False)
class Part:
    """One product of a Scan's body.

    Attributes:
        name: For its values.
        activation: ONNX's name of it.
        x: (time, batch, units), what goes into each step.
        matrix: (units, units), of the state before.
    """

    name: str
    activation: str
    x: str
    matrix: npt.NDArray[np.float32]


def add_scan(graph: Graph, name: str, parts: Sequence[Part]) -> list[tuple[str, str]]:
    """Adds the Scan; returns for each part all states (time, batch, units) and the last one (batch, units)."""
    initial = [_add_initial(graph, part) for part in parts]
    made = [(f"{part.name}.y", f"{part.name}.final") for part in parts]
    outputs = [*(last for _, last in made), *(y for y, _ in made)]
    inputs = [*initial, *(part.x for part in parts)]
    body = _body(graph, name, parts)
    graph.add_node(helper.make_node("Scan", inputs, outputs, name=name, body=body, num_scan_inputs=len(parts)))
    return made


def _add_initial(graph: Graph, part: Part) -> str:
    name, zero = part.name, graph.shared(0.0, np.float32)
    shape = graph.add("Shape", [part.x], f"{name}.x_shape")
    batch = graph.add("Slice", [shape, graph.shared([1]), graph.shared([2]), graph.shared([0])], f"{name}.x_batch")
    state_shape = graph.add("Concat", [batch, graph.shared([len(part.matrix)])], f"{name}.state_shape", axis=0)
    return graph.add("Expand", [zero, state_shape], f"{name}.initial")


def _body(graph: Graph, name: str, parts: Sequence[Part]) -> onnx.GraphProto:
    def values(suffix: str) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(f"{part.name}.{suffix}", TensorProto.FLOAT, ["batch", len(part.matrix)])
            for part in parts
        ]

    nodes = []
    for part in parts:
        u = graph.add_constant(f"{part.name}.recurrent_kernel", part.matrix)
        h, x_t, total, new, out = (f"{part.name}.{one}" for one in ("h", "x_t", "total_t", "h_new", "h_out"))
        nodes.append(helper.make_node("Gemm", [h, u, x_t], [total]))
        nodes.append(_activate(part.activation, total, new))
        # A body that lists one value both as state and as output gives wrong numbers in onnxruntime: an Identity.
        nodes.append(helper.make_node("Identity", [new], [out]))
    inputs, outputs = [*values("h"), *values("x_t")], [*values("h_new"), *values("h_out")]
    return helper.make_graph(nodes, f"{name}.step", inputs, outputs)


def _activate(activation: str, total: str, new: str) -> onnx.NodeProto:
    if activation == "Affine":  # of factor 1, the RNN operator's name for none at all
        return helper.make_node("Identity", [total], [new])
    given: dict[str, Any] = {"alpha": ALPHAS.get(activation), "beta": BETAS.get(activation)}
    return helper.make_node(
        activation, [total], [new], **{key: value for key, value in given.items() if value is not None}
    )

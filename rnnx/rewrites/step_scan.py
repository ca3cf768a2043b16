"""Writes a recurrence whose activations ONNX's recurrent operators lack as a Scan: for every runtime and every form.

The body is one step of the definition in `rnnx.reference`. All that does not depend on the state, x_t W + b, is
computed before the loop. At a masked position the body keeps the states as they are.

The body holds its own weights, and reads nothing of the graph around it. So tools that rename the values of a graph or
cut a part out of it, as `onnx.compose.add_prefix` and `onnx.utils.extract_model` do, leave it whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rnnx.rewrites.graph import Graph
from rnnx.rewrites.image_scan import (
    add_convolved_input,
    add_images,
    add_vectors,
    convolution_of_states,
    features_first,
)
from rnnx.rewrites.recurrence import ALPHAS, BETAS, Recurrence, operator_of
from rnnx.rewrites.replace import Written


def write_steps(graph: Graph, r: Recurrence) -> Written:
    """Adds one recurrence as a Scan. With first states, the outputs before the first unmasked position are zero."""
    kinds = ("h", "c") if r.operator == "LSTM" else ("h",)
    x = _add_input(graph, r)
    first = list(r.first)
    if r.images is not None:
        first = [add_images(graph, r, state, f"{r.name}.first_{i}") for i, state in enumerate(first)]
    first = first or [_add_zeros(graph, r)] * len(kinds)
    scanned = [x, *([r.mask] if r.mask is not None else [])]
    ends = [f"{r.name}.{'final' if kind == 'h' else 'final_cell'}" for kind in kinds]
    y = f"{r.name}.y"
    graph.add_node(
        helper.make_node(
            "Scan",
            [*first, *scanned],
            [*ends, y],
            name=r.name,
            body=_Body(r, kinds).make(),
            num_scan_inputs=len(scanned),
        )
    )
    if r.images is not None:
        y = add_vectors(graph, r, y, y, has_time=True)
        ends = [add_vectors(graph, r, end, end, has_time=False) for end in ends]
    return Written(y, _add_outputs(graph, r, y), ends[0], cell=ends[1] if len(ends) > 1 else None)


def _add_input(graph: Graph, r: Recurrence) -> str:
    """Adds what of all steps does not depend on the states."""
    if r.images is not None:
        return add_convolved_input(graph, r, r.images)
    x = graph.add("MatMul", [r.x, graph.add_constant(f"{r.name}.W", r.kernel)], f"{r.name}.x_W")
    if r.reset_after:  # its two biases are in the body
        return x
    return graph.add("Add", [x, graph.add_constant(f"{r.name}.B", r.bias)], f"{r.name}.x")


def _add_zeros(graph: Graph, r: Recurrence) -> str:
    """Adds states of zeros, (batch, units), or images."""
    shape = graph.add("Shape", [r.x], f"{r.name}.{'x_shape' if r.images is None else 'x_vectors_shape'}")
    batch = graph.slice(shape, f"{r.name}.x_batch", {0: (1, 2)})
    sizes = graph.add(
        "Concat",
        [batch, graph.shared([r.units] if r.images is None else list(r.state_image))],
        f"{r.name}.state_shape",
        axis=0,
    )
    return graph.add("Expand", [graph.shared(0.0, np.float32), sizes], f"{r.name}.initial")


def _add_outputs(graph: Graph, r: Recurrence, states: str) -> str:
    """Adds the outputs of a recurrence: its states, with zeros at masked positions where Keras puts zeros out."""
    if r.mask is None or not r.ends_in_zeros:
        return states
    shown = r.mask
    if r.is_carried:
        counts = graph.add("Cast", [r.mask], f"{r.name}.counts", to=TensorProto.INT32)
        rank = graph.add("CumSum", [counts, graph.shared(0)], f"{r.name}.rank")
        shown = graph.add("Greater", [rank, graph.shared(0)], f"{r.name}.is_started")
    return graph.add("Where", [shown, states, graph.shared(0.0, np.float32)], f"{r.name}.outputs")


class _Body:
    """The body of a Scan: one step of a recurrence."""

    def __init__(self, r: Recurrence, kinds: Sequence[str]) -> None:
        """Takes the recurrence, and the names of its states."""
        self._r, self._kinds = r, kinds
        self._units = r.units
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def make(self) -> onnx.GraphProto:
        """Makes the graph."""
        r = self._r
        step = {"RNN": self._simple, "GRU": self._gru, "LSTM": self._lstm}[r.operator]
        new = step()
        if r.mask is not None:
            old = [self._name(kind) for kind in self._kinds]
            new = [self._add("Where", [self._name("mask_t"), *pair], "kept") for pair in zip(new, old, strict=True)]
        # In onnxruntime a body that lists one value both as state and as output computes wrong numbers: hence Identity.
        ends = [*new, self._add("Identity", new[:1], "h_out")]
        width = r.kernel.shape[-1]
        state, of_x = [self._units], [width]
        if r.images is not None:
            state = list(r.state_image)
            of_x = [width, *state[1:]]
        inputs = [*((kind, state) for kind in self._kinds), ("x_t", of_x)]
        ports = [
            helper.make_tensor_value_info(self._name(name), TensorProto.FLOAT, [None, *sizes]) for name, sizes in inputs
        ]
        if r.mask is not None:
            ports.append(helper.make_tensor_value_info(self._name("mask_t"), TensorProto.BOOL, [None, 1]))
        outputs = [helper.make_tensor_value_info(end, TensorProto.FLOAT, [None, *state]) for end in ends]
        return helper.make_graph(self._nodes, f"{r.name}.step", ports, outputs, self._constants)

    def _simple(self) -> list[str]:
        total = self._add("Gemm", [self._name("h"), self._constant("R", self._r.recurrent_kernel), self._name("x_t")])
        return [self._activate(self._r.activation, total)]

    def _lstm(self) -> list[str]:
        r, c = self._r, self._name("c")
        if r.images is None:
            total = self._add("Gemm", [self._name("h"), self._constant("R", r.recurrent_kernel), self._name("x_t")])
        else:
            kernel = self._constant("R", features_first(r.recurrent_kernel))
            of_h = self._add("Conv", [self._name("h"), kernel], **convolution_of_states(r))
            total = self._add("Add", [self._name("x_t"), of_h])
        i, f, k, o = self._split(total, 4)
        i, f, o = (self._activate(r.recurrent_activation, gate) for gate in (i, f, o))
        kept, added = self._add("Mul", [f, c]), self._add("Mul", [i, self._activate(r.activation, k)])
        new_c = self._add("Add", [kept, added])
        return [self._add("Mul", [o, self._activate(r.activation, new_c)]), new_c]

    def _gru(self) -> list[str]:
        r, h, recurrent = self._r, self._name("h"), self._constant("R", self._r.recurrent_kernel)
        of_gates = r.recurrent_activation
        if r.reset_after:
            biases = self._constant("B", r.bias)
            of_x, of_h = (self._slice(biases, i, i + 1, axis=0) for i in range(2))
            x_z, x_r, x_k = self._split(self._add("Add", [self._name("x_t"), of_x]), 3)
            total = self._add("Gemm", [h, recurrent, of_h])
            h_z, h_r, h_k = self._split(total, 3)
            z, reset = (self._activate(of_gates, self._add("Add", pair)) for pair in ([x_z, h_z], [x_r, h_r]))
            total = self._add("Add", [x_k, self._add("Mul", [reset, h_k])])
        else:
            x_gates = self._slice(self._name("x_t"), 0, 2 * self._units)
            x_k = self._slice(self._name("x_t"), 2 * self._units, 3 * self._units)
            total = self._add("Gemm", [h, self._slice(recurrent, 0, 2 * self._units), x_gates])
            z, reset = (self._activate(of_gates, gate) for gate in self._split(total, 2))
            of_k = self._slice(recurrent, 2 * self._units, 3 * self._units)
            total = self._add("Gemm", [self._add("Mul", [reset, h]), of_k, x_k])
        k = self._activate(r.activation, total)
        rest = self._add("Sub", [self._number(1.0), z])
        return [self._add("Add", [self._add("Mul", [z, h]), self._add("Mul", [rest, k])])]

    def _activate(self, activation: str | None, x: str) -> str:
        add, number = self._add, self._number
        match activation:
            case "Affine" | None:  # with factor 1: the RNN operator's name for no activation
                return x
            case "Silu":
                return add("Mul", [x, add("Sigmoid", [x])])
            case "HardSilu":
                return add("Mul", [x, self._activate("HardSigmoid", x)])
            case "Mish":
                return add("Mul", [x, add("Tanh", [add("Softplus", [x])])])
            case "Gelu":  # x / 2 erfc(-x / sqrt(2)), as TensorFlow has it, with erfc(x) = 1 - erf(x)
                erf = add("Erf", [add("Mul", [x, number(-(0.5**0.5))])])
                return add("Mul", [add("Mul", [x, number(0.5)]), add("Sub", [number(1.0), erf])])
            case "Relu6":
                return self._clip(x, 0.0, 6.0)
            case "HardTanh":
                return self._clip(x, -1.0, 1.0)
            case "SoftShrink":
                return add("Sub", [x, self._clip(x, -0.5, 0.5)])
            case "TanhShrink":
                return add("Sub", [x, add("Tanh", [x])])
            case "LogSigmoid":
                return add("Neg", [add("Softplus", [add("Neg", [x])])])
            case "SparsePlus":  # (x + 1)^2 / 4 between -1 and 1, where it is at least x
                root = add("Add", [self._clip(x, -1.0, 1.0), number(1.0)])
                return add("Max", [x, add("Mul", [add("Mul", [root, root]), number(0.25)])])
            case "SquarePlus":
                root = add("Sqrt", [add("Add", [add("Mul", [x, x]), number(4.0)])])
                return add("Mul", [add("Add", [x, root]), number(0.5)])
        given: dict[str, Any] = {"alpha": ALPHAS.get(activation), "beta": BETAS.get(activation)}
        return self._add(
            operator_of(activation), [x], **{name: value for name, value in given.items() if value is not None}
        )

    def _split(self, value: str, count: int) -> list[str]:
        """Splits the last axis into equal parts."""
        parts = [f"{value}.part_{i}" for i in range(count)]
        self._nodes.append(helper.make_node("Split", [value], parts, name=f"{value}.split", axis=1))
        return parts

    def _slice(self, value: str, start: int, end: int, axis: int = 1) -> str:
        bounds = [self._constant(f"int64_{n}", np.array([n], np.int64)) for n in (start, end, axis)]
        return self._add("Slice", [value, *bounds])

    def _clip(self, value: str, least: float, most: float) -> str:
        return self._add("Clip", [value, self._number(least), self._number(most)])

    def _number(self, value: float) -> str:
        return self._constant(f"number_{value}", np.array(value, np.float32))

    def _constant(self, name: str, values: np.ndarray[Any, Any]) -> str:
        full = self._name(name)
        if full not in {tensor.name for tensor in self._constants}:
            self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), full))
        return full

    def _add(self, op_type: str, inputs: Sequence[str], name: str = "", **attributes: Any) -> str:
        output = self._name(f"{name or op_type.lower()}_{len(self._nodes)}")
        self._nodes.append(helper.make_node(op_type, list(inputs), [output], name=output, **attributes))
        return output

    def _name(self, name: str) -> str:
        return f"{self._r.name}.{name}"

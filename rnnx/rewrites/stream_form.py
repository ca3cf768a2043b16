"""Writes recurrences as native operators that start from given states: for endless sequences that come in chunks.

Each layer's state before the chunk is an input, (batch, units), and its state after the chunk an output: `h_in` and
`h_out`, and for the cell state of an LSTM `c_in` and `c_out`. With several recurrent layers, the names begin with the
name of the layer. Masked positions leave the state as it is, even if the whole chunk is masked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from rnnx.errors import ModelError
from rnnx.reference.streaming import CarriedState
from rnnx.rewrites.graph import Graph
from rnnx.rewrites.masked_order import carry
from rnnx.rewrites.recurrence import Recurrence
from rnnx.rewrites.replace import Rewritten, Written, replace_recurrences
from rnnx.rewrites.rnn_form import add_from_states, add_operator, add_weights, move_input
from rnnx.rewrites.step_scan import write_steps

_KINDS = {"RNN": ("h",), "GRU": ("h",), "LSTM": ("h", "c")}


def replace_for_stream(model: onnx.ModelProto) -> Rewritten:
    """Replaces every recurrence by one that starts from given states.

    Args:
        model: The model, as for `replace_recurrences`; every recurrence reads its sequence forward.

    Raises:
        ModelError: If an input or output has the name of a state.
    """
    carried: list[CarriedState] = []

    def write(graph: Graph, recurrences: Sequence[Recurrence]) -> list[Written]:
        written = []
        for r in recurrences:
            states = _name_states(r, is_alone=len(recurrences) == 1)
            written.append(_write_one(graph, r, states))
            carried.extend(states)
        return written

    form = replace_recurrences(model, write)
    return Rewritten(form.model, form.extra, form.states, tuple(carried))


def _name_states(r: Recurrence, *, is_alone: bool) -> list[CarriedState]:
    prefix = "" if is_alone else f"{r.name}."
    units = r.units
    return [CarriedState(r.name, f"{prefix}{kind}_in", f"{prefix}{kind}_out", units) for kind in _KINDS[r.operator]]


def _write_one(graph: Graph, r: Recurrence, states: Sequence[CarriedState]) -> Written:
    first = [_add_input(graph, state) for state in states]
    if not r.is_native:
        steps = write_steps(graph, dataclasses.replace(r, first=tuple(first)))
        _add_outputs(graph, states, [steps.last, *([steps.cell] if steps.cell else [])])
        return dataclasses.replace(steps, outputs=steps.states) if r.is_carried else steps
    initial = [graph.add("Unsqueeze", [value, graph.shared([0])], f"{value}.initial") for value in first]
    weights = add_weights(graph, r)
    has_memory = len(states) > 1
    if r.mask is None:
        y, *ends = add_operator(graph, r, [r.x, *weights, "", *initial], has_memory=has_memory)
        last = [graph.add("Squeeze", [end, graph.shared([0])], f"{end}.last") for end in ends]
        _add_outputs(graph, states, last)
        values = graph.add("Squeeze", [y, graph.shared([1])], f"{r.name}.states")
        return Written(values, values, last[0], cell=last[1] if has_memory else None)
    x, order = move_input(graph, r, r.mask)
    given = dataclasses.replace(r, first=tuple(first))
    y, last = add_from_states(graph, given, order, [x, *weights], initial, has_memory=has_memory)
    _add_outputs(graph, states, last)
    values = carry(graph, r.name, order, y, len(r.recurrent_kernel), first[0])
    zero = graph.shared(0.0, np.float32)
    outputs = values if r.is_carried else graph.add("Where", [r.mask, values, zero], f"{r.name}.outputs")
    return Written(values, outputs, last[0], cell=last[1] if has_memory else None)


def _add_input(graph: Graph, state: CarriedState) -> str:
    if taken := {state.input, state.output} & {value.name for value in (*graph.proto.input, *graph.proto.output)}:
        raise ModelError(
            f"the streaming form needs the name {min(taken)} for a state, and an input or output of the model has it: "
            "rename that one in Keras"
        )
    graph.proto.input.append(_describe(state.input, state.units))
    return state.input


def _add_outputs(graph: Graph, states: Sequence[CarriedState], values: Sequence[str]) -> None:
    for state, value in zip(states, values, strict=True):
        graph.add("Identity", [value], state.output)
        graph.proto.output.append(_describe(state.output, state.units))


def _describe(name: str, units: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", units])

"""Writes recurrences as the native operators RNN, LSTM and GRU: for apps, GPUs and other runtimes.

The operators take lengths, not masks, so unmasked positions are moved to the front (`rnnx.rewrites.masked_order`). A
length of 0 makes the CPU kernel of onnxruntime before 1.26 read out of bounds (onnxruntime #28052). So lengths are at
least 1, and the results of an empty row are replaced by zero.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from rnnx.rewrites.graph import Graph
from rnnx.rewrites.loop_ids import add_ids
from rnnx.rewrites.masked_order import Order, add_order, carry, flip, move_ids, move_rows, turn
from rnnx.rewrites.pooled_states import Pooled
from rnnx.rewrites.recurrence import ALPHAS, BETAS, Recurrence, operator_of
from rnnx.rewrites.replace import Written
from rnnx.rewrites.step_scan import write_steps


def write_rnn(graph: Graph, recurrences: Sequence[Recurrence]) -> list[Written]:
    """Adds the recurrences, one operator for each."""
    return [write_native(graph, r) for r in recurrences]


def write_native(graph: Graph, r: Recurrence, *, has_lengths: bool = True) -> Written:
    """Adds one recurrence as an operator, or step by step if no operator has its activations.

    Args:
        graph: The graph, which is changed in place.
        r: The recurrence.
        has_lengths: Whether the operator takes the lengths under a mask, so that it does not run past the end of the
            unmasked positions. Without lengths it does, and its outputs there are not used.
    """
    if not r.is_native:
        return write_steps(graph, r)
    if r.shows_states:
        return write_with_states(graph, r)
    name, units = r.name, len(r.recurrent_kernel)
    weights = add_weights(graph, r)
    if r.mask is None:
        y, last = add_operator(graph, r, [r.x, *weights])
        states = graph.add("Squeeze", [y, graph.shared([1])], f"{name}.states")
        last = graph.add("Squeeze", [last, graph.shared([0])], f"{name}.last")
        pooled = Pooled(units, None, _add_maximum(graph, name, states), states, partial(flip, graph))
        return Written(states, states, last, pooled)
    x, order = move_input(graph, r, r.mask)
    if not has_lengths:
        return _finish_without_lengths(graph, r, order, add_operator(graph, r, [x, *weights])[0])
    lengths = graph.add("Max", [order.lengths, graph.shared(1)], f"{name}.lengths_from_1")
    y, last = add_operator(graph, r, [x, *weights, lengths])
    zero = graph.shared(0.0, np.float32)
    is_empty = graph.add(
        "Unsqueeze",
        [graph.add("Equal", [order.lengths, graph.shared(0)], f"{name}.empty"), graph.shared([1])],
        f"{name}.is_empty",
    )
    y = graph.add("Squeeze", [y, graph.shared([1])], f"{name}.y")
    states = carry(graph, name, order, y, units)
    # After the end of a row, Y has as many zeros as the row has masked positions.
    total = graph.add("ReduceSum", [y, graph.shared([0])], f"{name}.sum", keepdims=0)
    pooled = Pooled(units, graph.add("Where", [is_empty, zero, total], f"{name}.total"))
    if not r.is_carried:
        maximum = graph.add("Where", [is_empty, zero, _add_maximum(graph, name, y)], f"{name}.maximum")
        moved = graph.add("Where", [is_empty, zero, y], f"{name}.counted")
        pooled = dataclasses.replace(pooled, maximum=maximum, moved=moved, turn=_turn(graph, r, order))
    return Written(
        states,
        states if r.is_carried else graph.add("Where", [r.mask, states, zero], f"{name}.outputs"),
        graph.add(
            "Where", [is_empty, zero, graph.add("Squeeze", [last, graph.shared([0])], f"{name}.h")], f"{name}.last"
        ),
        pooled,
    )


def write_with_states(graph: Graph, r: Recurrence) -> Written:
    """Adds one recurrence as an operator that starts from given states, or whose last cell state is read.

    At masked positions before the first unmasked one the state is the first state, and so is the last state of a row
    without unmasked positions. Keras's output is zero there.
    """
    initial = [
        graph.add("Unsqueeze", [value, graph.shared([0])], f"{r.name}.initial_{i}") for i, value in enumerate(r.first)
    ]
    weights, has_memory = add_weights(graph, r), r.cell is not None
    if r.mask is None:
        y, *ends = add_operator(graph, r, [r.x, *weights, *(["", *initial] if initial else [])], has_memory=has_memory)
        values = graph.add("Squeeze", [y, graph.shared([1])], f"{r.name}.states")
        last = [graph.add("Squeeze", [end, graph.shared([0])], f"{end}.last") for end in ends]
        return Written(values, values, last[0], cell=last[1] if has_memory else None)
    x, order = move_input(graph, r, r.mask)
    y, last = add_from_states(graph, r, order, [x, *weights], initial, has_memory=has_memory)
    zero = graph.shared(0.0, np.float32)
    values = carry(graph, r.name, order, y, len(r.recurrent_kernel), r.first[0] if r.first else None)
    outputs = values
    if r.ends_in_zeros:
        is_shown = order.is_started if r.is_carried else r.mask
        outputs = graph.add("Where", [is_shown, values, zero], f"{r.name}.outputs")
    return Written(values, outputs, last[0], cell=last[1] if has_memory else None)


def add_from_states(
    graph: Graph, r: Recurrence, order: Order, inputs: list[str], initial: list[str], *, has_memory: bool
) -> tuple[str, list[str]]:
    """Adds the operator for a masked sequence whose unmasked positions were moved to the front.

    Args:
        graph: The graph, to which the nodes are added.
        r: The recurrence; `first` has the values of its first states, if they are given.
        order: The order of the moved sequence.
        inputs: The moved sequence and the weights.
        initial: The first states as the operator reads them.
        has_memory: Whether the cell state of an LSTM is an output.

    Returns:
        All states of the moved sequence, (time, batch, units), and the last states, each (batch, units).
    """
    # onnxruntime before 1.26 reads out of bounds with a length of 0 (#28052); the results of such a row are not used.
    lengths = graph.add("Max", [order.lengths, graph.shared(1)], f"{r.name}.lengths_from_1")
    is_empty = graph.add("Equal", [order.lengths, graph.shared(0)], f"{r.name}.empty")
    is_empty = graph.add("Unsqueeze", [is_empty, graph.shared([1])], f"{r.name}.is_empty")
    y, *ends = add_operator(graph, r, [*inputs, lengths, *initial], has_memory=has_memory)
    first = r.first or [graph.shared(0.0, np.float32)] * len(ends)
    last = []
    for end, value in zip(ends, first, strict=False):
        squeezed = graph.add("Squeeze", [end, graph.shared([0])], f"{end}.squeezed")
        last.append(graph.add("Where", [is_empty, value, squeezed], f"{end}.last"))
    return graph.add("Squeeze", [y, graph.shared([1])], f"{r.name}.y"), last


def _finish_without_lengths(graph: Graph, r: Recurrence, order: Order, y: str) -> Written:
    """Takes the states of unmasked positions from all outputs of the operator, (time, 1, batch, units)."""
    name, units, zero = r.name, len(r.recurrent_kernel), graph.shared(0.0, np.float32)
    y = graph.add("Squeeze", [y, graph.shared([1])], f"{name}.y")
    states = carry(graph, name, order, y, units)
    ends = [graph.shared([-1]), graph.shared([2**31 - 1]), graph.shared([0])]
    last = graph.add("Slice", [states, *ends], f"{name}.last_step")
    counts = graph.add("Less", [order.position, order.lengths], f"{name}.counts_at")
    counts = graph.add("Unsqueeze", [counts, graph.shared([2])], f"{name}.counts_in")
    counted = graph.add("Where", [counts, y, zero], f"{name}.counted")
    pooled = Pooled(units, graph.add("ReduceSum", [counted, graph.shared([0])], f"{name}.total", keepdims=0))
    if not r.is_carried:
        maximum = _add_maximum(graph, name, counted)
        pooled = dataclasses.replace(pooled, maximum=maximum, moved=counted, turn=_turn(graph, r, order))
    return Written(
        states,
        states if r.is_carried else graph.add("Where", [r.mask or "", states, zero], f"{name}.outputs"),
        graph.add("Squeeze", [last, graph.shared([0])], f"{name}.last"),
        pooled,
    )


def _turn(graph: Graph, r: Recurrence, order: Order) -> Callable[[str, int], str] | None:
    """Returns `Pooled.turn` of a recurrence that reads a reversed sequence; None for others."""
    return partial(turn, graph, order, "front") if r.is_turned else None


def _add_maximum(graph: Graph, name: str, y: str) -> str:
    """Adds the maximum of (time, batch, units) over time, (batch, units)."""
    return graph.add("ReduceMax", [y], f"{name}.largest", axes=[0], keepdims=0)


def add_weights(graph: Graph, r: Recurrence) -> list[str]:
    """Adds W, R and B in the layout of the ONNX operator."""
    input_bias, recurrent_bias = r.bias if r.bias.ndim == 2 else (r.bias, np.zeros_like(r.bias))
    biases = [_gates_in_order(r.operator, bias) for bias in (input_bias, recurrent_bias)]
    return [
        graph.add_constant(f"{r.name}.W", _gates_in_order(r.operator, r.kernel).T[None]),
        graph.add_constant(f"{r.name}.R", _gates_in_order(r.operator, r.recurrent_kernel).T[None]),
        graph.add_constant(f"{r.name}.B", np.concatenate(biases)[None]),
    ]


def move_input(graph: Graph, r: Recurrence, mask: str) -> tuple[str, Order]:
    """Moves unmasked positions to the front.

    Returns:
        The input as the operator reads it, (time, batch, inputs), and the order in which it is now.
    """
    if r.embedded is None:
        is_there = graph.add("Squeeze", [mask, graph.shared([2])], f"{r.name}.is_there")
        order = add_order(graph, r.name, is_there, "front")
        return move_rows(graph, r.name, order, r.x, len(r.kernel)), order
    ids = add_ids(graph, r.name, r.embedded)
    is_there = graph.add("Cast", [ids], f"{r.name}.is_there", to=onnx.TensorProto.BOOL)
    order = add_order(graph, r.name, is_there, "front")
    moved = move_ids(graph, r.name, order, ids)
    return graph.add("Gather", [r.embedded.table, moved], f"{r.name}.x", axis=0), order


def add_operator(graph: Graph, r: Recurrence, inputs: list[str], *, has_memory: bool = False) -> list[str]:
    """Adds the operator.

    Args:
        graph: The graph, to which the node is added.
        r: The recurrence.
        inputs: The values that the operator reads, "" for one that is left out.
        has_memory: Whether the cell state of an LSTM is an output.

    Returns:
        Y (time, 1, batch, units), Y_h (1, batch, units), and with `has_memory` the cell state Y_c of an LSTM.
    """
    outputs = [f"{r.name}.{kind}" for kind in ("Y", "Y_h", *(["Y_c"] if has_memory else []))]
    # The activation of the gates comes first. An LSTM has the other one twice: for the candidate and for the output.
    of_gates = r.recurrent_activation or ""
    activations = {
        "RNN": [r.activation],
        "GRU": [of_gates, r.activation],
        "LSTM": [of_gates, r.activation, r.activation],
    }[r.operator]
    alphas = [ALPHAS[name] for name in activations if name in ALPHAS]
    betas = [BETAS[name] for name in activations if name in BETAS]
    settings: dict[str, Any] = {"linear_before_reset": int(r.reset_after)} if r.operator == "GRU" else {}
    graph.add_node(
        helper.make_node(
            r.operator,
            inputs,
            outputs,
            name=r.name,
            hidden_size=len(r.recurrent_kernel),
            activations=list(map(operator_of, activations)),
            activation_alpha=alphas or None,
            activation_beta=betas or None,
            direction="forward",
            **settings,
        )
    )
    return outputs


def _gates_in_order(operator: str, weights: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Puts the gates of an LSTM in ONNX's order i, o, f, c.

    Keras has them as i, f, c, o in the last axis. The gates of a GRU have the same order in both.
    """
    if operator != "LSTM":
        return weights
    i, f, c, o = np.split(weights, 4, axis=-1)
    return np.concatenate([i, o, f, c], axis=-1)

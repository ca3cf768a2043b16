"""Writes recurrences of cells, such as `RNN(LSTMCell(5))`, as the layers that compute the same. Imports Keras.

`RNN(LSTMCell(5))` computes what `LSTM(5)` does, with the same weights. `RNN([LSTMCell(5), GRUCell(4)])` computes the
first cell at each step, and the second one from the new state of the first. That is an `LSTM(5)` with all its states,
and a `GRU(4)` that reads them. At a masked position all cells keep their states, and so do all layers with that mask.

A stack that goes backwards gives its states in the order of their computation. Between two layers they are reversed
(`ReverseTime`), because the mask stays in the order of the input.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from rnnx.keras_models.layer_settings import refusal
from rnnx.keras_models.reverse_time import ReverseTime

# The layer of each cell, and the settings that say what it computes at inference.
_LAYERS: Mapping[type, tuple[type, tuple[str, ...]]] = {
    layers.SimpleRNNCell: (layers.SimpleRNN, ("units", "activation", "use_bias")),
    layers.LSTMCell: (layers.LSTM, ("units", "activation", "recurrent_activation", "use_bias")),
    layers.GRUCell: (layers.GRU, ("units", "activation", "recurrent_activation", "use_bias", "reset_after")),
}
_MERGES: Mapping[str, type] = {
    "concat": layers.Concatenate,
    "sum": layers.Add,
    "mul": layers.Multiply,
    "ave": layers.Average,
}


def has_cells(layer: Any) -> bool:
    """Whether a layer is a recurrence of cells, or a Bidirectional of one."""
    halves = (layer.forward_layer, layer.backward_layer) if type(layer) is layers.Bidirectional else (layer,)
    return any(type(half) is layers.RNN for half in halves)


def call_with_layers(
    layer: Any, args: Sequence[Any], kwargs: Mapping[str, Any], name_of: Callable[[str], str]
) -> list[Any]:
    """Calls layers in place of a recurrence of cells, or of a Bidirectional of one.

    Args:
        layer: A layer for which `has_cells`.
        args: What it is called with: the sequence, and perhaps the first states.
        kwargs: The same, by name; `mask` too.
        name_of: Makes the name of a new layer.

    Returns:
        The outputs of the layer, without lists in lists.

    Raises:
        ModelError: If a cell is not one of Keras.
    """
    given = dict(zip(("sequences", "initial_state", "mask"), args, strict=False)) | dict(kwargs)
    x, first = given["sequences"], given.get("initial_state")
    mask = {"mask": given["mask"]} if given.get("mask") is not None else {}
    if type(layer) is layers.RNN:
        return _call_stack(_Stack(layer, layer.name, name_of), x, keras.tree.flatten(first or []), mask)
    states = list(first) if first is not None else []
    half = len(states) // 2
    forward, *forward_states = _call_stack(
        _Stack(layer.forward_layer, f"{layer.name}.forward", name_of), x, keras.tree.flatten(states[:half]), mask
    )
    backward, *backward_states = _call_stack(
        _Stack(layer.backward_layer, f"{layer.name}.backward", name_of), x, keras.tree.flatten(states[half:]), mask
    )
    if layer.return_sequences:
        backward = ReverseTime(dtype="float32", name=name_of(f"{layer.name}.backward.reverse"))(backward)
    ends = [forward, backward]
    if layer.merge_mode is not None:
        ends = [_MERGES[layer.merge_mode](dtype="float32", name=name_of(layer.name))(ends)]
    return [*ends, *forward_states, *backward_states]


@dataclass(frozen=True, eq=False)
class _Stack:
    """A recurrence of one or several cells.

    Attributes:
        layer: The recurrent layer.
        name: The name of its layer if there is one cell. If there are several, the names of their layers begin with it.
        name_of: Makes the name of a new layer.
    """

    layer: Any
    name: str
    name_of: Callable[[str], str]


def _call_stack(stack: _Stack, x: Any, first: Sequence[Any], mask: Mapping[str, Any]) -> list[Any]:
    """Calls a layer for each cell of a recurrence; returns the output, and the last states if the layer returns them.

    Args:
        stack: The recurrence.
        x: The sequence.
        first: The first states of all cells, one after the other; zero if empty.
        mask: The argument `mask`, if the call has it.
    """
    recurrence, name_of = stack.layer, stack.name_of
    cells = list(_cells(recurrence, recurrence.cell))
    others, ends = list(first), []
    for i, cell in enumerate(cells):
        is_last = i == len(cells) - 1
        kind, settings = _LAYERS[type(cell)]
        layer = kind(
            **{name: getattr(cell, name) for name in settings},
            return_sequences=recurrence.return_sequences or not is_last,
            return_state=recurrence.return_state,
            go_backwards=recurrence.go_backwards,
            zero_output_for_mask=is_last and recurrence.zero_output_for_mask,
            dtype="float32",
            name=name_of(stack.name if len(cells) == 1 else f"{stack.name}.{cell.name}"),
        )
        count = len(keras.tree.flatten(cell.state_size))
        own, others = others[:count], others[count:]
        x, *states = keras.tree.flatten(layer(x, **({"initial_state": own} if own else {}), **mask))
        layer.set_weights(cell.get_weights())
        ends += states
        if recurrence.go_backwards and not is_last:
            x = ReverseTime(dtype="float32", name=name_of(f"{layer.name}.reverse"))(x)
    return [x, *ends]


def _cells(layer: Any, cell: Any) -> Iterator[Any]:
    """Yields the cells of a recurrence in the order of the computation.

    Raises:
        ModelError: If one is not a cell of Keras.
    """
    if type(cell) is layers.StackedRNNCells:
        for inner in cell.cells:
            yield from _cells(layer, inner)
    elif type(cell) in _LAYERS:
        yield cell
    else:
        known = ", ".join(kind.__name__ for kind in _LAYERS)
        raise refusal(
            layer,
            f"has the cell {type(cell).__name__}, whose code rnnx does not read; use {known}, or StackedRNNCells of "
            "them, give them the weights with set_weights, and save the model again",
        )

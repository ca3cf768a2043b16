"""The mutants of `sharpness`: ways in which an exported recurrence can be wrong, in the graph and in the reference."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from bench.proof.networks import Case
from rnnx.proof.compare import Outputs
from rnnx.reference import Array, SimpleRNN, Tensor
from rnnx.rewrites.graph import Graph
from rnnx.rewrites.recurrence import Recurrence
from rnnx.rewrites.replace import Rewritten, Written, replace_recurrences
from rnnx.rewrites.rnn_form import write_rnn
from rnnx.rounding.recurrent_bounds import step_bound

F = TypeVar("F", np.float32, np.float64)


@dataclass(frozen=True)
class Mutant:
    """A way in which a file can be wrong.

    Attributes:
        name: The name in the table.
        change: Returns the changed recurrence for the graph. It is the same recurrence if `build_mutant` changes the
            finished graph instead.
        mutate_layer: Makes the same change in the reference: returns the layer, its input in the layer's order, and the
            initial state.
        needs: Says whether the change is possible for a layer and its input.
    """

    name: str
    change: Callable[[Graph, Recurrence, Case], Recurrence]
    mutate_layer: Callable[[SimpleRNN, Tensor, Case], tuple[SimpleRNN, Tensor, float]]
    needs: Callable[[SimpleRNN, Tensor, Case], bool] = lambda layer, x, case: True


def _change_bias(bias: npt.NDArray[F], case: Case) -> npt.NDArray[F]:
    changed: npt.NDArray[F] = bias.copy()
    changed[case.unit] += np.float32(1e-4)
    return changed


def _change_entry(kernel: npt.NDArray[F], case: Case) -> npt.NDArray[F]:
    changed: npt.NDArray[F] = kernel.copy()
    changed[0, case.unit] += np.float32(1e-3)
    return changed


def _round_to_half(values: npt.NDArray[F]) -> npt.NDArray[F]:
    rounded: npt.NDArray[F] = values.astype(np.float16).astype(values.dtype)
    return rounded


def _reverse(graph: Graph, recurrence: Recurrence) -> Recurrence:
    """Reverses the input of a recurrence, and its mask, over time."""
    bounds = [graph.shared([-1]), graph.shared([-(2**31 - 1)]), graph.shared([0]), graph.shared([-1])]
    name, mask = recurrence.name, recurrence.mask
    x = graph.add("Slice", [recurrence.x, *bounds], f"{name}.turned")
    mask = None if mask is None else graph.add("Slice", [mask, *bounds], f"{name}.turned_mask")
    return dataclasses.replace(recurrence, x=x, mask=mask, embedded=None)


def _shift(graph: Graph, recurrence: Recurrence, case: Case) -> Recurrence:
    """Gives a recurrence the previous step's input at one step."""
    name = recurrence.name
    steps = graph.add_constant(f"{name}.steps", _shifted_steps(case))
    x = graph.add("Gather", [recurrence.x, steps], f"{name}.shifted", axis=0)
    return dataclasses.replace(recurrence, x=x, embedded=None)


def _shifted_steps(case: Case) -> npt.NDArray[np.int64]:
    """Returns the step whose input each step reads."""
    steps = np.arange(case.batch.time)
    steps[case.step] -= 1
    return steps


_INITIAL = 0.01
MUTANTS = [
    Mutant(
        "a bias off by 1e-4",
        lambda graph, recurrence, case: dataclasses.replace(recurrence, bias=_change_bias(recurrence.bias, case)),
        lambda layer, x, case: (dataclasses.replace(layer, bias=_change_bias(layer.bias, case)), x, 0.0),
    ),
    Mutant(
        "one entry of U off by 1e-3",
        lambda graph, recurrence, case: dataclasses.replace(
            recurrence, recurrent_kernel=_change_entry(recurrence.recurrent_kernel, case)
        ),
        lambda layer, x, case: (
            dataclasses.replace(layer, recurrent_kernel=_change_entry(layer.recurrent_kernel, case)),
            x,
            0.0,
        ),
    ),
    Mutant(
        "weights in float16",
        lambda graph, recurrence, case: dataclasses.replace(
            recurrence,
            kernel=_round_to_half(recurrence.kernel),
            recurrent_kernel=_round_to_half(recurrence.recurrent_kernel),
            bias=_round_to_half(recurrence.bias),
        ),
        lambda layer, x, case: (
            dataclasses.replace(
                layer,
                kernel=_round_to_half(layer.kernel),
                recurrent_kernel=_round_to_half(layer.recurrent_kernel),
                bias=_round_to_half(layer.bias),
            ),
            x,
            0.0,
        ),
    ),
    Mutant(
        "a transposed kernel",
        lambda graph, recurrence, case: dataclasses.replace(
            recurrence, recurrent_kernel=recurrence.recurrent_kernel.T.copy()
        ),
        lambda layer, x, case: (dataclasses.replace(layer, recurrent_kernel=layer.recurrent_kernel.T.copy()), x, 0.0),
        needs=lambda layer, x, case: len(layer.bias) > 1,
    ),
    Mutant(
        "a swapped direction",
        lambda graph, recurrence, case: _reverse(graph, recurrence),
        lambda layer, x, case: (layer, Tensor(x.values[:, ::-1], None if x.mask is None else x.mask[:, ::-1]), 0.0),
        needs=lambda layer, x, case: x.values.shape[1] > 1,
    ),
    Mutant(
        "a wrong initial state",
        lambda graph, recurrence, case: recurrence,
        lambda layer, x, case: (layer, x, _INITIAL),
    ),
    Mutant(
        "a mask ignored",
        lambda graph, recurrence, case: dataclasses.replace(recurrence, mask=None),
        lambda layer, x, case: (layer, Tensor(x.values), 0.0),
        needs=lambda layer, x, case: x.mask is not None and not x.mask.all(),
    ),
    Mutant(
        "one step's input shifted",
        _shift,
        lambda layer, x, case: (layer, Tensor(x.values[:, _shifted_steps(case)], x.mask), 0.0),
        needs=lambda layer, x, case: x.values.shape[1] > 1,
    ),
]


def build_mutant(converted: onnx.ModelProto, case: Case, mutant: Mutant) -> Rewritten:
    """Writes the form with the RNN operator, with the case's recurrence changed."""

    def write(graph: Graph, recurrences: Sequence[Recurrence]) -> Sequence[Written]:
        return write_rnn(
            graph,
            [
                mutant.change(graph, recurrence, case) if recurrence.name == case.layer else recurrence
                for recurrence in recurrences
            ],
        )

    form = replace_recurrences(converted, write)
    if mutant.name == "a wrong initial state":
        node = next(node for node in form.model.graph.node if node.name == case.layer)
        units = len(case.network.recurrent_nodes[case.layer].bias)
        initial = np.full((1, len(case.batch.names), units), _INITIAL, np.float32)
        form.model.graph.initializer.append(numpy_helper.from_array(initial, "wrong_initial"))
        node.input.extend([""] * (5 - len(node.input)) + ["wrong_initial"])
    return form


def effect(case: Case, mutant: Mutant, outputs: Outputs) -> tuple[float, set[tuple[int, int]]]:
    """Computes how far a mutant moves the states in float64, relative to what rounding can do to them.

    Returns:
        The largest ratio, and the rows and steps where the mutant moves a state by more than rounding can.
    """
    layer = case.network.recurrent_nodes[case.layer]
    assert isinstance(layer, SimpleRNN)  # noqa: S101  # mutants are made of this layer only
    runtime_states = {name: values.astype(np.float64) for name, values in outputs.states.items()}
    tensors = case.network.forward(case.batch.given, runtime_states)
    node = next(node for node in case.network.nodes if node.name == case.layer)
    x = layer.in_order(tensors[node.inputs[0]])
    states = outputs.states[case.layer].astype(np.float64)
    right = _steps(layer, x, states, 0.0)
    bound = step_bound(layer, x.values, _before(states, 0.0), np.zeros_like(x.values))
    wrong_layer, wrong_x, wrong_initial = mutant.mutate_layer(layer, x, case)
    wrong = _steps(wrong_layer, wrong_x, states, wrong_initial)
    moved = np.abs(right - wrong)
    if x.mask is not None:
        bound = np.where(x.mask[:, :, None], bound, 0.0)
    ratio = np.divide(moved, bound, out=np.where(moved == 0, 0.0, 1e300), where=bound > 0)
    return float(ratio.max()), {(int(row), int(step)) for row, step, _ in np.argwhere(ratio > 1)}


def _before(states: Array, initial: float, mask: npt.NDArray[np.bool_] | None = None) -> Array:
    """Returns the state before each step; before the first step that is not masked, it is the initial state."""
    before = np.concatenate([np.zeros_like(states[:, :1]), states[:, :-1]], axis=1)
    if initial:
        first = np.zeros(len(states), int) if mask is None else mask.argmax(axis=1)
        before[np.arange(len(states)), first] = initial
    return before


def _steps(layer: SimpleRNN, x: Tensor, states: Array, initial: float) -> Array:
    """Computes one step from each of the given states; a masked step keeps its state."""
    before = _before(states, initial, x.mask)
    expected = layer.step(x.values, before)
    return expected if x.mask is None else np.where(x.mask[:, :, None], expected, before)

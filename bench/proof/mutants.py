"""Ways in which an exported recurrence can be wrong, in the graph and in the reference alike, for `sharpness`."""

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
from rnnx.rewrites.replace import Rewritten, Written, replace_loops
from rnnx.rewrites.rnn_form import write_rnn
from rnnx.rounding.step_bound import step_bound

F = TypeVar("F", np.float32, np.float64)


@dataclass(frozen=True)
class Mutant:
    """A way to be wrong.

    Attributes:
        name: For the table.
        change: Changes what the layer's recurrence is, in the graph; None where it is done to the finished graph.
        mutate_layer: The same in the reference: layer, its input in order, the initial state.
        needs: Whether it applies.
    """

    name: str
    change: Callable[[Graph, Recurrence, Case], Recurrence]
    mutate_layer: Callable[[SimpleRNN, Tensor, Case], tuple[SimpleRNN, Tensor, float]]
    needs: Callable[[SimpleRNN, Tensor, Case], bool] = lambda layer, x, case: True


def _off_bias(bias: npt.NDArray[F], case: Case) -> npt.NDArray[F]:
    changed: npt.NDArray[F] = bias.copy()
    changed[case.unit] += np.float32(1e-4)
    return changed


def _off_entry(kernel: npt.NDArray[F], case: Case) -> npt.NDArray[F]:
    changed: npt.NDArray[F] = kernel.copy()
    changed[0, case.unit] += np.float32(1e-3)
    return changed


def _half(values: npt.NDArray[F]) -> npt.NDArray[F]:
    half: npt.NDArray[F] = values.astype(np.float16).astype(values.dtype)
    return half


def _turned(graph: Graph, r: Recurrence) -> Recurrence:
    bounds = [graph.shared([-1]), graph.shared([-(2**31 - 1)]), graph.shared([0]), graph.shared([-1])]
    x = graph.add("Slice", [r.x, *bounds], f"{r.name}.turned")
    mask = None if r.mask is None else graph.add("Slice", [r.mask, *bounds], f"{r.name}.turned_mask")
    return dataclasses.replace(r, x=x, mask=mask, embedded=None)


def _shifted(graph: Graph, r: Recurrence, case: Case) -> Recurrence:
    steps = graph.add_constant(f"{r.name}.steps", _shifted_steps(case))
    return dataclasses.replace(r, x=graph.add("Gather", [r.x, steps], f"{r.name}.shifted", axis=0), embedded=None)


def _shifted_steps(case: Case) -> npt.NDArray[np.int64]:
    steps = np.arange(case.batch.time)
    steps[case.step] -= 1
    return steps


_INITIAL = 0.01
MUTANTS = [
    Mutant(
        "a bias off by 1e-4",
        lambda graph, r, case: dataclasses.replace(r, bias=_off_bias(r.bias, case)),
        lambda layer, x, case: (dataclasses.replace(layer, bias=_off_bias(layer.bias, case)), x, 0.0),
    ),
    Mutant(
        "one entry of U off by 1e-3",
        lambda graph, r, case: dataclasses.replace(r, recurrent_kernel=_off_entry(r.recurrent_kernel, case)),
        lambda layer, x, case: (
            dataclasses.replace(layer, recurrent_kernel=_off_entry(layer.recurrent_kernel, case)),
            x,
            0.0,
        ),
    ),
    Mutant(
        "weights in float16",
        lambda graph, r, case: dataclasses.replace(
            r, kernel=_half(r.kernel), recurrent_kernel=_half(r.recurrent_kernel), bias=_half(r.bias)
        ),
        lambda layer, x, case: (
            dataclasses.replace(
                layer,
                kernel=_half(layer.kernel),
                recurrent_kernel=_half(layer.recurrent_kernel),
                bias=_half(layer.bias),
            ),
            x,
            0.0,
        ),
    ),
    Mutant(
        "a transposed kernel",
        lambda graph, r, case: dataclasses.replace(r, recurrent_kernel=r.recurrent_kernel.T.copy()),
        lambda layer, x, case: (dataclasses.replace(layer, recurrent_kernel=layer.recurrent_kernel.T.copy()), x, 0.0),
        needs=lambda layer, x, case: len(layer.bias) > 1,
    ),
    Mutant(
        "a swapped direction",
        lambda graph, r, case: _turned(graph, r),
        lambda layer, x, case: (layer, Tensor(x.values[:, ::-1], None if x.mask is None else x.mask[:, ::-1]), 0.0),
        needs=lambda layer, x, case: x.values.shape[1] > 1,
    ),
    Mutant(
        "a wrong initial state",
        lambda graph, r, case: r,
        lambda layer, x, case: (layer, x, _INITIAL),
    ),
    Mutant(
        "a mask ignored",
        lambda graph, r, case: dataclasses.replace(r, mask=None),
        lambda layer, x, case: (layer, Tensor(x.values), 0.0),
        needs=lambda layer, x, case: x.mask is not None and not x.mask.all(),
    ),
    Mutant(
        "one step's input shifted",
        _shifted,
        lambda layer, x, case: (layer, Tensor(x.values[:, _shifted_steps(case)], x.mask), 0.0),
        needs=lambda layer, x, case: x.values.shape[1] > 1,
    ),
]


def build_mutant(converted: onnx.ModelProto, case: Case, mutant: Mutant) -> Rewritten:
    """Writes the file with one recurrence changed."""

    def write(graph: Graph, recurrences: Sequence[Recurrence]) -> Sequence[Written]:
        return write_rnn(graph, [mutant.change(graph, r, case) if r.name == case.layer else r for r in recurrences])

    form = replace_loops(converted, write)
    if mutant.name == "a wrong initial state":
        node = next(node for node in form.model.graph.node if node.name == case.layer)
        units = len(case.network.recurrent_nodes[case.layer].bias)
        initial = np.full((1, len(case.batch.names), units), _INITIAL, np.float32)
        form.model.graph.initializer.append(numpy_helper.from_array(initial, "wrong_initial"))
        node.input.extend([""] * (5 - len(node.input)) + ["wrong_initial"])
    return form


def effect(case: Case, mutant: Mutant, outputs: Outputs) -> tuple[float, set[tuple[int, int]]]:
    """What the mutant does to a step, in float64, over what rounding can do to it.

    Returns:
        The largest ratio; and the rows and steps where the mutant moves a state by more than rounding can.
    """
    layer = case.network.recurrent_nodes[case.layer]
    assert isinstance(layer, SimpleRNN)  # noqa: S101  # the mutants are of no other
    tensors = case.network.forward(case.batch.given, {k: v.astype(np.float64) for k, v in outputs.states.items()})
    node = next(node for node in case.network.nodes if node.name == case.layer)
    x = layer.in_order(tensors[node.inputs[0]])
    states = outputs.states[case.layer].astype(np.float64)
    right = _steps(layer, x, states, 0.0)
    bound = step_bound(layer, x.values, _before(states, 0.0), np.zeros_like(x.values))
    wrong = _steps(*mutant.mutate_layer(layer, x, case)[:2], states, mutant.mutate_layer(layer, x, case)[2])
    moved = np.abs(right - wrong)
    if x.mask is not None:
        bound = np.where(x.mask[:, :, None], bound, 0.0)
    ratio = np.divide(moved, bound, out=np.where(moved == 0, 0.0, 1e300), where=bound > 0)
    return float(ratio.max()), {(int(row), int(step)) for row, step, _ in np.argwhere(ratio > 1)}


def _before(states: Array, initial: float, mask: npt.NDArray[np.bool_] | None = None) -> Array:
    """The states before each step; the initial one before the first step that counts."""
    before = np.concatenate([np.zeros_like(states[:, :1]), states[:, :-1]], axis=1)
    if initial:
        first = np.zeros(len(states), int) if mask is None else mask.argmax(axis=1)
        before[np.arange(len(states)), first] = initial
    return before


def _steps(layer: SimpleRNN, x: Tensor, states: Array, initial: float) -> Array:
    before = _before(states, initial, x.mask)
    expected = layer.step(x.values, before)
    return expected if x.mask is None else np.where(x.mask[:, :, None], expected, before)

"""Finds the values of a form that are the outputs of its layers, so that each layer can be compared alone.

tf2onnx and the rewrites join, move and rename nodes, so a name says nothing reliable. The values themselves do: each
value of the form is computed on a few inputs, and the output of a layer is the value that is nearest to what the
reference computes from the values before it. `rnnx.proof.cuts` says which layers need one, and why the choice cannot
make a wrong file pass. If no value is within the bound of a layer, the nearest one is kept, and the proof fails there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from rnnx.export.finite import finite_rows
from rnnx.export.probes_of_numbers import make_number_traps
from rnnx.onnx_file.visible_states import with_states
from rnnx.proof.compare import ratios
from rnnx.proof.cuts import compare_alone, fused_reader, wanted_cuts
from rnnx.reference import Array, NamedArrays, Network, Node
from rnnx.reference.shapes import least_time, zeros
from rnnx.reference.streaming import from_zero
from rnnx.rewrites.replace import Rewritten
from rnnx.runtime.session import Session

# The time of the inputs, unless a layer gives fewer positions than `_FEWEST` for it: with a single one, a value would
# fit with its axes in several orders.
_LENGTH = 7
_FEWEST = 3
_MOST_DOUBLINGS = 8


def with_cuts(form: Rewritten, network: Network) -> Rewritten:
    """Finds the cuts of a form.

    Args:
        form: A form of the network.
        network: The reference.

    Returns:
        The form with the names of its cuts. Where only a value with its axes in another order is in the form, `extra`
        has a node that transposes it.
    """
    if not wanted_cuts(network):
        return dataclasses.replace(form, cuts={})
    given = _make_inputs(network)
    values = _run_all(form, given)
    states = {layer: values[name].transpose(1, 0, 2).astype(np.float64) for layer, name in form.states.items()}
    own = {name: values[name] for node in form.model.graph.node for name in node.output if name in values}
    search = _Search(network, values, own)
    with np.errstate(all="ignore"):  # a network may overflow; the proof says so
        for _ in compare_alone(network, given, states, search.show):
            pass
    extra = onnx.GraphProto.FromString(form.extra.SerializeToString())
    cuts = {layer: _named(extra, found) for layer, found in search.result().items()}
    return dataclasses.replace(form, extra=extra, cuts=cuts)


@dataclasses.dataclass(frozen=True, eq=False)
class _Found:
    """A value of a form as the output of a layer.

    Attributes:
        value: The name of the value.
        order: The order in which its axes have to be read.
        is_reshaped: Whether it has another shape than the layer's output.
        ratio: The largest ratio of a difference to the bound of the layer.
    """

    value: str
    order: tuple[int, ...]
    is_reshaped: bool
    ratio: float

    @property
    def is_in_order(self) -> bool:
        """Whether the axes are in the order in which they have to be read."""
        return self.order == tuple(range(len(self.order)))

    @property
    def fits(self) -> bool:
        """Whether float32 rounding explains every difference."""
        return self.ratio <= 1


class _Search:
    """Chooses the value of each layer, in the order of the computation."""

    def __init__(self, network: Network, results: NamedArrays, values: NamedArrays) -> None:
        """Takes the outputs of a form, and the values of its nodes in their order, by name."""
        self._results, self._values = results, values
        self._outputs = {node.name: name for name, node in network.ends.items()}
        self._readers = {node.name: fused_reader(network, node) for node in wanted_cuts(network)}
        self._found: dict[str, _Found] = {}
        self._right_ends: set[str] = set()
        # The layers of which no value fits; they may be computed together with their readers.
        self._unsure: dict[str, _Found | None] = {}

    def show(self, node: Node, expected: Array, bound: Array) -> Array | None:
        """Returns the value that was chosen as the output of a layer; None if the layer shows none."""
        if node.name in self._outputs:
            output = self._results[self._outputs[node.name]].astype(np.float64)
            if _largest(expected, output, bound) <= 1:
                self._right_ends.add(node.name)
            return output
        fused = [name for name in self._unsure if name in node.inputs and self._readers[name] is not None]
        if node.name not in self._readers and not fused:
            return None
        found = min(_candidates(self._values, expected, bound), key=_rank, default=None)
        if found is None or not found.fits:
            if not fused:
                self._unsure[node.name] = found
            return None
        self._found[node.name] = found
        return _as_output(self._values[found.value], found.order, expected)

    def result(self) -> dict[str, _Found]:
        """Returns the value of each layer or of its reader; the nearest one if none fits."""
        right = self._found.keys() | self._right_ends
        nearest = {
            name: found
            for name, found in self._unsure.items()
            if found is not None and not ((reader := self._readers[name]) and reader.name in right)
        }
        return {**self._found, **nearest}


def _rank(found: _Found) -> tuple[float, bool, bool]:
    return found.ratio, not found.is_in_order, found.is_reshaped


def _candidates(values: NamedArrays, expected: Array, bound: Array) -> Iterator[_Found]:
    """Yields the values that have the size of a layer's output, the last computed first."""
    sizes = [size for size in expected.shape if size != 1]
    for name, value in reversed(list(values.items())):
        if value.size != expected.size:
            continue
        for order in permutations(range(value.ndim)):
            turned = value.transpose(order)
            is_joined = value.ndim == 2 and turned.shape[-1] == sizes[-1]  # the positions of all rows are one axis
            if is_joined or _is_split(turned, expected) or [size for size in turned.shape if size != 1] == sizes:
                ratio = _largest(expected, _as_output(value, order, expected), bound)
                yield _Found(name, order, turned.shape != expected.shape, ratio)


def _as_output(value: npt.NDArray[Any], order: tuple[int, ...], expected: Array) -> Array:
    """Returns a value as the output of a layer, its axes read in an order."""
    return value.transpose(order).reshape(expected.shape).astype(np.float64)


def _is_split(value: npt.NDArray[Any], expected: Array) -> bool:
    """Says whether the last axis of a layer's output is two axes of a value, as those of several heads."""
    return value.ndim == expected.ndim + 1 and value.shape[:-2] == expected.shape[:-1]


def _largest(expected: Array, actual: Array, bound: Array) -> float:
    return float(np.nan_to_num(ratios(np.abs(expected - actual), bound), nan=np.inf).max(initial=0.0))


def _named(extra: onnx.GraphProto, found: _Found) -> str:
    """Returns the name of a value whose axes are in order; adds a node to `extra` if the form has none."""
    if found.is_in_order:
        return found.value
    for node in extra.node:
        if node.op_type == "Transpose" and node.input[0] == found.value:
            order = next(attribute.ints for attribute in node.attribute if attribute.name == "perm")
            if tuple(order) == found.order:
                return str(node.output[0])
    name = f"{found.value}.in_order"
    if any(node.name == name for node in extra.node):
        name = f"{found.value}.in_order_{'_'.join(map(str, found.order))}"
    extra.node.append(helper.make_node("Transpose", [found.value], [name], name=name, perm=found.order))
    return name


def _make_inputs(network: Network) -> NamedArrays:
    """Makes a batch of small, ordinary and large numbers, with zeros that a mask may hide.

    The number of rows is not that of the positions, so that no value fits with these axes exchanged.
    """
    traps = list(make_number_traps(network, _find_length(network)).values())
    shapes = [{name: values.shape for name, values in trap.items()} for trap in traps]
    rows = [trap for trap, shape in zip(traps, shapes, strict=True) if shape == shapes[0]]
    if any(len(rows) in shape for shape in shapes[0].values()):
        rows = rows[1:]
    given = {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}
    is_finite = finite_rows(network, given)
    return {name: values[is_finite] for name, values in given.items()} if is_finite.any() else given


def _find_length(network: Network) -> int:
    """Returns a time for which every layer that keeps positions has some."""
    length = max(_LENGTH, least_time(network))
    for _ in range(_MOST_DOUBLINGS):
        shorter, longer = (network.forward(zeros(network, time)) for time in (length, 2 * length))
        pairs = [
            (size, more)
            for name, tensor in shorter.items()
            for size, more in zip(tensor.values.shape[1:], longer[name].values.shape[1:], strict=True)
        ]
        if all(size >= _FEWEST or size == more for size, more in pairs):
            break
        length *= 2
    return length


def _run_all(form: Rewritten, given: NamedArrays) -> NamedArrays:
    """Runs a form, and returns its outputs, its states and every float32 value of its graph by name."""
    model = onnx.ModelProto.FromString(with_states(form.model.SerializeToString(), form.recipe()))
    shown = {output.name for output in model.graph.output}
    typed = onnx.shape_inference.infer_shapes(model).graph.value_info
    floats = {value.name for value in typed if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    for name in sorted(floats - shown):
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    session = Session(model.SerializeToString(), device="cpu")
    return from_zero(session.run_by_name, form.carried)(given)

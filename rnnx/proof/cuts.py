"""Cuts: the outputs of layers without states, which a file shows so that each layer is compared alone.

A recurrence shows its states, and each step is compared from the runtime's own state. The other layers with weights are
compared in the same way: the file shows the output of each, and the reference computes the layer in float64 from the
runtime's own input to it. The difference has to be within the bound of that one layer for an exact input. A bound that
is carried through all layers after a recurrence hides errors instead: after eight Dense layers, a bias that is off by
1e-4 can be at 1e-7 of it.

A file shows its layers by these rules, and a layer that it does not show makes the proof fail:

- A recurrence shows its states (`rnnx.onnx_file.visible_states`). An output of the network is shown in any case.
- Every other layer with weights shows its output. In a file, that is also the last value that a BatchNormalization
  computes from its folded weights (`rnnx.rewrites.normalization`).
- A layer that has several products, such as an attention, implements `HasParts` and shows the output of each part.
- An Embedding shows nothing, because a lookup rounds nothing: the reference knows the runtime's rows exactly. A wrong
  row fails in the first layer that reads it, and the table is compared bit for bit (`rnnx.proof.weight_places`).
  Therefore a recurrence may also have the table folded into its input weights (`rnnx.rewrites.folded_table`).
- A layer without weights shows nothing. Its rounding is bounded, and carried to the next layer that is shown.
- What a layer decides by, as a comparison or an argmax does, is shown as well, unless it follows without rounding from
  what is shown. So the runtime has to decide exactly as its own numbers say (`rnnx.reference.jumps`).
- A file may compute a layer together with the only layer that reads it, if that one has no weights: the forms take the
  maximum over the positions before they add the bias of a Dense (`rnnx.rewrites.pooled_states`). Then the output of the
  reader is shown, and compared with both layers.

The choice of a value as a cut cannot make a wrong file pass: if every shown value follows from those before it within
the bound of one layer, up to the outputs of the network, then the file computes the network.

Imports NumPy only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np

from rnnx.reference import (
    LSTM,
    Array,
    Embedding,
    Given,
    Network,
    Node,
    Recurrent,
    Tensor,
    cell_state_of,
    is_jump,
    last_state_of,
)
from rnnx.reference.shapes import least_time, zeros
from rnnx.rounding.layer_bounds import output_error
from rnnx.rounding.layer_gradients import LayerOperations
from rnnx.rounding.recurrent_bounds import expect_cell_state, expect_steps

# Returns the runtime's own output of a layer, from what the reference gives for it and the bound; None without one.
Show: TypeAlias = Callable[[Node, Array, Array], Array | None]


@runtime_checkable
class HasParts(Protocol):
    """A layer that is compared in several parts, each from the runtime's own values before it."""

    def parts(self, node: Node) -> tuple[Node, ...]:
        """Returns the layer of a node as several nodes.

        Args:
            node: The node, whose inputs the parts read.

        Returns:
            The parts in the order of the computation, named `layer.part` except for the last one, which has the name of
            the node. Each has a layer that `rnnx.rounding.layer_bounds.output_error` bounds.
        """


@dataclass(frozen=True, eq=False)
class ComparedLayer:
    """A layer, computed from the runtime's own values before it.

    Attributes:
        node: The layer.
        expected: Its output in float64; of a recurrence, the step from each state.
        bound: How far the runtime's own output may be from it.
        actual: The runtime's own output, or its states; None if it does not show them.
        output: What the layers after it read: the runtime's own output if it is shown.
        error: How far the runtime's own output may be from `output`.
        cell_state: The expected last cell state of an LSTM and its bound, each `(batch, 1, units)`; None if no layer
            reads it.
    """

    node: Node
    expected: Array
    bound: Array
    actual: Array | None
    output: Tensor
    error: Array
    cell_state: tuple[Array, Array] | None = None


def compared_nodes(network: Network) -> list[Node]:
    """Returns the layers of a network, those that have parts as their parts."""
    nodes: list[Node] = []
    for node in network.nodes:
        nodes += node.layer.parts(node) if isinstance(node.layer, HasParts) else (node,)
    return nodes


def wanted_cuts(network: Network) -> list[Node]:
    """Returns the layers and parts of layers that have to show their output, in the order of the computation."""
    ends = {node.name for node in network.ends.values()}
    whole = {node.name for node in network.nodes if not isinstance(node.layer, HasParts)}
    decisive = _decisive(network)
    return [
        node
        for node in compared_nodes(network)
        if node.name not in ends and (node.name not in whole or _is_cut(node) or node.name in decisive)
    ]


def _decisive(network: Network) -> set[str]:
    """Returns the layers by whose outputs others decide, and whose outputs do not follow exactly from what is shown."""
    read = {name for node in network.nodes if is_jump(node.layer) for name in node.inputs}
    if not read:
        return set()
    tensors = network.forward(zeros(network, least_time(network)))
    ends = {node.name for node in network.ends.values()}
    exact, found = tensors.keys() - {node.name for node in network.nodes}, set()
    for node in network.nodes:
        is_shown = isinstance(node.layer, Recurrent | Embedding | HasParts) or _is_cut(node) or node.name in ends
        if is_shown or (_follows(node, exact) and not _rounds(node, tensors)):
            exact.add(node.name)
        elif node.name in read:
            found.add(node.name)
            exact.add(node.name)
    return found


def _follows(node: Node, exact: Collection[str]) -> bool:
    return is_jump(node.layer) or all(name in exact for name in node.inputs)


def _rounds(node: Node, tensors: Mapping[str, Tensor]) -> bool:
    with np.errstate(all="ignore"):  # what is not finite rounds all the same
        return LayerOperations(node.layer, [tensors[name] for name in node.inputs]).rounds


def fused_reader(network: Network, node: Node) -> Node | None:
    """Returns the only layer that reads a layer, if it has no weights, so that a file may compute both together.

    A layer that decides by its input is none: the decision alone says nothing about the number.
    """
    readers = [reader for reader in compared_nodes(network) if node.name in reader.inputs]
    if len(readers) != 1 or _has_weights(readers[0]) or len(readers[0].inputs) != 1 or is_jump(readers[0].layer):
        return None
    return readers[0]


def missing_cuts(network: Network, shown: Collection[str]) -> list[str]:
    """Returns the names of the layers that have to be shown, and are not.

    Args:
        network: The reference.
        shown: The names of the layers whose outputs are shown as cuts.
    """
    seen = {*shown, *(node.name for node in network.ends.values())}
    missing = []
    for node in wanted_cuts(network):
        reader = fused_reader(network, node)
        if node.name not in seen and (reader is None or reader.name not in seen):
            missing.append(node.name)
    return missing


def names_of_cuts(network: Network, shown: Collection[str]) -> dict[str, str]:
    """Returns, for each shown layer, the name of the layer whose weights it compares.

    It is its own name; a fused reader is named after the layer that it reads.

    Args:
        network: The reference.
        shown: The names of the layers whose outputs are shown as cuts.
    """
    names = dict(zip(shown, shown, strict=True))
    for node in wanted_cuts(network):
        reader = fused_reader(network, node)
        if node.name not in shown and reader is not None and reader.name in shown:
            names[reader.name] = node.name
    return names


def compare_alone(network: Network, given: Given, states: Mapping[str, Array], show: Show) -> Iterator[ComparedLayer]:
    """Computes each layer in float64 from the runtime's own values before it, in the order of the computation.

    Args:
        network: The reference.
        given: The inputs.
        states: The runtime's own states by the names of `Network.shown_states`: of a recurrence `(batch, time, units)`
            float64, and the last cell state of an LSTM `(batch, 1, units)` if a layer reads it.
        show: Called for each layer without states. Its result has the shape of the layer's output; after None, the next
            layers read the reference's output, whose bound is carried on.
    """
    tensors = {name: Tensor(values.astype(np.float64)) for name, values in network.named(given).items()}
    errors = {name: np.zeros(tensor.values.shape) for name, tensor in tensors.items()}
    nodes = list(compared_nodes(network))
    last_reader = {name: node.name for node in nodes for name in node.inputs}
    for node in nodes:
        inputs, input_errors = [tensors[name] for name in node.inputs], [errors[name] for name in node.inputs]
        if isinstance(node.layer, Recurrent):
            compared, lasts = _compare_recurrence(network, node, inputs, input_errors, states)
            tensors |= lasts
            errors |= {name: np.zeros_like(last.values) for name, last in lasts.items()}
        else:
            output = node.layer(*inputs)
            bound = output_error(node.layer, inputs, input_errors, output)
            actual = show(node, output.values, bound)
            shown = output if actual is None else Tensor(actual, output.mask)
            error = bound if actual is None else np.zeros_like(output.values)
            compared = ComparedLayer(node, output.values, bound, actual, shown, error)
        tensors[node.name], errors[node.name] = compared.output, compared.error
        yield compared
        for name in {name for name in node.inputs if last_reader[name] == node.name}:
            del tensors[name], errors[name]


def _compare_recurrence(
    network: Network, node: Node, inputs: list[Tensor], input_errors: list[Array], states: Mapping[str, Array]
) -> tuple[ComparedLayer, dict[str, Tensor]]:
    """Computes a recurrence from the runtime's own states; returns the last states that layers may read, too."""
    layer, own, cell = node.layer, states[node.name], cell_state_of(node.name)
    assert isinstance(layer, Recurrent)  # noqa: S101  # the caller has checked it
    (x, *given), (x_error, *given_errors) = inputs, input_errors
    first = [(state.values, error) for state, error in zip(given, given_errors, strict=True)]
    expected, bound = expect_steps(layer, x, x_error, own, first)
    output = layer.outputs(own, layer.in_order(x), has_first=bool(first))
    lasts, cell_state = {last_state_of(node.name): Tensor(own[:, -1])}, None
    if isinstance(layer, LSTM) and cell in network.shown_states:
        value, value_bound = expect_cell_state(layer, x, x_error, own, first)
        cell_state = value[:, None], value_bound[:, None]
        lasts[cell] = Tensor(states[cell][:, -1])
    return ComparedLayer(node, expected, bound, own, output, np.zeros_like(output.values), cell_state), lasts


def _is_cut(node: Node) -> bool:
    return _has_weights(node) and not isinstance(node.layer, Recurrent | Embedding)


def _has_weights(node: Node) -> bool:
    return any(isinstance(getattr(node.layer, field.name), np.ndarray) for field in dataclasses.fields(node.layer))

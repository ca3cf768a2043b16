"""Carries the rounding errors of all operations through a network to one of its numbers, to first order.

The derivatives of the number by the results of all operations come from one pass backwards through the network.
`rnnx.rounding.decisions` says why their products with the bounds of the operations bound the number. Imports
NumPy only.

Source: P. Werbos, "Backpropagation through time", 1990, for the pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rnnx import reference
from rnnx.reference import Array, Network, Node, Tensor, cell_state_of, last_state_of
from rnnx.rounding.layer_gradients import LayerOperations
from rnnx.rounding.through_time import Steps, error_through_time, linearize, through_time_and_states


class RoundingErrors:
    """The rounding errors in each node of a network over one batch, for any number of backward passes.

    Attributes:
        tensors: The output of each node, and the inputs of the network, by name.
    """

    def __init__(
        self, network: Network, tensors: dict[str, Tensor], histories: Mapping[str, tuple[Array, ...]]
    ) -> None:
        self.tensors = tensors
        self._histories = histories
        self._network = network
        self._nodes = {node.name: node for node in network.nodes}
        self._last_states = {of(name) for name in network.recurrent_nodes for of in (last_state_of, cell_state_of)}
        self._steps: dict[str, Steps] = {}
        self._operations: dict[str, LayerOperations] = {}
        self._rounds: dict[str, bool] = {}

    @property
    def histories(self) -> dict[str, tuple[Array, ...]]:
        """The states after each step of every recurrence that a backward pass has reached, h first, by node."""
        return {name: self._histories[name] for name in self._steps}

    @property
    def row_count(self) -> int:
        """The number of rows of the batch."""
        return len(self.tensors[self._network.inputs[0].name].values)

    @property
    def largest(self) -> int:
        """The numbers in the largest tensor that a backward pass reaches."""
        return max([1, *(x.values.size for name, x in self.tensors.items() if self.is_rounded(name))])

    def carried(self, start: str, gradient: Array) -> Array:
        """Sums |dz / d(result)| times the bound over all operations up to a node, for one or several z at once.

        Args:
            start: The name of the node.
            gradient: dz / d(its output), `(copies * batch, ...)`: the whole batch for the first z, then for the next.

        Returns:
            The sums, `(copies * batch,)`.
        """
        gradients: dict[str, Array] = {start: np.array(gradient)}
        copies = len(gradient) // max(len(self.tensors[start].values), 1)
        total = np.zeros(len(gradient))
        with np.errstate(over="ignore", invalid="ignore"):
            for node in reversed(self._network.nodes):
                of_last = [gradients.pop(name(node.name), None) for name in (last_state_of, cell_state_of)]
                of_output = gradients.pop(node.name, None)
                if all(each is None for each in (of_output, *of_last)) or not self.is_rounded(node.name):
                    continue
                if of_output is None:  # only a last state of this layer is read
                    rows, *sizes = self.tensors[node.name].values.shape
                    of_output = np.zeros((copies * rows, *sizes))
                error, back = self._back(node, of_output, _filled(of_last))
                # In a TimeDistributed, each position is a row.
                total += error.reshape(len(total), -1).sum(axis=1) if len(error) != len(total) else error
                for name, value in zip(node.inputs, back, strict=False):  # none, if no input is rounded
                    gradients[name] = gradients[name] + value if name in gradients else value
        return total

    def is_rounded(self, name: str) -> bool:
        """Says whether a node, or any node before it, rounds. A gradient before that is of no use."""
        if name in self._last_states:
            return True
        if name not in self._nodes:  # an input of the network
            return False
        if name not in self._rounds:
            node = self._nodes[name]
            # An Embedding only looks up numbers.
            self._rounds[name] = not isinstance(node.layer, reference.Embedding) and (
                isinstance(node.layer, reference.Recurrent)
                or any(self.is_rounded(read) for read in node.inputs)
                or self._of_layer(node).rounds
            )
        return self._rounds[name]

    def _back(self, node: Node, gradient: Array, of_last: Sequence[Array]) -> tuple[Array, list[Array]]:
        """Returns the sum over a node, `(copies * batch,)`, and dz / d(each input), or [] if no input is rounded."""
        is_needed = any(self.is_rounded(name) for name in node.inputs)
        if not isinstance(node.layer, reference.Recurrent):
            error, back = self._of_layer(node).back(gradient)
            return error, back if is_needed else []
        x = self.tensors[node.inputs[0]]
        if node.name not in self._steps:
            first = [self.tensors[name].values for name in node.inputs[1:]]
            self._steps[node.name] = linearize(node.layer, x, first, self._histories[node.name])
        steps = self._steps[node.name]
        if not is_needed:
            return error_through_time(node.layer, x, gradient, steps, of_last), []
        error, passed, of_first = through_time_and_states(node.layer, x, gradient, steps, of_last)
        return error, [passed, *of_first[: len(node.inputs) - 1]]

    def _of_layer(self, node: Node) -> LayerOperations:
        """Returns the operations of a node that is not recurrent."""
        if node.name not in self._operations:
            self._operations[node.name] = LayerOperations(node.layer, [self.tensors[name] for name in node.inputs])
        return self._operations[node.name]


def _filled(arrays: Sequence[Array | None]) -> list[Array]:
    """Returns the arrays with zeros for those that are missing; none if all are."""
    given = [array for array in arrays if array is not None]
    return [np.zeros_like(given[0]) if array is None else array for array in arrays] if given else []

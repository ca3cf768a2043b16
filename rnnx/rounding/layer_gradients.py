"""Carries derivatives back through each layer that is not recurrent, together with the rounding of its operations.

The derivative follows from the layer's definition (`rnnx.reference`), which is called with values that track how each
operation passes a derivative back (`rnnx.primitives.backward`). Where a layer has no derivative, as a maximum of equal
numbers, the derivative from one side is used.

Source: the chain rule.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnx.primitives import Trace, Tracked
from rnnx.primitives.backward import go_back, merge
from rnnx.reference import Array, Layer, Recurrent, Tensor
from rnnx.rounding.layer_bounds import tracked_inputs


class LayerOperations:
    """The operations of one call of a layer, for any number of backward passes.

    Attributes:
        rounds: Whether any operation may round.
    """

    def __init__(self, layer: Layer, inputs: Sequence[Tensor]) -> None:
        """Calls the layer with exact inputs.

        Raises:
            TypeError: For a recurrent layer; `rnnx.rounding.through_time` has those.
        """
        if isinstance(layer, Recurrent):
            raise TypeError(f"no derivative of {type(layer).__name__} here: it depends on the states")
        trace = Trace(keeps_operations=True)
        self._inputs: list[Any] = [x.values for x in tracked_inputs(trace, inputs, [np.zeros(1) for _ in inputs])]
        self._output: Any = layer(*(Tensor(x, of.mask) for x, of in zip(self._inputs, inputs, strict=True))).values
        if isinstance(self._output, Tracked):
            self._output.settle()
        self._operations = merge(trace.take_operations(), [self._output] if isinstance(self._output, Tracked) else [])
        self.rounds = any(operation.own_error is not None for operation in self._operations)

    def back(self, gradient: Array) -> tuple[Array, list[Array]]:
        """Goes back over the operations, for one or several z at once.

        Args:
            gradient: dz / d(output), `(copies * batch, ...)`: the whole batch for the first z, then for the next.

        Returns:
            The sum of |dz / d(result)| times the rounding over all operations, `(copies * batch,)`; and
            dz / d(input) for each input, `(copies * batch, ...)`.
        """
        if not isinstance(self._output, Tracked):  # a lookup
            return np.zeros(len(gradient)), [np.zeros((len(gradient), *x.shape[1:])) for x in self._inputs]
        gradients = {self._output.number: gradient.reshape(-1, *self._output.shape)}
        moved = go_back(self._operations, gradients, lambda recorded: recorded)
        back = [gradients.get(x.number) for x in self._inputs]
        zeros = np.zeros(len(gradient))
        return zeros + np.reshape(moved, -1), [
            np.zeros((len(gradient), *x.shape[1:])) if g is None else g.reshape(-1, *x.shape[1:])
            for x, g in zip(self._inputs, back, strict=True)
        ]


def pass_back(layer: Layer, inputs: Sequence[Tensor], gradient: Array) -> list[Array]:
    """Carries dz / d(output) back to each input.

    Args:
        layer: The layer.
        inputs: Its inputs.
        gradient: dz / d(output), in the shape of the output.

    Returns:
        dz / d(input) for each input, in the shape of the input.

    Raises:
        TypeError: For a recurrent layer; `rnnx.rounding.through_time` has those.
    """
    return LayerOperations(layer, inputs).back(gradient)[1]

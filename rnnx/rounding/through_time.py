"""Backpropagation through time: bounds the effect of the rounding of each operation on a later number.

An operation that may be off by b moves a later number z by |dz / d(result)| b, to first order. One pass backwards over
the time gives all these derivatives, and dz / dx for the layers before. Both follow from the definition of the step
(`rnnx.reference`): all steps are computed once, along the states of the reference, with values that track how each
operation passes a derivative back (`rnnx.primitives.backward`). Only operations that depend on the states are passed
step by step. Those before them, such as the product with the inputs, are passed for all steps at once.

Source: P. Werbos, "Backpropagation through time: what it does and how to do it", 1990.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnx.primitives import Trace, track
from rnnx.primitives.backward import Gradients, go_back, merge
from rnnx.primitives.operands import rounded
from rnnx.reference import Array, RecurrentLayer, Tensor
from rnnx.rounding.recurrent_bounds import states_before


def through_time(layer: RecurrentLayer, x: Tensor, gradient: Array, steps: Steps | None = None) -> tuple[Array, Array]:
    """Carries dz / d(output) back through a recurrence, for one or several z at once.

    Args:
        layer: The recurrence.
        x: Its inputs, `(batch, time, inputs)`, not reversed.
        gradient: dz / d(output), `(copies * batch, time, units)` with `return_sequences`, otherwise
            `(copies * batch, units)`: the whole batch for the first z, then the whole batch for the next.
        steps: The result of `linearize`, for a caller that goes back over the same inputs more than once.

    Returns:
        The sum over all operations of |dz / d(result)| times the bound, `(copies * batch,)`; and dz / dx,
        `(copies * batch, time, inputs)`.
    """
    return through_time_and_states(layer, x, gradient, steps or linearize(layer, x))[:2]


def through_time_and_states(
    layer: RecurrentLayer, x: Tensor, gradient: Array, steps: Steps, of_last: Sequence[Array] = ()
) -> tuple[Array, Array, list[Array]]:
    """Carries dz / d(output) and dz / d(each last state) back through a recurrence, to its input and first states.

    Args:
        layer: The recurrence.
        x: As in `through_time`.
        gradient: As in `through_time`.
        steps: The result of `linearize`.
        of_last: dz / d(each last state), h first, `(copies * batch, units)`; none if z depends on outputs alone.

    Returns:
        The two results of `through_time`; and dz / d(each first state), `(copies * batch, units)`.
    """
    total, reached, d_first = steps.back(gradient, of_last, keeps_reached=True)
    d_x = steps.back_to_inputs(reached, total)
    return total.reshape(-1), d_x[:, ::-1] if layer.go_backwards else d_x, d_first


def error_through_time(
    layer: RecurrentLayer, x: Tensor, gradient: Array, steps: Steps | None = None, of_last: Sequence[Array] = ()
) -> Array:
    """Returns only the sum of `through_time`, `(copies * batch,)`, for a layer whose inputs are exact."""
    steps = steps or linearize(layer, x)
    if steps.rounds_before_states:
        return through_time_and_states(layer, x, gradient, steps, of_last)[0]
    return steps.back(gradient, of_last, keeps_reached=False)[0].reshape(-1)


def linearize(
    layer: RecurrentLayer, x: Tensor, first: Sequence[Array] = (), history: Sequence[Array] | None = None
) -> Steps:
    """Linearizes a recurrence along its states.

    Args:
        layer: The recurrence.
        x: Its inputs, not reversed.
        first: Its first states; zero if empty.
        history: Its states, if the caller has computed them (`Recurrent.carried`).
    """
    x = layer.in_order(x)
    return Steps(layer, x, first, layer.carried(x, first) if history is None else history)


class Steps:
    """All steps of a recurrence, linearized along the states of the reference.

    Only the positions that are not masked are recorded: all of the first step, then all of the next.

    Attributes:
        rounds_before_states: Whether an operation may round that does not depend on the states.
    """

    def __init__(self, layer: RecurrentLayer, x: Tensor, first: Sequence[Array], history: Sequence[Array]) -> None:
        """Takes the inputs in the order in which the layer reads them, and the states of all steps."""
        self._x = x
        mask = np.ones(x.values.shape[:2], np.bool_) if x.mask is None else x.mask
        self._steps, self._rows = np.nonzero(mask.T)
        # The positions of step t are those from ends[t] to ends[t + 1].
        self._ends = np.concatenate([[0], np.cumsum(mask.sum(axis=0))])
        trace = Trace(keeps_operations=True, in_recurrence=True)
        self._input: Any = track(trace, self._recorded(x.values))
        befores = [states_before(states, *first[i : i + 1]) for i, states in enumerate(history)]
        self._before: list[Any] = [track(trace, self._recorded(before), has_state=True) for before in befores]
        self._after = [rounded(state) for state in layer.advance(self._input, tuple(self._before))]
        operations = merge(trace.take_operations(), self._after)
        self._with_state = [operation for operation in operations if operation.has_state]
        self._without_state = [operation for operation in operations if not operation.has_state]
        trace = Trace(keeps_operations=True)
        self._states: Any = track(trace, np.zeros((*x.values.shape[:2], layer.units)))
        self._output = rounded(layer.outputs(self._states, x, has_first=bool(first)).values)
        self._to_output = merge(trace.take_operations(), [self._output])
        self.rounds_before_states = any(operation.own_error is not None for operation in self._without_state)

    def back(
        self, gradient: Array, of_last: Sequence[Array] = (), *, keeps_reached: bool
    ) -> tuple[Array, Gradients, list[Array]]:
        """Goes back over all steps.

        Args:
            gradient: dz / d(output), as in `through_time`.
            of_last: As in `through_time_and_states`.
            keeps_reached: Whether to return the second result, or nothing of it.

        Returns:
            The sum over all operations of |dz / d(result)| times the bound, `(copies, batch)`; the derivatives by what
            does not depend on the states, each `(copies, positions, ...)`; and dz / d(each first state), `(copies *
            batch, units)`.
        """
        gradient = self._by_states(gradient)
        copies, batch, time, units = gradient.shape
        # After the last output that z depends on, there is nothing to carry.
        last = time - 1 if of_last else next((t for t in range(time - 1, -1, -1) if gradient[:, :, t].any()), -1)
        total, reached = np.zeros((copies, batch)), Gradients()
        carried = [np.zeros((copies, batch, units)) for _ in self._before]
        for values, d_last in zip(carried, of_last, strict=False):  # a layer without cell state has fewer
            np.add(values, d_last.reshape(values.shape), out=values)
        for t in range(last, -1, -1):
            carried[0] += gradient[:, :, t]
            # At a masked position, the states are carried over unchanged, and nothing is rounded.
            at = slice(self._ends[t], self._ends[t + 1])
            rows = slice(None) if at.stop - at.start == batch else self._rows[at]
            # Copies, because `carried` changes below, and an operation may pass a derivative on as it is.
            now = {state.number: np.array(values[:, rows]) for state, values in zip(self._after, carried, strict=True)}
            total[:, rows] += go_back(self._with_state, now, lambda recorded, at=at: recorded[at])  # type: ignore[misc]  # mypy knows no defaults of lambdas
            for state, values in zip(self._before, carried, strict=True):
                values[:, rows] = now.pop(state.number, 0.0)
            for number, values in now.items() if keeps_reached else ():
                if number not in reached:
                    reached[number] = np.zeros((copies, self._ends[last + 1], *values.shape[2:]))
                reached[number][:, at] = values
        return total, reached, [values.reshape(-1, units) for values in carried]

    def back_to_inputs(self, reached: Gradients, total: Array) -> Array:
        """Goes back from what does not depend on the states to the inputs, for all steps at once.

        Args:
            reached: The result of `back`, which is used up.
            total: The sums of `back`, `(copies, batch)`; those of the operations here are added to it.

        Returns:
            dz / dx, `(copies * batch, time, inputs)`, in reading order.
        """
        copies, (batch, time, inputs) = len(total), self._x.values.shape
        d_x = np.zeros((copies, batch, time, inputs))
        positions = max((values.shape[1] for values in reached.values()), default=0)
        moved = go_back(self._without_state, reached, lambda recorded: recorded[:positions])
        rows, steps = self._rows[:positions], self._steps[:positions]
        if self._input.number in reached:
            d_x[:, rows, steps] = reached[self._input.number]
        if self.rounds_before_states:
            for copy, errors in enumerate(np.broadcast_to(moved, (copies, positions))):
                total[copy] += np.bincount(rows, errors, minlength=batch)
        return d_x.reshape(-1, time, inputs)

    def _recorded(self, values: Array) -> Array:
        """Returns the values at the positions that are recorded, `(positions, ...)`, of `(batch, time, ...)`."""
        return values[self._rows, self._steps]

    def _by_states(self, gradient: Array) -> Array:
        """Returns dz / d(each state), `(copies, batch, time, units)`, from dz / d(output)."""
        gradients = {self._output.number: gradient.reshape(-1, *self._output.shape)}
        go_back(self._to_output, gradients, lambda recorded: recorded)
        return gradients[self._states.number]

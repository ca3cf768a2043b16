"""Bounds how far rounding, carried through the network, can move an output, and finds the labels it cannot change.

Each operation of a float32 runtime may be off by its own bound (`rnnx.primitives`), for any order of its sums.
To first order in u, this moves a logit z by at most the sum over all operations of |dz / d(result)| times the bound.
The derivatives are taken at the values of the float64 reference, in one pass backwards through the network. Terms in
u^2 and above are left out, as is usual for such bounds. `rnnx.rounding.first_order` finds the rows where these terms
count. Such a row has no bound end to end, and none of its labels is certain. Neither has an output that depends on a
jump, as a comparison of computed numbers, in the rows where rounding may decide it (`rnnx.rounding.certain_jumps`).

A label is certain if the logit's distance from the decision exceeds the bound: no runtime that keeps the bounds of the
single operations can choose another label (to first order), in any order of its sums.

Source: N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., sections 1.5 and 3.8 (running error
analysis by condition numbers); the backward pass is P. Werbos, "Backpropagation through time", 1990.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx import reference
from rnnx.primitives.float32 import exp_roundoffs, gamma, sigmoid_roundoffs
from rnnx.reference import Array, Given, HeadKind, Network, Node, Tensor, cell_state_of, last_state_of
from rnnx.rounding.certain_jumps import rows_of_certain_jumps
from rnnx.rounding.first_order import rows_of_first_order
from rnnx.rounding.layer_bounds import output_error
from rnnx.rounding.layer_gradients import LayerOperations
from rnnx.rounding.row_parts import row_parts
from rnnx.rounding.through_time import Steps, error_through_time, linearize, through_time_and_states

# Each number that is followed end to end costs one pass backwards over all steps. Of an output over the time, the
# first and the last position are followed, and two spread evenly between them: a wrong carry shows most at the last
# one. This bounds the time of the whole proof to a multiple of the number of steps. Every step of every position is
# still compared on its own (`rnnx.proof.compare`).
_MOST_POSITIONS = 4
# Numbers of one position. A label of a softmax is certain only if all its classes are followed.
_MOST_NUMBERS = 64
# Numbers of one position among several, where no label depends on them: 32 passes instead of 256.
_MOST_NUMBERS_OVER_TIME = 8
# The most numbers in the largest tensor while several passes run at once: more would leave the caches.
_MOST_AT_ONCE = 1 << 18


@dataclass(frozen=True, eq=False)
class Decisions:
    """The reference's values of one output for a batch, and how far float32 may be from them.

    Attributes:
        head: How labels are decided: `sigmoid` by each number, `softmax` by the largest number, `values` not at all.
        values: The network's output, `(batch, ..., outputs)`.
        logit_bounds: The rounding bound before the last activation, to first order, in the shape of `values`; infinite
            if it overflows, or if the number was not followed.
        bounds: The rounding bound of `values`, in the same shape; at most 1 for probabilities, and infinite for other
            numbers that were not followed.
        label_ids: `(batch, ...)` after a softmax, the shape of `values` after sigmoids; zeros if nothing is decided.
        is_certain: Whether no rounding within the bounds can change the label, in the shape of `label_ids`.
        has_bound: `(batch,)`, whether the first-order estimate holds for the row, and no jump before the output may be
            decided by rounding. Where it does not, `bounds` allow every number, no label is certain, and `logit_bounds`
            are the estimates that do not hold.
    """

    head: HeadKind
    values: Array
    logit_bounds: Array
    bounds: Array
    label_ids: npt.NDArray[np.intp]
    is_certain: npt.NDArray[np.bool_]
    has_bound: npt.NDArray[np.bool_]

    @classmethod
    def join(cls, parts: Sequence[Decisions]) -> Decisions:
        """Joins the decisions of the rows of one batch, in their order."""
        arrays = [field.name for field in fields(cls) if field.name != "head"]
        joined: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in arrays}
        return replace(parts[0], **joined)

    def row(self, i: int) -> Decisions:
        """Returns one row as a batch of its own."""
        return Decisions(
            head=self.head,
            values=self.values[i : i + 1],
            logit_bounds=self.logit_bounds[i : i + 1],
            bounds=self.bounds[i : i + 1],
            label_ids=self.label_ids[i : i + 1],
            is_certain=self.is_certain[i : i + 1],
            has_bound=self.has_bound[i : i + 1],
        )

    def only_where(self, holds: npt.NDArray[np.bool_]) -> Decisions:
        """Returns the decisions without those of the rows where the first-order estimate does not hold.

        Args:
            holds: `(batch,)`, from `rnnx.rounding.first_order`.
        """
        if holds.all():
            return self
        bounds, is_certain = self.bounds.copy(), self.is_certain.copy()
        bounds[~holds] = np.inf if self.head == "values" else 1.0
        is_certain[~holds] = False
        return replace(self, bounds=bounds, is_certain=is_certain, has_bound=self.has_bound & holds)


def label_ids(head: HeadKind, values: npt.NDArray[np.floating]) -> npt.NDArray[np.intp]:
    """Returns the label ids of an output, in the shape of `Decisions.label_ids`."""
    if head == "sigmoid":
        return (values >= 0.5).astype(np.intp)
    return np.asarray(values.argmax(axis=-1) if head == "softmax" else np.zeros(values.shape[:-1], np.intp))


def decide(network: Network, given: Given, has_bound: npt.NDArray[np.bool_] | None = None) -> dict[str, Decisions]:
    """Runs the reference on a batch and bounds the effect of rounding on its outputs.

    Args:
        network: The reference; labels are decided for outputs of a Dense layer with sigmoids or a softmax.
        given: The inputs.
        has_bound: `Decisions.has_bound` of the same rows in another batch, or with other padding; None to compute it.

    Returns:
        By output name.
    """
    inputs = network.named(given)
    if len(parts := row_parts(inputs)) == 1:
        return _decide_part(network, inputs, has_bound)
    decided = [
        _decide_part(
            network,
            {name: values[part] for name, values in inputs.items()},
            None if has_bound is None else has_bound[part],
        )
        for part in parts
    ]
    return {name: Decisions.join([part[name] for part in decided]) for name in decided[0]}


def _decide_part(
    network: Network, given: Mapping[str, npt.NDArray[Any]], has_bound: npt.NDArray[np.bool_] | None
) -> dict[str, Decisions]:
    histories: dict[str, tuple[Array, ...]] = {}
    errors = _Errors(network, network.forward(given, histories=histories), histories)
    decisions = {name: _decide_output(node, errors) for name, node in network.ends.items()}
    certain = rows_of_certain_jumps(network, errors.tensors, partial(_follow_all, errors))
    decisions = {
        name: decision.only_where(certain.get(network.ends[name].name, _all(decision.values)))
        for name, decision in decisions.items()
    }
    if has_bound is None:
        bounds = {name: decision.bounds for name, decision in decisions.items()}
        has_bound = rows_of_first_order(network, errors.tensors, errors.histories, bounds)
    return {name: decision.only_where(has_bound) for name, decision in decisions.items()}


def decide_distinct_rows(
    network: Network, batches: Iterable[Mapping[str, npt.NDArray[Any]]]
) -> list[dict[str, Decisions]]:
    """Decides several batches; a single row that an earlier batch holds too, with the same padding, is decided once.

    Args:
        network: As in `decide`.
        batches: The inputs of each, by name.

    Returns:
        As `decide`, for each batch.
    """
    decisions: list[dict[str, Decisions]] = []
    rows: dict[tuple[tuple[str, tuple[int, ...], bytes], ...], tuple[int, int]] = {}
    for i, given in enumerate(batches):
        count = len(next(iter(given.values())))
        keys = [tuple((k, v.shape[1:], v[row].tobytes()) for k, v in sorted(given.items())) for row in range(count)]
        known = rows.get(keys[0]) if count == 1 else None
        if known is not None:
            decisions.append({name: each.row(known[1]) for name, each in decisions[known[0]].items()})
        else:
            decisions.append(decide(network, given))
        for row, key in enumerate(keys):
            rows.setdefault(key, (i, row))
    return decisions


def _decide_output(node: Node, errors: _Errors) -> Decisions:
    values = errors.tensors[node.name].values
    match node.layer, node.head_kind:
        case reference.Dense() as dense, ("sigmoid" | "softmax") as head:
            logits, logit_bounds = _bound_logits(dense, head, node.inputs[0], errors)
            decide_head = _decide_sigmoid if head == "sigmoid" else _decide_softmax
            return decide_head(values, logits, logit_bounds)
    bounds = _follow(errors, values.shape, _places(values.shape, node.head_kind), node.name, np.eye(values.shape[-1]))
    return Decisions(
        "values",
        values,
        bounds,
        bounds,
        label_ids("values", values),
        np.zeros(values.shape[:-1], np.bool_),
        _all(values),
    )


def _bound_logits(dense: reference.Dense, head: HeadKind, before: str, errors: _Errors) -> tuple[Array, Array]:
    """Returns the logits of a head that reads the node `before`, and their rounding bounds."""
    x = errors.tensors[before]
    linear = reference.Dense(dense.kernel, dense.bias, "linear")
    logits = linear.logits(x.values)
    own = output_error(linear, [x], [np.zeros_like(x.values)], Tensor(logits))
    carried = _follow(errors, logits.shape, _places(logits.shape, head), before, dense.kernel.T)
    return logits, np.nan_to_num(own + carried, nan=np.inf, posinf=np.inf)


def _places(shape: tuple[int, ...], head: HeadKind) -> list[tuple[int, ...]]:
    """Chooses the numbers of a row that are followed end to end; the same ones for the same shape, always.

    Args:
        shape: Of the output, `(batch, ..., numbers)`.
        head: What decides labels in the output.

    Returns:
        Indices without the batch: all numbers, or some from the first to the last, spread evenly.
    """
    *between, last = shape[1:]
    position_count = int(np.prod(between))
    if position_count == 1 or head == "sigmoid" or (head == "softmax" and last <= _MOST_NUMBERS):
        most = _MOST_NUMBERS
    elif head == "softmax":
        # With more classes than can be followed no label is certain, and one number shows how far rounding reaches.
        most = 1
    else:
        most = _MOST_NUMBERS_OVER_TIME
    positions = [tuple(map(int, np.unravel_index(i, between))) for i in spread(position_count, _MOST_POSITIONS)]
    return [(*position, int(k)) for position in positions for k in spread(last, most)]


def spread(count: int, most: int) -> npt.NDArray[np.intp]:
    """Indices from the first to the last of `count`, evenly spread, at most `most` of them; rising."""
    indices = np.linspace(0, count - 1, min(count, most)).round().astype(np.intp)
    return indices[np.diff(indices, prepend=-1) > 0]  # np.unique would import numpy.ma


def _follow_all(errors: _Errors, name: str) -> Array | None:
    """Bounds every number of a node by a pass backwards; returns None if there are too many."""
    shape = errors.tensors[name].values.shape
    if not errors.is_rounded(name):
        return np.zeros(shape)
    if shape[0] != errors.row_count:  # a row in a TimeDistributed is a position
        return None
    if len(shape) == 1:
        return np.asarray(np.nan_to_num(errors.carried(name, np.ones(shape)), nan=np.inf, posinf=np.inf))
    if np.prod(shape[1:]) > _MOST_NUMBERS:
        return None
    places = [tuple(map(int, place)) for place in np.ndindex(*shape[1:])]
    return _follow(errors, shape, places, name, np.eye(shape[-1]))


def _follow(
    errors: _Errors, shape: tuple[int, ...], places: Sequence[tuple[int, ...]], start: str, slopes: Array
) -> Array:
    """Bounds each number that is followed, by a pass backwards from it; infinity for the others.

    Several passes run as one batch, which repeats the rows with a seed for each pass.

    Args:
        errors: Of the network.
        shape: Of the output, `(batch, ..., numbers)`.
        places: The numbers that are followed, from `_places`.
        start: The node where the passes begin; its output has the positions of `shape`.
        slopes: `(numbers, width)`, d(number) / d(output of `start` at the same position).

    Returns:
        The bounds, of `shape`.
    """
    bounds = np.full(shape, np.inf)
    together = max(1, min(len(places), _MOST_AT_ONCE // errors.largest))
    for first in range(0, len(places), together):
        chosen: list[tuple[slice | int, ...]] = [(slice(None), *at) for at in places[first : first + together]]
        seeds = np.zeros((len(chosen), *shape[:-1], slopes.shape[1]))
        for seed, (*position, number) in zip(seeds, chosen, strict=True):
            seed[tuple(position)] = slopes[number]
        carried = errors.carried(start, seeds.reshape(-1, *seeds.shape[2:])).reshape(len(chosen), -1)
        for bound, at in zip(carried, chosen, strict=True):
            bounds[at] = bound
    return np.asarray(np.nan_to_num(bounds, nan=np.inf, posinf=np.inf))


def _decide_sigmoid(probs: Array, logits: Array, bounds: Array) -> Decisions:
    rounding = sigmoid_roundoffs()
    nearest = reference.activate("sigmoid", np.abs(logits) - bounds)
    farthest = reference.activate("sigmoid", np.abs(logits) + bounds)
    here = reference.activate("sigmoid", np.abs(logits))
    probs_bounds = np.minimum(np.maximum(here - nearest, farthest - here) + rounding, 1.0)
    return Decisions(
        "sigmoid", probs, bounds, probs_bounds, label_ids("sigmoid", probs), nearest - rounding > 0.5, _all(probs)
    )


def _decide_softmax(probs: Array, logits: Array, bounds: Array) -> Decisions:
    classes = probs.shape[-1]
    top = np.argmax(logits, axis=-1)
    at_top = top[..., None]
    highest = np.take_along_axis(logits, at_top, -1) - np.take_along_axis(bounds, at_top, -1)
    lead = highest - (logits + bounds)
    np.put_along_axis(lead, at_top, np.inf, -1)
    # Two exponentials, their sum and a division round a ratio of two probabilities by at most this much.
    rounding = gamma(2 * exp_roundoffs() + 2 * classes + 2)
    worst = np.minimum(2 * bounds.max(axis=-1, keepdims=True), 20.0)
    probs_bounds = np.minimum(probs * (np.expm1(worst) + np.exp(worst) * rounding) + rounding, 1.0)
    return Decisions("softmax", probs, bounds, probs_bounds, top, lead.min(axis=-1) > rounding, _all(probs))


def _all(values: Array) -> npt.NDArray[np.bool_]:
    return np.ones(len(values), np.bool_)


class _Errors:
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

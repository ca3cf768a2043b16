"""Bounds how far rounding, carried through the network, can move an output, and finds the labels it cannot change.

Each operation of a float32 runtime may be off by its own bound (`rnnx.primitives`), for any order of its sums.
To first order in u, this moves a logit z by at most the sum over all operations of |dz / d(result)| times the bound.
The derivatives are taken at the values of the float64 reference, in one pass backwards through the network
(`rnnx.rounding.error_propagation`), for each number that is followed (`rnnx.rounding.followed_numbers`). Terms in
u^2 and above are left out, as is usual for such bounds. `rnnx.rounding.first_order` finds the rows where these terms
count. Such a row has no bound end to end, and none of its labels is certain. Neither has an output that depends on a
jump, as a comparison of computed numbers, in the rows where rounding may decide it (`rnnx.rounding.certain_jumps`).

A label is certain if the logit's distance from the decision exceeds the bound: no runtime that keeps the bounds of the
single operations can choose another label (to first order), in any order of its sums.

Source: N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., sections 1.5 and 3.8 (running error
analysis by condition numbers).
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
from rnnx.reference import Array, Given, HeadKind, Network, Node, Tensor
from rnnx.rounding.certain_jumps import rows_of_certain_jumps
from rnnx.rounding.error_propagation import RoundingErrors
from rnnx.rounding.first_order import rows_of_first_order
from rnnx.rounding.followed_numbers import bound_all_numbers, bound_places, followed_places
from rnnx.rounding.layer_bounds import output_error
from rnnx.rounding.row_parts import row_parts


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
    if len(parts := row_parts(network, inputs)) == 1:
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
    errors = RoundingErrors(network, network.forward(given, histories=histories), histories)
    decisions = {name: _decide_output(node, errors) for name, node in network.ends.items()}
    certain = rows_of_certain_jumps(network, errors.tensors, partial(bound_all_numbers, errors))
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


def _decide_output(node: Node, errors: RoundingErrors) -> Decisions:
    values = errors.tensors[node.name].values
    match node.layer, node.head_kind:
        case reference.Dense() as dense, ("sigmoid" | "softmax") as head:
            logits, logit_bounds = _bound_logits(dense, head, node.inputs[0], errors)
            decide_head = _decide_sigmoid if head == "sigmoid" else _decide_softmax
            return decide_head(values, logits, logit_bounds)
    places = followed_places(values.shape, node.head_kind)
    bounds = bound_places(errors, values.shape, places, node.name, np.eye(values.shape[-1]))
    return Decisions(
        "values",
        values,
        bounds,
        bounds,
        label_ids("values", values),
        np.zeros(values.shape[:-1], np.bool_),
        _all(values),
    )


def _bound_logits(dense: reference.Dense, head: HeadKind, before: str, errors: RoundingErrors) -> tuple[Array, Array]:
    """Returns the logits of a head that reads the node `before`, and their rounding bounds."""
    x = errors.tensors[before]
    linear = reference.Dense(dense.kernel, dense.bias, "linear")
    logits = linear.logits(x.values)
    own = output_error(linear, [x], [np.zeros_like(x.values)], Tensor(logits))
    carried = bound_places(errors, logits.shape, followed_places(logits.shape, head), before, dense.kernel.T)
    return logits, np.nan_to_num(own + carried, nan=np.inf, posinf=np.inf)


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

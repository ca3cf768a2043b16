"""How far rounding, carried through the whole network, can move a decision; and the decisions that it cannot move.

Each operation of a float32 runtime may be off by its own bound (`rnnx.rounding`), whatever the order of its sums. What
that does to a logit z is, to first order in u, the sum over all operations of |dz / d(result)| times the bound, the
derivatives taken where the float64 reference stands: one pass backwards through the network. Terms in u^2 and above
are left out, as is usual for such bounds; where the weights expand so much that they would count, the first-order sum
is itself far beyond any margin.

A label is certain where the logit's distance from the decision exceeds the bound: no runtime that keeps the bounds of
the single operations, in whatever order it sums, can come to another label (to that order).

Source: N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., sections 1.5 and 3.8 (running error
analysis by condition numbers); the backward pass is P. Werbos, "Backpropagation through time", 1990.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnnx import reference
from rnnx.reference import INPUT_NAME, Array, Network, Tensor
from rnnx.rounding import exp_roundoffs, gamma, output_error, sigmoid_roundoffs
from rnnx.through_time import slope, through_time


@dataclass(frozen=True, eq=False)
class Decisions:
    """What the reference says of a batch, and how far float32 may be from it.

    Attributes:
        probs: (batch, outputs), as the network gives them.
        logits: (batch, outputs), before the last activation.
        logit_bounds: (batch, outputs), to first order; infinite where it overflows.
        probs_bounds: (batch, outputs), at most 1.
        label_ids: (batch,).
        is_certain: (batch,): whether no rounding within the bounds can change the label.
    """

    probs: Array
    logits: Array
    logit_bounds: Array
    probs_bounds: Array
    label_ids: npt.NDArray[np.intp]
    is_certain: npt.NDArray[np.bool_]

    def row(self, i: int) -> Decisions:
        """One row as a batch of its own."""
        return Decisions(*(values[i : i + 1] for values in vars(self).values()))


def decide(network: Network, ids: npt.NDArray[np.int32]) -> Decisions:
    """Runs the reference over a batch and bounds what rounding can do to its decisions.

    Args:
        network: Ends in a Dense with a sigmoid over one unit, or a softmax over several.
        ids: (batch, time) int32.
    """
    tensors = network.forward(ids)
    head = network.nodes[-1]
    assert isinstance(head.layer, reference.Dense)  # noqa: S101  # refused before anything is exported
    x = tensors[head.inputs[0]]
    probs, logits = tensors[head.name].values, head.layer.logits(x.values)
    linear = reference.Dense(head.layer.kernel, head.layer.bias, "linear")
    own = output_error(linear, [x], [np.zeros_like(x.values)], Tensor(logits))
    bounds = [
        own[:, k] + _carried(network, tensors, np.broadcast_to(head.layer.kernel[:, k], x.values.shape))
        for k in range(logits.shape[-1])
    ]
    logit_bounds = np.nan_to_num(np.stack(bounds, axis=-1), nan=np.inf)
    if logits.shape[-1] == 1:
        return _decide_sigmoid(probs, logits, logit_bounds)
    return _decide_softmax(probs, logits, logit_bounds)


def _decide_sigmoid(probs: Array, logits: Array, bounds: Array) -> Decisions:
    rounding = sigmoid_roundoffs()
    nearest = reference.activate("sigmoid", np.abs(logits) - bounds)
    farthest = reference.activate("sigmoid", np.abs(logits) + bounds)
    here = reference.activate("sigmoid", np.abs(logits))
    probs_bounds = np.minimum(np.maximum(here - nearest, farthest - here) + rounding, 1.0)
    label_ids = (probs[:, 0] >= 0.5).astype(np.intp)
    return Decisions(probs, logits, bounds, probs_bounds, label_ids, (nearest - rounding > 0.5)[:, 0])


def _decide_softmax(probs: Array, logits: Array, bounds: Array) -> Decisions:
    classes = probs.shape[-1]
    top = np.argmax(logits, axis=-1)
    rows = np.arange(len(logits))
    lead = logits[rows, top][:, None] - bounds[rows, top][:, None] - (logits + bounds)
    lead[rows, top] = np.inf
    # Two powers, their sum and a division round a ratio of two probabilities by this much at most.
    rounding = gamma(2 * exp_roundoffs() + 2 * classes + 2)
    worst = np.minimum(2 * bounds.max(axis=-1, keepdims=True), 20.0)
    probs_bounds = np.minimum(probs * (np.expm1(worst) + np.exp(worst) * rounding) + rounding, 1.0)
    return Decisions(probs, logits, bounds, probs_bounds, top, lead.min(axis=-1) > rounding)


def _carried(network: Network, tensors: dict[str, Tensor], gradient: Array) -> Array:
    """The sum of |dz / d(result)| times bound over everything before the head, (batch,).

    Args:
        network: The network.
        tensors: What each node puts out.
        gradient: dz / d(the head's input), (batch, features).
    """
    gradients: dict[str, Array] = {network.nodes[-1].inputs[0]: np.array(gradient)}
    total = np.zeros(len(gradient))
    with np.errstate(over="ignore", invalid="ignore"):
        for node in reversed(network.nodes[:-1]):
            if node.name not in gradients:
                continue
            inputs = [tensors[name] for name in node.inputs]
            if isinstance(node.layer, reference.Recurrent):
                error, passed = through_time(node.layer, inputs[0], gradients[node.name])
                back = [passed]
            else:
                exact = [np.zeros_like(x.values) for x in inputs]
                own = output_error(node.layer, inputs, exact, tensors[node.name])
                error = _sum_of_products(gradients[node.name], own)
                back = _backwards(node.layer, inputs, tensors[node.name], gradients[node.name])
            total += error
            for name, value in zip(node.inputs, back, strict=True):
                if name != INPUT_NAME:
                    gradients[name] = gradients.get(name, 0.0) + value
    return total


def _sum_of_products(gradient: Array, error: Array) -> Array:
    products = np.abs(gradient) * error
    return np.asarray(products.reshape(len(products), -1).sum(axis=1))


def _backwards(layer: reference.Layer, inputs: Sequence[Tensor], output: Tensor, gradient: Array) -> list[Array]:
    """Carries dz / d(output) back to each input of a layer that is not recurrent."""
    x = inputs[0]
    match layer:
        case reference.Embedding():
            return [np.zeros_like(x.values)]
        case reference.Reverse():
            return [gradient[:, ::-1]]
        case reference.Concatenate():
            ends = np.cumsum([x.values.shape[-1] for x in inputs])[:-1]
            return list(np.split(gradient, ends, axis=-1))
        case reference.GlobalMaxPooling1D():
            # Of equal ones the first: any of them is a one-sided derivative of the maximum.
            is_first = np.arange(x.values.shape[1])[None, :, None] == x.values.argmax(axis=1)[:, None]
            return [np.where(is_first, gradient[:, None], 0.0)]
        case reference.GlobalAveragePooling1D():
            weights = np.ones((*x.values.shape[:2], 1)) if x.mask is None else x.mask[:, :, None].astype(np.float64)
            return [gradient[:, None] * weights / weights.sum(axis=1, keepdims=True)]
        case reference.Dense():
            return [(gradient * slope(layer.activation, output.values)) @ layer.kernel.T]
    raise TypeError(f"no derivative of {type(layer).__name__}")

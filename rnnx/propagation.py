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

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnnx import reference
from rnnx.activations import ACTIVATIONS
from rnnx.layer_gradients import pass_back
from rnnx.reference import INPUT_NAME, Array, Network, Tensor
from rnnx.rounding import exp_roundoffs, gamma, output_error, sigmoid_roundoffs, step_bound


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
            if isinstance(node.layer, reference.SimpleRNN):
                error, passed = _through_time(node.layer, inputs[0], gradients[node.name])
                back = [passed]
            else:
                exact = [np.zeros_like(x.values) for x in inputs]
                own = output_error(node.layer, inputs, exact, tensors[node.name])
                error = _sum_of_products(gradients[node.name], own)
                back = pass_back(node.layer, inputs, tensors[node.name], gradients[node.name])
            total += error
            for name, value in zip(node.inputs, back, strict=True):
                if name != INPUT_NAME:
                    gradients[name] = gradients.get(name, 0.0) + value
    return total


def _sum_of_products(gradient: Array, error: Array) -> Array:
    products = np.abs(gradient) * error
    return np.asarray(products.reshape(len(products), -1).sum(axis=1))


def _through_time(layer: reference.SimpleRNN, x: Tensor, gradient: Array) -> tuple[Array, Array]:
    """Backpropagation through time.

    Returns:
        The sum of |dz / dh_t| times the step's bound, (batch,); and dz / dx, the shape of `x.values`.
    """
    x = layer.in_order(x)
    states = layer.states(x)
    before = np.concatenate([np.zeros_like(states[:, :1]), states[:, :-1]], axis=1)
    bounds = step_bound(layer, x.values, before, np.zeros_like(x.values))
    slopes = ACTIVATIONS[layer.activation].derivative(
        before @ layer.recurrent_kernel + x.values @ layer.kernel + layer.bias
    )
    is_there = np.ones((*x.values.shape[:2], 1), bool) if x.mask is None else x.mask[:, :, None]
    total = np.zeros(len(states))
    d_x = np.zeros_like(x.values)
    d_h = np.zeros((len(states), states.shape[2])) if layer.return_sequences else gradient
    for t in range(states.shape[1] - 1, -1, -1):
        if layer.return_sequences:
            is_put_out = is_there[:, t] if layer.zero_output_for_mask else True
            d_h = d_h + np.where(is_put_out, gradient[:, t], 0.0)
        total += (np.abs(d_h) * np.where(is_there[:, t], bounds[:, t], 0.0)).sum(axis=1)
        d_sum = np.where(is_there[:, t], d_h * slopes[:, t], 0.0)
        d_x[:, t] = d_sum @ layer.kernel.T
        d_h = np.where(is_there[:, t], d_sum @ layer.recurrent_kernel.T, d_h)
    return total, d_x[:, ::-1] if layer.go_backwards else d_x

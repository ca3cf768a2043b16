"""How far float32 arithmetic can lead one step of a recurrence away from the exact one.

The other layers have theirs in `rnnx.layer_bounds`; what both are made of is in `rnnx.roundoff`.

Source: N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., sections 2.2, 3.1 and 3.5.
"""

from __future__ import annotations

import numpy as np

from rnnx import reference
from rnnx.activations import ACTIVATIONS
from rnnx.layer_bounds import output_error
from rnnx.reference import Array
from rnnx.roundoff import (
    UNIT_ROUNDOFF,
    activation_error,
    exp_roundoffs,
    gamma,
    sigmoid_roundoffs,
)

__all__ = [
    "UNIT_ROUNDOFF", "activation_error", "exp_roundoffs", "gamma", "output_error", "sigmoid_roundoffs", "step_bound",
]  # fmt: skip


def step_bound(layer: reference.SimpleRNN, x_t: Array, h: Array, x_error: Array) -> Array:
    """Bounds the rounding of one recurrent step from the very same h.

    The pre-activation is a sum of inputs + units products and a bias, plus two roundings where partial sums meet:
    gamma_{inputs+units+3} (|x| |W| + |h| |U| + |b|). tanh, relu and sigmoid have slopes of at most 1, so they carry no
    more than that on, and add their own error.

    A form may sum more terms: where several layers run as one (`rnnx.rewrites.join`), each sum runs over the states of
    all. Those that a layer does not read are multiplied by 0, and adding an exact 0 rounds nothing: the terms that
    count stay inputs + units and a bias, in whatever order.

    Args:
        layer: The recurrence.
        x_t: (..., inputs), the exact inputs.
        h: (..., units), the runtime's own state before the step.
        x_error: (..., inputs), how far the runtime's inputs may be from `x_t`.

    Returns:
        (..., units).
    """
    inputs, units = layer.kernel.shape
    kernel = np.abs(layer.kernel)
    size = (np.abs(x_t) + x_error) @ kernel + np.abs(h) @ np.abs(layer.recurrent_kernel) + np.abs(layer.bias)
    inherited = x_error @ kernel if x_error.any() else 0.0  # exact inputs are the rule; spare them a product
    rounding = gamma(inputs + units + 3) * size + inherited
    return np.asarray(rounding + ACTIVATIONS[layer.activation].absolute * UNIT_ROUNDOFF)

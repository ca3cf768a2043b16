"""Bounds the float32 rounding of one step of a recurrence.

`rnnx.rounding.layer_bounds` bounds the other layers; both use `rnnx.rounding.float32`.

Source: N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., sections 2.2, 3.1 and 3.5.
"""

from __future__ import annotations

import numpy as np

from rnnx import reference
from rnnx.reference import ActivationName, Array
from rnnx.reference.activations import ACTIVATIONS
from rnnx.rounding.float32 import UNIT_ROUNDOFF, gamma

# The kernels of RNN, GRU and LSTM have activations of their own. Their errors: so many u, plus so many u times the
# result. softsign is a sum and a division; elu an exp of at most 1, a difference and a product. softplus was measured:
# up to 7.8 u of the result in TensorFlow; onnxruntime's RNN kernel computes log(1 + exp(x)) literally and adds up to 2
# u.
_IN_RECURRENCES: dict[ActivationName, tuple[int, int]] = {"softsign": (3, 0), "elu": (8, 0), "softplus": (2, 8)}
# Small results of tanh are more accurate: those of TensorFlow and onnxruntime are within 2 u plus 6 u of the result.
# (Near zero the error of the RNN operator is 1.9 u; that of GRU, LSTM and Tanh is 5.5 u of the result.)
_SMALL_TANH = (2, 6)


def step_bound(layer: reference.SimpleRNN, x_t: Array, h: Array, x_error: Array) -> Array:
    """Bounds the rounding of one recurrent step that starts from the same h.

    The pre-activation is a sum of inputs + units products and a bias, with two roundings more for partial sums:
    gamma_{inputs+units+3} (|x| |W| + |h| |U| + |b|). The activation multiplies that by its largest slope, and adds its
    own error.

    A form may sum more terms: if several layers run as one (`rnnx.rewrites.join`), each sum includes the states of all
    of them. Those that a layer does not read are multiplied by 0, and adding an exact 0 does not round. So inputs +
    units products and a bias remain, in any order.

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
    is_exact = not x_error.any()  # the usual case, which needs a sum and a product less
    bound = (np.abs(x_t) if is_exact else np.abs(x_t) + x_error) @ kernel
    # In place, because each new array of this size costs as much as the operation on it.
    bound += np.abs(h) @ np.abs(layer.recurrent_kernel)
    bound += np.abs(layer.bias)
    bound *= gamma(inputs + units + 3)
    if not is_exact:
        bound += x_error @ kernel
    if steepest(layer.activation) != 1.0:
        bound *= steepest(layer.activation)
    # If the result is bounded, its largest size is used, which saves the computation of a step.
    output = layer.step(x_t, h) if grows(layer.activation) else np.ones(1)
    bound += own_error(layer.activation, output)
    return np.asarray(bound)


def steepest(name: ActivationName) -> float:
    """Returns the largest slope of an activation."""
    return ACTIVATIONS[name].slope


def grows(name: ActivationName) -> bool:
    """Whether an activation's own error grows with its result."""
    return _roundoffs(name)[1] > 0


def own_error(name: ActivationName, output: Array) -> Array:
    """Bounds the own rounding of an activation inside a recurrence, by the size of its result."""
    absolute, relative = _roundoffs(name)
    error = (absolute + relative * np.abs(output)) * UNIT_ROUNDOFF
    if name == "tanh":
        error = np.minimum(error, (_SMALL_TANH[0] + _SMALL_TANH[1] * np.abs(output)) * UNIT_ROUNDOFF)
    return np.asarray(error)


def _roundoffs(name: ActivationName) -> tuple[int, int]:
    return _IN_RECURRENCES.get(name, (ACTIVATIONS[name].absolute, ACTIVATIONS[name].relative))

"""The primitives that apply a function: the activations, softmax and its logarithm, the maximum, and the variance.

No theorem gives the error of a runtime's own tanh or exp: `rnnx.primitives.activations` has what was measured.

Source: N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., sections 1.9 (variance) and 3.1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from rnnx.primitives.activations import ACTIVATIONS, ActivationFunction, ActivationName, in_recurrence
from rnnx.primitives.arrays import Array
from rnnx.primitives.float32 import SMALLEST_NORMAL, UNIT_ROUNDOFF, exp_roundoffs, function_errors, gamma
from rnnx.primitives.operands import error_of, exact, links_to, settle, tracked
from rnnx.primitives.powers import LOG_ROUNDOFFS
from rnnx.primitives.tracked import Link

# Keras's layer UnitNormalization divides by no less.
_LEAST_NORM = 1e-12


def activate(name: ActivationName, x: Array) -> Array:
    """Applies an activation to each element of `x`; softmax and log_softmax normalize over the last axis.

    Args:
        name: The activation, as Keras names it.
        x: float64, any shape.

    Returns:
        The shape of `x`. NaN gives NaN.

    Raises:
        ValueError: If the activation is not supported.
    """
    if name == "softmax":
        return softmax(x)
    if name == "log_softmax":
        return log_softmax(x)
    if name not in ACTIVATIONS:
        raise ValueError(f"activation {name!r} is not supported")
    operand = tracked(x)
    if operand is None:
        return np.asarray(ACTIVATIONS[name].value(x))
    if name == "linear":
        return x
    return apply(in_recurrence(name) if operand.trace.in_recurrence else ACTIVATIONS[name], x)


def apply(function: ActivationFunction, x: Array) -> Array:
    """Applies an elementwise function."""
    operand = tracked(x)
    if operand is None:
        return np.asarray(function.value(x))
    operand.settle()
    value = np.asarray(function.value(operand.value))
    slope = function.derivative_at(operand.value, value) if operand.trace.keeps_operations else None
    carried, own = function_errors(function, operand.value, value, operand.error)
    new: Any = operand.result(value, carried, links=[Link(operand, slope)])
    if own is not None:
        new.round_by(own)
    return new  # type: ignore[no-any-return]  # a tracked value


def softmax(x: Array, axis: int = -1) -> Array:
    """Returns exp(x) / sum(exp(x)) along an axis.

    Whatever number a runtime subtracts from x first, the result does not depend on it. If each x_j is off by at most
    e_j, a probability p_i lies between p_i exp(-e_i) / (p_i exp(-e_i) + sum p_j exp(e_j)) and the same with the signs
    exchanged: a bound of its own for each element, as elements that count for nothing may have large errors. The
    differences to the subtracted number are rounded, then two exponentials, their sum and a division.
    """
    operand, values = tracked(x), exact(x)
    axis = axis % values.ndim - values.ndim  # a derivative has one axis more in front
    with np.errstate(invalid="ignore"):  # infinity minus infinity is NaN, without a warning
        shifted = values - values.max(axis=axis, keepdims=True)
        powers = np.exp(shifted)
    sums = powers.sum(axis=axis, keepdims=True)
    probs = np.asarray(powers / sums)
    if operand is None:
        return probs
    operand.settle()

    def transposed(g: Array, p: Array) -> Array:
        return np.asarray(p * (g - (g * p).sum(axis=axis, keepdims=True)))

    new: Any = operand.result(probs, None, links=[Link(operand, transposed=transposed, recorded=probs)])
    if operand.trace.disturb is not None:
        new.disturb_by(_softmax_error(probs, shifted, None, axis))
    new.add_error(_softmax_error(probs, shifted, operand.error, axis))
    return new  # type: ignore[no-any-return]  # a tracked value


def log_softmax(x: Array, axis: int = -1) -> Array:
    """Returns x - log(sum(exp(x))) along an axis.

    As in `softmax`, the result does not depend on the number that a runtime subtracts from x first. If each x_j is off
    by at most e_j, log(sum(exp(x))) moves by at most log(sum p_j exp(e_j)), where p is the softmax. The differences to
    the subtracted number are rounded, then the exponentials, their sum, its logarithm, and the last difference.
    """
    operand, values = tracked(x), exact(x)
    axis = axis % values.ndim - values.ndim  # a derivative has one axis more in front
    with np.errstate(invalid="ignore"):  # infinity minus infinity is NaN, without a warning
        shifted = values - values.max(axis=axis, keepdims=True)
        powers = np.exp(shifted)
    sums = powers.sum(axis=axis, keepdims=True)
    value = np.asarray(shifted - np.log(sums))
    if operand is None:
        return value
    operand.settle()
    probs = np.asarray(powers / sums)

    def transposed(g: Array, p: Array) -> Array:
        return np.asarray(g - p * g.sum(axis=axis, keepdims=True))

    def error(inherited: Array | None) -> Array:
        own = UNIT_ROUNDOFF * np.abs(shifted)
        own = own if inherited is None else own + inherited * (1 + UNIT_ROUNDOFF)
        with np.errstate(over="ignore", invalid="ignore"):  # what overflows is an infinite bound, which says nothing
            of_sum = np.log((probs * np.exp(own)).sum(axis=axis, keepdims=True))
        of_sum = of_sum + gamma(exp_roundoffs() + values.shape[axis] + 1.0) * 1.001  # log(1 + d) for a d of that size
        own = own + of_sum + LOG_ROUNDOFFS * UNIT_ROUNDOFF * (np.log(sums) + of_sum)
        return np.asarray(own + UNIT_ROUNDOFF * (np.abs(value) + own) + 2 * SMALLEST_NORMAL)

    new: Any = operand.result(value, None, links=[Link(operand, transposed=transposed, recorded=probs)])
    if operand.trace.disturb is not None:
        new.disturb_by(error(None))
    new.add_error(error(operand.error))
    return new  # type: ignore[no-any-return]  # a tracked value


def _softmax_error(probs: Array, shifted: Array, inherited: Array | None, axis: int) -> Array:
    error = UNIT_ROUNDOFF * np.abs(shifted)
    if inherited is not None:
        error = error + inherited * (1 + UNIT_ROUNDOFF)
    # An error beyond 20 says nothing of a probability that counts, but leaves that of a masked number at 0.
    is_large = ~(error < 20.0)
    factor = np.exp(np.where(is_large, 0.0, error))
    with np.errstate(invalid="ignore"):  # infinity minus infinity is NaN, without a warning
        up = np.where(is_large, np.exp(np.minimum(shifted + error, 600.0)), probs * factor)
    down = np.where(is_large, 0.0, probs / factor)
    with np.errstate(invalid="ignore", divide="ignore"):
        highest = up / (up + (down.sum(axis=axis, keepdims=True) - down))
        lowest = down / (down + (up.sum(axis=axis, keepdims=True) - up))
    count = (probs != 0).sum(axis=axis, keepdims=True)
    rounding = gamma(2.0 * exp_roundoffs() + count + 1) * highest + 4 * SMALLEST_NORMAL
    bound = np.maximum(highest - probs, probs - lowest) + rounding
    return np.where(np.isnan(bound), 1.0, np.minimum(bound, 1.0))


def largest(x: Array, axis: int, *, keepdims: bool = False) -> Array:
    """Takes the maximum over an axis. It does not round; its derivative is that of the first of equal numbers."""
    operand = tracked(x)
    if operand is None:
        return np.asarray(x.max(axis=axis, keepdims=keepdims))
    operand.settle()
    axis = axis % operand.ndim - operand.ndim
    values, error = operand.value, None
    value = values.max(axis=axis, keepdims=True)
    if operand.error is not None:
        # Both ends of the interval in which the runtime's maximum lies.
        above, below = values + operand.error, values - operand.error
        error = np.maximum(above.max(axis=axis, keepdims=True) - value, value - below.max(axis=axis, keepdims=True))
    index = np.arange(values.shape[axis]).reshape(-1, *[1] * (-axis - 1))
    is_first = index == np.expand_dims(values.argmax(axis=axis), axis)

    def transposed(g: Array) -> Array:
        return np.where(is_first, g if keepdims else np.expand_dims(g, axis), 0.0)

    if not keepdims:
        value, error = value.squeeze(axis), None if error is None else error.squeeze(axis)
    return operand.result(value, error, links=[Link(operand, transposed=transposed)])


def sort(x: Array, axis: int) -> Array:
    """Sorts the numbers along an axis in ascending order. It does not round.

    If no number is off by more than its error e, the i-th smallest lies between the i-th smallest of x - e and of
    x + e, even if a runtime exchanges numbers that are nearly equal.
    """
    operand = tracked(x)
    if operand is None:
        return np.sort(x, axis=axis)
    operand.settle()
    axis = axis % operand.ndim - operand.ndim
    values, error = operand.value, None
    order = values.argsort(axis=axis, kind="stable")
    value = np.take_along_axis(values, order, axis)
    if operand.error is not None:
        above, below = np.sort(values + operand.error, axis), np.sort(values - operand.error, axis)
        error = np.maximum(above - value, value - below)
    places = order.argsort(axis=axis)

    def transposed(g: Array) -> Array:
        return np.take_along_axis(g, np.broadcast_to(places, g.shape), axis)

    return operand.result(value, error, links=[Link(operand, transposed=transposed)])


def maximum(a: Array, b: Array) -> Array:
    """Takes the larger of two numbers, elementwise. It does not round; of equal numbers, it is the first."""
    operand = tracked(a, b)
    if operand is None:
        return np.maximum(a, b)
    first: Any = a
    second: Any = b
    settle(first, second)
    va, vb = exact(first), exact(second)
    value = np.maximum(va, vb)
    error_a, error_b = (np.zeros(1) if (error := error_of(x)) is None else error for x in (first, second))
    error = np.maximum(np.maximum(va + error_a, vb + error_b) - value, value - np.maximum(va - error_a, vb - error_b))
    is_first = (va >= vb).astype(np.float64)
    links = links_to((first, Link(first, is_first)), (second, Link(second, 1.0 - is_first)))
    return operand.result(value, error if error.any() else None, links=links)


def variance(x: Array, center: Array) -> Array:
    """Returns the mean of (x - center)^2 over the last axis, which it keeps; `center` is the mean of `x`.

    A runtime may also compute it as mean(x^2) - center^2, as onnxruntime's fused kernel does. This takes n + 2
    roundings of mean(x^2), 2 (n + 1) + 2 of center^2, which is not larger, and the difference. gamma_{3 n + 8} times
    mean(x^2) covers these, and also the mean of the squares of rounded differences, because (mean |x|)^2 <= mean(x^2).

    If x is off by at most e, x - mean(x) is off by at most c = e + mean(e), and so the exact variance by at most
    mean(2 |x - mean(x)| c + c^2).
    """
    operand = tracked(x)
    centred = exact(x) - exact(center)
    value = np.asarray((centred**2).mean(axis=-1, keepdims=True))
    if operand is None:
        return value
    settle(x, center)
    count, error = centred.shape[-1], None
    if operand.error is not None:
        shift = operand.error + operand.error.mean(axis=-1, keepdims=True)
        error = (2 * np.abs(centred) * shift + shift**2).mean(axis=-1, keepdims=True)
    # The derivative by the mean is 0.
    new: Any = operand.result(value, error, links=[Link(operand, np.asarray(2.0 / count * centred))])
    new.round_by(gamma(3.0 * count + 8) * (operand.size**2).mean(axis=-1, keepdims=True) + 3 * SMALLEST_NORMAL)
    return new  # type: ignore[no-any-return]  # a tracked value


def unit(x: Array) -> Array:
    """Divides by the root of the sum of squares over the last axis; numbers whose root is below 1e-12 by 1e-12.

    The result u of x is at most 1. If x is off by e, with roots n and |e| < n, u_i moves by at most
    (e_i + |u_i| |e|) / (n - |e|). A runtime rounds n squares, their sum, an inverse root and a product. If the root is
    so small that squares may underflow, or |e| is not below it, the result may be off by 2.
    """
    operand, values = tracked(x), exact(x)
    norm = np.sqrt((values**2).sum(axis=-1, keepdims=True))
    inverse = 1.0 / np.maximum(norm, _LEAST_NORM)
    value = np.asarray(values * inverse)
    if operand is None:
        return value
    operand.settle()
    error = np.zeros_like(value) if operand.error is None else operand.error
    shift = np.sqrt((error**2).sum(axis=-1, keepdims=True))
    least = norm - shift
    is_safe = least > 2 * _LEAST_NORM
    is_zero = (norm == 0) & (shift == 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        carried = np.where(is_safe, np.minimum((error + np.abs(value) * shift) / least, 2.0), 2.0 * ~is_zero)

    def transposed(g: Array) -> Array:
        along = np.where(norm > _LEAST_NORM, (g * value).sum(axis=-1, keepdims=True), 0.0)
        return np.asarray(inverse * (g - value * along))

    new: Any = operand.result(
        value, None if operand.error is None else carried, links=[Link(operand, transposed=transposed)]
    )
    size = np.abs(value) if operand.error is None else np.abs(value) + carried
    own = gamma(values.shape[-1] + 8.0) * size + 2 * SMALLEST_NORMAL
    new.round_by(np.where(is_safe, own, 2.0 * ~is_zero))
    return new  # type: ignore[no-any-return]  # a tracked value


def norm(x: Array, axis: int) -> Array:
    """Returns the root of the sum of squares over an axis, which it keeps.

    If x is off by e, the norm is off by at most the norm of e. A runtime rounds n squares and their sum, of which the
    root has half the relative error, and the root; squares that underflow hide a norm of less than the root of n times
    the smallest normal number. Where the norm is 0, its slope in any direction is at most 1.
    """
    operand, values = tracked(x), exact(x)
    value = np.sqrt((values**2).sum(axis=axis, keepdims=True))
    if operand is None:
        return np.asarray(value)
    operand.settle()
    count, error = values.shape[axis], None
    if operand.error is not None:
        error = np.sqrt((operand.error**2).sum(axis=axis, keepdims=True))
    with np.errstate(invalid="ignore", divide="ignore"):
        direction = np.where(value > 0, values / value, 1.0)

    def transposed(g: Array) -> Array:
        return np.asarray(g * direction)

    new: Any = operand.result(value, error, links=[Link(operand, transposed=transposed)])
    size = value if error is None else value + error
    new.round_by(gamma(count / 2 + 8.0) * size + np.sqrt(count * SMALLEST_NORMAL) * (size > 0))
    return new  # type: ignore[no-any-return]  # a tracked value

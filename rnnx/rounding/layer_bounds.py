"""Bounds the float32 rounding of each layer that is not recurrent.

A bound follows from the layer's definition (`rnnx.reference`): the layer is called with values that track the rounding
of each operation (`rnnx.primitives`). It holds for every order of the sums, and for all ways in which Keras, tf2onnx
and the fused kernels of onnxruntime compute the layer, so for the least accurate of them. No bound leaves out
second-order terms.

Source: N. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., sections 2.2, 3.1 and 3.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rnnx.primitives import Trace, Tracked, track
from rnnx.reference import Array, Layer, Recurrent, Tensor


def output_error(layer: Layer, inputs: Sequence[Tensor], errors: Sequence[Array], output: Tensor) -> Array:
    """Bounds the error of a layer that is not recurrent: its own rounding and the errors of its inputs.

    Args:
        layer: The layer.
        inputs: Its exact inputs.
        errors: The largest errors of the runtime's inputs, in the shapes of `inputs`.
        output: The exact output of the layer for `inputs`.

    Returns:
        The bounds, in the shape of the output.

    Raises:
        TypeError: For a recurrent layer; `rnnx.rounding.recurrent_bounds` bounds those.
    """
    if isinstance(layer, Recurrent):
        raise TypeError(f"no rounding bound for {type(layer).__name__} here: it depends on the states")
    given = tracked_inputs(Trace(), inputs, errors)
    error = bound_of(layer(*given).values)
    return np.zeros_like(output.values) if error is None else error


def tracked_inputs(trace: Trace, inputs: Sequence[Tensor], errors: Sequence[Array]) -> list[Tensor]:
    """Returns the inputs of a layer so that its operations are tracked."""
    # After a recurrence the inputs are exact, which saves half of the work.
    return [
        Tensor(track(trace, x.values, error if error.any() else None), x.mask)
        for x, error in zip(inputs, errors, strict=True)
    ]


def bound_of(result: Any) -> Array | None:
    """Returns how far a runtime's result may be off; None if it is exact, or not tracked, as looked up weights."""
    if not isinstance(result, Tracked):
        return None
    result.settle()
    return result.error

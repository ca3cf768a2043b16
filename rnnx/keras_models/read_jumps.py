"""Turns the operations of functional models that jump into layers of the reference, or refuses them with a reason.

They compare numbers, round them, or find the largest one. Rounding may decide between two results where the numbers are
computed, and the reference says where (`rnnx.reference.jumps`). Imports Keras.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from rnnx import reference
from rnnx.keras_models.layer_settings import refusal
from rnnx.keras_models.operation_parts import (
    MOST_CONSTANTS,
    LayerOrChain,
    OperationReader,
    arguments_of,
    axes_of,
    chain,
    constant_of,
    inputs_of,
    is_decided,
    is_exact,
    require_one_rank,
)
from rnnx.keras_models.read_layers import read_thresholded_relu

# The comparison that says the same with its operands exchanged.
_EXCHANGED: Mapping[Any, Any] = {
    "equal": "equal",
    "not_equal": "not_equal",
    "greater": "less",
    "greater_equal": "less_equal",
    "less": "greater",
    "less_equal": "greater_equal",
}


def reads_computed(operation: Any) -> bool:
    """Says whether a runtime may have rounded what an operation decides by.

    Raises:
        ModelError: If these are whole numbers that are computed from others.
    """
    inputs = inputs_of(operation)
    if not all(map(is_decided, inputs)):
        raise refusal(
            operation,
            "decides by whole numbers that were computed; turn them into float32 before, with ops.cast, and compute "
            "with those",
        )
    return not all(map(is_exact, inputs))


def _compares(name: Any) -> OperationReader:
    """Returns the reader of a comparison."""

    def read(operation: Any) -> reference.Compare:
        is_computed = reads_computed(operation)
        first, second = arguments_of(operation)
        if len(inputs_of(operation)) == 2:
            require_one_rank(operation, first, second)
            return reference.Compare(name, is_computed=is_computed)
        is_first = isinstance(second, keras.KerasTensor)
        x, numbers = (second, constant_of(first)) if is_first else (first, constant_of(second))
        relation = _EXCHANGED[name] if is_first else name
        if numbers.ndim == 0:
            return reference.Compare(relation, float(numbers), is_computed)
        sizes = numbers.shape[1:] if numbers.ndim == len(x.shape) and len(numbers) == 1 else numbers.shape
        if len(sizes) >= len(x.shape) or numbers.size > MOST_CONSTANTS:
            raise refusal(
                operation,
                f"compares with constants of the shape {numbers.shape}, which are not those of one row of {x.shape}, "
                f"or more than {MOST_CONSTANTS:,}",
            )
        return reference.Compare(relation, None, is_computed, tuple(map(float, numbers.ravel())), sizes)

    return read


def _read_count(operation: Any) -> LayerOrChain:
    """Reads `ops.count_nonzero`."""
    axes = axes_of(operation, operation.axis, len(inputs_of(operation)[0].shape), "reduces")
    compared = reference.Compare("not_equal", 0.0, reads_computed(operation))
    return chain([compared, reference.Reduce("sum", axes, keepdims=False)])


def _read_logical_not(operation: Any) -> reference.Compare:
    return reference.Compare("equal", 0.0, reads_computed(operation))


def _steps(name: Any) -> OperationReader:
    """Returns the reader of a function that is constant between its jumps."""
    return lambda operation: reference.ApplyStep(name, reads_computed(operation))


def _read_round(operation: Any) -> LayerOrChain:
    """Reads a round to some decimals: Keras multiplies by a power of ten, rounds, and divides by it."""
    rounded = reference.ApplyStep("round", reads_computed(operation))
    if not operation.decimals:
        return rounded
    factor = float(np.float32(10.0**operation.decimals))
    before, after = (reference.CombineNumber(how, factor, is_first=False) for how in ("multiply", "divide"))
    return chain([before, reference.ApplyStep("round"), after])


def _finds(*, is_least: bool) -> OperationReader:
    """Returns the reader of an operation that finds the place of the largest number, or of the smallest one."""

    def read(operation: Any) -> reference.ArgMax:
        if operation.axis is None:
            raise refusal(
                operation, "has axis=None, which would mix the rows of the batch; only other axes are supported"
            )
        (axis,) = axes_of(operation, operation.axis, len(inputs_of(operation)[0].shape), "works along")
        return reference.ArgMax(axis, bool(operation.keepdims), is_least, reads_computed(operation))

    return read


def _read_hard_shrink(operation: Any) -> reference.KeepBeyond:
    return reference.KeepBeyond(_number_of(operation, "threshold"), 0.0, True, reads_computed(operation))


def _read_threshold(operation: Any) -> reference.KeepBeyond:
    threshold, otherwise = (_number_of(operation, name) for name in ("threshold", "default_value"))
    return reference.KeepBeyond(threshold, otherwise, is_computed=reads_computed(operation))


def _number_of(operation: Any, setting: str) -> float:
    """Returns a setting that is a number, rounded to float32 as Keras does."""
    return float(np.float32(getattr(operation, setting)))


def _read_relu(operation: Any) -> LayerOrChain:
    """Reads the operation that `keras.activations.relu` makes, with its slope, its largest value and its threshold."""
    if operation.threshold:
        return read_thresholded_relu(operation, reads_computed(operation))
    slope, most = float(operation.negative_slope), operation.max_value
    relu = reference.ApplyWithNumber("leaky_relu", slope) if slope else reference.ApplyFunction("relu")
    cap = [] if most is None else [reference.CombineNumber("minimum", float(np.float32(most)), is_first=False)]
    return chain([relu, *cap])


READERS_OF_JUMPS: Mapping[str, OperationReader] = {
    "Argmax": _finds(is_least=False),
    "Argmin": _finds(is_least=True),
    "Ceil": _steps("ceil"),
    "CountNonzero": _read_count,
    "Equal": _compares("equal"),
    "Floor": _steps("floor"),
    "Greater": _compares("greater"),
    "GreaterEqual": _compares("greater_equal"),
    "HardShrink": _read_hard_shrink,
    "Less": _compares("less"),
    "LessEqual": _compares("less_equal"),
    "LogicalNot": _read_logical_not,
    "NotEqual": _compares("not_equal"),
    "ReLU": _read_relu,
    "Round": _read_round,
    "Sign": _steps("sign"),
    "Threshold": _read_threshold,
    "Trunc": _steps("trunc"),
}

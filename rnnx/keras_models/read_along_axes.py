"""Turns the operations that reduce axes, or work along one, into layers of the reference, or refuses them.

Imports Keras.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from rnnx import reference
from rnnx.keras_models.layer_settings import refusal
from rnnx.keras_models.operation_parts import LayerOrChain, OperationReader, axes_of, chain, inputs_of


def _reduces(name: Any) -> OperationReader:
    def read(operation: Any) -> LayerOrChain:
        axes = axes_of(operation, operation.axis, len(inputs_of(operation)[0].shape), "reduces")
        reduced = reference.Reduce(name, axes, bool(getattr(operation, "keepdims", False)))
        initial = getattr(operation, "initial", None)
        if initial is None:
            return reduced
        if np.size(initial) != 1 or isinstance(initial, keras.KerasTensor):
            raise refusal(operation, "has computed initial values, or several; only a number is supported")
        number = float(np.float32(np.reshape(initial, ())))
        combined: Any = {"max": "maximum", "min": "minimum"}[name]
        return chain([reduced, reference.CombineNumber(combined, number, is_first=False)])

    return read


def _read_norm(operation: Any) -> LayerOrChain:
    rank = len(inputs_of(operation)[0].shape)
    axes = axes_of(operation, operation.axis, rank, "reduces")
    if operation.ord == 1 and len(axes) == 1:
        return chain([reference.ApplyFunction("absolute"), reference.Reduce("sum", axes, bool(operation.keepdims))])
    if operation.ord not in ((None, 2) if len(axes) == 1 else (None, "fro")):
        raise refusal(
            operation, f"has ord={operation.ord!r}; only the root of the sum of squares, and 1 over one axis, are "
            "supported"
        )  # fmt: skip
    return reference.Reduce("norm", axes, bool(operation.keepdims))


def _read_moments(operation: Any) -> list[LayerOrChain]:
    axes = axes_of(operation, operation.axes, len(inputs_of(operation)[0].shape), "reduces")
    return [reference.Reduce(name, axes, bool(operation.keepdims)) for name in ("mean", "variance")]


def _along(name: Any) -> OperationReader:
    """Returns the reader of an operation along one axis."""

    def read(operation: Any) -> reference.ApplyAlong:
        axes = axes_of(operation, operation.axis, len(inputs_of(operation)[0].shape), "works along")
        if len(axes) > 1:
            raise refusal(operation, f"works along the axes {axes}; only one axis is supported")
        return reference.ApplyAlong(name, axes[0])

    return read


def _read_sort(operation: Any) -> LayerOrChain | list[LayerOrChain]:
    if operation.axis is None:
        raise refusal(operation, "has axis=None, which would mix the rows of the batch; only other axes are supported")
    return _along("sort")(operation)


def _read_normalize(operation: Any) -> reference.ApplyAlong:
    (axis,) = axes_of(operation, operation.axis, len(inputs_of(operation)[0].shape), "works along")
    if operation.order != 2:
        raise refusal(operation, f"has order={operation.order!r}; only 2 is supported")
    least = keras.config.epsilon() if operation.epsilon is None else operation.epsilon
    return reference.ApplyAlong("normalize", axis, float(least))


def _read_diff(operation: Any) -> LayerOrChain:
    axis, size = _axis_and_size(operation)
    if operation.n < 1 or (size is not None and size <= operation.n):
        raise refusal(operation, f"has n={operation.n!r}, which leaves nothing of an axis of size {size}")
    return chain([reference.ApplyAlong("differences", axis)] * int(operation.n))


def _axis_and_size(operation: Any) -> tuple[int, int | None]:
    shape = inputs_of(operation)[0].shape
    (axis,) = axes_of(operation, operation.axis, len(shape), "works along")
    return axis, shape[axis]


READERS_ALONG_AXES: Mapping[str, OperationReader] = {
    "All": _reduces("min"),
    "Amax": _reduces("max"),
    "Amin": _reduces("min"),
    "Any": _reduces("max"),
    "Cumsum": _along("cumsum"),
    "Diff": _read_diff,
    "Glu": _along("glu"),
    "LogSoftmax": _along("log_softmax"),
    "Logsumexp": _reduces("log_sum_exp"),
    "Max": _reduces("max"),
    "Mean": _reduces("mean"),
    "Min": _reduces("min"),
    "Moments": _read_moments,
    "Norm": _read_norm,
    "Normalize": _read_normalize,
    "Prod": _reduces("product"),
    "Ptp": _reduces("range"),
    "Softmax": _along("softmax"),
    "Sort": _read_sort,
    "Std": _reduces("deviation"),
    "Sum": _reduces("sum"),
    "Var": _reduces("variance"),
}

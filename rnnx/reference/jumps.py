"""The operations of functional models that jump, in NumPy, in float64. Imports numpy only.

What they decide by may be computed, so that rounding may decide between two results, as far as
`rnnx.primitives.comparisons` says. The runtime's own numbers before a jump are shown (`rnnx.proof.cuts`), so a file has
to decide as they say. Operations read no mask, and their results have none.

Source: as Keras 3 defines them (`keras.ops`, `keras.activations.relu`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from rnnx.primitives import Array, StepName, activate, choose, compare, exact, first_largest, maximum, step
from rnnx.reference.tensor import Tensor


@runtime_checkable
class Jump(Protocol):
    """A layer that decides by the numbers of its inputs.

    Attributes:
        is_computed: Whether a runtime may have rounded these numbers.
    """

    @property
    def is_computed(self) -> bool: ...

    def decide(self, *inputs: Tensor) -> Tensor:
        """Returns what it decides: numbers that are constant but for jumps."""


def is_jump(layer: Any) -> bool:
    """Says whether a layer decides by numbers that a runtime may have rounded."""
    return isinstance(layer, Jump) and layer.is_computed


@dataclass(frozen=True)
class ApplyStep:
    """Applies a step function to each element, such as the sign; `round` rounds halves to even numbers.

    Attributes:
        function: Which.
        is_computed: Whether a runtime may have rounded the input.
    """

    function: StepName
    is_computed: bool = True

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(step(self.function, _given(x, self.is_computed)))

    def decide(self, *inputs: Tensor) -> Tensor:
        """Returns the result, which is all that it decides."""
        return self(*inputs)


@dataclass(frozen=True)
class ArgMax:
    """Returns the index of the largest number along an axis, the first one of equal numbers.

    Attributes:
        axis: The axis, counted from the batch.
        keepdims: Whether the axis stays, with a size of 1.
        is_least: Whether it is the index of the smallest number instead.
        is_computed: Whether a runtime may have rounded the input.
    """

    axis: int
    keepdims: bool = False
    is_least: bool = False
    is_computed: bool = True

    def __call__(self, x: Tensor) -> Tensor:
        index = first_largest(_given(x, self.is_computed), self.axis, is_least=self.is_least)
        sizes = [size for axis, size in enumerate(index.shape) if axis != self.axis]
        return Tensor(index if self.keepdims else index.reshape(*sizes))

    def decide(self, *inputs: Tensor) -> Tensor:
        """Returns the index, which is all that it decides."""
        return self(*inputs)


@dataclass(frozen=True)
class KeepBeyond:
    """Keeps the numbers above a threshold, and replaces the others, as the operations `threshold` and `hard_shrink` do.

    Attributes:
        threshold: The threshold, rounded to float32.
        otherwise: What replaces the others, rounded to float32.
        is_of_size: Whether the absolute values are compared.
        is_computed: Whether a runtime may have rounded the input.
        keeps_mask: Whether the mask is handed on, as a layer of Keras does and an operation does not.
    """

    threshold: float
    otherwise: float = 0.0
    is_of_size: bool = False
    is_computed: bool = True
    keeps_mask: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(choose(self.decide(x).values, x.values, self.otherwise), x.mask if self.keeps_mask else None)

    def decide(self, *inputs: Tensor) -> Tensor:
        """Returns 1 where a number is kept, and 0 elsewhere."""
        (x,) = inputs
        given = _given(x, self.is_computed)
        size = maximum(given, -given) if self.is_of_size else given
        return Tensor(compare("greater", size, self.threshold))


@dataclass(frozen=True)
class ThresholdedReLU:
    """Keeps the numbers above a threshold, up to a largest one; below it, the result is the slope times the distance.

    Attributes:
        threshold: The threshold, rounded to float32.
        slope: The slope below it.
        most: The largest result, rounded to float32; None if there is none.
        is_computed: Whether a runtime may have rounded the input.
        keeps_mask: Whether the mask is handed on, as a layer of Keras does and an operation does not.
    """

    threshold: float
    slope: float = 0.0
    most: float | None = None
    is_computed: bool = True
    keeps_mask: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        kept = choose(self.decide(x).values, x.values, 0.0)
        if self.most is not None:
            most: Any = np.float64(self.most)
            kept = activate("relu", -maximum(-kept, -most))
        if self.slope:
            kept = kept - activate("relu", self.threshold - x.values) * self.slope
        return Tensor(kept, x.mask if self.keeps_mask else None)

    def decide(self, *inputs: Tensor) -> Tensor:
        """Returns 1 where a number is kept, and 0 elsewhere."""
        (x,) = inputs
        return Tensor(compare("greater", _given(x, self.is_computed), self.threshold))


# The layers of this module.
JumpLayer: TypeAlias = ApplyStep | ArgMax | KeepBeyond | ThresholdedReLU


def _given(x: Tensor, is_computed: bool) -> Array:
    return x.values if is_computed else exact(x.values)

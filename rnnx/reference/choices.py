"""The operations of functional models that compare and choose, in NumPy, in float64. Imports numpy only.

They read no mask, and their results have none. What they compare may be computed; `rnnx.reference.jumps` says more.

Source: as Keras 3 defines them (`keras.ops`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rnnx.primitives import Relation, choose, compare, exact, where
from rnnx.reference.tensor import Tensor
from rnnx.strict_json import OMIT_DEFAULT


@dataclass(frozen=True)
class Compare:
    """Compares each element of its input with a number, with constants, or with a second input: 1 if true, 0 if not.

    Attributes:
        comparison: How.
        number: The number; None if there are constants, or two inputs.
        is_computed: Whether a runtime may have rounded an input. If not, no rounding decides.
        numbers: The constants of a row, one after the other; empty for none.
        sizes: Their shape; an axis of size 1 is repeated.
    """

    comparison: Relation
    number: float | None = None
    is_computed: bool = field(default=False, metadata=OMIT_DEFAULT)
    numbers: tuple[float, ...] = field(default=(), metadata=OMIT_DEFAULT)
    sizes: tuple[int, ...] = field(default=(), metadata=OMIT_DEFAULT)

    def __call__(self, *inputs: Tensor) -> Tensor:
        a, *others = (x.values if self.is_computed else exact(x.values) for x in inputs)
        b: Any = others[0] if others else np.float64(self.number or 0.0)
        b = np.reshape(self.numbers, self.sizes) if self.numbers else b
        return Tensor(compare(self.comparison, a, b))

    def decide(self, *inputs: Tensor) -> Tensor:
        """Returns the result, which is all that it decides."""
        return self(*inputs)


@dataclass(frozen=True)
class Choose:
    """Takes numbers where a condition, its first input, is 1, and others where it is 0.

    Where rounding may decide about the condition, the result may be either number.

    Attributes:
        first: The number that is taken where the condition is 1; None if it is an input.
        second: The number that is taken elsewhere; None if it is an input.
    """

    first: float | None = None
    second: float | None = None

    @property
    def input_count(self) -> int:
        """How many inputs it has: the condition, and the numbers that are computed."""
        return 1 + (self.first is None) + (self.second is None)

    def __call__(self, *inputs: Tensor) -> Tensor:
        condition, *others = (x.values for x in inputs)
        rest = iter(others)
        a, b = (next(rest) if number is None else np.float64(number) for number in (self.first, self.second))
        chosen = choose(condition, a, b)
        is_nan = np.isnan(exact(condition))
        return Tensor(where(is_nan, np.nan, chosen) if is_nan.any() else chosen)


@dataclass(frozen=True)
class ChooseByConstants:
    """Takes the numbers of its input where a constant is 1, and a number where it is 0, as a causal mask does.

    Attributes:
        condition: The constants of a row, one after the other.
        sizes: Their shape; an axis of size 1 is repeated.
        number: The number.
        is_first: Whether the number is taken where the constant is 1 instead.
    """

    condition: tuple[int, ...]
    sizes: tuple[int, ...]
    number: float
    is_first: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        is_taken = (np.reshape(self.condition, self.sizes) != 0) != self.is_first
        return Tensor(where(np.broadcast_to(is_taken, x.values.shape), x.values, self.number))


@dataclass(frozen=True)
class Fill:
    """Replaces each element by a number."""

    number: float

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(where(np.ones(x.values.shape, np.bool_), self.number, x.values))

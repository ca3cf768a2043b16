"""The operations of functional models that multiply matrices, in NumPy, in float64. Imports numpy only.

They read no mask, and their results have none, as in Keras.

Source: as Keras 3 defines them (`keras.ops.matmul`, `keras.ops.einsum`, `keras.layers.EinsumDense`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from rnnx.primitives import ActivationName, Array, activate
from rnnx.reference.items import in_order
from rnnx.reference.tensor import Tensor


@dataclass(frozen=True, eq=False)
class MultiplyMatrix:
    """Multiplies each position by a matrix of constants, or a matrix of constants by each row.

    Attributes:
        matrix: `(inputs, outputs)`; in front of the input `(outputs, positions)`.
        is_first: Whether it is in front.
    """

    matrix: Array
    is_first: bool = False

    def __call__(self, x: Tensor) -> Tensor:
        return Tensor(self.matrix @ x.values if self.is_first else x.values @ self.matrix)


@dataclass(frozen=True)
class MultiplyTensors:
    """Multiplies the matrices that the last two axes of two inputs hold: `(..., rows, n)` and `(..., n, columns)`."""

    def __call__(self, *inputs: Tensor) -> Tensor:
        first, second = inputs
        return Tensor(first.values @ second.values)


@dataclass(frozen=True, eq=False)
class EinsumDense:
    """Multiplies the input by weights, sums over some axes, and adds a bias: activation(V x + c).

    Attributes:
        kernel: The weights V, with an axis for each letter of `of_kernel`.
        bias: c, in a shape that fits the last axes of the result.
        activation: The activation.
        of_input: The letters of the axes of the input. The first one is that of the batch.
        of_kernel: Those of the kernel. Each is in the input or in the result.
        of_result: Those of the result, in which the batch is the first one too.
    """

    kernel: Array
    bias: Array
    activation: ActivationName
    of_input: str
    of_kernel: str
    of_result: str

    def __call__(self, x: Tensor) -> Tensor:
        a, b, z = self.of_input, self.of_kernel, self.of_result
        if x.values.ndim != len(a):
            raise ValueError(f"the input has {x.values.ndim} axes, not {len(a)}")
        size = dict(zip(b, self.kernel.shape, strict=True))
        given = dict(zip(a, x.values.shape, strict=True))
        if any(size.get(letter, length) != length for letter, length in given.items()):
            raise ValueError(f"an input of the shape {x.values.shape} does not fit a kernel of {self.kernel.shape}")
        size |= given
        batch, *rows = [letter for letter in z if letter not in b]
        both = [letter for letter in z if letter in a and letter in b]
        summed = [letter for letter in a if letter not in z]
        columns = [letter for letter in z if letter not in a]

        def in_groups(values: Array, letters: str, *groups: list[str]) -> Array:
            order = tuple(letters.index(letter) for group in groups for letter in group)
            return in_order(values, order).reshape(*(prod(size[letter] for letter in group) for group in groups))

        left = in_groups(x.values, a, [batch], rows, *([both] if both else []), summed)
        if both:  # a matrix of its own for each of these
            product = left.reshape(*left.shape[:-1], 1, left.shape[-1]) @ in_groups(
                self.kernel, b, both, summed, columns
            )
        else:
            product = left @ in_groups(self.kernel, b, summed, columns)
        whole = [batch, *rows, *both, *columns]
        product = product.reshape(*(size[letter] for letter in whole))
        sums = in_order(product, tuple(whole.index(letter) for letter in z)) + self.bias
        return Tensor(activate(self.activation, sums))


@dataclass(frozen=True)
class Einsum:
    """Multiplies two inputs and sums over some axes, each of which has a letter.

    Attributes:
        first: The letters of the first input. The first letter of all three is that of the batch.
        second: Those of the second input.
        result: Those of the result. Each of them is in an input; a letter that is missing here is in both inputs.
    """

    first: str
    second: str
    result: str

    def __call__(self, *inputs: Tensor) -> Tensor:
        a, b, z = self.first, self.second, self.result
        (x, y), size = (tensor.values for tensor in inputs), {}
        if x.ndim != len(a) or y.ndim != len(b):
            raise ValueError(f"the inputs have {x.ndim} and {y.ndim} axes, not {len(a)} and {len(b)}")
        size = dict(zip(a + b, x.shape + y.shape, strict=True))
        batch = [letter for letter in z if letter in a and letter in b]
        summed = [letter for letter in a if letter not in z]
        rows = [letter for letter in z if letter not in b]
        columns = [letter for letter in z if letter not in a]

        def in_groups(values: Array, letters: str, *groups: list[str]) -> Array:
            order = tuple(letters.index(letter) for group in groups for letter in group)
            sizes = [[size[letter] for letter in group] for group in groups]
            return in_order(values, order).reshape(*sizes[0], *(int(np.prod(group)) for group in sizes[1:]))

        product = in_groups(x, a, batch, rows, summed) @ in_groups(y, b, batch, summed, columns)
        whole = [*batch, *rows, *columns]
        product = product.reshape(*(size[letter] for letter in whole))
        return Tensor(in_order(product, tuple(whole.index(letter) for letter in z)))

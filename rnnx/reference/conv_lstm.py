"""The recurrence of images, ConvLSTM, in NumPy, in float64. Imports numpy and the primitives only."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from rnnx.primitives import Array, activate, split, windows
from rnnx.reference.convolution import place
from rnnx.reference.gated import LSTM
from rnnx.reference.pooling import Windows, in_grid


@dataclass(frozen=True, eq=False)
class ConvLSTM(LSTM):
    """An LSTM whose input and states are images: each product with a matrix is a convolution.

        i_t = s(U_i o h_{t-1} + W_i o x_t + b_i)      and so on, as in `LSTM`, where o is a convolution

    The convolution of the state is padded with zeros, so that the state keeps its size. An image is read and returned
    as one vector, row by row, with the features of each place next to each other. So a state of `(rows, columns,
    filters)` has `units = rows * columns * filters` numbers. A ConvLSTM1D has images of one row.

    Attributes:
        kernel: `(height, width, features, 4 * filters)`, W for each place of a window of the input.
        recurrent_kernel: `(height, width, filters, 4 * filters)`, U for each place of a window of the state.
        bias: `(4 * filters,)`.
        image: The rows and the columns of an input image.
        strides: Rows, and columns, from the start of one window of the input to the start of the next.
        dilations: Rows, and columns, from one place of a window of the input to the next.
        padding: What is added to an input image on each side.

    Source: X. Shi et al., "Convolutional LSTM network: a machine learning approach for precipitation nowcasting", 2015,
    arXiv:1506.04214, without its peephole connections, as in Keras 3.
    """

    image: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    padding: Literal["valid", "same"] = "valid"

    @property
    def position_size(self) -> int:
        """The numbers of an input image, which the shape of the kernel alone does not say."""
        return prod(self.image) * int(self.kernel.shape[2])

    @property
    def state_image(self) -> tuple[int, int, int]:
        """The rows, columns and filters of a state."""
        down, across = self._axes()
        return len(down.index), len(across.index), int(self.recurrent_kernel.shape[2])

    @property
    def units(self) -> int:
        """The size of the hidden state as a vector."""
        return prod(self.state_image)

    def read(self, x: Array) -> Array:
        """Returns the images as they are: the gates convolve them."""
        return x

    def gates(self, read: Array, h: Array) -> tuple[Array, Array, Array, Array]:
        (rows, columns, _), leading = self.state_image, read.shape[:-1]
        own_size = self.recurrent_kernel.shape[:2]
        own = [place(length, size, 1, 1, "same") for length, size in zip((rows, columns), own_size, strict=True)]
        of_x = _convolve(read, self.image, self._axes(), self.kernel)
        of_h = _convolve(h, (rows, columns), (own[0], own[1]), self.recurrent_kernel)
        i, f, c, o = split(of_x + of_h + self.bias, 4)
        s = self.recurrent_activation
        gates = activate(s, i), activate(s, f), activate(self.activation, c), activate(s, o)
        i, f, c, o = (gate.reshape(*leading, self.units) for gate in gates)
        return i, f, c, o

    def _axes(self) -> tuple[Windows, Windows]:
        """Returns the windows over the rows and over the columns of an input image."""
        down, across = (
            place(length, size, stride, dilation, self.padding)
            for length, size, stride, dilation in zip(
                self.image, self.kernel.shape[:2], self.strides, self.dilations, strict=True
            )
        )
        return down, across


def _convolve(x: Array, image: tuple[int, int], axes: tuple[Windows, Windows], kernel: Array) -> Array:
    """Convolves images that are vectors, `(..., numbers)`, and returns `(images, places, outputs)`."""
    height, width, features, outputs = kernel.shape
    flat = x.reshape(prod(x.shape[:-1]), prod(image), features)
    places = in_grid(*axes, image[1])
    parts = windows(flat, places.index, places.is_there)
    parts = parts.reshape(*parts.shape[:2], height * width * features)
    return parts @ kernel.reshape(height * width * features, outputs)

"""Layers that convolve over the time, or over images, in NumPy, in float64. Imports numpy and the primitives only.

Each takes values `(batch, time, features)`, or `(batch, height, width, features)`, and returns no mask: Keras ignores
the mask here, and drops it.

Source: as Keras 3 defines them (`keras.layers`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from rnnx.primitives import ActivationName, Array, activate, concatenate, windows
from rnnx.reference.pooling import Windows, in_grid
from rnnx.reference.tensor import Tensor

# What is added to the sequence. "valid": nothing. "same": zeros at both ends, so that a stride of 1 keeps the time; an
# odd number of them is longer at the end. "causal": zeros in front, so that no position reads a later one.
ConvolutionPadding: TypeAlias = Literal["valid", "same", "causal"]


@dataclass(frozen=True, eq=False)
class Conv1D:
    """A convolution: at each place, activation(V x + c), where x has the features of all positions in a window.

    A depthwise convolution is one with a group for each feature.

    Attributes:
        kernel: `(size, inputs / groups, outputs)`, V for each position of the window.
        bias: `(outputs,)`, c.
        activation: The activation.
        stride: Positions from the start of one window to the start of the next.
        dilation: Positions from one position of a window to the next.
        padding: What is added to the sequence.
        groups: In how many equal parts the features and the outputs are split; each output reads its part alone.
    """

    kernel: Array
    bias: Array
    activation: ActivationName = "linear"
    stride: int = 1
    dilation: int = 1
    padding: ConvolutionPadding = "valid"
    groups: int = 1

    @property
    def position_size(self) -> int:
        """The features at each position of the input, which the shape of the kernel alone does not say."""
        return int(self.kernel.shape[1]) * self.groups

    def windows(self, time: int) -> Windows:
        """Returns the windows of a sequence of `time` positions."""
        return place(time, len(self.kernel), self.stride, self.dilation, self.padding)

    def __call__(self, x: Tensor) -> Tensor:
        sums = _convolve(x.values, self.windows(x.values.shape[1]), self.kernel, self.bias, self.groups)
        return Tensor(activate(self.activation, sums))


@dataclass(frozen=True, eq=False)
class Conv2D:
    """A convolution of images `(batch, height, width, features)`: as `Conv1D`, with windows over two axes.

    Attributes:
        kernel: `(height, width, inputs / groups, outputs)`, V for each place of the window.
        bias: `(outputs,)`, c.
        activation: The activation.
        strides: Rows, and columns, from the start of one window to the start of the next.
        dilations: Rows, and columns, from one place of a window to the next.
        padding: What is added to the image on each side.
        groups: As in `Conv1D`.
    """

    kernel: Array
    bias: Array
    activation: ActivationName = "linear"
    strides: tuple[int, int] = (1, 1)
    dilations: tuple[int, int] = (1, 1)
    padding: Literal["valid", "same"] = "valid"
    groups: int = 1

    @property
    def position_size(self) -> int:
        """The features at each place of the input, which the shape of the kernel alone does not say."""
        return int(self.kernel.shape[2]) * self.groups

    def __call__(self, x: Tensor) -> Tensor:
        batch, rows, columns, features = x.values.shape
        down, across = (
            place(length, size, stride, dilation, self.padding)
            for length, size, stride, dilation in zip(
                (rows, columns), self.kernel.shape[:2], self.strides, self.dilations, strict=True
            )
        )
        flat = x.values.reshape(batch, rows * columns, features)
        kernel = self.kernel.reshape(-1, *self.kernel.shape[2:])
        sums = _convolve(flat, in_grid(down, across, columns), kernel, self.bias, self.groups)
        image = sums.reshape(batch, len(down.index), len(across.index), self.kernel.shape[-1])
        return Tensor(activate(self.activation, image))


@dataclass(frozen=True, eq=False)
class Conv1DTranspose:
    """A transposed convolution: each position adds V x to the places of a window; then activation(the sums + c).

    The windows of the positions are `stride` places apart, so that the result is about `stride` times as long.

    Attributes:
        kernel: `(size, outputs, inputs)`, V for each place of the window.
        bias: `(outputs,)`, c.
        activation: The activation.
        stride: Places from the start of one window to the start of the next.
        is_padded: Whether places are cut off at both ends (Keras's `same`), an odd number with one more at the end.
        added: Keras's `output_padding`: how much longer the result is than the least length; None takes the length that
            Keras takes without it.
    """

    kernel: Array
    bias: Array
    activation: ActivationName = "linear"
    stride: int = 1
    is_padded: bool = False
    added: int | None = None

    @property
    def position_size(self) -> int:
        """The features at each position of the input, which the shape of the kernel alone does not say."""
        return int(self.kernel.shape[2])

    def __call__(self, x: Tensor) -> Tensor:
        places = place_transposed(x.values.shape[1], len(self.kernel), self.stride, self.added, is_cut=self.is_padded)
        sums = _convolve(x.values, places, self.kernel.swapaxes(-1, -2), self.bias, groups=1)
        return Tensor(activate(self.activation, sums))


@dataclass(frozen=True, eq=False)
class Conv2DTranspose:
    """A transposed convolution of images `(batch, height, width, features)`: as `Conv1DTranspose`, over two axes.

    Attributes:
        kernel: `(height, width, outputs, inputs)`, V for each place of the window.
        bias: `(outputs,)`, c.
        activation: The activation.
        strides: Rows, and columns, from the start of one window to the start of the next.
        is_padded: As in `Conv1DTranspose`, for both axes.
        added: As in `Conv1DTranspose`, for rows and columns.
    """

    kernel: Array
    bias: Array
    activation: ActivationName = "linear"
    strides: tuple[int, int] = (1, 1)
    is_padded: bool = False
    added: tuple[int, int] | None = None

    @property
    def position_size(self) -> int:
        """The features at each place of the input, which the shape of the kernel alone does not say."""
        return int(self.kernel.shape[3])

    def __call__(self, x: Tensor) -> Tensor:
        batch, rows, columns, features = x.values.shape
        down, across = (
            place_transposed(length, size, stride, added, is_cut=self.is_padded)
            for length, size, stride, added in zip(
                (rows, columns), self.kernel.shape[:2], self.strides, self.added or (None, None), strict=True
            )
        )
        flat = x.values.reshape(batch, rows * columns, features)
        kernel = self.kernel.reshape(-1, *self.kernel.shape[2:]).swapaxes(-1, -2)
        sums = _convolve(flat, in_grid(down, across, columns), kernel, self.bias, groups=1)
        image = sums.reshape(batch, len(down.index), len(across.index), self.kernel.shape[2])
        return Tensor(activate(self.activation, image))


def place_transposed(time: int, size: int, stride: int, added: int | None, *, is_cut: bool) -> Windows:
    """Returns which position each place of the result reads at each place of the window; see `Conv1DTranspose`."""
    whole = (time - 1) * stride + size
    if is_cut:
        count = time * stride if added is None else (time - 1) * stride + size % 2 + added
    else:
        count = whole + (max(stride - size, 0) if added is None else added)
    before = max(whole - count, 0) // 2 if is_cut else 0
    steps = np.arange(count)[:, None] + before - np.arange(size)
    index = steps // stride
    is_there = (steps % stride == 0) & (index >= 0) & (index < time)
    return Windows(np.clip(index, 0, time - 1), is_there)


def place(time: int, size: int, stride: int, dilation: int, padding: ConvolutionPadding) -> Windows:
    """Returns the windows of a convolution over an axis of `time` positions."""
    span = (size - 1) * dilation + 1
    if padding == "valid":
        count, before = max((time - span) // stride + 1, 0), 0
    else:
        count = -(-time // stride)  # rounded up
        added = max((count - 1) * stride + span - time, 0)
        before = span - 1 if padding == "causal" else added // 2
    index = np.arange(count)[:, None] * stride + np.arange(size) * dilation - before
    return Windows(np.clip(index, 0, time - 1), (index >= 0) & (index < time))


def _convolve(x: Array, places: Windows, kernel: Array, bias: Array, groups: int) -> Array:
    """Returns V x + c for each window of a sequence, `(batch, windows, outputs)`."""
    parts = windows(x, places.index, places.is_there)
    size, inputs, filters = kernel.shape
    outputs = filters // groups
    sums = []
    for g in range(groups):
        of_group = parts[:, :, :, g * inputs : (g + 1) * inputs].reshape(*parts.shape[:2], size * inputs)
        columns = slice(g * outputs, (g + 1) * outputs)
        sums.append(of_group @ kernel[:, :, columns].reshape(size * inputs, outputs) + bias[columns])
    return sums[0] if groups == 1 else concatenate(sums)

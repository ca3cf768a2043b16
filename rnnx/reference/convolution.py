"""Layers that convolve over the time, in NumPy, in float64. Imports numpy and the primitives only.

Each takes values `(batch, time, features)` and returns no mask: Keras ignores the mask here, and drops it.

Source: as Keras 3 defines them (`keras.layers`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from rnnx.primitives import ActivationName, Array, activate, concatenate, windows
from rnnx.reference.pooling import Windows
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
        span = (len(self.kernel) - 1) * self.dilation + 1
        if self.padding == "valid":
            count, before = max((time - span) // self.stride + 1, 0), 0
        else:
            count = -(-time // self.stride)  # rounded up
            added = max((count - 1) * self.stride + span - time, 0)
            before = span - 1 if self.padding == "causal" else added // 2
        index = np.arange(count)[:, None] * self.stride + np.arange(len(self.kernel)) * self.dilation - before
        return Windows(np.clip(index, 0, time - 1), (index >= 0) & (index < time))

    def __call__(self, x: Tensor) -> Tensor:
        places = self.windows(x.values.shape[1])
        parts = windows(x.values, places.index, places.is_there)
        size, inputs, filters = self.kernel.shape
        outputs = filters // self.groups
        sums = []
        for g in range(self.groups):
            of_group = parts[:, :, :, g * inputs : (g + 1) * inputs].reshape(*parts.shape[:2], size * inputs)
            columns = slice(g * outputs, (g + 1) * outputs)
            sums.append(of_group @ self.kernel[:, :, columns].reshape(size * inputs, outputs) + self.bias[columns])
        return Tensor(activate(self.activation, sums[0] if self.groups == 1 else concatenate(sums)))

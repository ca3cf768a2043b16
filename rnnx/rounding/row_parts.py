"""Splits the rows of a large batch, so that the memory of the proof does not grow with it.

A bound needs the values, the rounding errors and the derivatives of every layer at every position at once, in float64:
118 texts of 600 words and a network of 128 units took 1.3 GB. No row of a batch depends on another one.

The numbers that a network computes for a row are counted only where the row itself has many, as images do. Such a row
may take as much memory as a batch of texts, and more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.reference import Array, Network, Recurrent

# Rows times steps that are computed together; of one row all steps are needed.
_MOST_POSITIONS = 1 << 14
# Numbers of all layers that are computed together: as many as those positions have in a network of 512 numbers.
_MOST_NUMBERS = 1 << 23
# A row of an input has many numbers if it has more than this.
_MANY = 1 << 14
# A recurrence has its input to each of at most four gates besides each state.
_NUMBERS_OF_A_STATE = 5


def row_parts(network: Network, inputs: Mapping[str, npt.NDArray[Any]]) -> list[slice]:
    """Splits the rows of a batch into parts of about the same size.

    Args:
        network: The reference.
        inputs: Its inputs by name, `(batch, time, ...)`.

    Returns:
        The rows of each part; a single part if the batch is small.
    """
    rows = len(next(iter(inputs.values())))
    time = max((values.shape[1] for values in inputs.values() if values.ndim > 1), default=1)
    count = -(-rows * time // _MOST_POSITIONS)
    if rows > 1 and any(math.prod(values.shape[1:]) > _MANY for values in inputs.values()):
        count = max(count, -(-rows * count_row(network, inputs) // _MOST_NUMBERS))
    count = min(count, rows)
    ends = np.linspace(0, rows, max(count, 1) + 1).round().astype(int).tolist()
    return [slice(start, end) for start, end in pairwise(ends)]


def count_row(network: Network, inputs: Mapping[str, npt.NDArray[Any]]) -> int:
    """Counts the numbers of the first row of a network's inputs, and those that it computes for it.

    Windows of convolutions are included.
    """
    histories: dict[str, tuple[Array, ...]] = {}
    with np.errstate(all="ignore"):  # what overflows counts as well
        tensors = network.forward({name: values[:1] for name, values in inputs.items()}, histories=histories)
    total = sum(values[0].size for values in inputs.values())
    for node in network.nodes:
        kernels = [values for values in vars(node.layer).values() if isinstance(values, np.ndarray) and values.ndim > 2]
        if isinstance(node.layer, Recurrent):
            size = histories[node.name][0].size
            windows = size // node.layer.recurrent_kernel.shape[-2] * sum(math.prod(w.shape[:-1]) for w in kernels)
            total += _NUMBERS_OF_A_STATE * size + windows
        else:
            values, features = (tensors[name].values for name in (node.name, node.inputs[0]))
            windows = values.size // values.shape[-1] * sum(math.prod(w.shape[:-2]) for w in kernels)
            total += values.size + windows * features.shape[-1]
    return int(total)


def take_rows(values: npt.NDArray[Any], part: slice, rows: int) -> npt.NDArray[Any]:
    """Takes the rows of a part from an array.

    Args:
        values: The rows of the batch come first, and the positions may be joined with them: `(batch * time, ...)`.
        part: One of `row_parts`.
        rows: The rows of the batch.
    """
    each = len(values) // max(rows, 1)
    return values[part.start * each : part.stop * each]

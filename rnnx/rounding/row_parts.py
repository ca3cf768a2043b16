"""Splits the rows of a large batch, so that the memory of the proof does not grow with it.

A bound needs the values, the rounding errors and the derivatives of every layer at every position at once, in float64:
118 texts of 600 words and a network of 128 units took 1.3 GB. No row of a batch depends on another one.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

# Rows times steps that are computed together; of one row all steps are needed.
_MOST_POSITIONS = 1 << 14


def row_parts(inputs: Mapping[str, npt.NDArray[Any]]) -> list[slice]:
    """Splits the rows of a batch into parts of about the same size.

    Args:
        inputs: The inputs of a network by name, `(batch, time, ...)`.

    Returns:
        The rows of each part; a single part if the batch is small.
    """
    rows = len(next(iter(inputs.values())))
    time = max((values.shape[1] for values in inputs.values() if values.ndim > 1), default=1)
    count = min(-(-rows * time // _MOST_POSITIONS), rows)
    ends = np.linspace(0, rows, max(count, 1) + 1).round().astype(int).tolist()
    return [slice(start, end) for start, end in pairwise(ends)]


def take_rows(values: npt.NDArray[Any], part: slice, rows: int) -> npt.NDArray[Any]:
    """Takes the rows of a part from an array.

    Args:
        values: The rows of the batch come first, and the positions may be joined with them: `(batch * time, ...)`.
        part: One of `row_parts`.
        rows: The rows of the batch.
    """
    each = len(values) // max(rows, 1)
    return values[part.start * each : part.stop * each]

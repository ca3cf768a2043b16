"""What passes between layers: values in float64, and the mask that belongs to them. Imports numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]
# By the name of an input or an output, as a file has them: ids, numbers, or the bytes of texts; in whatever dtype.
NamedArrays: TypeAlias = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Tensor:
    """Values with the mask that travels along.

    Attributes:
        values: (batch, time, features), or (batch, features) after the time is gone; ids (batch, time) at the input.
        mask: (batch, time), True where there is something; None where everything counts.
    """

    values: Array
    mask: Mask | None = None

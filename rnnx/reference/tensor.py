"""What passes between layers: values in float64, and the mask that belongs to them. Imports numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Tensor:
    """Values with the mask that travels along.

    Attributes:
        values: (batch, time, features), or (batch, features) after the time is gone; ids (batch, time) at the input.
        mask: (batch, time), True where there is something; None where everything counts.
    """

    values: Array
    mask: Mask | None = None

"""Inputs that a seed makes: golden inputs of sequences that are too long to be written down.

The numbers are those of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014), one
for each place of the array. They need integer arithmetic only, so every version of NumPy makes the same bits, which
NumPy does not promise of its own generators.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, assert_never

import numpy as np
import numpy.typing as npt

from rnnx.errors import ModelError
from rnnx.reference import Input

# The most numbers of one input: 16 MB of float32, such as 16 images of 224 x 224 pixels and 3 colours, and more.
MOST_MADE = 1 << 22
_GOLDEN_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_SHIFTS = (np.uint64(30), np.uint64(27), np.uint64(31))
# Distinct seeds are this far from each other in the one sequence of numbers, so that they never overlap.
_SEED_STRIDE = MOST_MADE
_MOST_SEED = 1 << 16
# The upper 24 bits of a number are an exact float32 in [0, 2).
_UNUSED_BITS, _ONE = np.uint64(40), 1 << 23


def make_input(port: Input, shape: Sequence[int], seed: int) -> npt.NDArray[Any]:
    """Makes one sequence of an input.

    Args:
        port: The input.
        shape: The shape of the sequence, without the batch.
        seed: From 0.

    Returns:
        An array of that shape and the dtype of the input: numbers in [-1, 1), ids in 0..size-1, or a mask.

    Raises:
        ModelError: If the seed or the shape is not one of those that are made.
    """
    count = math.prod(shape)
    if min(shape, default=1) < 0 or count > MOST_MADE or not 0 <= seed < _MOST_SEED:
        raise ModelError(f"no input of the shape {tuple(shape)!r:.60} is made from the seed {seed}")
    places = np.arange(1, count + 1, dtype=np.uint64) + np.uint64(seed * _SEED_STRIDE)
    mixed = places * _GOLDEN_GAMMA  # modulo 2**64, as all that follows
    for shift, factor in zip(_SHIFTS, _FACTORS, strict=False):
        mixed = (mixed ^ (mixed >> shift)) * factor
    mixed ^= mixed >> _SHIFTS[-1]
    values: npt.NDArray[Any]
    match port.kind:
        case "numbers":
            values = (mixed >> _UNUSED_BITS).astype(np.float32) / np.float32(_ONE) - np.float32(1)
        case "ids":
            values = mixed % np.uint64(max(port.size, 1))
        case "mask":
            values = mixed >> np.uint64(63)
        case _:
            assert_never(port.kind)
    return values.astype(port.dtype).reshape(shape)

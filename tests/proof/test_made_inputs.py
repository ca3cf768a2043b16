"""Tests that inputs made from seeds are the same for ever, and that they are what each kind of input reads."""

from __future__ import annotations

import numpy as np
import pytest

from rnnx.errors import ModelError
from rnnx.proof.made_inputs import MOST_MADE, make_input
from rnnx.reference import Input

NUMBERS = Input("x", "numbers", (None, 2))


def test_the_numbers_are_those_of_splitmix64() -> None:
    """The first outputs of Java's SplittableRandom(0), whose state after n calls is n times the golden gamma."""
    first = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]
    expected = [(number >> 40) / 2**23 - 1 for number in first]
    assert make_input(NUMBERS, (2, 2), 0).ravel().tolist() == expected


def test_numbers_are_spread_evenly_and_differ_from_seed_to_seed() -> None:
    one, other = make_input(NUMBERS, (5000, 2), 0), make_input(NUMBERS, (5000, 2), 1)
    assert one.dtype == np.float32
    assert one.shape == (5000, 2)
    counts, _ = np.histogram(one, bins=8, range=(-1, 1))
    assert counts.sum() == one.size
    assert (abs(counts - one.size / 8) < 5 * (one.size / 8) ** 0.5).all()
    assert abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.05


def test_ids_and_masks_are_what_a_network_reads() -> None:
    ids = make_input(Input("ids", "ids", (None,), 7), (1000,), 3)
    assert ids.dtype == np.int32
    assert set(ids.tolist()) == set(range(7))
    mask = make_input(Input("mask", "mask", (None,)), (1000,), 3)
    assert mask.dtype == np.bool_
    assert 400 < mask.sum() < 600


@pytest.mark.parametrize(
    ("shape", "seed"),
    [((MOST_MADE + 1, 1), 0), ((-1, -1), 0), ((1 << 40, 1 << 40), 0), ((3, 2), -1), ((3, 2), 1 << 16)],
)
def test_other_shapes_and_seeds_are_refused(shape: tuple[int, ...], seed: int) -> None:
    with pytest.raises(ModelError, match="no input of the shape"):
        make_input(NUMBERS, shape, seed)

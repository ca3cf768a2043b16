"""Tests how long a training may take. The rule needs no TensorFlow; the recipes do."""

from __future__ import annotations

import dataclasses

import pytest

from rnnx.train.budget import count_epochs


@pytest.mark.parametrize(
    ("examples", "expected"),
    [
        (1, 20),  # the most
        (5_000, 20),
        (9_003, 20),
        (14_400, 15),
        (45_000, 5),
        (72_500, 3),  # IMDB: as before
        (10_000_000, 3),
    ],
)
def test_epochs_go_by_steps(examples: int, expected: int) -> None:
    assert count_epochs(examples, 128, epochs=3, least_steps=1_600, most_epochs=20) == expected


def test_without_a_budget_the_epochs_are_those_of_the_recipe() -> None:
    assert count_epochs(5, 128, epochs=3, least_steps=None, most_epochs=20) == 3


def test_the_most_epochs_never_shorten_a_training() -> None:
    assert count_epochs(5, 128, epochs=8, least_steps=1_600, most_epochs=4) == 8


@pytest.mark.train
def test_a_recipe_for_large_data_is_what_it_was() -> None:
    pytest.importorskip("tensorflow", reason="needs the [train] extra")
    from rnnx.train.recipes import ARTICLE, DEFAULT, with_budget

    assert with_budget(ARTICLE, 5) is ARTICLE
    large = with_budget(DEFAULT, 72_500)
    assert (large.epochs, large.patience) == (DEFAULT.epochs, DEFAULT.patience) == (3, 3)
    small = with_budget(DEFAULT, 5_000)
    assert (small.epochs, small.patience) == (20, 6)
    assert with_budget(small, 5_000) is small
    assert with_budget(dataclasses.replace(DEFAULT, patience=None), 5_000).patience is None

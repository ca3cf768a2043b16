"""Tests how long a training may take. The rule needs no TensorFlow; the recipes do."""

from __future__ import annotations

import dataclasses

import pytest

from rnnx.train.budget import Budget, stretch_patience

BUDGET = Budget(least_steps=1_600, most_epochs=20)


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
    assert BUDGET.count_epochs(examples, 128, 3) == expected


def test_a_budget_never_shortens_a_training() -> None:
    assert BUDGET.count_epochs(5, 128, 30) == 30


def test_patience_grows_with_the_training() -> None:
    assert stretch_patience(3, 20) == 6
    assert stretch_patience(6, 12) == 6
    assert stretch_patience(None, 20) is None


@pytest.mark.train
def test_a_recipe_for_large_data_is_what_it_was() -> None:
    pytest.importorskip("tensorflow", reason="needs the [train] extra")
    from rnnx.datasets import Dataset
    from rnnx.train.options import Options, apply_options, count_examples
    from rnnx.train.recipes import ARTICLE, DEFAULT, with_budget

    assert with_budget(ARTICLE, 5) is ARTICLE
    assert with_budget(DEFAULT, 72_500) is DEFAULT
    small = with_budget(DEFAULT, 5_000)
    assert (small.epochs, small.patience) == (20, 6)
    data = Dataset.from_pairs("small", [(b"a", "x"), (b"b", "y")] * 100)
    assert count_examples(data, DEFAULT) == 180
    assert count_examples(data, dataclasses.replace(DEFAULT, validation_fraction=0.5)) == 100
    assert count_examples(dataclasses.replace(data, unlabelled=[b"c"] * 50), DEFAULT) == 230
    assert count_examples(dataclasses.replace(data, validation=data.train), DEFAULT) == 200
    assert apply_options(DEFAULT, Options(), data).epochs == 20
    assert apply_options(DEFAULT, Options(epochs=4), data).epochs == 4
    assert apply_options(DEFAULT, Options(patience=1), data).patience == 1
    assert apply_options(ARTICLE, Options(), data) == ARTICLE

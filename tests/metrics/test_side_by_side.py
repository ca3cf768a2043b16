"""Tests the comparison of several models on the same data."""

from __future__ import annotations

import dataclasses

import pytest

from rnnx.metrics.side_by_side import MeasuredModel, describe_comparison, measure_spreads


def make(name: str, recipe: str | None, seed: int | None, accuracy: float) -> MeasuredModel:
    return MeasuredModel(name, recipe, seed, 1_234_567, None if recipe is None else 0.9, accuracy, 0.01, "ab" * 32)


ROWS = [
    make("imdb", "default", 0, 0.90),
    make("imdb", "default", 1, 0.92),
    make("imdb-article", "article", 0, 0.83),
    make("mine", None, None, 0.5),
]


def test_a_spread_is_taken_over_the_seeds_of_one_recipe() -> None:
    (spread,) = measure_spreads(ROWS)
    assert (spread.recipe, spread.count) == ("default", 2)
    assert (spread.mean, spread.lowest, spread.highest) == pytest.approx((0.91, 0.90, 0.92))
    assert spread.deviation == pytest.approx(0.02 / 2**0.5)  # of two values, this is half their distance times sqrt(2)


def test_a_seed_counts_once() -> None:
    assert measure_spreads([ROWS[0], ROWS[0], ROWS[2]]) == ()


def test_the_card_has_a_row_for_each_model_and_the_spread() -> None:
    text = describe_comparison([dataclasses.asdict(row) for row in ROWS], "texts")
    assert "| imdb | default | 1 | 1,234,567 | 0.9000 | 0.9200 | 0.0100 | `abababab` |" in text
    assert "| mine | - | - | 1,234,567 | - | 0.5000 |" in text
    assert "Recipe `default`, 2 seeds: mean **0.9100**, standard deviation 0.0141, 0.9000 to 0.9200." in text

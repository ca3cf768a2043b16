"""Draws short artificial reviews, and cuts the shipped recipes down to them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from rnnx.datasets import Dataset

if TYPE_CHECKING:
    from rnnx.train.recipes import TextRecipe

GOOD = ("wonderful", "great", "loved", "superb", "fun", "moving")
BAD = ("awful", "boring", "hated", "dull", "waste", "wooden")
NEUTRAL = ("the", "film", "a", "plot", "actor", "scene", "it's", "and", "was", "camera", "café")


def make_texts(count: int, seed: int) -> list[tuple[bytes, str]]:
    """Draws reviews of three to thirty words; two words of each show its label."""
    rng = np.random.default_rng(seed)
    pairs = []
    for i in range(count):
        label, words = (("neg", BAD), ("pos", GOOD))[i % 2]
        text = [*rng.choice(NEUTRAL, rng.integers(1, 28)), *rng.choice(words, 2)]
        rng.shuffle(text)
        pairs.append((" ".join(text).encode(), label))
    return pairs


def tiny_dataset() -> Dataset:
    """Returns 240 reviews to train with and 60 to test with."""
    return Dataset.from_pairs("tiny", make_texts(240, 1), make_texts(60, 2))


def tiny_recipe(name: str) -> TextRecipe:
    """A shipped recipe, cut down to short texts and a few epochs; the network is the recipe's own."""
    from rnnx.train.recipes import ARTICLE, DEFAULT

    recipe = {"article": ARTICLE, "default": DEFAULT}[name]
    tokenizer = dataclasses.replace(recipe.tokenizer, max_length=20)
    return dataclasses.replace(recipe, tokenizer=tokenizer, vocabulary_size=24, epochs=3, batch_size=16)

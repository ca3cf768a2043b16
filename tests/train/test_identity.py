"""The hash of a recipe's settings decides whether a checkpoint can be resumed, so it stays what it was."""

from __future__ import annotations

import dataclasses

import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

from rnnx.train.identity import recipe_settings
from rnnx.train.recipes import ARTICLE, DEFAULT, RECIPES, SERIES, SeriesRecipe, with_tokenizer_rule

pytestmark = pytest.mark.train

# The documents that are hashed, as rnnx 0.1.0 wrote them: the order of the keys counts. Since then, the recipe
# `default` has another rule of the tokenizer, n-grams of words, and a linear part; and `series` a last training on all.
SETTINGS = {
    "article": '{"name": "article", "vocabulary_size": 10000, "tokenizer": {"max_length": 500, "start": true, '
    '"strip_breaks": true, "pad_to": "max_length", "padding_side": "left", "truncation_side": "left"}, '
    '"batch_size": 128, "epochs": 10, "by_length": false, "patience": null, "has_temperature": false, '
    '"validation_fraction": 0.2, "by_group": false, "pretraining_epochs": 0, "smoothing": 0.0}',
    "default": '{"name": "default", "vocabulary_size": 29000, "tokenizer": {"max_length": 600, "start": true, '
    '"strip_breaks": true, "pad_to": "batch", "padding_side": "left", "truncation_side": "left", '
    '"rule": "unicode-14"}, "batch_size": 128, "epochs": 3, "by_length": true, "patience": 3, "has_temperature": true, '
    '"validation_fraction": 0.1, "by_group": true, "pretraining_epochs": 2, "smoothing": 0.05, '
    '"subwords": {"shortest": 2, "longest": 4, "most": 30000, "most_per_word": 40, "most_training_words": 1000000}, '
    '"linear": {"ngrams": {"shortest": 2, "longest": 4, "most": 30000, "most_per_word": 40, '
    '"most_training_words": 1000000}, "inverse_penalty": 4.0, "least_held_out": 100, "most_weights": 1500000, '
    '"most_words": 20000000, "most_targets": 8000000, "pair_rank": 64, "longest_word": 2.0}}',
    "tagger": '{"name": "tagger", "vocabulary_size": {"words": 20000, "features": 20000, "least_word_count": 2, '
    '"least_feature_count": 3}, "words": {"features": ["SUFFIX1", "SUFFIX2", "SUFFIX3", "SUFFIX4", "PREFIX1", '
    '"PREFIX2", "PREFIX3", "SHAPE"], "max_length": 200}, "batch_size": 32, "epochs": 8, "by_length": true, '
    '"patience": 3}',
    "series": '{"name": "series", "batch_size": 32, "epochs": 20, "by_length": true, "patience": 6, '
    '"most_retrained": 2000}',
}


@pytest.mark.parametrize("name", SETTINGS)
def test_the_settings_of_a_recipe_are_hashed_as_before(name: str) -> None:
    assert sorted(RECIPES) == sorted(SETTINGS)
    recipe = with_tokenizer_rule(RECIPES[name], "bytes") if name == "tagger" else RECIPES[name]
    assert recipe_settings(recipe) == SETTINGS[name]


def test_the_rule_of_the_tokenizer_is_hashed_if_it_is_not_that_of_rnnx_0_1_0() -> None:
    rule = ', "rule": "unicode-14"'
    assert recipe_settings(with_tokenizer_rule(DEFAULT, "unicode-14")) == SETTINGS["default"]
    assert recipe_settings(with_tokenizer_rule(DEFAULT, "bytes")) == SETTINGS["default"].replace(rule, "")
    end = '"truncation_side": "left"'
    expected = SETTINGS["article"].replace(end, f"{end}{rule}")
    assert recipe_settings(with_tokenizer_rule(ARTICLE, "unicode-14")) == expected


def test_a_new_setting_is_written_after_those_that_existed() -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True)
    class LaterRecipe(SeriesRecipe):
        dropout: float = 0.1

    values = {field.name: getattr(SERIES, field.name) for field in dataclasses.fields(SERIES)}
    assert recipe_settings(LaterRecipe(**values)) == SETTINGS["series"].removesuffix("}") + ', "dropout": 0.1}'

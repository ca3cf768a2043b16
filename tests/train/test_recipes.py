from __future__ import annotations

import dataclasses

import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
from keras import layers

from rnnx.errors import UsageError
from rnnx.train.recipes import RECIPES, get_recipe

pytestmark = pytest.mark.train


def test_the_first_model_of_the_article_has_its_parameter_count() -> None:
    lines: list[str] = []
    ids = keras.Input((None,), dtype="int32", name="ids")
    model = keras.Sequential([ids, layers.Embedding(10_000, 32), layers.SimpleRNN(32, return_sequences=True)])
    model.summary(print_fn=lines.append)
    assert model.count_params() == 322_080
    assert "322,080" in "\n".join(lines)


def test_the_article_recipe_has_the_settings_of_the_article() -> None:
    recipe = get_recipe("article")
    assert (recipe.vocabulary_size, recipe.batch_size, recipe.epochs, recipe.by_length) == (10_000, 128, 10, False)
    tokenizer = dataclasses.asdict(recipe.tokenizer)
    assert (tokenizer["max_length"], tokenizer["pad_to"], tokenizer["padding_side"]) == (500, "max_length", "left")
    model = recipe.build(10_000, 1, "sigmoid")
    assert [(type(layer).__name__, layer.count_params()) for layer in model.layers] == [
        ("Embedding", 320_000),
        ("SimpleRNN", 2_080),
        ("Dense", 33),
    ]
    optimizer = recipe.optimizer(1)
    assert type(optimizer).__name__ == "RMSprop"
    assert float(optimizer.learning_rate) == pytest.approx(0.001)


@pytest.mark.parametrize("name", list(RECIPES))
def test_more_than_two_labels_end_in_a_softmax(name: str) -> None:
    model = get_recipe(name).build(50, 4, "softmax")
    assert model.output_shape == (None, 4)
    assert model.layers[-1].activation.__name__ == "softmax"


def test_an_unknown_recipe_is_answered_with_the_known_names() -> None:
    with pytest.raises(UsageError, match="no recipe 'artcle'; there are article, default"):
        get_recipe("artcle")

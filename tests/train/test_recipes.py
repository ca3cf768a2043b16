from __future__ import annotations

import dataclasses

import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
from keras import layers

from rnnx.bundle.config import ModelKind, TokenizerConfig
from rnnx.errors import UsageError
from rnnx.train.recipes import (
    ARTICLE,
    DEFAULT,
    RECIPES,
    SERIES,
    TAGGER,
    Recipe,
    TextRecipe,
    find_recipe,
    with_tokenizer_rule,
)

pytestmark = pytest.mark.train


def test_the_first_model_of_the_article_has_its_parameter_count() -> None:
    lines: list[str] = []
    ids = keras.Input((None,), dtype="int32", name="ids")
    model = keras.Sequential([ids, layers.Embedding(10_000, 32), layers.SimpleRNN(32, return_sequences=True)])
    model.summary(print_fn=lines.append)
    assert model.count_params() == 322_080
    assert "322,080" in "\n".join(lines)


def test_the_article_is_reproduced_to_the_letter() -> None:
    recipe = ARTICLE
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


def test_new_trainings_read_every_script_and_the_article_reads_bytes() -> None:
    assert DEFAULT.tokenizer.rule == "unicode-14"
    assert not DEFAULT.tokenizer.marks
    assert ARTICLE.tokenizer.rule == "bytes"


@pytest.mark.parametrize("recipe", [ARTICLE, DEFAULT], ids=lambda recipe: recipe.name)
def test_more_labels_end_in_a_softmax(recipe: TextRecipe) -> None:
    model = recipe.build(50, 4, "softmax")
    assert model.output_shape == (None, 4)
    assert model.layers[-1].activation.__name__ == "softmax"


@pytest.mark.parametrize(
    ("name", "kind", "recipe"),
    [
        (None, "texts", DEFAULT),
        ("article", "texts", ARTICLE),
        (None, "sentences", TAGGER),
        ("tagger", "sentences", TAGGER),
        (None, "sequences", SERIES),
        ("series", "sequences", SERIES),
    ],
)
def test_a_recipe_is_found_by_its_name_or_by_the_kind_of_data(
    name: str | None, kind: ModelKind, recipe: Recipe
) -> None:
    assert find_recipe(name, kind) is recipe
    assert recipe.kind == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [("x", "texts"), ("tagger", "texts"), ("series", "texts"), ("article", "sentences"), ("own", "sequences")],
)
def test_a_recipe_that_does_not_fit_is_refused_with_those_that_exist(name: str, kind: ModelKind) -> None:
    with pytest.raises(UsageError) as caught:
        find_recipe(name, kind)
    assert str(caught.value) == (
        f"no recipe '{name}' for {kind}; the recipes are article (for texts), default (for texts), "
        "tagger (for sentences), series (for sequences)"
    )


@pytest.mark.parametrize(("name", "kind", "meant"), [("artcle", "texts", "article"), ("serie", "sequences", "series")])
def test_the_recipe_that_was_meant_is_proposed(name: str, kind: ModelKind, meant: str) -> None:
    with pytest.raises(UsageError, match=rf"\(for sequences\); did you mean {meant}\?"):
        find_recipe(name, kind)


def test_every_recipe_is_registered_and_reads_as_its_kind_of_model_does() -> None:
    assert list(RECIPES) == ["article", "default", "tagger", "series"]
    kinds = {recipe.name: (recipe.kind, type(recipe.reading).__name__) for recipe in RECIPES.values()}
    assert kinds == {
        "article": ("texts", "TokenizerConfig"),
        "default": ("texts", "TokenizerConfig"),
        "tagger": ("sentences", "WordsConfig"),
        "series": ("sequences", "ArraysConfig"),
    }


def test_the_rule_with_marks_is_for_labelled_texts() -> None:
    reading = with_tokenizer_rule(DEFAULT, "unicode-14-marks").reading
    assert isinstance(reading, TokenizerConfig)
    assert reading.rule == "unicode-14-marks"
    with pytest.raises(UsageError, match="unicode-14-marks is for labelled texts; use unicode-14"):
        with_tokenizer_rule(TAGGER, "unicode-14-marks")

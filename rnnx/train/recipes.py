"""The recipes: what is trained, on how much of a text, with which optimizer, for how long.

The networks themselves stand in `rnnx.train.networks`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras

from rnnx.bundle.config import TokenizerConfig, WordsConfig
from rnnx.errors import UsageError
from rnnx.text.word_vocabulary import VocabularySize
from rnnx.train.networks import TAGGER_FEATURES, article_network, default_network, series_network, tagger_network


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training, the data and the seed apart.

    Attributes:
        name: As on the command line.
        vocabulary_size: The most ids, the three special ones included.
        tokenizer: How texts become rows of ids.
        build: (vocabulary size, outputs, output activation) to the network.
        optimizer: (steps in the whole training) to the optimizer.
        batch_size: Texts a step.
        epochs: Passes over the training texts.
        by_length: Whether batches hold texts of similar length (the order stays random otherwise).
        patience: Epochs without a better validation after which training ends; None runs them all.
        has_temperature: Whether one is fitted on the validation part and folded into the head.
        validation_fraction: The share of the training texts that is held out.
        by_group: Whether whole groups (films) are held out, where the data set names them.
        pretraining_epochs: Passes over all training texts, labelled or not, as a language model; where there are
            unlabelled ones, a teacher judges those too.
        smoothing: How much of a label's probability is shared out among all labels, in 0..1.
    """

    name: str
    vocabulary_size: int
    tokenizer: TokenizerConfig
    build: Callable[[int, int, str], keras.Model]
    optimizer: Callable[[int], keras.optimizers.Optimizer]
    batch_size: int
    epochs: int
    by_length: bool
    patience: int | None = None
    has_temperature: bool = False
    validation_fraction: float = 0.2
    by_group: bool = False
    pretraining_epochs: int = 0
    smoothing: float = 0.0


@dataclass(frozen=True)
class TaggerRecipe:
    """Everything that decides the training of a tagger, the data and the seed apart.

    Attributes:
        name: As on the command line.
        vocabulary_size: How many words and features are known at most, and how rare they may be.
        words: How sentences become rows of ids.
        build: (words in the vocabulary, all its tokens, tags) to the network.
        optimizer: (steps in the whole training) to the optimizer.
        batch_size: Sentences a step.
        epochs: Passes over the training sentences.
        by_length: Whether batches hold sentences of similar length (the order stays random otherwise).
        patience: Epochs without a better validation after which training ends; None runs them all.
    """

    name: str
    vocabulary_size: VocabularySize
    words: WordsConfig
    build: Callable[[int, int, int], keras.Model]
    optimizer: Callable[[int], keras.optimizers.Optimizer]
    batch_size: int
    epochs: int
    by_length: bool
    patience: int | None = None


@dataclass(frozen=True)
class SeriesRecipe:
    """Everything that decides a training on sequences of numbers, the data and the seed apart.

    Attributes:
        name: As on the command line.
        build: (features, outputs, output activation) to the network, which reads standardised features and, as a
            second input, which steps are there.
        optimizer: (steps in the whole training) to the optimizer.
        batch_size: Sequences a step.
        epochs: Passes over the training sequences.
        by_length: Whether batches hold sequences of similar length (the order stays random otherwise).
        patience: Epochs without a better validation after which training ends; None runs them all.
    """

    name: str
    build: Callable[[int, int, str], keras.Model]
    optimizer: Callable[[int], keras.optimizers.Optimizer]
    batch_size: int
    epochs: int
    by_length: bool
    patience: int | None = None


def _default_optimizer(steps: int) -> keras.optimizers.Optimizer:
    schedule = keras.optimizers.schedules.CosineDecay(8e-3, steps)
    return keras.optimizers.AdamW(schedule, weight_decay=1e-2, clipnorm=1.0)


def _series_optimizer(steps: int) -> keras.optimizers.Optimizer:
    schedule = keras.optimizers.schedules.CosineDecay(5e-3, steps)
    return keras.optimizers.AdamW(schedule, weight_decay=1e-4, clipnorm=1.0)


def _tagger_optimizer(steps: int) -> keras.optimizers.Optimizer:
    schedule = keras.optimizers.schedules.CosineDecay(3e-3, steps)
    return keras.optimizers.AdamW(schedule, weight_decay=1e-4, clipnorm=1.0)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="article",
            vocabulary_size=10_000,
            tokenizer=TokenizerConfig(
                max_length=500,
                start=True,
                strip_breaks=True,
                pad_to="max_length",
                padding_side="left",
                truncation_side="left",
            ),
            build=article_network,
            optimizer=lambda steps: keras.optimizers.RMSprop(),
            batch_size=128,
            epochs=10,
            by_length=False,
        ),
        Recipe(
            name="default",
            vocabulary_size=29_000,  # with 64 numbers a word, as much as keeps model.onnx under 8 MB
            tokenizer=TokenizerConfig(
                max_length=600,  # 95 of 100 reviews are no longer
                start=True,
                strip_breaks=True,
                pad_to="batch",
                padding_side="left",
                truncation_side="left",
            ),
            build=default_network,
            optimizer=_default_optimizer,
            batch_size=128,
            epochs=3,
            by_length=True,
            patience=3,
            has_temperature=True,
            validation_fraction=0.1,
            by_group=True,
            pretraining_epochs=2,
            smoothing=0.05,
        ),
    )
}


TAGGER_RECIPES = {
    recipe.name: recipe
    for recipe in (
        TaggerRecipe(
            name="tagger",
            vocabulary_size=VocabularySize(words=20_000, features=20_000, least_word_count=2, least_feature_count=3),
            words=WordsConfig(features=TAGGER_FEATURES, max_length=200),
            build=tagger_network,
            optimizer=_tagger_optimizer,
            batch_size=32,
            epochs=8,
            by_length=True,
            patience=3,
        ),
    )
}


SERIES_RECIPES = {
    recipe.name: recipe
    for recipe in (
        SeriesRecipe(
            name="series",
            build=series_network,
            optimizer=_series_optimizer,
            batch_size=32,
            epochs=20,
            by_length=True,
            patience=6,
        ),
    )
}


def get_recipe(name: str) -> Recipe:
    """Finds a recipe for texts with a label each.

    Raises:
        UsageError: If there is none of that name.
    """
    if name in TAGGER_RECIPES:
        raise UsageError(f"recipe {name} wants a tag for each word: give it a .conllu file")
    if name in SERIES_RECIPES:
        raise UsageError(f"recipe {name} wants sequences of numbers: give it a .npz file")
    if name not in RECIPES:
        raise UsageError(f"no recipe {name!r}; there are {', '.join(RECIPES)}")
    return RECIPES[name]


def get_tagger_recipe(name: str) -> TaggerRecipe:
    """Finds a recipe for sentences with a tag for each word.

    Raises:
        UsageError: If there is none of that name.
    """
    if name not in TAGGER_RECIPES:
        raise UsageError(f"no recipe {name!r} for tagged words; there is {', '.join(TAGGER_RECIPES)}")
    return TAGGER_RECIPES[name]


def get_series_recipe(name: str) -> SeriesRecipe:
    """Finds a recipe for sequences of numbers.

    Raises:
        UsageError: If there is none of that name.
    """
    if name not in SERIES_RECIPES:
        raise UsageError(f"no recipe {name!r} for sequences of numbers; there is {', '.join(SERIES_RECIPES)}")
    return SERIES_RECIPES[name]

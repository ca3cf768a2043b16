"""The recipes: what is trained, on how much of each text, with which optimizer, and for how long.

The networks themselves are in `rnnx.train.networks`. Imports Keras.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import ClassVar, Literal, TypeVar

import keras

from rnnx.bundle.config import ArraysConfig, ModelKind, Reading, TextRuleName, TokenizerConfig, WordsConfig
from rnnx.errors import UsageError
from rnnx.text.character_ngrams import NgramSettings
from rnnx.text.word_vocabulary import VocabularySize
from rnnx.train.budget import Budget, stretch_patience
from rnnx.train.networks import TAGGER_FEATURES, Build, article_network, default_network, series_network, tagger_network

ClassWeights = Literal["balanced"]


@dataclass(frozen=True)
class EmbeddingsFile:
    """A file of word vectors.

    Attributes:
        path: Where it is.
        sha256: Of its content; it decides the training, as the texts do.
    """

    path: str
    sha256: str


@dataclass(frozen=True)
class LinearSettings:
    """A linear model of words that is added to a trained network, if it helps (`rnnx.train.linear_part`).

    Attributes:
        ngrams: The character n-grams of its words.
        inverse_penalty: The inverse strength of the penalty on its squared weights.
        least_held_out: With fewer held-out texts, chance would decide whether it helps.
        most_weights: The most weights while it is fitted; with more, n-grams are left out, and then the whole model.
        most_words: Of longer training data, evenly spaced texts are read. Words are counted as often as they occur.
        most_targets: The same for texts times labels.
        pair_rank: The numbers per word of the votes of pairs of words; fewer if they would be more than `most_weights`
            in all; 0 for no such votes.
        longest_word: The votes of pairs are for texts whose mean word has fewer characters, as in scripts without
            spaces, where each character is a word.
    """

    ngrams: NgramSettings = field(default_factory=NgramSettings)
    inverse_penalty: float = 4.0
    least_held_out: int = 100
    most_weights: int = 1_500_000
    most_words: int = 20_000_000
    most_targets: int = 8_000_000
    pair_rank: int = 64
    longest_word: float = 2.0


@dataclass(frozen=True, kw_only=True)
class Recipe(ABC):
    """Everything that decides a training, except the data and the seed.

    A checkpoint can be resumed only by a recipe with the same settings: `rnnx.train.identity` hashes every field that
    is not a function.

    Attributes:
        kind: Which kind of model it trains.
        name: Its name on the command line.
        build: Makes the network; each kind of recipe says from what.
        optimizer: Makes the optimizer, given the number of steps in the whole training; another learning rate is the
            keyword `learning_rate`.
        batch_size: Examples per step.
        epochs: Passes over the training examples.
        by_length: Whether a batch holds examples of similar length (the order is random otherwise).
        patience: Training ends after this many epochs without a better validation score; None runs all epochs.
        class_weights: `balanced` gives every label the same weight, in the training and in the choice of the best
            epoch; None gives it to every example.
    """

    kind: ClassVar[ModelKind]

    name: str
    build: Build
    optimizer: Callable[..., keras.optimizers.Optimizer]
    batch_size: int
    epochs: int
    by_length: bool
    patience: int | None = None
    class_weights: ClassWeights | None = None

    @property
    @abstractmethod
    def reading(self) -> Reading:
        """How the trained network reads its input."""


@dataclass(frozen=True, kw_only=True)
class TextRecipe(Recipe):
    """A recipe for a text classifier.

    Attributes:
        vocabulary_size: The most ids, including the three special ones.
        tokenizer: How texts become rows of ids.
        build: Makes the network, given the vocabulary size, the number of outputs and their activation.
        has_temperature: Whether a temperature is fitted on the validation part and folded into the last layer.
        validation_fraction: The share of the training texts that is held out, in 0..1.
        by_group: Whether whole groups (films) are held out, if the data set names them.
        pretraining_epochs: Passes over all training texts, labelled or not, as a language model. If there are
            unlabelled texts, a teacher also gives them probabilities to learn from.
        smoothing: How much of a label's probability is shared among all labels, in 0..1.
        embeddings: The file of the start weights of the words; it takes the place of the pretraining.
        subwords: Which character n-grams words share in the training of small data that have neither unlabelled texts
            nor such a file; None shares none.
        linear: The linear model of words that is added to the network at the end; None adds none.
    """

    kind: ClassVar[ModelKind] = "texts"

    vocabulary_size: int
    tokenizer: TokenizerConfig
    has_temperature: bool = False
    validation_fraction: float = 0.2
    by_group: bool = False
    pretraining_epochs: int = 0
    smoothing: float = 0.0
    embeddings: EmbeddingsFile | None = None
    subwords: NgramSettings | None = None
    linear: LinearSettings | None = None

    @property
    def reading(self) -> TokenizerConfig:
        """The tokenizer's config."""
        return self.tokenizer


@dataclass(frozen=True, kw_only=True)
class TaggerRecipe(Recipe):
    """A recipe for a tagger of words.

    Attributes:
        vocabulary_size: The most words and features that are known, and how often each must occur.
        words: How sentences become rows of ids.
        build: Makes the network, given the number of words in the vocabulary, of all its tokens, and of tags.
        held_out: The share of the sentences that is held out if there is no validation part; None: a fifth.
    """

    kind: ClassVar[ModelKind] = "sentences"

    vocabulary_size: VocabularySize
    words: WordsConfig
    held_out: float | None = None

    @property
    def reading(self) -> WordsConfig:
        """The word encoder's config."""
        return self.words


@dataclass(frozen=True, kw_only=True)
class SeriesRecipe(Recipe):
    """A recipe for sequences of numbers.

    Attributes:
        build: Makes the network, given the number of features, of outputs, and their activation. It reads standardised
            features and, as a second input, which steps are present.
        held_out: The share of the sequences that is held out; None: a fifth.
        most_retrained: Of at most so many sequences with labels, the network is trained again on all in the end.
    """

    kind: ClassVar[ModelKind] = "sequences"

    held_out: float | None = None
    most_retrained: int = 2_000

    @property
    def reading(self) -> ArraysConfig:
        """Numbers as they are; the inputs are known after the export."""
        return ArraysConfig(())


def _default_optimizer(steps: int, learning_rate: float = 8e-3) -> keras.optimizers.Optimizer:
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    return keras.optimizers.AdamW(schedule, weight_decay=1e-2, clipnorm=1.0)


def _series_optimizer(steps: int, learning_rate: float = 5e-3) -> keras.optimizers.Optimizer:
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    return keras.optimizers.AdamW(schedule, weight_decay=1e-4, clipnorm=1.0)


def _tagger_optimizer(steps: int, learning_rate: float = 3e-3) -> keras.optimizers.Optimizer:
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, steps)
    return keras.optimizers.AdamW(schedule, weight_decay=1e-4, clipnorm=1.0)


def _article_optimizer(steps: int, learning_rate: float = 1e-3) -> keras.optimizers.Optimizer:
    return keras.optimizers.RMSprop(learning_rate)


ARTICLE = TextRecipe(
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
    optimizer=_article_optimizer,
    batch_size=128,
    epochs=10,
    by_length=False,
)

DEFAULT = TextRecipe(
    name="default",
    vocabulary_size=29_000,  # with 64 numbers per word, the most that keeps model.onnx under 8 MB
    tokenizer=TokenizerConfig(
        max_length=600,  # 95 of 100 IMDB reviews are no longer
        start=True,
        strip_breaks=True,
        pad_to="batch",
        padding_side="left",
        truncation_side="left",
        rule="unicode-14",
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
    subwords=NgramSettings(),
    linear=LinearSettings(),
)

TAGGER = TaggerRecipe(
    name="tagger",
    vocabulary_size=VocabularySize(words=20_000, features=20_000, least_word_count=2, least_feature_count=3),
    words=WordsConfig(features=TAGGER_FEATURES, max_length=200, rule="unicode-14"),
    build=tagger_network,
    optimizer=_tagger_optimizer,
    batch_size=32,
    epochs=8,
    by_length=True,
    patience=3,
)

SERIES = SeriesRecipe(
    name="series",
    build=series_network,
    optimizer=_series_optimizer,
    batch_size=32,
    epochs=20,
    by_length=True,
    patience=6,
)

# By the name of the recipe. Three epochs of IMDB with its unlabelled texts are 1,700 steps, so IMDB gets no more.
BUDGETS = {"default": Budget(1_600, 20), "tagger": Budget(1_500, 40), "series": Budget(250, 100)}

R = TypeVar("R", bound=Recipe)

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (ARTICLE, DEFAULT, TAGGER, SERIES)}
# The recipe of each kind of data if none is named.
DEFAULT_RECIPES: dict[ModelKind, Recipe] = {recipe.kind: recipe for recipe in (DEFAULT, TAGGER, SERIES)}


def with_budget(recipe: R, examples: int) -> R:
    """Returns a recipe with as many epochs as its budget allows, and patience for them; large data change nothing.

    Args:
        recipe: The recipe.
        examples: Training examples.
    """
    if recipe.name not in BUDGETS:
        return recipe
    epochs = BUDGETS[recipe.name].count_epochs(examples, recipe.batch_size, recipe.epochs)
    if epochs == recipe.epochs:
        return recipe
    return dataclasses.replace(recipe, epochs=epochs, patience=stretch_patience(recipe.patience, epochs))


def with_tokenizer_rule(recipe: Recipe, rule: TextRuleName) -> Recipe:
    """Returns a recipe for texts or tagged words with another rule that finds the words.

    Raises:
        UsageError: If the recipe is for sequences, or for tagged words and the rule for texts only.
    """
    if isinstance(recipe, TextRecipe):
        return dataclasses.replace(recipe, tokenizer=dataclasses.replace(recipe.tokenizer, rule=rule))
    if isinstance(recipe, TaggerRecipe):
        if rule == "unicode-14-marks":
            raise UsageError("--tokenizer unicode-14-marks is for labelled texts; use unicode-14, with all marks in it")
        return dataclasses.replace(recipe, words=dataclasses.replace(recipe.words, rule=rule))
    raise UsageError(f"--tokenizer is for texts, not for {recipe.kind}; leave it out with the recipe {recipe.name}")


def find_recipe(name: str | None, kind: ModelKind) -> Recipe:
    """Finds a recipe for a kind of data.

    Args:
        name: The recipe's name; None takes the default recipe of the kind.
        kind: What the data set holds.

    Raises:
        UsageError: If there is no such recipe for this kind of data; the message lists all recipes.
    """
    recipe = DEFAULT_RECIPES[kind] if name is None else RECIPES.get(name)
    if recipe is None or recipe.kind != kind:
        known = ", ".join(f"{known.name} (for {known.kind})" for known in RECIPES.values())
        close = get_close_matches(str(name).lower(), RECIPES, n=1)
        meant = f"; did you mean {close[0]}?" if close and recipe is None else ""
        raise UsageError(f"no recipe {name!r} for {kind}; the recipes are {known}{meant}")
    return recipe

"""Changes a recipe as a user asks for: the size of its network, its optimizer, what is held out. Imports Keras."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnx.datasets import AnyDataset, Dataset, LabelSetDataset, RatingDataset
from rnnx.errors import UsageError
from rnnx.train.networks import Cell, with_shape
from rnnx.train.recipes import (
    ClassWeights,
    EmbeddingsFile,
    Recipe,
    SeriesRecipe,
    TaggerRecipe,
    TextRecipe,
    with_budget,
)
from rnnx.train.task import VALIDATION_FRACTION

_READ_AT_A_TIME = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a user may change of a recipe; None keeps what the recipe says.

    Attributes:
        units: The units of each recurrent layer, in each direction.
        depth: The number of recurrent layers.
        cell: Their kind.
        learning_rate: The learning rate at the start.
        batch_size: Examples per step.
        epochs: Passes over the training examples, in place of those that the budget allows.
        validation_split: The share of the training examples that is held out, in 0..1.
        patience: Training ends after this many epochs without a better validation score.
        vocabulary_size: The most words, including the special ones.
        max_length: The most words of a text or a sentence.
        class_weights: As in the recipe.
        embeddings: A file of word vectors.
    """

    units: int | None = None
    depth: int | None = None
    cell: Cell | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    epochs: int | None = None
    validation_split: float | None = None
    patience: int | None = None
    vocabulary_size: int | None = None
    max_length: int | None = None
    class_weights: ClassWeights | None = None
    embeddings: Path | None = None


def apply_options(recipe: Recipe, options: Options, dataset: AnyDataset | None = None) -> Recipe:
    """Returns a recipe that is changed as the options say.

    Args:
        recipe: The recipe.
        options: What is changed.
        dataset: What it will be trained on, which decides the epochs unless the options do; None keeps the recipe's.

    Raises:
        OSError: If the file of the word vectors cannot be read.
        UsageError: If an option has no meaning for the recipe or the data set; the message names it.
    """
    if isinstance(dataset, LabelSetDataset | RatingDataset):
        _require_one_label(options, dataset.name)
    changed = _apply_all_but_length(recipe, options)
    if options.epochs is not None:
        changed = dataclasses.replace(changed, epochs=options.epochs)
    elif dataset is not None:
        changed = with_budget(changed, count_examples(dataset, changed))
    return changed if options.patience is None else dataclasses.replace(changed, patience=options.patience)


def count_examples(dataset: AnyDataset, recipe: Recipe) -> int:
    """Counts what a network will be trained on: without what is held out, with unlabelled texts if they are read."""
    count = len(dataset.train)
    if getattr(dataset, "validation", None) is None:
        fraction = getattr(recipe, "validation_fraction", None) or getattr(recipe, "held_out", None)
        count -= round(count * (fraction or VALIDATION_FRACTION))
    if isinstance(dataset, Dataset) and isinstance(recipe, TextRecipe) and recipe.pretraining_epochs:
        count += len(dataset.unlabelled)
    return count


def _require_one_label(options: Options, name: str) -> None:
    for value, option in ((options.class_weights, "--class-weights"), (options.embeddings, "--embeddings")):
        if value is not None:
            raise UsageError(f"{option} is for texts with one label each; leave it out for {name}")


def _apply_all_but_length(recipe: Recipe, options: Options) -> Recipe:
    changes = _common_changes(recipe, options)
    shape: dict[str, Any] = {"units": options.units, "depth": options.depth, "cell": options.cell}
    if shape := {name: value for name, value in shape.items() if value is not None}:
        names = {"units": "--units", "depth": "--layers", "cell": "--cell"}
        changes["build"] = with_shape(recipe.build, **shape)
        _require(changes["build"] is not None, names[next(iter(shape))], recipe)
    if options.embeddings is not None:
        _require(isinstance(recipe, TextRecipe) and recipe.name != "article", "--embeddings", recipe)
        changes["embeddings"] = EmbeddingsFile(str(options.embeddings), _hash_file(options.embeddings))
        changes["pretraining_epochs"] = 0
    return dataclasses.replace(recipe, **changes, **_reading_changes(recipe, options))


def _common_changes(recipe: Recipe, options: Options) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name in ("batch_size", "class_weights"):
        if getattr(options, name) is not None:
            changes[name] = getattr(options, name)
    if options.class_weights is not None:
        _require(not isinstance(recipe, TaggerRecipe), "--class-weights", recipe)
    if options.learning_rate is not None:
        changes["optimizer"] = functools.partial(recipe.optimizer, learning_rate=options.learning_rate)
    return changes


def _reading_changes(recipe: Recipe, options: Options) -> dict[str, Any]:
    """The changes of what is read, which differ between the kinds of recipes."""
    changes: dict[str, Any] = {}
    if options.validation_split is not None:
        changes["validation_fraction" if isinstance(recipe, TextRecipe) else "held_out"] = options.validation_split
    if isinstance(recipe, SeriesRecipe):
        _require(options.vocabulary_size is None, "--vocabulary-size", recipe)
        _require(options.max_length is None, "--max-length", recipe)
    if (size := options.vocabulary_size) is not None:
        sizes = dataclasses.replace(recipe.vocabulary_size, words=size) if isinstance(recipe, TaggerRecipe) else size
        changes["vocabulary_size"] = sizes
    if (length := options.max_length) is not None:
        field = "words" if isinstance(recipe, TaggerRecipe) else "tokenizer"
        changes[field] = dataclasses.replace(getattr(recipe, field), max_length=length)
    return changes


def _require(is_possible: bool, option: str, recipe: Recipe) -> None:
    if not is_possible:
        raise UsageError(f"{option} has no meaning for the recipe {recipe.name}; leave it out")


def _hash_file(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_AT_A_TIME):
            digest.update(block)
    return digest.hexdigest()

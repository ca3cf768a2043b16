"""Identifies a training by a few values.

Two trainings with the same identity end with the same weights on the same machine, so a checkpoint is resumed only by a
training with its identity. Imports Keras.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from typing import Any

import keras
import numpy as np

from rnnx.bundle.config import tool_versions
from rnnx.strict_json import to_dict
from rnnx.train.batches import BatchSource
from rnnx.train.recipes import Recipe
from rnnx.train.task import Task

_ROWS_AT_A_TIME = 256
# The order in which the settings of a recipe are hashed. It is a part of the checkpoint format: with another order, no
# unfinished training could be resumed.
_SETTINGS = (
    *("name", "vocabulary_size", "tokenizer", "words", "batch_size", "epochs", "by_length", "patience"),
    *("has_temperature", "validation_fraction", "by_group", "pretraining_epochs", "smoothing"),
)


def identify(task: Task, seed: int) -> dict[str, str | int]:
    """Lists what decides a training: the data, the network, every setting of the recipe, the seed, the versions.

    Args:
        task: The network, its recipe and its data.
        seed: The seed of everything that is drawn.

    Returns:
        The values by name: short ones as they are, long ones as a sha256.
    """
    steps = -(-len(task.parts[0].lengths) // task.recipe.batch_size) * task.recipe.epochs
    optimizer = keras.saving.serialize_keras_object(task.recipe.optimizer(steps))
    identity: dict[str, str | int] = {
        "recipe": task.recipe.name,
        "seed": seed,
        "epochs": task.recipe.epochs,
        "data": _hash(*map(digest_source, task.parts), hashlib.sha256(task.vocabulary or b"").hexdigest()),
        "network": _hash(_unnumbered(task.build().to_json())),
        "settings": _hash(_unnumbered(json.dumps(optimizer)), recipe_settings(task.recipe)),
        **tool_versions("keras", "tensorflow", "numpy"),
    }
    if task.unlabelled:
        identity["unlabelled"] = _hash(*(hashlib.sha256(text).hexdigest() for text in task.unlabelled))
    return identity


def recipe_settings(recipe: Recipe) -> str:
    """Writes every setting of a recipe except its functions as JSON, in the order in which checkpoints hashed them."""
    names = [field.name for field in dataclasses.fields(recipe)]
    settings = {name: getattr(recipe, name) for name in sorted(names, key=_position) if _is_written(recipe, name)}
    return json.dumps({name: value for name, value in settings.items() if not callable(value)}, default=to_dict)


def _is_written(recipe: Recipe, setting: str) -> bool:
    """Whether a setting is written: one that was added later is left out as long as it is None."""
    return setting in _SETTINGS or getattr(recipe, setting) is not None


def _position(setting: str) -> int:
    """Where a setting is written: the listed ones first, then the others in the order of their declaration."""
    return _SETTINGS.index(setting) if setting in _SETTINGS else len(_SETTINGS)


def digest_source(source: BatchSource) -> str:
    """The sha256 of everything that a source returns, in its own order."""
    digest = hashlib.sha256()
    count = len(source.lengths)
    for start in range(0, count, _ROWS_AT_A_TIME):
        for array in _arrays(source.stack(np.arange(start, min(start + _ROWS_AT_A_TIME, count)))):
            digest.update(f"{array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _arrays(batch: Any) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(leaf) for leaf in keras.tree.flatten(batch)]


def _unnumbered(document: str) -> str:
    """Removes the numbers at the end of Keras's names, which count what the process built before."""
    return re.sub(r'_\d+"', '"', document)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()

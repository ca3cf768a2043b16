"""The names of the inputs, outputs and layers of a Keras model in plain form (`rnnx.keras_models.plain_model`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import keras

from rnnx.reference import INPUT_NAME, NUMBERS_NAME

# TensorFlow's names of scopes, which are those of the layers, have these characters.
_SCOPE = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.>-]*")
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def is_scope(name: str) -> bool:
    """Whether TensorFlow accepts the name of a layer."""
    return _SCOPE.fullmatch(name) is not None


def has_usual_inputs(function: Any) -> bool:
    """Whether the inputs of a graph keep their names: a single one gets a fixed name, several need identifiers."""
    names = list(input_names(function))
    return len(names) == 1 or all(map(_IDENTIFIER.fullmatch, names))


def input_names(function: Any) -> Iterator[str]:
    """Yields the name of each input: its key in a dictionary of inputs, or its name in Keras."""
    for path, tensor in keras.tree.flatten_with_path(function._inputs_struct):
        yield path[-1] if path and isinstance(path[-1], str) else tensor.name


def output_names(function: Any) -> Iterator[str]:
    """Yields the name of each output: its key in a dictionary of outputs, or the name of its layer.

    Further outputs of the same layer have a number.
    """
    for path, tensor in keras.tree.flatten_with_path(function._outputs_struct):
        history = tensor._keras_history
        index = f"_{history.tensor_index}" if history.tensor_index else ""
        yield path[-1] if path and isinstance(path[-1], str) else f"{history.operation.name}{index}"


def _unique(name: str, taken: set[str], separator: str) -> str:
    """Returns a name that is not taken, with a number if need be, and takes it."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}{separator}{number}"
    taken.add(found)
    return found


def clean_name(name: str) -> str:
    """Returns a name with `_` for each character that TensorFlow does not take."""
    cleaned = re.sub(r"[^A-Za-z0-9_.-]", "_", name)
    return cleaned if is_scope(cleaned) else f"x{cleaned}"


@dataclass
class PlainNames:
    """The names of a plain model: each one once, and with characters that TensorFlow takes.

    Attributes:
        taken: The names in use.
        changes: A sentence for each name of the saved model that was changed.
    """

    taken: set[str] = field(default_factory=lambda: {INPUT_NAME, NUMBERS_NAME})
    changes: list[str] = field(default_factory=list)

    def clean(self, name: str) -> str:
        """Returns a name without the characters that TensorFlow does not take."""
        cleaned = clean_name(name)
        if cleaned != name and (change := f"{name!r} is called {cleaned} in the files") not in self.changes:
            self.changes.append(change)
        return cleaned

    def of_input(self, name: str, tensor: Any, *, is_alone: bool) -> str:
        """Returns the name of an input; a single input gets a fixed name when the network is read."""
        if is_alone:
            return str(tensor.name)
        cleaned = re.sub(r"\W", "_", name, flags=re.ASCII)
        cleaned = _unique(cleaned if _IDENTIFIER.fullmatch(cleaned) else f"x{cleaned}", self.taken, "_")
        if cleaned != name:
            self.changes.append(f"the input {name!r} is called {cleaned} in the files")
        return cleaned

    def of_state(self, name: str) -> str:
        """Returns the name of an input that is a state."""
        cleaned = re.sub(r"\W", "_", name, flags=re.ASCII)
        return _unique(cleaned if _IDENTIFIER.fullmatch(cleaned) else f"x{cleaned}", self.taken, "_")

    def of_outputs(self, names: Iterator[str]) -> tuple[str, ...]:
        """Returns the names of the outputs, which are names of layers or of a dictionary."""
        taken: set[str] = set()
        return tuple(_unique(self.clean(name), taken, "_") for name in names)

    def of_layer(self, prefix: str, name: str) -> str:
        """Returns the name of a layer in plain form, after the names of the models that it is nested in."""
        return _unique(prefix + self.clean(name), self.taken, ".")

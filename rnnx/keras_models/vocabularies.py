"""Moves the vocabularies that layers of a `.keras` file have learned from files of their own into the config.

Keras writes a vocabulary that was given into the config, and one that was learned into a text file in the archive, one
number a line. Only that of an IntegerLookup is read, and only as whole numbers. Imports the standard library only.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from rnnx.errors import ModelError

MOST_BYTES = 1 << 20
_PATH = re.compile(r"assets/(\w+/)+vocabulary\.txt")
_NUMBERS = re.compile(rb"(-?\d{1,18}\r?\n)*(-?\d{1,18})?\s*")


def is_vocabulary(path: str) -> bool:
    """Says whether a member of the archive is the vocabulary of a layer, by its name."""
    return _PATH.fullmatch(path) is not None


def put_vocabularies(config: Any, files: Mapping[str, bytes]) -> None:
    """Writes vocabularies into the config of a model, which is changed.

    Args:
        config: The checked config.
        files: The content of the members that are vocabularies, by name.

    Raises:
        ModelError: If a vocabulary is not one of whole numbers, or if no IntegerLookup has it.
    """
    found = dict(_lookups(config, "assets"))
    for path, data in files.items():
        layer = found.get(path.removesuffix("/vocabulary.txt"))
        if layer is None or not _NUMBERS.fullmatch(data):
            raise ModelError(f"its {path!r:.80} is not the vocabulary of an IntegerLookup")
        layer["vocabulary"] = [int(line) for line in data.split()]


def require_plain_vocabulary(class_name: Any, config: Any, where: str) -> None:
    """Makes sure that the config of an IntegerLookup names no file, which Keras would read.

    Raises:
        ModelError: If it does.
    """
    if class_name != "IntegerLookup" or not isinstance(config, dict):
        return
    vocabulary = config.get("vocabulary")
    is_list = isinstance(vocabulary, list) and all(type(token) is int for token in vocabulary)
    if vocabulary is not None and not is_list:
        raise ModelError(f"{where}the vocabulary of an IntegerLookup should be a list of whole numbers")


def _lookups(model: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields the config of each IntegerLookup with its folder, which Keras numbers by class in each model."""
    counts: Counter[str] = Counter()
    config = model.get("config") if isinstance(model, dict) else None
    layers = config.get("layers") if isinstance(config, dict) else None
    for layer in layers if isinstance(layers, list) else ():
        class_name = layer.get("class_name") if isinstance(layer, dict) else None
        name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", str(class_name)).lower()
        folder = f"{path}/layers/{name}" + (f"_{counts[name]}" if counts[name] else "")
        counts[name] += 1
        if class_name == "IntegerLookup" and isinstance(layer.get("config"), dict):
            yield folder, layer["config"]
        elif class_name in ("Functional", "Sequential"):
            yield from _lookups(layer, folder)

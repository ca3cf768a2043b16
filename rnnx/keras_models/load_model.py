"""Loads Keras models from files of every format, after the file was checked. Imports Keras.

What a file holds is read by `rnnx.keras_models.file_formats`; here Keras makes the model of it. Weights that are stored
by layer are assigned here, by the names of the layers, because Keras assigns them by position.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
from keras import layers
from keras.src.utils.naming import auto_name

from rnnx.errors import ModelError, UsageError, one_line
from rnnx.keras_models import keras_2_activations  # noqa: F401  # registers a function that a file may name
from rnnx.keras_models.file_formats import FileFormat
from rnnx.keras_models.hdf5_checks import count_numbers, open_hdf5
from rnnx.keras_models.hdf5_weights import match_variables, read_layer_groups
from rnnx.keras_models.keras_2_masks import require_masks, with_masks
from rnnx.keras_models.keras_file import read_keras_file
from rnnx.keras_models.model_parts import ModelParts, pack
from rnnx.versions import require_floor

_NAME = "model.keras"
# The modules of the classes whose order is that of their weights.
_MODULES = ("keras", "keras.layers", "keras.src.models.functional")
# So many weights more than a file stores may be made, as those of a layer that Keras makes twice.
_MOST_FURTHER_WEIGHTS = 1 << 20
# The names that Keras gives, and how many of them are reserved at most.
_CONCATENATE = re.compile(r"concatenate(?:_(\d{1,9}))?")
_MOST_RESERVED = 10_000


def load_keras(data: bytes, name: str) -> keras.Model:
    """Checks the content of a `.keras` file, and loads it in the safe mode of Keras.

    Args:
        data: The content of the file.
        name: The name of the file, for the messages.

    Raises:
        MissingExtraError: If the installed Keras is so old that a file could run code in it.
        UsageError: If Keras was imported with another backend than TensorFlow.
        ModelError: If the file may not be loaded, or Keras cannot load it.
    """
    _require_keras()
    return _load(read_keras_file(data, name), name)


def load_file(found: FileFormat, path: Path) -> tuple[keras.Model, bytes]:
    """Loads a model from a file of any format.

    Args:
        found: The format of the file.
        path: Its path.

    Returns:
        The model, and the content of a `.keras` file of it: the file itself if it is one of Keras 3.

    Raises:
        MissingExtraError: As `load_keras`.
        ModelError: As `load_keras`.
    """
    _require_keras()
    parts = found.read(path)
    model = _load(parts, str(path))
    return model, parts.original or _save(model)


def _require_keras() -> None:
    require_floor("keras", keras.__version__)
    if keras.backend.backend() != "tensorflow":
        raise UsageError(
            f"Keras was imported with the backend {keras.backend.backend()}; rnnx needs tensorflow: set "
            "KERAS_BACKEND=tensorflow before Keras is imported"
        )


def _load(parts: ModelParts, name: str) -> keras.Model:
    try:
        with open_hdf5(parts.weights, "the file of its weights") as file:
            count = count_numbers(file)
        if parts.is_of_keras_2:
            _reserve_names(parts.config)
        with _weights_at_most(2 * count + _MOST_FURTHER_WEIGHTS):
            model = _load_packed(parts) if parts.group is None else _load_by_name(parts)
        if parts.is_of_keras_2:
            _require_order(parts, model)
            model = with_masks(model)
            require_masks(model)
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error
    except Exception as error:  # Keras passes on any exception of the broken part
        raise ModelError(f"{name}: Keras cannot load it: {_shorten(one_line(error, 1_000_000))[:300]}") from error
    return model


def _reserve_names(config: Any) -> None:
    """Keeps Keras from giving a mask of joined inputs, an `ops.concatenate`, the name of a layer of the file."""
    names = [str(entry.get("config", {}).get("name")) for entry in config["config"]["layers"]]
    numbers = [int(found[1] or 0) for found in map(_CONCATENATE.fullmatch, names) if found]
    for _ in range(min(max(numbers, default=-1) + 1, _MOST_RESERVED)):
        auto_name("concatenate")


@contextmanager
def _weights_at_most(most: int) -> Iterator[None]:
    """Makes a config of more weights an error, before Keras has made them; it would fill any memory."""
    add_weight = layers.Layer.add_weight
    count = 0

    def add(layer: Any, *args: Any, shape: Any = None, **options: Any) -> Any:
        nonlocal count
        count += math.prod(shape or ()) if isinstance(shape, tuple | list | None) else 1
        if count > most:
            raise ModelError(f"its config has more weights than the file stores, as in the layer {layer.name!r:.60}")
        return add_weight(layer, *args, shape=shape, **options)

    layers.Layer.add_weight = add
    try:
        yield
    finally:
        layers.Layer.add_weight = add_weight


def _load_packed(parts: ModelParts) -> keras.Model:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _NAME
        path.write_bytes(pack(parts.config, parts.weights))
        return keras.saving.load_model(path, compile=False, safe_mode=True)


def _load_by_name(parts: ModelParts) -> keras.Model:
    """Makes the model, and gives each layer the arrays of the group with its name."""
    model = keras.saving.deserialize_keras_object(parts.config, safe_mode=True)
    with open_hdf5(parts.weights, "the file") as file:
        stored = read_layer_groups(file[parts.group] if parts.group else file)
    for layer in model.layers:
        arrays, weights = stored.pop(layer.name, []), layer.weights
        wanted = [(weight.path, tuple(weight.shape)) for weight in weights]
        for weight, values in zip(weights, match_variables(layer.name, wanted, arrays), strict=True):
            weight.assign(values)
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()  # it computes with copies of its weights
    if stored:
        raise ModelError(f"it has weights of a layer {next(iter(stored))!r:.60}, which the model lacks")
    return model


def _save(model: keras.Model) -> bytes:
    """Returns the content of a `.keras` file of a model, without the date and the addresses that Keras puts into it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / _NAME
        model.save(path)
        parts = read_keras_file(path.read_bytes(), _NAME)
    return pack(_without_addresses(parts.config, {}), parts.weights)


def _without_addresses(value: Any, numbers: dict[Any, int]) -> Any:
    """Numbers the objects that a config has twice; Keras identifies them by their addresses."""
    if isinstance(value, list):
        return [_without_addresses(item, numbers) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: numbers.setdefault(item, len(numbers)) if key == "shared_object_id" else _without_addresses(item, numbers)
        for key, item in value.items()
    }


def _require_order(parts: ModelParts, model: keras.Model) -> None:
    """Makes sure that Keras 3 has the layers in the order of the file, by which it finds the weights of each.

    A group of the file is called by the class of the layer and a number, so only layers of one class matter.
    """
    if parts.group is not None:
        return
    for config, part in _models(parts.config, model):
        for kind in {type(layer).__name__ for layer in part.layers}:
            entries = [entry for entry in config["config"]["layers"] if entry["module"] in _MODULES]
            saved = [entry["config"]["name"] for entry in entries if entry["class_name"] == kind]
            loaded = [layer.name for layer in part.layers if type(layer).__name__ == kind]
            if kind != "InputLayer" and saved != loaded:
                raise ModelError(
                    f"Keras 3 has its {kind} layers in another order than Keras 2 had; save the model as .h5 in "
                    "Keras 2, where weights have the names of their layers"
                )


def _models(config: Any, model: keras.Model) -> Iterator[tuple[Any, keras.Model]]:
    """Yields a model and the models among its layers, with their configs."""
    yield config, model
    entries = {entry["config"].get("name"): entry for entry in config["config"]["layers"]}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            yield from _models(entries[layer.name], layer)


def _shorten(message: str) -> str:
    """Returns the reason in a message of Keras, without the config that it repeats, and without modules and paths."""
    message = message.rpartition("Exception encountered: ")[2]
    message = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", message)
    return re.sub(r"(/[\w.+-]+)+/", "", message)

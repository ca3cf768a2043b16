"""Reads `.h5` files of Keras 2 and 3: whole models, and weights together with the `.json` file of their model.

Imports h5py, which comes with Keras, but neither Keras nor TensorFlow.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rnnx.errors import ModelError, one_line
from rnnx.keras_models.hdf5_checks import open_hdf5, read_text
from rnnx.keras_models.keras_config import read_config
from rnnx.keras_models.model_parts import ModelParts
from rnnx.strict_json import parse_json

_PART = "the file"
_GROUP = "model_weights"


def is_whole_model(data: bytes) -> bool:
    """Says whether an HDF5 file has the config of a model, and not only weights.

    Raises:
        ModelError: If the file is damaged, or must not be read.
    """
    with open_hdf5(data, _PART) as file:
        return "model_config" in file.attrs


def read_hdf5_model(data: bytes, name: str) -> ModelParts:
    """Reads a whole model, as `model.save("model.h5")` writes it.

    Args:
        data: The content of the file.
        name: The name of the file, for the message.

    Raises:
        ModelError: If the file is damaged, or has anything that Keras must not load. The message names the first such
            part.
    """
    with _named(name):
        with open_hdf5(data, _PART) as file:
            version, text = read_text(file, "keras_version"), read_text(file, "model_config")
            has_weights = _GROUP in file
        config = read_config(text or "", version)
        if not has_weights:
            raise ModelError("it has no weights")
    return ModelParts(config, data, version, _GROUP)


def read_weights_and_config(weights: bytes, config: bytes, name: str, config_name: str) -> ModelParts:
    """Reads weights, as `model.save_weights("model.weights.h5")` writes them, and the JSON text of `model.to_json()`.

    Args:
        weights: The content of the HDF5 file.
        config: The content of the JSON file.
        name: The name of the HDF5 file, for the message.
        config_name: The name of the JSON file, for the message.

    Raises:
        ModelError: As `read_hdf5_model`.
    """
    with _named(config_name):
        parsed = parse_json(config)
        version = parsed.get("keras_version") if isinstance(parsed, dict) else None
        version = version if isinstance(version, str) else None
        checked = read_config(config, version)
    with _named(name), open_hdf5(weights, _PART) as file:
        # The older layout has a group for each layer, and lists their names in an attribute.
        is_by_name = "layer_names" in file.attrs or "layer_names0" in file.attrs
        group = _GROUP if _GROUP in file else "" if is_by_name else None
        version = version or read_text(file, "keras_version")
    return ModelParts(checked, weights, version, group)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Puts the name of a file in front of the error that the block raises."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{name}: its config is damaged ({one_line(error, 200)})") from error

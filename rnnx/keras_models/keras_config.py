"""Checks the config of a model before Keras reads it, and removes what only training needs.

A config is the JSON text that lists the layers of a model with their settings. It comes from a `.keras` file, from an
`.h5` file or from a file of its own. It is refused if it names a class that is not allowed
(`rnnx.keras_models.allowed_classes`), nests too deeply, or has a number that float32 cannot hold. Imports the standard
library only.
"""

from __future__ import annotations

import re
from typing import Any

from rnnx.errors import ModelError
from rnnx.keras_models.allowed_classes import is_own_part, require_allowed_classes
from rnnx.keras_models.keras_2 import is_keras_2, to_keras_3
from rnnx.keras_models.model_parts import CONFIG
from rnnx.strict_json import parse_json

# The largest config of the tests has 0.1 MB.
MAX_CONFIG_BYTES = 1 << 24
# Of lists and objects in the config; a model in a model in a model has 20. Keras itself calls functions for each level.
_MAX_LEVELS = 100
# The largest float32.
_LARGEST_NUMBER = 3.4028234663852886e38
# What only training needs. Keras stores the sum of a kernel and its LoRA weights as the kernel.
_OF_TRAINING = ("compile_config", "lora_rank", "lora_alpha")
_NOT_FINITE = re.compile(rb"[:\[,]\s*(-?Infinity|NaN)\s*[,\]}]")


def read_config(text: bytes | str, version: str | None) -> dict[str, Any]:
    """Reads and checks the config of a model.

    Args:
        text: The JSON text.
        version: The version of Keras that wrote it, if it is known.

    Returns:
        The config as Keras 3 writes it, without the optimizer, loss and metrics.

    Raises:
        ModelError: If it contains anything that Keras must not load. The message names the first such part.
        ValueError: If it is not JSON.
    """
    if len(text) > MAX_CONFIG_BYTES:
        limit = MAX_CONFIG_BYTES >> 20
        raise ModelError(f"its config has {len(text):,} bytes; at most {limit} MB are supported")
    data = text.encode() if isinstance(text, str) else text
    try:
        config = parse_json(data)
    except ValueError as error:
        if (found := _NOT_FINITE.search(data)) is None:
            raise
        raise ModelError(
            f"a setting of a layer or an operation is {found[1].decode()}, which is not supported; use a finite "
            "number, or ops.max(ops.abs(x), axis) for ops.norm(x, ord=inf)"
        ) from error
    _check_depth(config)
    if is_keras_2(version) or _lacks_modules(config):
        config = to_keras_3(config, version)
    config = _without_own_parts(config)
    require_allowed_classes(config)
    _check_is_built(config)
    cleaned: dict[str, Any] = _without_compilation(config)
    _check_numbers(cleaned)
    return cleaned


def _check_numbers(config: Any) -> None:
    """Makes sure that float32 can hold every number of a config: Keras would compute with an infinity."""
    level = [config]
    while level:
        for value in level:
            if isinstance(value, float) and abs(value) > _LARGEST_NUMBER:
                raise ModelError(
                    f"a setting of a layer or an operation is {value:g}, which float32 cannot hold; use a smaller "
                    "number, such as 1e38"
                )
        lists = [
            value.values() if isinstance(value, dict) else value for value in level if isinstance(value, dict | list)
        ]
        level = [value for values in lists for value in values]


def _lacks_modules(config: Any) -> bool:
    return isinstance(config, dict) and "class_name" in config and "module" not in config


def _check_depth(config: Any) -> None:
    level, depth = [config], 0
    while level := [value for value in level if isinstance(value, list | dict)]:
        if (depth := depth + 1) > _MAX_LEVELS:
            raise ModelError(
                f"its {CONFIG} has layers in layers, or lists in lists, more than {_MAX_LEVELS} levels deep"
            )
        level = [item for value in level for item in (value.values() if isinstance(value, dict) else value)]


def _check_is_built(config: Any) -> None:
    """Refuses a Sequential that was saved before it knew its input."""
    model, is_built = config, False
    while isinstance(model, dict) and model.get("class_name") == "Sequential" and not is_built:
        inner = model.get("config")
        settings = inner if isinstance(inner, dict) else {}
        is_built = bool(settings.get("build_input_shape") or model.get("build_config"))
        layers = settings.get("layers")
        model = layers[0] if isinstance(layers, list) and layers else None
    if not is_built and not (isinstance(model, dict) and model.get("class_name") in ("InputLayer", "Functional")):
        raise ModelError(
            "the Sequential was saved before it knew the shape of its input; put keras.Input((None, features)), or "
            'keras.Input((None,), dtype="int32") for ids, in front of its layers, and save it again'
        )


def _without_own_parts(value: Any) -> Any:
    """Returns a config without initializers, regularizers and constraints of the user's; only training needs them."""
    if isinstance(value, list):
        return [_without_own_parts(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _without_own_parts(item) for key, item in value.items() if not is_own_part(key, item)}


def _without_compilation(value: Any) -> Any:
    """Returns a config without what only training needs; constants of operations become arrays of NumPy.

    A constant that is a tensor of TensorFlow, as `ops.sqrt(4.0)` is, would be an input of the exported file.
    """
    if isinstance(value, list):
        return [_without_compilation(item) for item in value]
    if isinstance(value, dict):
        cleaned = {key: _without_compilation(item) for key, item in value.items() if key not in _OF_TRAINING}
        return {**cleaned, "class_name": "__numpy__"} if cleaned.get("class_name") == "__tensor__" else cleaned
    return value

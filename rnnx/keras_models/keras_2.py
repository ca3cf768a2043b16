"""Turns the config of a Keras 2 model (2.0 to 2.15, and `tf_keras`) into that of an equal Keras 3 model.

Keras 3 itself cannot load many of these configs. What a version of Keras 2 writes otherwise is in the tables below; to
support one more setting, add it there. Initializers, regularizers and constraints are removed, because nothing is
trained. The result is checked as any other config (`rnnx.keras_models.keras_config`). Imports the standard library
only.

Keras 2 computes some things differently, which is why a file says which version wrote it:

- `hard_sigmoid` is max(0, min(1, 0.2 x + 0.5)). In Keras 3 its slope is 1/6. The converted config names a function of
  rnnx that computes the old one.
- A layer that joins several inputs takes a position for present if it is present in all of them; in Keras 3, in any of
  them. `rnnx.keras_models.keras_2_masks` refuses a model where that matters, and where other masks differ.
- A `Bidirectional` of Keras up to 2.3 (not that in TensorFlow) keeps the last state at masked positions of its outputs,
  where later ones put zeros. Layers that heed the mask do not see the difference.

Source: `tf_keras` 2.21 and the release notes of Keras 2.1 to 2.15.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rnnx.errors import ModelError, one_line
from rnnx.keras_models.keras_2_calls import Config, convert_call, renumber
from rnnx.keras_models.keras_2_operations import OPERATION_LAYERS, convert_operation, module_of_operation

# The function of rnnx, as Keras 3 serializes it; `rnnx.keras_models.keras_2_activations` registers it.
HARD_SIGMOID = {
    "module": "builtins",
    "class_name": "function",
    "config": "rnnx>hard_sigmoid_keras_2",
    "registered_name": "function",
}

# The modules of models in Keras 3. Keras 2 called a functional model `Model` until 2.3.
_FUNCTIONAL = "keras.src.models.functional"
MODELS = {"Sequential": "keras", "Functional": _FUNCTIONAL, "Model": _FUNCTIONAL}
# Layers in a config, apart from those of a model.
_PARTS = ("layer", "backward_layer", "cell")
_NOT_NEEDED = re.compile(r"\w+_(initializer|regularizer|constraint)")
# The new names of classes.
_CLASSES = {"CuDNNLSTM": "LSTM", "CuDNNGRU": "GRU", "ThresholdedReLU": "ReLU", "Model": "Functional"}
# What a class adds to its config when it is renamed.
_ADDED: Mapping[str, Config] = {
    "CuDNNLSTM": {"recurrent_activation": "sigmoid"},
    "CuDNNGRU": {"recurrent_activation": "sigmoid", "reset_after": True},
}
# The new names of settings.
_SETTINGS = {
    ("InputLayer", "batch_input_shape"): "batch_shape",
    ("LeakyReLU", "alpha"): "negative_slope",
    ("ThresholdedReLU", "theta"): "threshold",
}
# Settings that Keras 3 does not have, and that change nothing of what a layer computes at inference.
_WITHOUT_EFFECT = frozenset(
    {
        "implementation", "batch_input_shape", "input_length", "input_dtype", "fused", "renorm", "renorm_clipping",
        "renorm_momentum", "virtual_batch_size", "build_config", "query_shape", "key_shape", "value_shape",
        "experimental_run_tf_function", "_autocast", "trainable",
        "noise_shape",
    }
)  # fmt: skip
# Settings that Keras 3 does not have, and the only value with which a layer computes the same in Keras 3.
_ONLY: Mapping[str, Any] = {
    "time_major": False, "ragged": False, "sparse": False, "causal": False, "softmax_robust_masking": False,
}  # fmt: skip
# These convolutions have groups in their config, but never use them.
_WITHOUT_GROUPS = (
    "Conv1DTranspose", "Conv2DTranspose", "DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D",
)  # fmt: skip
# An embedding needs the setting that is an old shorthand for the input shape in other layers.
_HAS_INPUT_DIM = ("Embedding",)


def is_keras_2(version: str | None) -> bool:
    """Says whether a version, such as `2.2.4-tf`, is one of Keras 2.

    Raises:
        ModelError: If it is older.
    """
    if version is None or not re.match(r"\d+\.", version):
        return False
    if version.startswith(("0.", "1.")):
        raise ModelError(f"Keras {version!s:.20} wrote it; files of Keras 2 and 3 are supported")
    return version.startswith("2.")


def to_keras_3(config: Any, version: str | None) -> Config:
    """Converts the config of a model.

    Args:
        config: The config, `{"class_name": ..., "config": ...}`.
        version: The version of Keras that wrote it. A config of Keras 3 without modules, as in `.h5` files, is given
            its modules, and nothing else.

    Raises:
        ModelError: If the config is no model's, or has a setting that changes what Keras 3 would compute.
    """
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str):
        raise ModelError("its config is not that of a model")
    try:
        return _Conversion(is_old=is_keras_2(version), version=version or "").layer(config)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        # A part of the config has another type than Keras writes, and there are too many parts to check each.
        raise ModelError(f"its config is not that of a model ({one_line(error, 100)})") from error


class _Conversion:
    """Converts the layers of one config."""

    def __init__(self, *, is_old: bool, version: str) -> None:
        self._is_old = is_old
        self._gate_default = "hard_sigmoid" if re.match(r"2\.[0-2]\.", version) else "sigmoid"

    def layer(self, value: Any) -> Config:
        """Converts a layer, or a model as a layer, with all layers in it."""
        if not isinstance(value, dict) or not isinstance(value.get("class_name"), str):
            raise ModelError("its config has something else where a layer should be")
        name, config = str(value["class_name"]), value.get("config")
        registered = value.get("registered_name")
        if isinstance(registered, str) and ">" in registered:
            return value  # a class of the user's, which is refused later
        if name in OPERATION_LAYERS:
            return convert_operation(value)[-1]
        is_operation = not self._is_old and name not in MODELS and _is_operation(value)
        module = module_of_operation(name) if is_operation else _module(value)
        converted: Config = {
            "module": MODELS.get(name) or module,
            "class_name": _CLASSES.get(name, name) if self._is_old else name,
            "config": self._model(name, config) if name in MODELS else self._settings(name, config),
            "registered_name": None,
        }
        if "inbound_nodes" in value:
            converted["name"] = value.get("name")
            converted["inbound_nodes"] = self._nodes(name, value["inbound_nodes"])
        return converted

    def _model(self, name: str, config: Any) -> Config:
        # Until 2.2.2 the config of a Sequential is the list of its layers.
        config = {"name": "sequential", "layers": config} if isinstance(config, list) else config
        if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
            raise ModelError("its config has a model without layers")
        kept = {key: config[key] for key in ("name", "trainable", "input_layers", "output_layers") if key in config}
        layers = [part for layer in config["layers"] for part in self._parts(layer)]
        if name == "Sequential" and not (layers and layers[0]["class_name"] == "InputLayer"):
            shape = _first_shape(config)
            if shape is not None:
                layers.insert(0, _input_layer(f"{config.get('name')}_input", shape))
        if self._is_old:
            renumber(kept, layers, MODELS)
        return {**kept, "layers": layers}

    def _parts(self, value: Any) -> list[Config]:
        """Converts a layer of a model; an operation may become several."""
        converted = self.layer(value)
        is_operation = converted is not value and value["class_name"] in OPERATION_LAYERS
        return convert_operation(value) if is_operation else [converted]

    def _settings(self, name: str, config: Any) -> Config:
        if not isinstance(config, dict):
            raise ModelError(f"the config of a {name!s:.60} is missing")
        if not self._is_old:
            return {key: self._part(key, value) for key, value in config.items() if key != "build_config"}
        where = f"layer {config.get('name', name)!r:.60}: "
        converted: Config = dict(_ADDED.get(name, {}))
        for key, value in config.items():
            new = _SETTINGS.get((name, str(key)), str(key))
            if new != key:
                converted[new] = value
            elif key in _ONLY:
                if value not in (_ONLY[key], None):
                    raise ModelError(
                        f"{where}{key}={value!r:.20} of Keras 2 is not supported; build it with {key}={_ONLY[key]}, "
                        "and save it again"
                    )
                if key == "sparse" and name == "InputLayer":
                    converted[key] = False
            elif name == "MultiHeadAttention" and key == "dropout":
                # Keras 3 computes another softmax of a mask with dropout, also where nothing is dropped.
                converted[key] = 0.0
            elif not _is_dropped(name, key, value):
                converted[key] = self._activation(key, value)
        if name in ("LSTM", "GRU", "LSTMCell", "GRUCell"):
            converted.setdefault("recurrent_activation", self._activation("recurrent_activation", self._gate_default))
        if name in ("GRU", "GRUCell"):
            converted.setdefault("reset_after", False)  # not written before 2.1.3, which had no other
        return converted

    def _activation(self, key: str, value: Any) -> Any:
        if key.endswith("activation") and value == "hard_sigmoid":
            return dict(HARD_SIGMOID)
        if key == "axis" and isinstance(value, list) and len(value) == 1:
            return value[0]
        if key == "dtype":
            return _policy(value)
        return self._part(key, value)

    def _part(self, key: str, value: Any) -> Any:
        """Converts the layers in the config of a layer: the wrapped one, cells, and an activation that is a layer."""
        if key == "cells" and isinstance(value, list):
            return [self.layer(cell) for cell in value]
        is_layer = key in _PARTS or (key.endswith("activation") and isinstance(value, dict))
        if is_layer and isinstance(value, dict) and value.get("class_name") not in ("function", "__lambda__"):
            return self.layer(value)
        return value

    def _nodes(self, class_name: str, nodes: Any) -> Any:
        """Converts the calls of a layer: lists of tensors in Keras 2, arguments by name in Keras 3."""
        if not isinstance(nodes, list):
            raise ModelError("its config has a layer without a list of inputs")
        return [convert_call(class_name, node) if isinstance(node, list) else node for node in nodes]


def _module(value: Config) -> str:
    """Keeps the module of a class of the user's, so that it is refused under its name."""
    module = value.get("module")
    is_keras = not isinstance(module, str) or re.match(r"(tf_)?keras(\.|$)", module) is not None
    return "keras.layers" if is_keras else str(module)


def _is_operation(value: Config) -> bool:
    """Says whether a part of a model of Keras 3, written without its module, is an operation between layers.

    An operation has a name, and says nothing of training.
    """
    config = value.get("config")
    is_named = isinstance(config, dict) and "name" in config and "trainable" not in config
    return is_named and "module" not in value and value["class_name"] != "InputLayer"


def _is_dropped(class_name: str, key: str, value: Any) -> bool:
    if _NOT_NEEDED.fullmatch(key) or key in _WITHOUT_EFFECT:
        return True
    if key == "input_dim":
        return class_name not in _HAS_INPUT_DIM
    if key == "groups":
        return class_name in _WITHOUT_GROUPS
    # Early versions wrote the type of the ids as that of an Embedding.
    return key == "dtype" and class_name != "InputLayer" and isinstance(value, str) and value.startswith("int")


def _policy(value: Any) -> Any:
    """Returns the name of a dtype policy."""
    config = value.get("config") if isinstance(value, dict) else None
    return config.get("name", value) if isinstance(config, dict) else value


def _first_shape(config: Config) -> Any:
    """Returns the input shape of a Sequential that has no InputLayer; None if it has none."""
    first = config["layers"][0] if config["layers"] else {}
    inner = first.get("config") if isinstance(first, dict) else None
    while isinstance(inner, dict):
        if isinstance(inner.get("batch_input_shape"), list):
            return inner["batch_input_shape"]
        wrapped = inner.get("layer")
        inner = wrapped.get("config") if isinstance(wrapped, dict) else None
    return config.get("build_input_shape")


def _input_layer(name: str, shape: Any) -> Config:
    return {
        "module": "keras.layers",
        "class_name": "InputLayer",
        "config": {"batch_shape": shape, "dtype": "float32", "sparse": False, "name": name},
        "registered_name": None,
    }

"""Saves the recurrent models that a public test suite builds, while its tests run; a plugin of pytest.

    CAPTURE_INTO=FOLDER python -m pytest -p bench.proof.capture_models TESTS

A model is saved when it is called or handed to a converter. A layer that is called with arrays is saved as a model that
consists of this layer. Each model is saved once, and only if it has a recurrent layer. Whether a test passes does not
matter.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from keras.src.models.functional import Functional

_SEEN: set[str] = set()
_DEPTH = [0]


def _holds_recurrence(layer: Any) -> bool:
    every = [layer, *layer._flatten_layers(include_self=False)]
    return any(isinstance(each, layers.RNN) or type(each).__name__.startswith("ConvLSTM") for each in every)


def save(model: Any, origin: str) -> None:
    """Saves a model into the folder, unless it is there already; one that Keras cannot save is listed there."""
    if not _holds_recurrence(model):
        return
    folder = Path(os.environ["CAPTURE_INTO"])
    path = folder / f"{len(_SEEN) + 1:03}-{origin}.keras"
    key = hashlib.sha256(_without_names(model.get_config()).encode()).hexdigest()[:12]
    if key in _SEEN:
        return
    _SEEN.add(key)
    try:
        model.save(path)
    except Exception as error:  # noqa: BLE001  # any model that a test builds
        _SEEN.discard(key)
        path.unlink(missing_ok=True)
        with (folder / "not-saved.txt").open("a") as file:
            file.write(f"{origin}: {type(error).__name__}: {str(error).splitlines()[:1]}\n")


def _without_names(value: Any) -> str:
    def clean(item: Any) -> Any:
        if isinstance(item, dict):
            return {key: clean(inner) for key, inner in item.items() if key not in ("name", "seed")}
        return [clean(inner) for inner in item] if isinstance(item, list | tuple) else item

    return str(json.dumps(clean(value), default=repr, sort_keys=True))


def _origin() -> str:
    current = os.environ.get("PYTEST_CURRENT_TEST", "test").split("::")[-1].split(" ")[0]
    return "".join(c if c.isalnum() else "_" for c in current)[:60]


def _as_model(layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Returns a model that consists of one layer, with an input for each array that it was called with."""
    inputs: list[Any] = []

    def to_input(value: Any) -> Any:
        if not hasattr(value, "shape"):
            return value
        batch = value.shape[0] if getattr(layer, "stateful", False) else None
        is_mask = keras.backend.standardize_dtype(value.dtype) == "bool"  # the other integers are numbers
        dtype = "bool" if is_mask else "float32"
        inputs.append(keras.Input(batch_shape=(batch, *value.shape[1:]), dtype=dtype))
        return inputs[-1]

    given = {key: value for key, value in kwargs.items() if key != "training"}
    args, given = keras.tree.map_structure(to_input, (args, given))
    return keras.Model(inputs, layer(*args, **given))


def _capturing(call: Callable[..., Any]) -> Callable[..., Any]:
    def capture(self: Any, *args: Any, **kwargs: Any) -> Any:
        _DEPTH[0] += 1
        try:
            result = call(self, *args, **kwargs)
        finally:
            _DEPTH[0] -= 1
        arrays = [value for value in keras.tree.flatten((args, kwargs)) if hasattr(value, "shape")]
        if _DEPTH[0] or not tf.executing_eagerly() or any(isinstance(value, keras.KerasTensor) for value in arrays):
            return result
        _DEPTH[0] += 1
        try:
            if isinstance(self, keras.Sequential | Functional):
                save(self, _origin())
            elif not isinstance(self, keras.Model) and arrays and _holds_recurrence(self):
                save(_as_model(self, args, kwargs), _origin())
        except Exception as error:  # noqa: BLE001  # any layer that a test builds
            with (Path(os.environ["CAPTURE_INTO"]) / "not-saved.txt").open("a") as file:
                file.write(f"{_origin()}: {type(error).__name__}: {str(error).splitlines()[:1]}\n")
        finally:
            _DEPTH[0] -= 1
        return result

    return capture


def _patch_converter() -> None:
    """Replaces the conversion in tf2onnx's tests, and their comparison, which is not what is tried here."""
    for folder in sys.argv:
        if (Path(folder).parent / "mock_keras2onnx").is_dir():
            sys.path.insert(0, str(Path(folder).parent))
            # Its own module imports a part of onnx that no longer exists.
            api: Any = ModuleType("tf2onnx.keras2onnx_api")
            api.convert_keras, api.get_maximum_opset_supported = None, lambda: 15
            sys.modules["tf2onnx.keras2onnx_api"] = api
            test_utils: Any = importlib.import_module("test_utils")

            test_utils.convert_keras_for_test = lambda model, *args, **kwargs: save(model, _origin())
            for name in ("run_onnx_runtime", "no_loops_in_tf2", "all_recurrents_should_bidirectional"):
                setattr(test_utils, name, lambda *args, **kwargs: True)


warnings.simplefilter("ignore")
if "CAPTURE_INTO" not in os.environ:
    os.environ["CAPTURE_INTO"] = tempfile.mkdtemp()
np.random.seed(0)  # the tests draw from it
keras.layers.Layer.__call__ = _capturing(keras.layers.Layer.__call__)
_patch_converter()

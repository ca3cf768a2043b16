"""rnnx trains recurrent Keras models on text or numbers, exports them to ONNX with a proof, and runs them anywhere.

    >>> import rnnx
    >>> rnnx.load("imdb").predict(["A joy from start to end."])[0].label
    'pos'

Importing this module imports neither numpy nor onnxruntime. `load` imports both, but never TensorFlow.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from rnnx._version import __version__
from rnnx.errors import (
    DataError,
    DeviceError,
    MissingExtraError,
    ModelError,
    ParityError,
    RnnxError,
    UsageError,
)

if TYPE_CHECKING:
    from rnnx.infer.load import load
    from rnnx.infer.predictions import Prediction, Values
    from rnnx.infer.predictor import Predictor

__all__ = [
    "DataError",
    "DeviceError",
    "MissingExtraError",
    "ModelError",
    "ParityError",
    "Prediction",
    "Predictor",
    "RnnxError",
    "UsageError",
    "Values",
    "__version__",
    "load",
]

# From version 1.29 on, onnxruntime collects telemetry on Linux too: it leaves files in the home directory and contacts
# a server. It reads this variable when it is imported; `disable_telemetry_events` comes too late.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


# The public names that need numpy and onnxruntime are imported on first use (PEP 562).
_MODULES = {
    "Prediction": "rnnx.infer.predictions",
    "Predictor": "rnnx.infer.predictor",
    "Values": "rnnx.infer.predictions",
    "load": "rnnx.infer.load",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'rnnx' has no attribute {name!r}")

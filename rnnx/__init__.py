"""rnnx: train a Keras SimpleRNN on text, export it to ONNX with a proof, run it anywhere.

    >>> import rnnx
    >>> rnnx.load("imdb").predict(["A joy from start to end."])[0].label
    'pos'

Importing this module loads neither numpy nor onnxruntime; `load` does, TensorFlow it never does.
"""

from __future__ import annotations

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
    from rnnx.infer.predictions import Prediction, Values
    from rnnx.infer.predictor import Predictor, load

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


def __getattr__(name: str) -> Any:
    if name in ("Prediction", "Predictor", "Values", "load"):
        from rnnx.infer import predictor

        return getattr(predictor, name)
    raise AttributeError(f"module 'rnnx' has no attribute {name!r}")

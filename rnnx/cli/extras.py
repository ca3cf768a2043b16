"""Imports the modules that need an extra, and names the extra if it is not installed."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import distributions
from typing import Any

from rnnx.errors import MissingExtraError

_EXTRA_PACKAGES = {"tensorflow", "keras", "tf2onnx", "onnx", "matplotlib", "sklearn", "scipy", "h5py"}


def import_stage(*modules: str) -> list[Any]:
    """Imports modules of training or export by name.

    Raises:
        MissingExtraError: If a package of the [train] extra is not installed.
    """
    try:
        return [import_module(module) for module in modules]
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _EXTRA_PACKAGES:
            raise
        # onnxruntime and onnxruntime-gpu break each other, so name the extra of the one that is installed.
        runtime = "cuda" if any(distributions(name="onnxruntime-gpu")) else "cpu"
        raise MissingExtraError(f"{package} is not installed: pip install 'rnnx[train,{runtime}]'") from error

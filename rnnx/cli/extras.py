"""Imports the modules that need an extra, and names the extra if it is not installed."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import distributions
from importlib.util import find_spec
from typing import Any

from rnnx.errors import MissingExtraError

_EXTRA_PACKAGES = {"tensorflow", "keras", "tf2onnx", "onnx", "matplotlib", "sklearn", "scipy", "h5py"}


def require_packages(*packages: str) -> None:
    """Makes sure that packages are installed, without importing them, which takes seconds.

    Raises:
        MissingExtraError: If one of them is not.
    """
    for package in packages:
        if find_spec(package) is None:
            raise _missing(package)


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
        raise _missing(package) from error


def _missing(package: str) -> MissingExtraError:
    # onnxruntime and onnxruntime-gpu break each other, so name the extra of the one that is installed.
    runtime = "cuda" if any(distributions(name="onnxruntime-gpu")) else "cpu"
    return MissingExtraError(f"{package} is not installed: pip install 'rnnx[train,{runtime}]'")

"""Checks the installation: which packages are there, whether they fit together, and what to do if they do not.

Imports no framework but onnxruntime.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from rnnx.bundle.find_model import DEFAULT_MODEL, shipped_names
from rnnx.errors import MissingExtraError, RnnxError
from rnnx.runtime.cuda import find_cards
from rnnx.versions import FLOORS, describe_floor

_PURPOSES = {
    "rnnx": "this package",
    "numpy": "arrays",
    "typer": "the command line",
    "rich": "tables and progress",
    "onnxruntime": "inference on the CPU: [cpu]",
    "onnxruntime-gpu": "inference on NVIDIA GPUs: [cuda]",
    "tensorflow": "training and export: [train]",
    "keras": "training and export: [train]",
    "tf2onnx": "export: [train]",
    "onnx": "export: [train]",
    "matplotlib": "curves: [train]",
}


@dataclass(frozen=True)
class Package:
    """A package: its name, its version (None: not installed) and what it is for."""

    name: str
    version: str | None
    purpose: str


@dataclass(frozen=True)
class Diagnosis:
    """The state of an installation.

    Attributes:
        python: The version of Python.
        packages: The packages that rnnx uses.
        providers: The execution providers of onnxruntime.
        cards: The GPUs that CUDA can use, with name and compute capability; empty without onnxruntime-gpu.
        models: The names of the shipped models.
        problems: What is wrong, each with its remedy; empty if all is well.
    """

    python: str
    packages: tuple[Package, ...]
    providers: tuple[str, ...]
    cards: tuple[str, ...]
    models: tuple[str, ...]
    problems: tuple[str, ...]


def diagnose() -> Diagnosis:
    """Checks the installation."""
    versions = {name: _version(name) for name in _PURPOSES}
    problems = _version_problems(versions)
    providers: tuple[str, ...] = ()
    if versions["onnxruntime"] or versions["onnxruntime-gpu"]:
        try:
            from rnnx.runtime.session import available_providers

            providers = available_providers()
        except MissingExtraError as error:
            problems.append(f"onnxruntime is installed but does not load ({error.__cause__}); install it again")
    if not (models := tuple(shipped_names())):
        problems.append("no shipped model is found; install rnnx again")
    cards: tuple[str, ...] = ()
    if versions["onnxruntime-gpu"] and providers:
        cards = tuple(f"{card.name} ({card.capability[0]}.{card.capability[1]})" for card in find_cards())
        problems += _cuda_problems(models)
    packages = tuple(Package(name, versions[name], purpose) for name, purpose in _PURPOSES.items())
    return Diagnosis(platform.python_version(), packages, providers, cards, models, tuple(problems))


def _cuda_problems(models: tuple[str, ...]) -> list[str]:
    """Returns what is known to keep CUDA from working; if nothing is, runs a shipped model on it."""
    from rnnx.infer.load import load
    from rnnx.runtime.session import cuda_problems

    problems = list(cuda_problems())
    if not problems and DEFAULT_MODEL in models:
        try:
            load(DEFAULT_MODEL, device="cuda").predict(["A fine film."])
        except RnnxError as error:
            problems.append(str(error))
    return problems


def _version_problems(versions: dict[str, str | None]) -> list[str]:
    problems = []
    if versions["onnxruntime"] and versions["onnxruntime-gpu"]:
        problems.append(
            "onnxruntime and onnxruntime-gpu overwrite each other's files, and must not be installed together: "
            "pip uninstall onnxruntime onnxruntime-gpu; pip install 'rnnx[cuda]'"
        )
    if not versions["onnxruntime"] and not versions["onnxruntime-gpu"]:
        problems.append("onnxruntime is not installed, so no model can run: pip install 'rnnx[cpu]', or 'rnnx[cuda]'")
    return problems + [
        problem for name in FLOORS if (found := versions[name]) is not None and (problem := describe_floor(name, found))
    ]


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None

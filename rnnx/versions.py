"""The oldest versions that are safe with files from anywhere; the reasons stand in pyproject.toml.

Standard library only.
"""

from __future__ import annotations

from rnnx.errors import MissingExtraError

FLOORS = {"onnxruntime": (1, 27), "onnxruntime-gpu": (1, 28), "onnx": (1, 21), "keras": (3, 13, 2)}


def describe_floor(package: str, version: str) -> str:
    """What is wrong with a version, and what to do; empty if nothing is."""
    floor = FLOORS[package]
    numbers = tuple(int(part) for part in version.partition("+")[0].split(".")[:3] if part.isdigit())
    if numbers >= floor:
        return ""
    return (
        f"{package} {version} is older than {'.'.join(map(str, floor))}, which mended a hole: pip install -U {package}"
    )


def require_floor(package: str, version: str) -> None:
    """Makes sure that a package may be used on files from anywhere.

    Raises:
        MissingExtraError: If it is too old.
    """
    if problem := describe_floor(package, version):
        raise MissingExtraError(problem)

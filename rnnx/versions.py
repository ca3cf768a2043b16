"""The oldest versions of packages that are safe with files of unknown origin.

The reason for each version is given in pyproject.toml. Imports the standard library only.
"""

from __future__ import annotations

from rnnx.errors import MissingExtraError

FLOORS = {"onnxruntime": (1, 27), "onnxruntime-gpu": (1, 28), "onnx": (1, 21), "keras": (3, 13, 2)}


def describe_floor(package: str, version: str) -> str:
    """Describes why a version is too old, and what to do.

    Args:
        package: A name in `FLOORS`.
        version: The installed version, such as `1.27.0`.

    Returns:
        One line; empty if the version is new enough.
    """
    floor = FLOORS[package]
    numbers = tuple(int(part) for part in version.partition("+")[0].split(".")[:3] if part.isdigit())
    if numbers >= floor:
        return ""
    oldest = ".".join(map(str, floor))
    return f"{package} {version} is older than {oldest}, which fixed a security problem: run pip install -U {package}"


def require_floor(package: str, version: str) -> None:
    """Makes sure that a package may be used on files of unknown origin.

    Args:
        package: A name in `FLOORS`.
        version: The installed version.

    Raises:
        MissingExtraError: If the version is too old.
    """
    if problem := describe_floor(package, version):
        raise MissingExtraError(problem)

"""Reads the state of a network and its optimizer as arrays, and restores it bit for bit. Imports Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from rnnx.errors import ModelError

Arrays = Mapping[str, npt.NDArray[Any]]


def take_state(model: keras.Model) -> dict[str, npt.NDArray[Any]]:
    """Reads every variable that decides the next steps.

    Args:
        model: A compiled network whose optimizer is built.

    Returns:
        As `network/N` the weights and the states of the layers' random generators (dropout would restart without
        them); as `optimizer/N` the optimizer's step, learning rate, moments and averages. Metrics are not included,
        because they start again in each epoch.
    """
    return {name: np.array(variable) for name, variable in _variables(model).items()}


def put_state(model: keras.Model, arrays: Arrays) -> None:
    """Sets every variable to the value that `take_state` read.

    Args:
        model: A compiled network whose optimizer is built.
        arrays: The result of `take_state`; arrays with other names are ignored.

    Raises:
        ModelError: If the arrays belong to another network or optimizer.
    """
    variables = _variables(model)
    wanted = {name: (tuple(variable.shape), str(variable.dtype)) for name, variable in variables.items()}
    found = {name: (array.shape, str(array.dtype)) for name, array in arrays.items() if name.split("/")[0] in _KINDS}
    if differs := sorted(name for name in {*wanted, *found} if wanted.get(name) != found.get(name)):
        name = differs[0]
        raise ModelError(
            f"the checkpoint belongs to another network: {name} should be {wanted.get(name, 'absent')}, not "
            f"{found.get(name, 'absent')}; --fresh starts the training again"
        )
    for name, variable in variables.items():
        variable.assign(arrays[name])


def pack(kind: str, weights: list[npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Names the arrays of a list `KIND/0`, `KIND/1` and so on."""
    return {f"{kind}/{i}": array for i, array in enumerate(weights)}


def unpack(kind: str, arrays: Arrays) -> list[npt.NDArray[Any]]:
    """Restores the list that `pack` named."""
    return [arrays[f"{kind}/{i}"] for i in range(sum(name.startswith(f"{kind}/") for name in arrays))]


_KINDS = ("network", "optimizer")


def _variables(model: keras.Model) -> dict[str, Any]:
    return pack("network", model.variables) | pack("optimizer", model.optimizer.variables)

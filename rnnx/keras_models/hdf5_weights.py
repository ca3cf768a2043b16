"""Reads the weights of an HDF5 file in which each layer has a group under its name.

`model.save("model.h5")` and Keras 2's `save_weights` write that layout. The arrays of a layer are found by their own
names, and never by their order: a wrong order would exchange weights of the same shape. The lists of names in the
attributes are not needed for that, and not read (`rnnx.keras_models.hdf5_checks`). Imports h5py and NumPy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.errors import ModelError

# The group of variables that belong to no layer.
_TOP_LEVEL = "top_level_model_weights"


@dataclass(frozen=True, eq=False)
class StoredArray:
    """An array of the file.

    Attributes:
        places: The names on the way from the group of the layer to the array, such as `forward_lstm`, `lstm_cell`.
        name: The name of the variable, such as `kernel`.
        values: The numbers.
    """

    places: tuple[str, ...]
    name: str
    values: npt.NDArray[Any]


def read_layer_groups(group: Any) -> dict[str, list[StoredArray]]:
    """Reads the arrays of each layer, by the name of the layer. The file must have been checked.

    Raises:
        ModelError: If the file has weights that belong to no layer.
    """
    layers = {name: [_stored(path, item) for path, item in _arrays(group[name])] for name in group}
    if layers.pop(_TOP_LEVEL, []):
        raise ModelError("the model has weights of its own, outside of its layers, which is not supported")
    return {name: _without_cudnn(arrays) for name, arrays in layers.items() if arrays}


def _arrays(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not hasattr(group, "keys"):
        yield path, group
        return
    for name in group:
        yield from _arrays(group[name], (*path, name))


def _stored(path: tuple[str, ...], item: Any) -> StoredArray:
    if not path:
        raise ModelError("it has an array where the group of a layer should be")
    # TensorFlow adds the number of the output, `:0`.
    return StoredArray(path[:-1], path[-1].partition(":")[0], np.asarray(item))


def match_variables(
    layer: str, wanted: Sequence[tuple[str, tuple[int, ...]]], stored: Sequence[StoredArray]
) -> list[npt.NDArray[Any]]:
    """Finds the array of each variable of a layer.

    Args:
        layer: The name of the layer, for the message.
        wanted: The path of each variable in Keras, such as `model/bidirectional/forward_lstm/lstm_cell/kernel`, and
            its shape.
        stored: The arrays of the layer.

    Returns:
        One array for each variable. Each array is used once.

    Raises:
        ModelError: If an array is missing or left, or fits two variables.
    """
    remaining, found = list(stored), []
    for path, shape in wanted:
        *places, name = path.split("/")
        candidates = [array for array in remaining if array.values.shape == shape and _is_named(array.name, name)]
        scores = [_score(array.places, places) for array in candidates]
        best = [array for array, score in zip(candidates, scores, strict=True) if score == max(scores)]
        if len(best) != 1:
            problem = "twice" if best else "not"
            raise ModelError(f"layer {layer!r:.60}: its weight {name} {shape} is stored {problem} in the file")
        remaining.remove(best[0])
        found.append(best[0].values)
    if any(array.name.startswith("lora_") for array in remaining):
        raise ModelError(f"layer {layer!r:.60}: it has LoRA weights beside its kernel; save the model as .keras")
    if remaining:
        raise ModelError(f"layer {layer!r:.60}: the file has a weight of it, {remaining[0].name!r:.60}, that it lacks")
    return found


def _score(stored: Sequence[str], wanted: Sequence[str]) -> tuple[int, int]:
    """Counts the common names of two paths: first without those of cells, which Keras 2 numbers anew, then all."""
    common = {*stored} & {*wanted}
    return sum(not re.fullmatch(r"\w+_cell(_\d+)?", name) for name in common), len(common)


def _is_named(stored: str, wanted: str) -> bool:
    """Whether a name is the wanted one, or that with the number that TensorFlow adds to a repeated name.

    Keras 2 calls the kernel of a DepthwiseConv `depthwise_kernel`.
    """
    old = "(depthwise_)?" if wanted == "kernel" else ""
    return re.fullmatch(rf"{old}{re.escape(wanted)}(_\d+)?", stored) is not None


def _without_cudnn(arrays: list[StoredArray]) -> list[StoredArray]:
    """Converts the weights of each CuDNNLSTM or CuDNNGRU of Keras 2, which have two biases in a row."""
    by_place: dict[tuple[str, ...], dict[str, npt.NDArray[Any]]] = {}
    for array in arrays:
        by_place.setdefault(array.places, {})[array.name] = array.values
    converted = {
        places: convert_cudnn(weights) if _is_of_cudnn(weights) else weights for places, weights in by_place.items()
    }
    return [StoredArray(array.places, array.name, converted[array.places][array.name]) for array in arrays]


def _is_of_cudnn(weights: Mapping[str, npt.NDArray[Any]]) -> bool:
    if weights.keys() != {"kernel", "recurrent_kernel", "bias"}:
        return False
    kernel, recurrent_kernel, bias = (weights[name] for name in ("kernel", "recurrent_kernel", "bias"))
    is_matrix = kernel.ndim == recurrent_kernel.ndim == 2 and kernel.shape[1] == recurrent_kernel.shape[1]
    return is_matrix and bias.shape == (2 * kernel.shape[1],)


def convert_cudnn(weights: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Converts the weights of a CuDNNLSTM or a CuDNNGRU to those of the LSTM or GRU that computes the same.

    Args:
        weights: `kernel` (inputs, gates * units), `recurrent_kernel` (units, gates * units) and `bias`
            (2 * gates * units,). An LSTM has 4 gates. A GRU has 3, and then `reset_after=True`.

    Source: `_convert_rnn_weights` of Keras 2.
    """
    units, width = weights["recurrent_kernel"].shape
    gates = width // max(units, 1)
    kernel = [part.T.reshape(part.shape, order="F") for part in np.hsplit(weights["kernel"], gates)]
    recurrent_kernel = [part.T for part in np.hsplit(weights["recurrent_kernel"], gates)]
    bias = weights["bias"].reshape(2, -1)
    return {
        "kernel": np.hstack(kernel),
        "recurrent_kernel": np.hstack(recurrent_kernel),
        "bias": bias if gates == 3 else bias.sum(axis=0),
    }

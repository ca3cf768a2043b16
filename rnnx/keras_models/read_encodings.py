"""Turns Keras's layers that prepare numbers for a model into layers of the reference, or refuses them with a reason.

They find bins, look up ids, make vectors of ids, and mask positions. They decide by comparing numbers, so they may only
read inputs of the model, or what other layers move without rounding it. Imports Keras.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from rnnx import reference
from rnnx.keras_models.layer_settings import refusal
from rnnx.keras_models.operation_parts import is_decided, is_exact
from rnnx.reference import Node

ENCODINGS = (layers.CategoryEncoding, layers.Discretization, layers.IntegerLookup)

# The first whole number that a float32 input cannot tell from the next one.
_MOST_TOKEN = 1 << 24
# Of boundaries, and of the numbers of a vocabulary. The evidence in a file records all of them.
_MOST_NUMBERS = 1 << 16


def read_encoding(layer: Any, inputs: tuple[str, ...]) -> list[Node]:
    """Reads a layer of one of the classes `ENCODINGS`: the ids that it finds, and what it makes of them.

    Raises:
        ModelError: If a setting is not supported, or if the layer reads computed numbers.
    """
    tensors = keras.tree.flatten(layer.input)
    if len(tensors) > 1:
        raise refusal(layer, "is called with several inputs, such as count_weights; only one is supported")
    if not is_exact(tensors[0]):
        raise refusal(layer, "reads computed numbers, where rounding could decide; only inputs of the model may decide")
    if getattr(layer, "sparse", False):
        raise refusal(layer, "has sparse=True; only False is supported")
    _require_rows(layer)
    parts: list[reference.IdLayer] = []
    if type(layer) is layers.Discretization:
        parts = [_read_bins(layer, is_whole="int" in str(tensors[0].dtype))]
    elif type(layer) is layers.IntegerLookup:
        parts = [_read_vocabulary(layer)]
    if layer.output_mode != "int":
        parts.append(_read_mode(layer, tuple(tensors[0].shape)))
    names = [*(f"{layer.name}.ids" for _ in parts[1:]), layer.name]
    return [
        Node(name, part, inputs if i == 0 else (names[i - 1],))
        for i, (name, part) in enumerate(zip(names, parts, strict=True))
    ]


def read_one_hot(operation: Any) -> reference.OneHot:
    """Reads the operation `ops.one_hot`.

    Raises:
        ModelError: If it reads computed numbers, or a setting is not supported.
    """
    x = operation.input
    if x.dtype == "float32" and not is_exact(x):
        raise refusal(operation, "reads computed numbers, of which it drops the fractions; only ids may decide")
    if not is_decided(x):
        raise refusal(operation, "reads whole numbers that were computed; only ids and ops.argmax may decide")
    if operation.sparse or operation.axis not in (-1, len(x.shape)):
        raise refusal(
            operation, "has sparse=True or an axis before the last; only vectors along the last axis are supported"
        )
    if (depth := int(operation.num_classes)) < 1:
        raise refusal(operation, f"has num_classes={depth}; it should be at least 1")
    return reference.OneHot(depth, is_computed=not is_exact(x))


def read_masking(layer: Any) -> reference.Masking:
    """Reads a Masking.

    Raises:
        ModelError: If it reads computed numbers, or rows without positions.
    """
    if not is_exact(layer.input):
        raise refusal(
            layer,
            "masks a computed value, where rounding could decide; only what comes from an input or an Embedding "
            "unchanged may be masked: put the Masking in front of the layers that compute",
        )
    if len(layer.input.shape) < 3:
        raise refusal(layer, "masks rows, which have no positions; remove it, and copy the weights with set_weights")
    return reference.Masking(float(np.float32(layer.mask_value)))


def depth_of(layer: Any) -> int:
    """Returns how many ids a layer gives."""
    if type(layer) is layers.Discretization:
        return len(layer.bin_boundaries) + 1
    if type(layer) is layers.CategoryEncoding:
        return int(layer.num_tokens)
    return int(layer.max_tokens if layer.pad_to_max_tokens else layer.vocabulary_size())


def _require_rows(layer: Any) -> None:
    """Makes sure that the Embedding that reads the ids of a layer has a row for each of them."""
    readers = [node.operation for node in layer._outbound_nodes]
    rows = min((int(reader.input_dim) for reader in readers if isinstance(reader, layers.Embedding)), default=None)
    if rows is not None and layer.output_mode == "int" and (depth := depth_of(layer)) > rows:
        raise refusal(layer, f"gives ids up to {depth - 1}, but the Embedding after it has {rows} rows")


def _read_bins(layer: Any, *, is_whole: bool) -> reference.FindBin:
    if layer.bin_boundaries is None:
        raise refusal(layer, "has no bin_boundaries; call adapt, or give it some, and save the model again")
    boundaries = np.array(layer.bin_boundaries, np.float64).astype(np.float32).astype(np.float64)
    if len(boundaries) > _MOST_NUMBERS or not np.isfinite(boundaries).all() or (np.diff(boundaries) < 0).any():
        raise refusal(layer, f"should have at most {_MOST_NUMBERS:,} finite bin_boundaries in ascending order")
    return reference.FindBin(tuple(boundaries.tolist()), is_whole)


def _read_vocabulary(layer: Any) -> reference.LookUp:
    """Reads the vocabulary of an IntegerLookup."""
    if layer.invert or layer.output_mode == "tf_idf":
        raise refusal(layer, "has invert=True or output_mode='tf_idf'; only ids and counts of them are supported")
    tokens = [int(token) for token in layer.get_vocabulary(include_special_tokens=False)]
    if not tokens:
        raise refusal(layer, "has no vocabulary; call adapt, or give it one, and save the model again")
    unknown = int(layer.num_oov_indices)
    if unknown == 0:
        raise refusal(layer, "has num_oov_indices=0, so that Keras stops at an unknown number; use 1")
    if unknown > 1 and layer.oov_method != "floormod":
        raise refusal(layer, "hashes unknown numbers, which no operator of ONNX does; use oov_method='floormod'")
    masked = None if layer.mask_token is None else float(layer.mask_token)
    if len(tokens) > _MOST_NUMBERS or max(map(abs, [*tokens, masked or 0])) >= _MOST_TOKEN:
        raise refusal(
            layer,
            f"should have at most {_MOST_NUMBERS:,} numbers in its vocabulary, all of them between -{_MOST_TOKEN:,} "
            f"and {_MOST_TOKEN:,}, because the input of the file is float32",
        )
    # Keras counts from the masked number on only if it gives ids.
    is_ids = layer.output_mode == "int"
    first_unknown = int(masked is not None and is_ids)
    return reference.LookUp(
        tuple(map(float, tokens)), first_unknown + unknown, first_unknown, unknown, masked, 0 if is_ids else -1
    )


def _read_mode(layer: Any, shape: tuple[int | None, ...]) -> reference.OneHot | reference.CountIds:
    """Reads what a layer makes of the ids: a vector of each, or counts of those of a row."""
    depth = depth_of(layer)
    if layer.output_mode == "one_hot":
        if shape[-1] is None:
            raise refusal(
                layer, "has an input of an open length, which Keras cannot encode; give it the shape (None, 1)"
            )
        return reference.OneHot(depth, is_squeezed=len(shape) > 1 and shape[-1] == 1)
    if len(shape) != 2:
        raise refusal(
            layer,
            f"has output_mode={layer.output_mode!r} for an input of {len(shape)} axes, of which Keras combines another "
            "one than it says; wrap the layer in a TimeDistributed",
        )
    return reference.CountIds(depth, is_binary=layer.output_mode == "multi_hot")

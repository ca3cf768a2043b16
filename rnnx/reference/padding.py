"""What each layer makes of padding: whether a layer after it can still tell padding from content.

Imports numpy only.

Source: as Keras 3 defines the layers (`keras.layers`), what becomes of a mask included.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, assert_never

from rnnx.reference.layer import Layer
from rnnx.reference.merging import Concatenate, Merge, TakeMask
from rnnx.reference.pointwise import (
    ELU,
    Activation,
    BatchNormalization,
    Dense,
    Embedding,
    LayerNormalization,
    LeakyReLU,
    Masking,
    Rescaling,
)
from rnnx.reference.pooling import GlobalAveragePooling1D, GlobalMaxPooling1D, LastPosition, Pooling1D
from rnnx.reference.recurrent import Recurrent
from rnnx.reference.reshaping import RepeatVector, Reshape, Reverse, ZeroPadding1D

# The positions of the padding in a tensor. "none": there are none, because the time is gone (or is no longer that of
# the inputs). "masked": the mask leaves them out. "turned": the same, but the positions are in reverse order and the
# mask is not. "open": nothing leaves them out, so a layer over the time would read them.
Padding: TypeAlias = Literal["none", "masked", "turned", "open"]


def padding_after(layer: Layer, before: Sequence[Padding], position_size: int | None) -> Padding | None:
    """Says what becomes of the padding in the output of a layer.

    Args:
        layer: The layer.
        before: The padding of each of its inputs.
        position_size: How many numbers its first input has at each position, where that is known.

    Returns:
        The padding of its output; None if the layer reads the padding as if it were content.
    """
    first = before[0]
    match layer:
        case Embedding():
            return "masked" if layer.mask_zero else first
        case Masking():
            return "none" if first == "none" else "open"  # its own mask replaces the one before
        case TakeMask():
            return "none" if first == "none" else before[1]
        case Concatenate() | Merge():
            return first if len(set(before)) == 1 else "turned" if "turned" in before else "open"
        case Recurrent() if first == "masked" and layer.return_sequences:
            return "turned" if layer.go_backwards else "masked"
        case Recurrent() | GlobalAveragePooling1D():
            return "none" if first in ("none", "masked") else None
        case Reverse():
            return _turned(first)
        case LastPosition():
            return None if first == "open" else "none"
        case GlobalMaxPooling1D() | Pooling1D() | ZeroPadding1D():
            return "none" if first == "none" else None
        case Reshape():
            return _reshaped(first, keeps_positions=bool(position_size) and layer.shape == (-1, position_size))
        case (
            Dense() | Activation() | LeakyReLU() | ELU() | Rescaling() | BatchNormalization() | LayerNormalization()
            | RepeatVector()
        ):  # fmt: skip
            return first
    assert_never(layer)


def _reshaped(padding: Padding, *, keeps_positions: bool) -> Padding | None:
    if padding == "none":
        return "none"
    return "open" if keeps_positions else None  # otherwise the padding is mixed with the content


def _turned(padding: Padding) -> Padding:
    if padding == "none":
        return "none"
    return "masked" if padding == "turned" else "turned"

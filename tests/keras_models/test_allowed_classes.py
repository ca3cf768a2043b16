"""Tests that the layers a file may name are those that rnnx reads."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

from keras import layers

from rnnx.keras_models import (
    allowed_classes,
    operation_parts,
    plain_cells,
    read_convolutions,
    read_layers,
    read_recurrent,
)
from rnnx.keras_models.read_encodings import ENCODINGS
from rnnx.keras_models.reverse_time import ReverseTime

pytestmark = pytest.mark.train


def test_a_file_may_hold_exactly_the_supported_layers() -> None:
    read = {*read_layers._READERS, *read_layers._PASSED_OVER, *read_recurrent.RECURRENT}
    read |= {layers.Bidirectional, layers.InputLayer, *operation_parts.ATTENTIONS, *read_convolutions.SEPARABLE}
    read |= {layers.RNN, layers.StackedRNNCells, *plain_cells._LAYERS, layers.Softmax, *ENCODINGS}
    read |= {layers.SpectralNormalization, layers.Masking}
    read -= {ReverseTime}  # a layer of rnnx, which no file may hold
    # Files name a class as `keras.layers` does.
    public = {layers.GroupQueryAttention: "GroupQueryAttention"}
    assert {public.get(kind, kind.__name__) for kind in read} == allowed_classes._LAYERS

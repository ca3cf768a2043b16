"""The union of all layers that the reference defines. Imports numpy only.

A new layer is a class in one of the modules below and a member of `Layer` here; README.md has the other places.
"""

from __future__ import annotations

from typing import TypeAlias

from rnnx.reference.attention import AdditiveAttention, AdditiveWeights, Attention, AttentionWeights, Dot, Softmax
from rnnx.reference.gated import GRU, LSTM
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
from rnnx.reference.recurrent import SimpleRNN
from rnnx.reference.reshaping import Permute, RepeatVector, Reshape, Reverse, ZeroPadding1D

# The recurrences; the common base class `Recurrent` serves where all of them are treated alike.
RecurrentLayer: TypeAlias = SimpleRNN | LSTM | GRU

Layer: TypeAlias = (
    Embedding | Masking | RecurrentLayer | Reverse | TakeMask | LastPosition | Concatenate | Merge
    | GlobalAveragePooling1D
    | GlobalMaxPooling1D | Pooling1D | ZeroPadding1D | RepeatVector | Reshape | Dense | Activation | LeakyReLU | ELU
    | Rescaling | BatchNormalization | LayerNormalization
    | Permute | Softmax | Dot | AttentionWeights | Attention | AdditiveWeights | AdditiveAttention
)  # fmt: skip

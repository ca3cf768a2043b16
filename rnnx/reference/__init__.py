"""The definition of every layer and of a network, in NumPy, in float64: what all other computations are compared with.

Written from the article and from Keras's documentation, never from an ONNX graph. A layer raises on what it does not
support. Start with `recurrent`, which reads like the article. Imports numpy only; this is the one address of its names.
"""

from rnnx.reference.activations import ActivationName, activate
from rnnx.reference.gated import GRU, LSTM
from rnnx.reference.merging import Concatenate, Merge, TakeMask
from rnnx.reference.network import (
    INPUT_NAME,
    NUMBERS_NAME,
    OUTPUT_NAME,
    VALUES_NAME,
    Given,
    HeadKind,
    Input,
    Layer,
    Network,
    Node,
)
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
from rnnx.reference.recurrent import Recurrent, SimpleRNN
from rnnx.reference.reshaping import RepeatVector, Reshape, Reverse, ZeroPadding1D
from rnnx.reference.tensor import Array, Mask, Tensor

__all__ = [
    "ELU",
    "GRU",
    "INPUT_NAME",
    "LSTM",
    "NUMBERS_NAME",
    "OUTPUT_NAME",
    "VALUES_NAME",
    "Activation",
    "ActivationName",
    "Array",
    "BatchNormalization",
    "Concatenate",
    "Dense",
    "Embedding",
    "Given",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "HeadKind",
    "Input",
    "LastPosition",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Mask",
    "Masking",
    "Merge",
    "Network",
    "Node",
    "Pooling1D",
    "Recurrent",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Reverse",
    "SimpleRNN",
    "TakeMask",
    "Tensor",
    "ZeroPadding1D",
    "activate",
]

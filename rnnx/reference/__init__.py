"""The definition of every layer and of a network, in NumPy, in float64.

Every other computation is compared with this one: Keras, and each exported file. It is written from the article and
from Keras's documentation, never from an ONNX graph. A layer raises an exception on what it does not support. Start
with `recurrent`, which reads like the article.

Imports numpy only. Import the layers and the network from here.
"""

from rnnx.primitives import ActivationName, Array, Mask, activate
from rnnx.reference.attention import AdditiveAttention, AdditiveWeights, Attention, AttentionWeights, Dot
from rnnx.reference.choices import Choose, ChooseByConstants, Compare, Fill
from rnnx.reference.conv_lstm import ConvLSTM
from rnnx.reference.convolution import Conv1D, Conv2D
from rnnx.reference.encoding import CountIds, FindBin, IdLayer, LookUp, OneHot
from rnnx.reference.gated import GRU, LSTM
from rnnx.reference.items import GetItem, Join, Pad, Rearrange, Selection, TakePlaces, Transpose
from rnnx.reference.layer import Layer, RecurrentLayer
from rnnx.reference.matrices import Einsum, MultiplyMatrix, MultiplyTensors
from rnnx.reference.merging import AsMask, Concatenate, Merge, TakeMask
from rnnx.reference.network import (
    INPUT_NAME,
    NUMBERS_NAME,
    OUTPUT_NAME,
    VALUES_NAME,
    Given,
    HeadKind,
    Input,
    InputKind,
    Network,
    Node,
    cell_state_of,
    last_state_of,
)
from rnnx.reference.operations import (
    ApplyAlong,
    ApplyFunction,
    ApplyWithNumber,
    Clip,
    CombineConstants,
    CombineNumber,
    CombineTensors,
    Reduce,
)
from rnnx.reference.pointwise import (
    ELU,
    Activation,
    BatchNormalization,
    CappedReLU,
    Dense,
    Embedding,
    LayerNormalization,
    LeakyReLU,
    Masking,
    Normalization,
    PReLU,
    Rescaling,
    RMSNormalization,
    UnitNormalization,
)
from rnnx.reference.pooling import GlobalAveragePooling1D, GlobalMaxPooling1D, LastPosition, Pooling1D, Pooling2D
from rnnx.reference.recurrent import Recurrent, SimpleRNN
from rnnx.reference.reshaping import (
    FoldTime,
    RepeatVector,
    Reshape,
    Reverse,
    UnfoldTime,
    UpSampling1D,
    ZeroPadding1D,
    ZeroPadding2D,
)
from rnnx.reference.softmax import AxesSoftmax, Softmax
from rnnx.reference.statistics import (
    AxesNormalization,
    AxesRMSNormalization,
    AxesUnitNormalization,
    AxisBatchNormalization,
    AxisGroupNormalization,
    FeatureRescaling,
    GroupNormalization,
)
from rnnx.reference.tensor import NamedArrays, Tensor

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
    "AdditiveAttention",
    "AdditiveWeights",
    "ApplyAlong",
    "ApplyFunction",
    "ApplyWithNumber",
    "Array",
    "AsMask",
    "Attention",
    "AttentionWeights",
    "AxesNormalization",
    "AxesRMSNormalization",
    "AxesSoftmax",
    "AxesUnitNormalization",
    "AxisBatchNormalization",
    "AxisGroupNormalization",
    "BatchNormalization",
    "CappedReLU",
    "Choose",
    "ChooseByConstants",
    "Clip",
    "CombineConstants",
    "CombineNumber",
    "CombineTensors",
    "Compare",
    "Concatenate",
    "Conv1D",
    "Conv2D",
    "ConvLSTM",
    "CountIds",
    "Dense",
    "Dot",
    "Einsum",
    "Embedding",
    "FeatureRescaling",
    "Fill",
    "FindBin",
    "FoldTime",
    "GetItem",
    "Given",
    "GlobalAveragePooling1D",
    "GlobalMaxPooling1D",
    "GroupNormalization",
    "HeadKind",
    "IdLayer",
    "Input",
    "InputKind",
    "Join",
    "LastPosition",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "LookUp",
    "Mask",
    "Masking",
    "Merge",
    "MultiplyMatrix",
    "MultiplyTensors",
    "NamedArrays",
    "Network",
    "Node",
    "Normalization",
    "OneHot",
    "PReLU",
    "Pad",
    "Pooling1D",
    "Pooling2D",
    "RMSNormalization",
    "Rearrange",
    "Recurrent",
    "RecurrentLayer",
    "Reduce",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Reverse",
    "Selection",
    "SimpleRNN",
    "Softmax",
    "TakeMask",
    "TakePlaces",
    "Tensor",
    "Transpose",
    "UnfoldTime",
    "UnitNormalization",
    "UpSampling1D",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "activate",
    "cell_state_of",
    "last_state_of",
]

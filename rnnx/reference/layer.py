"""The union of all layers that the reference defines. Imports numpy only.

A new layer is a class in one of the modules below and a member of `Layer` here; README.md has the other places.
"""

from __future__ import annotations

from typing import TypeAlias

from rnnx.reference.attention import AdditiveAttention, AdditiveWeights, Attention, AttentionWeights, Dot
from rnnx.reference.choices import Choose, ChooseByConstants, Compare, Fill
from rnnx.reference.conv_lstm import ConvLSTM
from rnnx.reference.convolution import Conv1D, Conv1DTranspose, Conv2D, Conv2DTranspose
from rnnx.reference.encoding import CountIds, FindBin, LookUp, OneHot
from rnnx.reference.gated import GRU, LSTM
from rnnx.reference.items import GetItem, Join, Pad, Rearrange, TakePlaces, Transpose
from rnnx.reference.jumps import ApplyStep, ArgMax, KeepBeyond, ThresholdedReLU
from rnnx.reference.matrices import Einsum, EinsumDense, MultiplyMatrix, MultiplyTensors
from rnnx.reference.merging import AsMask, Concatenate, ConcatenateAxis, Merge, TakeMask
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
from rnnx.reference.pooling import (
    AdaptivePooling1D,
    AdaptivePooling2D,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    LastPosition,
    Pooling1D,
    Pooling2D,
)
from rnnx.reference.recurrent import SimpleRNN
from rnnx.reference.reshaping import (
    FoldTime,
    RepeatVector,
    Reshape,
    Reverse,
    UnfoldTime,
    UpSampling1D,
    UpSampling2D,
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
    DeviationNormalization,
    FeatureRescaling,
    GroupNormalization,
)

# The recurrences; the common base class `Recurrent` serves where all of them are treated alike.
RecurrentLayer: TypeAlias = SimpleRNN | LSTM | GRU | ConvLSTM

Layer: TypeAlias = (
    Embedding | Masking | RecurrentLayer | Reverse | AsMask | TakeMask | LastPosition | Concatenate | Merge
    | Conv1D | Conv2D | Pooling2D | ZeroPadding2D | FoldTime | UnfoldTime | GlobalAveragePooling1D
    | GlobalMaxPooling1D | Pooling1D | ZeroPadding1D | RepeatVector | Reshape | Dense | Activation | LeakyReLU | ELU
    | UpSampling1D | Rescaling | BatchNormalization | LayerNormalization
    | GetItem | CombineTensors | CombineNumber | CombineConstants | ApplyFunction | Reduce | Join | Transpose
    | ApplyAlong | ApplyWithNumber | Choose | ChooseByConstants | Clip | Compare | Fill | Pad | Rearrange | TakePlaces
    | MultiplyMatrix | MultiplyTensors | Einsum
    | CappedReLU | AxesNormalization | AxisBatchNormalization | FeatureRescaling | GroupNormalization
    | DeviationNormalization | PReLU | Normalization | UnitNormalization | RMSNormalization
    | AxisGroupNormalization | AxesUnitNormalization | AxesRMSNormalization
    | FindBin | LookUp | OneHot | CountIds
    | Softmax | AxesSoftmax | Dot | AttentionWeights | Attention | AdditiveWeights | AdditiveAttention
    | ConcatenateAxis
    | Conv1DTranspose
    | Conv2DTranspose
    | AdaptivePooling1D
    | AdaptivePooling2D
    | UpSampling2D
    | EinsumDense
    | ApplyStep | ArgMax | KeepBeyond | ThresholdedReLU
)  # fmt: skip

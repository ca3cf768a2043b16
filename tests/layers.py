"""A layer of each kind that the reference defines, with inputs to try it on; imports NumPy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnx.reference import (
    ELU,
    GRU,
    LSTM,
    Activation,
    AdaptivePooling1D,
    AdaptivePooling2D,
    AdditiveAttention,
    AdditiveWeights,
    ApplyAlong,
    ApplyFunction,
    ApplyStep,
    ApplyWithNumber,
    ArgMax,
    Array,
    AsMask,
    Attention,
    AttentionWeights,
    AxesNormalization,
    AxesRMSNormalization,
    AxesSoftmax,
    AxesUnitNormalization,
    AxisBatchNormalization,
    AxisGroupNormalization,
    BatchNormalization,
    CappedReLU,
    Choose,
    ChooseByConstants,
    Clip,
    CombineConstants,
    CombineNumber,
    CombineTensors,
    Compare,
    Concatenate,
    ConcatenateAxis,
    Conv1D,
    Conv1DTranspose,
    Conv2D,
    Conv2DTranspose,
    ConvLSTM,
    CountIds,
    Dense,
    DeviationNormalization,
    Dot,
    Einsum,
    EinsumDense,
    Embedding,
    FeatureRescaling,
    Fill,
    FindBin,
    FoldTime,
    GetItem,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    GroupNormalization,
    Join,
    KeepBeyond,
    LastPosition,
    Layer,
    LayerNormalization,
    LeakyReLU,
    LookUp,
    Masking,
    Merge,
    MultiplyMatrix,
    MultiplyTensors,
    Normalization,
    OneHot,
    Pad,
    Pooling1D,
    Pooling2D,
    PReLU,
    Rearrange,
    RecurrentLayer,
    Reduce,
    RepeatVector,
    Rescaling,
    Reshape,
    Reverse,
    RMSNormalization,
    Selection,
    SimpleRNN,
    Softmax,
    TakeMask,
    TakePlaces,
    ThresholdedReLU,
    Transpose,
    UnfoldTime,
    UnitNormalization,
    UpSampling1D,
    UpSampling2D,
    ZeroPadding1D,
    ZeroPadding2D,
)

FEATURES = 6
VOCABULARY = 9
IMAGES = (2, 5, 3, 2)
RNG = np.random.default_rng(7)


def draw(*shape: int) -> Array:
    """Draws random numbers that float32 represents exactly."""
    return RNG.normal(size=shape).astype(np.float32).astype(np.float64)


@dataclass(frozen=True)
class Case:
    """A layer and the inputs that it reads.

    Attributes:
        layer: The layer.
        count: The number of its inputs.
        shape: The shape of each input: `(batch, time, features)` unless it reads ids or rows.
        reads_ids: Whether the inputs are ids, which are exact, and not numbers.
        is_positive: Whether the numbers are all positive.
    """

    layer: Layer
    count: int = 1
    shape: tuple[int, ...] = (2, 5, FEATURES)
    reads_ids: bool = False
    is_positive: bool = False

    def draw(self, rng: np.random.Generator) -> Array:
        """Draws one input."""
        if self.reads_ids:
            return rng.integers(0, VOCABULARY, self.shape).astype(np.float64)
        values = rng.normal(size=self.shape)
        return np.abs(values) + 0.5 if self.is_positive else values


BATCH = BatchNormalization(draw(FEATURES), np.abs(draw(FEATURES)), draw(FEATURES), draw(FEATURES), 1e-3)
LAYER = LayerNormalization(draw(FEATURES), draw(FEATURES), 1e-3)

# The layers that are not recurrent.
LAYERS: dict[str, Case] = {
    "batch normalization": Case(BATCH),
    "batch normalization, plain": Case(BatchNormalization(BATCH.mean, BATCH.variance, None, None, 1e-3)),
    "layer normalization": Case(LAYER),
    "layer normalization, plain": Case(LayerNormalization(None, None, 1e-3)),
    "dense": Case(Dense(draw(FEATURES, 3), draw(3), "gelu")),
    "softmax": Case(Activation("softmax")),
    "exponential": Case(Activation("exponential")),
    "leaky relu": Case(LeakyReLU(0.3)),
    "elu": Case(ELU(1.7)),
    "rescaling": Case(Rescaling(0.3, -1.2)),
    "add": Case(Merge("add"), 3),
    "subtract": Case(Merge("subtract"), 2),
    "multiply": Case(Merge("multiply"), 3),
    "average": Case(Merge("average"), 3),
    "maximum": Case(Merge("maximum"), 2),
    "minimum": Case(Merge("minimum"), 2),
    "concatenate": Case(Concatenate(), 2),
    "concatenate in time": Case(ConcatenateAxis(1), 2),
    "mean": Case(GlobalAveragePooling1D(keepdims=True)),
    "max": Case(GlobalMaxPooling1D(keepdims=True)),
    "average pooling": Case(Pooling1D("average", 3, 2, is_padded=True)),
    "max pooling": Case(Pooling1D("maximum", 3, 2, is_padded=True)),
    "average pooling, valid": Case(Pooling1D("average", 2, 2, is_padded=False)),
    "convolution": Case(Conv1D(draw(3, FEATURES, 4), draw(4), "relu", padding="same")),
    "convolution, grouped": Case(Conv1D(draw(2, 3, 4), draw(4), "tanh", 2, 1, "causal", 2)),
    "convolution, dilated": Case(Conv1D(draw(2, FEATURES, 4), draw(4), "softmax", 1, 2)),
    "image convolution": Case(Conv2D(draw(3, 2, 2, 4), draw(4), "relu", padding="same"), shape=IMAGES),
    "image convolution, grouped": Case(
        Conv2D(draw(2, 2, 1, 4), draw(4), "tanh", strides=(2, 1), groups=2), shape=IMAGES
    ),
    "image convolution, dilated": Case(Conv2D(draw(2, 3, 2, 3), draw(3), dilations=(3, 1)), shape=IMAGES),
    "image max pooling": Case(Pooling2D("maximum", (2, 3), (2, 1), is_padded=True), shape=IMAGES),
    "image average pooling": Case(Pooling2D("average", (2, 2), (1, 2), is_padded=False), shape=IMAGES),
    "image padding": Case(ZeroPadding2D((1, 0), (2, 1)), shape=IMAGES),
    "fold": Case(FoldTime()),
    "unfold": Case(UnfoldTime(), 2, shape=(2, 1, FEATURES)),
    "up sampling": Case(UpSampling1D(2)),
    "zero padding": Case(ZeroPadding1D(1, 2)),
    "reshape": Case(Reshape((-1, 2, 3))),
    "reshape of rows": Case(Reshape((2, 3)), shape=(2, FEATURES)),
    "repeat": Case(RepeatVector(3), shape=(2, FEATURES)),
    "reverse": Case(Reverse()),
    "as mask": Case(AsMask(), shape=(2, 5), reads_ids=True),
    "take mask": Case(TakeMask(), 2),
    "softmax over the time": Case(Softmax(1)),
    "softmax of all": Case(AxesSoftmax((1, 2))),
    "softmax, masked": Case(AxesSoftmax((2,)), 2),
    "softmax over the time, masked": Case(AxesSoftmax((1,)), 2),
    "softmax of all, masked": Case(AxesSoftmax((1, 2)), 2),
    "dot": Case(Dot((2, 2)), 2),
    "dot over the time": Case(Dot((1, 1)), 2),
    "cosines": Case(Dot((2, 2), normalize=True), 2),
    "attention": Case(Attention(0.7), 2),
    "attention, causal": Case(Attention(1.0, is_causal=True), 2),
    "attention of heads": Case(Attention(0.6, 3, "replace"), 3),
    "attention of heads, removed": Case(Attention(0.6, 2, "remove", is_causal=True), 3),
    "attention weights": Case(AttentionWeights(0.7), 3),
    "attention weights of heads": Case(AttentionWeights(0.7, 2, "remove"), 2),
    "additive attention": Case(AdditiveAttention(draw(FEATURES)), 2),
    "additive attention, plain": Case(AdditiveAttention(None, 0.8, 1.3, is_causal=True), 3),
    "additive weights": Case(AdditiveWeights(draw(FEATURES)), 2),
    "bins": Case(FindBin((0.0, 1.0, 1.5, 4.0)), shape=(2, 5), reads_ids=True),
    "vocabulary": Case(LookUp((3.0, 1.0, 8.0), 1, 0, 1), shape=(2, 5), reads_ids=True),
    "vocabulary, masked": Case(LookUp((3.0, 1.0, 8.0), 4, 1, 3, 0.0), shape=(2, 5), reads_ids=True),
    "vectors of ids": Case(OneHot(4), shape=(2, 5), reads_ids=True),
    "vectors of ids, squeezed": Case(OneHot(7, is_squeezed=True), shape=(2, 5, 1), reads_ids=True),
    "counts of ids": Case(CountIds(7, is_binary=False), shape=(2, 5), reads_ids=True),
    "ids that are there": Case(CountIds(7, is_binary=True), shape=(2, 5), reads_ids=True),
    "masking": Case(Masking(0.0)),
    "capped relu": Case(CappedReLU(0.8)),
    "capped relu with a slope": Case(CappedReLU(0.8, 0.3)),
    "layer normalization of the time": Case(AxesNormalization((1,), draw(6), None, 1e-3), shape=(2, 6, FEATURES)),
    "layer normalization of all": Case(
        AxesNormalization((1, 2), draw(6, FEATURES), draw(6, FEATURES), 1e-3), shape=(2, 6, FEATURES)
    ),
    "batch normalization of positions": Case(
        AxisBatchNormalization(draw(6), np.abs(draw(6)), draw(6), draw(6), 1e-3, 1), shape=(2, 6, FEATURES)
    ),
    "group normalization": Case(GroupNormalization(2, draw(FEATURES), draw(FEATURES), 1e-3)),
    "group normalization, plain": Case(GroupNormalization(3, None, None, 1e-3)),
    "group normalization of positions": Case(
        AxisGroupNormalization(3, draw(6), draw(6), 1e-3, 1), shape=(2, 6, FEATURES)
    ),
    "unit normalization over the time": Case(AxesUnitNormalization((1,))),
    "unit normalization of all": Case(AxesUnitNormalization((1, 2))),
    "rms normalization of all": Case(AxesRMSNormalization((1, 2), draw(6, FEATURES), 1e-3), shape=(2, 6, FEATURES)),
    "rms normalization over the time": Case(AxesRMSNormalization((1,), draw(FEATURES), 1e-3)),
    "rescaling of features": Case(FeatureRescaling(draw(FEATURES), draw(FEATURES))),
    "prelu": Case(PReLU(draw(FEATURES))),
    "prelu of each position": Case(PReLU(draw(6, FEATURES)), shape=(2, 6, FEATURES)),
    "normalization": Case(Normalization(draw(FEATURES), np.abs(draw(FEATURES)))),
    "unit normalization": Case(UnitNormalization()),
    "rms normalization": Case(RMSNormalization(draw(FEATURES), 1e-3)),
    "item, last": Case(GetItem((Selection("index", -1), Selection("slice", 1, 4)))),
    "item, times": Case(GetItem((Selection("slice", -3, None, None), Selection("new")))),
    "sum of two": Case(CombineTensors("add"), 2),
    "difference of two": Case(CombineTensors("subtract"), 2),
    "product of two": Case(CombineTensors("multiply"), 2),
    "larger of two": Case(CombineTensors("maximum"), 2),
    "number minus x": Case(CombineNumber("subtract", 0.5, is_first=True)),
    "x over a number": Case(CombineNumber("divide", -3.0, is_first=False)),
    "x times constants": Case(CombineConstants("multiply", draw(FEATURES), is_first=False)),
    "absolute": Case(ApplyFunction("absolute")),
    "negative": Case(ApplyFunction("negative")),
    "square": Case(ApplyFunction("square")),
    "mean over the time": Case(Reduce("mean", (1,), keepdims=True)),
    "sum of features": Case(Reduce("sum", (2,), keepdims=True)),
    "largest of all": Case(Reduce("max", (1, 2), keepdims=True)),
    "least over the time": Case(Reduce("min", (1,), keepdims=False)),
    "join": Case(Join(2, is_stacked=False), 2),
    "stack": Case(Join(2, is_stacked=True), 2),
    "transpose": Case(Transpose((0, 2, 1))),
    "log of 1 + x": Case(ApplyFunction("log1p"), is_positive=True),
    "log": Case(ApplyFunction("log"), is_positive=True),
    "inverse root": Case(ApplyFunction("rsqrt"), is_positive=True),
    "reciprocal": Case(ApplyFunction("reciprocal"), is_positive=True),
    "gelu by tanh": Case(ApplyFunction("gelu_tanh")),
    "log sigmoid": Case(ApplyFunction("log_sigmoid")),
    "relu6": Case(ApplyFunction("relu6")),
    "tanh without a mask": Case(ApplyFunction("tanh")),
    "erf": Case(ApplyFunction("erf")),
    "erfc": Case(ApplyFunction("erfc")),
    "sine": Case(ApplyFunction("sin")),
    "cosine": Case(ApplyFunction("cos")),
    "soft shrink": Case(ApplyWithNumber("soft_shrink", 0.2)),
    "inverse tangent": Case(ApplyFunction("arctan")),
    "inverse hyperbolic sine": Case(ApplyFunction("arcsinh")),
    "hyperbolic sine": Case(ApplyFunction("sinh")),
    "hyperbolic cosine": Case(ApplyFunction("cosh")),
    "exponential minus 1": Case(ApplyFunction("expm1")),
    "log to the base 2": Case(ApplyFunction("log2"), is_positive=True),
    "log to the base 10": Case(ApplyFunction("log10"), is_positive=True),
    "celu": Case(ApplyWithNumber("celu", 0.4)),
    "square plus": Case(ApplyWithNumber("squareplus", 2.0)),
    "cube": Case(ApplyWithNumber("power", 3.0)),
    "power": Case(ApplyWithNumber("power", 1.7), is_positive=True),
    "inverse power": Case(ApplyWithNumber("power", -0.5), is_positive=True),
    "leaky relu without a mask": Case(ApplyWithNumber("leaky_relu", 0.3)),
    "elu without a mask": Case(ApplyWithNumber("elu", 0.7)),
    "clip": Case(Clip(-0.5, 0.7)),
    "compare": Case(Compare("not_equal", 0.0), shape=(2, 5), reads_ids=True),
    "compare with constants": Case(
        Compare("less", numbers=(1.0, 5.0, 0.0, 3.0, 3.0, 2.0), sizes=(6,)), shape=(2, 6), reads_ids=True
    ),
    "compare two": Case(Compare("less_equal"), 2, shape=(2, 5), reads_ids=True),
    "choose": Case(Choose(second=-1.5), 2, shape=(2, 5), reads_ids=True),
    "compare computed numbers": Case(Compare("greater", 0.25, is_computed=True)),
    "compare two computed numbers": Case(Compare("less_equal", is_computed=True), 2),
    "sign": Case(ApplyStep("sign")),
    "round": Case(ApplyStep("round")),
    "argmax": Case(ArgMax(2)),
    "argmin over the time": Case(ArgMax(1, keepdims=True, is_least=True)),
    "hard shrink": Case(KeepBeyond(0.5, is_of_size=True)),
    "threshold": Case(KeepBeyond(0.3, -1.5)),
    "relu with a threshold": Case(ThresholdedReLU(0.4)),
    "relu with a threshold and a slope": Case(ThresholdedReLU(0.4, 0.3, 1.5)),
    "vectors of computed ids": Case(OneHot(7, is_computed=True), shape=(2, 5), reads_ids=True),
    "choose by constants": Case(ChooseByConstants((1, 0, 0, 1, 1, 0), (6, 1), -1.5), shape=(2, 6, FEATURES)),
    "choose features": Case(ChooseByConstants((1, 0, 0, 1, 1, 0), (6,), 0.5, is_first=True)),
    "fill": Case(Fill(0.5)),
    "softmax without a mask": Case(ApplyAlong("softmax", 1)),
    "log softmax": Case(ApplyAlong("log_softmax", 2)),
    "running sum": Case(ApplyAlong("cumsum", 1)),
    "running sum of features": Case(ApplyAlong("cumsum", 2)),
    "sorted": Case(ApplyAlong("sort", 1)),
    "sorted features": Case(ApplyAlong("sort", 2)),
    "gated halves": Case(ApplyAlong("glu", 1), shape=(2, 6, FEATURES)),
    "gated halves of features": Case(ApplyAlong("glu", 2)),
    "unit vectors": Case(ApplyAlong("normalize", 2, 1e-7)),
    "variance": Case(Reduce("variance", (2,), keepdims=True)),
    "deviation over the time": Case(Reduce("deviation", (1,), keepdims=True)),
    "norm": Case(Reduce("norm", (2,), keepdims=True)),
    "log of a sum": Case(Reduce("log_sum_exp", (1, 2), keepdims=True)),
    "product of features": Case(Reduce("product", (2,), keepdims=True)),
    "range over the time": Case(Reduce("range", (1,), keepdims=False)),
    "differences over the time": Case(ApplyAlong("differences", 1)),
    "log of two exponentials": Case(CombineTensors("log_add_exp"), 2),
    "sum of a row": Case(Reduce("sum", (1, 2), keepdims=False)),
    "constants of positions": Case(CombineConstants("add", draw(6, FEATURES), is_first=True), shape=(2, 6, FEATURES)),
    "repeated": Case(Rearrange("repeat", 2, 3)),
    "tiled": Case(Rearrange("tile", 1, 2)),
    "rolled": Case(Rearrange("roll", 1, 1)),
    "places": Case(TakePlaces(2, (3, -1, 0, 3))),
    "padded": Case(Pad(2, 1, 2, 0.5)),
    "product with a matrix": Case(MultiplyMatrix(draw(FEATURES, 3))),
    "product of a matrix": Case(MultiplyMatrix(draw(4, 6), is_first=True), shape=(2, 6, FEATURES)),
    "product of tensors": Case(MultiplyTensors(), 2, shape=(2, 6, FEATURES)),
    "einsum": Case(Einsum("btd", "bsd", "bts"), 2),
    "einsum of rows": Case(Einsum("btd", "btd", "bd"), 2),
    "einsum, outer": Case(Einsum("btd", "bts", "btds"), 2),
    "last position": Case(LastPosition()),
    "embedding": Case(Embedding(draw(VOCABULARY, 3), mask_zero=False), shape=(2, 5), reads_ids=True),
    "embedding, masked": Case(Embedding(draw(VOCABULARY, 3), mask_zero=True), shape=(2, 5), reads_ids=True),
}

# Maps a name to the class, the number of its gates and its settings.
CELLS: dict[str, tuple[type[LSTM | GRU], int, dict[str, Any]]] = {
    "lstm": (LSTM, 4, {}),
    "gru": (GRU, 3, {}),
    "gru, reset before": (GRU, 3, {"reset_after": False}),
}


def draw_cell(name: str, inputs: int, units: int, seed: int = 0, **settings: Any) -> LSTM | GRU:
    """Draws a cell with random float32 weights."""
    kind, gates, own = CELLS[name]
    rng = np.random.default_rng(seed)
    bias_shape = (2, gates * units) if own.get("reset_after", kind is GRU) else (gates * units,)

    def draw(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32).astype(np.float64)

    values = {"activation": "tanh", "return_sequences": True, **own, **settings}
    return kind(draw(inputs, gates * units), draw(units, gates * units), draw(*bias_shape), **values)


RECURRENT_LAYERS: dict[str, RecurrentLayer] = {
    "simple": SimpleRNN(draw(FEATURES, 4), draw(4, 4), draw(4), "tanh", return_sequences=True),
    "simple, last": SimpleRNN(draw(FEATURES, 4), draw(4, 4), draw(4), "tanh", return_sequences=False),
    "simple, backwards": SimpleRNN(
        draw(FEATURES, 4), draw(4, 4), draw(4), "relu", return_sequences=True, go_backwards=True
    ),
    **{name: draw_cell(name, FEATURES, 4) for name in CELLS},
    "images": ConvLSTM(
        draw(2, 2, 1, 8), draw(2, 2, 2, 8), draw(8), "tanh", return_sequences=True, image=(3, 2), padding="same"
    ),
    "images of one row": ConvLSTM(
        draw(1, 2, 1, 4),
        draw(1, 2, 1, 4),
        draw(4),
        "relu",
        return_sequences=False,
        go_backwards=True,
        image=(1, 6),
        dilations=(1, 3),
    ),
    "simple, gelu": SimpleRNN(draw(FEATURES, 4), draw(4, 4), draw(4), "gelu", return_sequences=True),
    **{f"{name}, softmax": draw_cell(name, FEATURES, 4, recurrent_activation="softmax") for name in CELLS},
    **{f"{name}, silu": draw_cell(name, FEATURES, 4, activation="silu") for name in CELLS},
}

# These are drawn last, so that the others keep their numbers.
LAYERS |= {
    "transposed convolution": Case(Conv1DTranspose(draw(3, 4, FEATURES), draw(4), "tanh", 2)),
    "transposed convolution, cut": Case(Conv1DTranspose(draw(3, 4, FEATURES), draw(4), "relu", 2, is_padded=True)),
    "transposed convolution, longer": Case(Conv1DTranspose(draw(2, 4, FEATURES), draw(4), "linear", 3, added=2)),
    "image, transposed convolution": Case(
        Conv2DTranspose(draw(3, 2, 4, 2), draw(4), "gelu", (2, 1), is_padded=True), shape=IMAGES
    ),
    "image, transposed convolution, longer": Case(
        Conv2DTranspose(draw(2, 2, 3, 2), draw(3), strides=(3, 2), added=(1, 0)), shape=IMAGES
    ),
    "image up sampling": Case(UpSampling2D((2, 3)), shape=IMAGES),
    "adaptive average pooling": Case(AdaptivePooling1D("average", 3)),
    "adaptive max pooling": Case(AdaptivePooling1D("maximum", 4)),
    "adaptive image pooling": Case(AdaptivePooling2D("average", (2, 2)), shape=IMAGES),
    "adaptive image max pooling": Case(AdaptivePooling2D("maximum", (3, 4)), shape=IMAGES),
    "einsum dense": Case(EinsumDense(draw(FEATURES, 2, 3), draw(2, 3), "tanh", "btd", "dhe", "bthe")),
    "einsum dense over the time": Case(
        EinsumDense(draw(3, 6), draw(3), "linear", "btd", "st", "bds"), shape=(2, 6, FEATURES)
    ),
    "einsum dense, a matrix each": Case(EinsumDense(draw(FEATURES, 3), np.array([-0.75]), "relu", "btd", "de", "btde")),
    "division by the deviation": Case(DeviationNormalization((2,), draw(FEATURES), 1e-3)),
    "division by the deviation of all": Case(
        DeviationNormalization((1, 2), draw(6, FEATURES), 1e-3), shape=(2, 6, FEATURES)
    ),
    "attention of pairs": Case(
        Attention(0.6, 2, "replace", pairs=(1, 0, 1, 1, 1, 0), pair_sizes=(1, 6)), 2, shape=(2, 6, FEATURES)
    ),
    "attention in a window": Case(Attention(0.6, 3, "remove", window=2), 2),
    "attention weights of pairs": Case(AttentionWeights(0.6, 1, "replace", has_pairs=True), 3, shape=(2, 6, FEATURES)),
}

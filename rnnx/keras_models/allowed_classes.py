"""Checks that the config of a model names only classes and operations of Keras that rnnx supports.

Keras creates every class and function that a config names, and its safe mode has been bypassed several times
(CVE-2025-1550, -8747, -9905, -9906, -49655; CVE-2026-1462). Therefore only the classes below are allowed; none
of them contains code or reads a file. A refusal names the layer and says what to use instead. Imports the standard
library only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from rnnx.errors import ModelError
from rnnx.keras_models.keras_2 import HARD_SIGMOID
from rnnx.keras_models.vocabularies import require_plain_vocabulary

# The layers of Keras that are known to compute and to do nothing else.
_LAYERS = frozenset(
    {
        "Activation", "ActivityRegularization", "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D",
        "AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "Add", "AdditiveAttention", "AlphaDropout",
        "Attention", "Average", "AveragePooling1D", "AveragePooling2D", "BatchNormalization",
        "Bidirectional", "CategoryEncoding", "Concatenate", "Conv1D", "Conv1DTranspose", "Conv2D",
        "Conv2DTranspose", "ConvLSTM1D", "ConvLSTM2D", "Cropping1D", "Cropping2D", "Dense",
        "DepthwiseConv1D", "DepthwiseConv2D", "Discretization", "Dot", "Dropout", "ELU", "EinsumDense",
        "Embedding", "Flatten", "GRU", "GRUCell", "GaussianDropout", "GaussianNoise",
        "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalMaxPooling1D", "GlobalMaxPooling2D",
        "GroupNormalization", "GroupQueryAttention", "Identity", "InputLayer", "IntegerLookup", "LSTM",
        "LSTMCell", "LayerNormalization", "LeakyReLU", "Masking", "MaxPooling1D", "MaxPooling2D",
        "Maximum", "Minimum", "MultiHeadAttention", "Multiply", "Normalization", "PReLU", "Permute",
        "RMSNormalization", "RNN", "RandomBrightness", "RandomContrast", "RandomFlip",
        "RandomRotation", "RandomTranslation", "RandomZoom", "ReLU", "RepeatVector", "Rescaling",
        "Reshape", "SeparableConv1D",
        "SeparableConv2D", "SimpleRNN", "SimpleRNNCell", "Softmax", "SpatialDropout1D",
        "SpatialDropout2D", "SpectralNormalization", "StackedRNNCells", "Subtract", "TimeDistributed",
        "UnitNormalization", "UpSampling1D", "UpSampling2D", "ZeroPadding1D", "ZeroPadding2D",
    }
)  # fmt: skip
# Operations between layers (`rnnx.keras_models.read_operations`). Keras 3 writes the computation of a mask into the
# file as such operations, too.
_OPERATIONS = frozenset(
    {
        "Abs", "Absolute", "Add", "All", "Amax", "Amin", "Any", "Append", "Arcsinh", "Arctan", "Argmax",
        "Argmin", "ArraySplit", "Average", "Cast", "Ceil", "Celu", "Clip", "Concatenate", "Conj", "Conjugate",
        "ConvertToTensor", "Copy", "Cos", "Cosh", "CountNonzero", "Cumsum", "Deg2rad", "Diff", "Divide", "Dot",
        "Dstack", "Einsum", "Elu", "Equal", "Erf", "Erfc", "Exp", "ExpandDims", "Expm1", "Fabs", "Flip",
        "Fliplr", "Floor", "FullLike", "Gelu", "GetItem", "Glu", "Greater", "GreaterEqual", "HardShrink",
        "HardSigmoid", "HardSilu", "HardTanh", "Hsplit", "Hstack", "LeakyRelu", "Less", "LessEqual", "Log",
        "Log10", "Log1p", "Log2", "LogSigmoid", "LogSoftmax", "Logaddexp", "LogicalAnd", "LogicalNot",
        "LogicalOr", "Logsumexp", "Matmul", "Max", "Maximum", "Mean", "Min", "Minimum", "Moments", "Moveaxis",
        "Multiply", "Negative", "Norm", "Normalize", "NotEqual", "OneHot", "OnesLike", "Pad", "Power", "Prod",
        "Ptp", "Rad2deg", "Real", "Reciprocal", "Relu", "Relu6", "Repeat", "Reshape", "Roll", "Round", "Rsqrt",
        "Selu", "Sigmoid", "Sign", "Silu", "Sin", "Sinh", "SoftShrink", "Softmax", "Softplus", "Softsign",
        "Sort", "SparsePlus", "SparseSigmoid", "Split", "Sqrt", "Square", "Squareplus", "Squeeze", "Stack",
        "Std", "StopGradient", "Subtract", "Sum", "Swapaxes", "Take", "TakeAlongAxis", "Tan", "Tanh",
        "TanhShrink", "Tensordot", "Threshold", "Tile", "Transpose", "Tril", "Triu", "TrueDivide", "Trunc",
        "Unstack", "Var", "Where", "ZerosLike",
    }
)  # fmt: skip
# An operation that `keras.activations.relu(x)` makes of its own.
_ACTIVATIONS = (("keras.src.activations.activations", "ReLU"),)
_TEXTS = "the model should read ids or numbers; build a model of the layers after it, and export that"
_HASHES = (
    "it hashes its input as text, which no operator of ONNX does; build a model of the layers after it, whose input is "
    "the hashed ids, and export that"
)
_OF_VOLUMES = (
    "rnnx has sequences and images, but no volumes; use layers of one or two dimensions, in a TimeDistributed if time "
    "is one of the three, and save the model again"
)
_AUGMENTS = "it changes images for training; build a model of the layers after it, and export that"
_OF_TENSORFLOW = "an operation of TensorFlow between layers; use layers of Keras instead, and save the model again"
_OF_FRAMEWORKS = (
    "its computation is code of another framework; replace it with layers of Keras, and save the model again"
)
_OF_IMAGES = "change the images before they are given to the model, and build a model of the layers after it"
_OF_SOUND = "compute the spectrum before the model, and give it to the model as an input"
_HASHES_SEVERAL = "compute the ids of the pairs before the model, and give them to the model as an input"
# What to do about a layer that stays unsupported.
_REMEDIES: Mapping[str, str] = {
    "Hashing": _HASHES,
    **dict.fromkeys(("StringLookup", "TextVectorization"), _TEXTS),
    **dict.fromkeys(("CenterCrop", "Resizing"), _OF_IMAGES),
    **dict.fromkeys(
        ("AugMix", "AutoContrast", "CutMix", "Equalization", "MixUp", "Pipeline", "RandAugment"), _AUGMENTS
    ),
    **dict.fromkeys(("RandomCrop", "Solarization"), _OF_IMAGES),
    **dict.fromkeys(("MelSpectrogram", "STFTSpectrogram"), _OF_SOUND),
    "HashedCrossing": _HASHES_SEVERAL,
    **dict.fromkeys(("JaxLayer", "FlaxLayer", "TFSMLayer", "TorchModuleWrapper"), _OF_FRAMEWORKS),
    "TensorFlowOpLayer": _OF_TENSORFLOW,
}
_JUMPS = "it jumps, so that rounding could decide between two results"
_WRONG_SPARSEMAX = "jumps, as it sums wrongly, so that rounding could decide; use softmax, and train the model again"
_IN_LAYER = "use the layer of Keras that does the same, and save the model again"
_OF_BATCH = "it joins or mixes rows of the batch; use ops.einsum, ops.matmul or ops.concatenate along another axis"
_BEFORE = "compute it before the model, and give it to the model as an input"
_OTHER_LAYER = (
    "it is a class of your own, whose code is not in the file, or a new one; replace it with layers of Keras that rnnx "
    "supports, and save the model again"
)
_OTHER_OPERATION = "replace it with operations that rnnx supports, and save the model again"
_VOLUMES = ("3D", "3DTranspose")
_NO_NUMBER = "replace what is not a number before the model reads it"
# What to do about an operation that stays unsupported.
_REMEDIES_OF_OPERATIONS: Mapping[str, str] = {
    **dict.fromkeys(("FloorDivide", "Mod", "Signbit"), f"{_JUMPS}; {_BEFORE}"),
    **dict.fromkeys(("Argsort", "InTopK"), f"{_JUMPS}; put out the numbers, and choose after that"),
    "Sparsemax": f"that of Keras 3 {_WRONG_SPARSEMAX}",
    **dict.fromkeys(("Median", "Quantile"), "use ops.sort(x, axis=axis), and take numbers at fixed places of it"),
    **dict.fromkeys(("BatchNorm", "Conv", "DepthwiseConv", "LayerNorm", "RMSNorm", "SeparableConv"), _IN_LAYER),
    **dict.fromkeys(("AveragePool", "DotProductAttention", "MaxPool"), _IN_LAYER),
    **dict.fromkeys(("Kron", "Outer", "Flipud", "Vdot", "Vstack", "Vsplit"), _OF_BATCH),
    "Inner": "use ops.matmul or ops.tensordot, and save the model again",
    **dict.fromkeys(("Isfinite", "Isinf", "Isnan", "NanToNum"), _NO_NUMBER),
    **dict.fromkeys(("Diagonal", "Trace"), "multiply by np.eye(n), and sum over an axis"),
    "TopK": "use ops.sort(x, axis=-1)[..., -k:], whose numbers are the k largest; the places of them jump",
    "BroadcastTo": "use ops.repeat or ops.tile, or an operation that repeats an axis of size 1 by itself",
    "Slice": "use x[:, 2:5], which keeps the batch",
}
# The other classes of Keras: models, parts of layers (by module), and classes without a module.
_MODELS = re.compile(r"keras(\.src(\.engine|\.models)?(\.functional|\.sequential)?|\.models)?")
_PARTS = re.compile(r"keras\.(src\.)?(initializers|regularizers|constraints|dtype_policies)(\.\w+)*")
_QUANTIZED = re.compile(r"keras\.(src\.)?(quantizers\.|(dtype_policies\.)+\w*Quantized)")
_PLAIN = ("__keras_tensor__", "__tensor__", "__tuple__", "__numpy__", "__slice__", "__ellipsis__")


def require_allowed_classes(config: Any) -> None:
    """Makes sure that Keras creates nothing but supported classes of its own from the config of a model.

    Raises:
        ModelError: If the config names anything else. The message names the first such class or function.
    """
    _check_model(config)
    _check_classes(config, "")


def is_own_part(setting: str, value: Any) -> bool:
    """Whether a setting of a layer is an initializer, a regularizer or a constraint of the user's.

    Args:
        setting: The name of the setting.
        value: Its value in the config.
    """
    if not (setting.endswith(("_initializer", "_regularizer", "_constraint")) and isinstance(value, dict)):
        return False
    module, class_name, registered = (value.get(key) for key in ("module", "class_name", "registered_name"))
    is_of_keras = module is None or (isinstance(module, str) and _PARTS.fullmatch(module))
    is_named = registered in (None, class_name) and ">" not in str(class_name)
    return class_name in ("function", "__lambda__") or not (is_of_keras and is_named)


def _check_model(config: Any) -> None:
    """Refuses a model that is a class of the user's."""
    name = config.get("class_name") if isinstance(config, dict) else None
    if isinstance(name, str) and name not in ("Sequential", "Functional", "Model"):
        inner = config.get("config")
        remedy = (
            "build the same layers as a keras.Sequential or a keras.Model(inputs, outputs), copy the weights with "
            "set_weights, and save that"
        )
        if isinstance(inner, dict) and "layers" in inner:
            # It was made as a functional model or a Sequential is, and has its own class for its training, say.
            remedy = "unless it has a call of its own, save keras.Model(model.inputs, model.outputs)"
        raise ModelError(f"the model is of the class {name!s:.60}, whose code is not in the file; {remedy}")


def _check_classes(value: Any, layer: str) -> None:
    """Checks every class in a config that Keras would create; `layer` is the name of the innermost enclosing layer."""
    if isinstance(value, list):
        for item in value:
            _check_classes(item, layer)
    if not isinstance(value, dict):
        return
    if "class_name" in value:
        config = value.get("config")
        name = config.get("name") if isinstance(config, dict) else None
        layer = name if isinstance(name, str) else layer
        _check_class(value, layer)
    for key, item in value.items():
        if key != "compile_config":
            _check_classes(item, layer)


def _check_class(value: dict[str, Any], layer: str) -> None:
    module, class_name, registered = (value.get(key) for key in ("module", "class_name", "registered_name"))
    where = f"layer {layer!r:.60}: " if layer else ""
    if "Lambda" in (class_name, registered) or class_name == "__lambda__":
        raise ModelError(
            f"{where}a Lambda contains code from the author of the file, and is not loaded; replace it with layers of "
            "Keras, and save the model again"
        )
    if {key: value.get(key) for key in HARD_SIGMOID} == HARD_SIGMOID:
        return
    is_named = isinstance(class_name, str) and isinstance(module, str | None) and registered in (None, class_name)
    if not is_named or not isinstance(class_name, str) or ">" in class_name:
        shown = registered if isinstance(registered, str) else class_name
        raise ModelError(
            f"{where}its class, {shown!s:.60}, is not a class of Keras, and its code is not in the file; replace it "
            "with layers of Keras, and save the model again"
        )
    if module is None and class_name in _PLAIN:
        return
    if class_name == "function":
        raise ModelError(
            f"{where}its function {value.get('config')!s:.60} is not one of Keras, and its code is not in the file; "
            "set the activation of the layer to one of keras.activations, and save the model again"
        )
    if _QUANTIZED.match(f"{module}.{class_name}"):
        raise ModelError(f"{where}it is quantized; export the model as it was before model.quantize()")
    if (module, class_name) in _ACTIVATIONS:
        return
    if (module or "").startswith("keras.src.ops."):
        if class_name not in _OPERATIONS:
            remedy = _REMEDIES_OF_OPERATIONS.get(class_name, _OTHER_OPERATION)
            raise ModelError(f"{where}the operation {class_name!s:.60} is not supported; {remedy}")
        return
    if module == "keras.layers" or (module or "").startswith("keras.src.layers."):
        if class_name not in _LAYERS:
            remedy = _REMEDIES.get(class_name, _OF_VOLUMES if class_name.endswith(_VOLUMES) else _OTHER_LAYER)
            raise ModelError(f"{where}{class_name!s:.60} is of an unsupported class; {remedy}")
        require_plain_vocabulary(class_name, value.get("config"), where)
        return
    is_model = class_name in ("Sequential", "Functional", "Model", "DTypePolicy") and _MODELS.fullmatch(module or "")
    if not is_model and not (_PARTS.fullmatch(module or "") and class_name.isidentifier() and class_name[0].isupper()):
        described = f"{module or 'no module'!s:.60}, {class_name!s:.60}"
        raise ModelError(
            f"{where}{described}: code from outside the layers of Keras is not loaded; replace it with layers of "
            "Keras, and save the model again"
        )

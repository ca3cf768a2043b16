"""Checks a `.keras` file, or the config of another file, before Keras reads it, and removes what Keras does not need.

Keras creates every class and function that the file names, and its safe mode has been bypassed several times
(CVE-2025-1550, -8747, -9905, -9906, -49655; CVE-2026-1462). Therefore only classes of Keras itself are allowed here,
and of its layers only those that rnnx supports; none of them contains code or reads a file. Weights must be arrays in
the file itself. Imports h5py, which comes with Keras, but neither Keras nor TensorFlow.
"""

from __future__ import annotations

import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Mapping
from typing import Any

from rnnx.errors import ModelError, one_line
from rnnx.keras_models.hdf5_checks import MAX_WEIGHT_BYTES, open_hdf5
from rnnx.keras_models.keras_2 import HARD_SIGMOID, is_keras_2, to_keras_3
from rnnx.keras_models.model_parts import CONFIG, METADATA, WEIGHTS, ModelParts, pack
from rnnx.keras_models.vocabularies import MOST_BYTES, is_vocabulary, put_vocabularies, require_plain_vocabulary
from rnnx.strict_json import parse_json

# The largest float32.
_LARGEST_NUMBER = 3.4028234663852886e38
# The largest config of the tests has 0.1 MB. The limit of the weights is that of an `.onnx` file.
MAX_BYTES = {CONFIG: 1 << 24, METADATA: 1 << 20, WEIGHTS: MAX_WEIGHT_BYTES}
# The errors that a damaged file causes. zipfile raises RuntimeError for an encrypted member or an unknown compression,
# and ValueError for an invalid header. Names and JSON that are not UTF-8 raise ValueError too.
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, ValueError)
# Of lists and objects in the config; a model in a model in a model has 20. Keras itself calls functions for each level.
_MAX_LEVELS = 100

# The classes of Keras that are known to compute and to do nothing else: layers, models, parts of layers (by module),
# and classes without a module.
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
    **dict.fromkeys(
        ("Isfinite", "Isinf", "Isnan", "NanToNum"), "replace what is not a number before the model reads it"
    ),
    **dict.fromkeys(("Diagonal", "Trace"), "multiply by np.eye(n), and sum over an axis"),
    "TopK": "use ops.sort(x, axis=-1)[..., -k:], whose numbers are the k largest; the places of them jump",
    "BroadcastTo": "use ops.repeat or ops.tile, or an operation that repeats an axis of size 1 by itself",
    "Slice": "use x[:, 2:5], which keeps the batch",
}
# What only training needs. Keras stores the sum of a kernel and its LoRA weights as the kernel.
_OF_TRAINING = ("compile_config", "lora_rank", "lora_alpha")
_NOT_FINITE = re.compile(rb"[:\[,]\s*(-?Infinity|NaN)\s*[,\]}]")
_MODELS = re.compile(r"keras(\.src(\.engine|\.models)?(\.functional|\.sequential)?|\.models)?")
_PARTS = re.compile(r"keras\.(src\.)?(initializers|regularizers|constraints|dtype_policies)(\.\w+)*")
_QUANTIZED = re.compile(r"keras\.(src\.)?(quantizers\.|(dtype_policies\.)+\w*Quantized)")
_PLAIN = ("__keras_tensor__", "__tensor__", "__tuple__", "__numpy__", "__slice__", "__ellipsis__")


def clean_keras_file(data: bytes, name: str) -> bytes:
    """Checks a `.keras` file of Keras 3, and packs the needed parts of it again.

    Args:
        data: The content of the file.
        name: The name of the file, for the message.

    Returns:
        A `.keras` file with the same model, without its optimizer, loss and metrics, which may be functions of the
        user.

    Raises:
        ModelError: If the file is not a `.keras` file, or contains anything that Keras must not load. The message names
            the first such part.
    """
    parts = read_keras_file(data, name)
    return pack(parts.config, parts.weights)


def read_keras_file(data: bytes, name: str) -> ModelParts:
    """Reads and checks a `.keras` file of Keras 3 or Keras 2; see `clean_keras_file`."""
    try:
        members, vocabularies, others = _unpack(data)
        metadata = parse_json(members[METADATA])
        version = metadata.get("keras_version") if isinstance(metadata, dict) else None
        version = version if isinstance(version, str) else None
        config = read_config(members[CONFIG], version)
        _require_no_others(others)  # a layer with files of its own is the better reason
        put_vocabularies(config, vocabularies)
        with open_hdf5(members[WEIGHTS], f"its {WEIGHTS}"):
            pass  # every array was checked
    except ModelError as error:
        raise ModelError(f"{name}: {error}") from error
    except _DAMAGE as error:
        raise ModelError(f"{name}: the file is damaged, or is not a .keras file ({one_line(error, 200)})") from error
    is_old = is_keras_2(version)
    return ModelParts(config, members[WEIGHTS], version, original=None if is_old else data)


def _unpack(data: bytes) -> tuple[dict[str, bytes], dict[str, bytes], list[str]]:
    """Returns the needed members of the zip file, the vocabularies of its layers, and the names of all others."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = [entry for entry in archive.infolist() if entry.filename in MAX_BYTES]
        if sorted(entry.filename for entry in entries) != sorted(MAX_BYTES):
            problem = "lacks one of them, or contains one twice"
            raise ModelError(f"the file should contain {', '.join(MAX_BYTES)}, but {problem}")
        for entry in entries:
            if entry.file_size > MAX_BYTES[entry.filename]:
                limit = MAX_BYTES[entry.filename] >> 20
                raise ModelError(
                    f"its {entry.filename} unpacks to {entry.file_size:,} bytes; at most {limit} MB are supported"
                )
        members = {entry.filename: archive.read(entry) for entry in entries}  # reads no more than is declared
        vocabularies = {
            entry.filename: archive.read(entry)
            for entry in archive.infolist()
            if is_vocabulary(entry.filename) and entry.file_size <= MOST_BYTES
        }
        known = members.keys() | vocabularies.keys()
        return members, vocabularies, [name for name in archive.namelist() if name not in known]


def _require_no_others(others: list[str]) -> None:
    if others:
        raise ModelError(f"the file should contain {', '.join(MAX_BYTES)}, but contains {others[0]!r:.60} too")


def read_config(text: bytes | str, version: str | None) -> dict[str, Any]:
    """Reads and checks the config of a model.

    Args:
        text: The JSON text.
        version: The version of Keras that wrote it, if it is known.

    Returns:
        The config as Keras 3 writes it, without the optimizer, loss and metrics.

    Raises:
        ModelError: If it contains anything that Keras must not load. The message names the first such part.
        ValueError: If it is not JSON.
    """
    if len(text) > MAX_BYTES[CONFIG]:
        limit = MAX_BYTES[CONFIG] >> 20
        raise ModelError(f"its config has {len(text):,} bytes; at most {limit} MB are supported")
    data = text.encode() if isinstance(text, str) else text
    try:
        config = parse_json(data)
    except ValueError as error:
        if (found := _NOT_FINITE.search(data)) is None:
            raise
        raise ModelError(
            f"a setting of a layer or an operation is {found[1].decode()}, which is not supported; use a finite "
            "number, or ops.max(ops.abs(x), axis) for ops.norm(x, ord=inf)"
        ) from error
    _check_depth(config)
    if is_keras_2(version) or _lacks_modules(config):
        config = to_keras_3(config, version)
    _check_model(config)
    _check_classes(config, "")
    _check_is_built(config)
    cleaned: dict[str, Any] = _without_compilation(config)
    _check_numbers(cleaned)
    return cleaned


def _check_numbers(config: Any) -> None:
    """Makes sure that float32 can hold every number of a config: Keras would compute with an infinity."""
    level = [config]
    while level:
        for value in level:
            if isinstance(value, float) and abs(value) > _LARGEST_NUMBER:
                raise ModelError(
                    f"a setting of a layer or an operation is {value:g}, which float32 cannot hold; use a smaller "
                    "number, such as 1e38"
                )
        lists = [
            value.values() if isinstance(value, dict) else value for value in level if isinstance(value, dict | list)
        ]
        level = [value for values in lists for value in values]


def _lacks_modules(config: Any) -> bool:
    return isinstance(config, dict) and "class_name" in config and "module" not in config


def _check_depth(config: Any) -> None:
    level, depth = [config], 0
    while level := [value for value in level if isinstance(value, list | dict)]:
        if (depth := depth + 1) > _MAX_LEVELS:
            raise ModelError(
                f"its {CONFIG} has layers in layers, or lists in lists, more than {_MAX_LEVELS} levels deep"
            )
        level = [item for value in level for item in (value.values() if isinstance(value, dict) else value)]


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


def _check_model(config: Any) -> None:
    """Refuses a model that is a class of the user's."""
    name = config.get("class_name") if isinstance(config, dict) else None
    if isinstance(name, str) and name not in ("Sequential", "Functional", "Model"):
        raise ModelError(
            f"the model is of the class {name!s:.60}, whose code is not in the file; build the same layers as a "
            "keras.Sequential or a keras.Model(inputs, outputs), copy the weights with set_weights, and save that"
        )


def _check_is_built(config: Any) -> None:
    """Refuses a Sequential that was saved before it knew its input."""
    model, is_built = config, False
    while isinstance(model, dict) and model.get("class_name") == "Sequential" and not is_built:
        inner = model.get("config")
        settings = inner if isinstance(inner, dict) else {}
        is_built = bool(settings.get("build_input_shape") or model.get("build_config"))
        layers = settings.get("layers")
        model = layers[0] if isinstance(layers, list) and layers else None
    if not is_built and not (isinstance(model, dict) and model.get("class_name") in ("InputLayer", "Functional")):
        raise ModelError(
            "the Sequential was saved before it knew the shape of its input; put keras.Input((None, features)), or "
            'keras.Input((None,), dtype="int32") for ids, in front of its layers, and save it again'
        )


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
            "use an activation of Keras, and save the model again"
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


def _without_compilation(value: Any) -> Any:
    """Returns a config without what only training needs; constants of operations become arrays of NumPy.

    A constant that is a tensor of TensorFlow, as `ops.sqrt(4.0)` is, would be an input of the exported file.
    """
    if isinstance(value, list):
        return [_without_compilation(item) for item in value]
    if isinstance(value, dict):
        cleaned = {key: _without_compilation(item) for key, item in value.items() if key not in _OF_TRAINING}
        return {**cleaned, "class_name": "__numpy__"} if cleaned.get("class_name") == "__tensor__" else cleaned
    return value

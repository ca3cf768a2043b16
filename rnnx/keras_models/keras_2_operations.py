"""Turns the operations between layers of older files into those that a `.keras` file of Keras 3 has.

An `.h5` file of Keras 3 names them without their modules, so that Keras itself cannot load it. Keras 2 made a
`SlicingOpLambda` of `x[:, -1]`, and a `TFOpLambda` of `x + y` or a function of TensorFlow: layers that name the
function. Those with an equal in Keras are in the table below. Imports the standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rnnx.errors import ModelError
from rnnx.keras_models.keras_2_calls import Config, tensor_of

OPERATION_LAYERS = ("SlicingOpLambda", "TFOpLambda")
_REMEDY = "use layers of Keras instead, and save the model again"

# The modules of operations in Keras 3. All others are in `keras.src.ops.numpy`.
_NUMPY = "keras.src.ops.numpy"
_MODULES: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "Celu", "Elu", "Gelu", "Glu", "HardShrink", "HardSigmoid", "HardSilu", "HardTanh", "LeakyRelu",
            "LogSigmoid", "LogSoftmax", "Moments", "Normalize", "OneHot", "Relu", "Relu6", "Selu", "Sigmoid",
            "Silu", "SoftShrink", "Softmax", "Softplus", "Softsign", "SparsePlus", "SparseSigmoid",
            "Squareplus", "TanhShrink", "Threshold",
        ),
        "keras.src.ops.nn",
    ),
    **dict.fromkeys(("Erf", "Erfc", "Logsumexp", "Rsqrt"), "keras.src.ops.math"),
    **dict.fromkeys(("Cast", "ConvertToTensor", "StopGradient", "Unstack"), "keras.src.ops.core"),
    "Norm": "keras.src.ops.linalg",
}  # fmt: skip
# Functions of TensorFlow that a TFOpLambda names, each with the operation of Keras 3 that computes the same, and the
# names of their settings in both. A setting of None is not needed.
_REDUCES: Mapping[str, str | None] = {"axis": "axis", "keepdims": "keepdims", "name": None}
_NAMED: Mapping[str, str | None] = {"name": None}
_ALONG: Mapping[str, str | None] = {"axis": "axis", "name": None}
_FUNCTIONS: Mapping[str, tuple[str, Mapping[str, str | None]]] = {
    "__operators__.add": ("Add", _NAMED),
    "math.add": ("Add", _NAMED),
    "math.subtract": ("Subtract", _NAMED),
    "math.multiply": ("Multiply", _NAMED),
    "math.truediv": ("Divide", _NAMED),
    "math.divide": ("Divide", _NAMED),
    "math.maximum": ("Maximum", _NAMED),
    "math.minimum": ("Minimum", _NAMED),
    "math.negative": ("Negative", _NAMED),
    "math.abs": ("Absolute", _NAMED),
    "math.exp": ("Exp", _NAMED),
    "math.log": ("Log", _NAMED),
    "math.sqrt": ("Sqrt", _NAMED),
    "math.square": ("Square", _NAMED),
    "math.tanh": ("Tanh", _NAMED),
    "math.sigmoid": ("Sigmoid", _NAMED),
    "nn.relu": ("Relu", _NAMED),
    "nn.softmax": ("Softmax", _ALONG),
    "math.reduce_mean": ("Mean", _REDUCES),
    "math.reduce_sum": ("Sum", _REDUCES),
    "math.reduce_max": ("Max", _REDUCES),
    "math.reduce_min": ("Min", _REDUCES),
    "expand_dims": ("ExpandDims", _ALONG),
    "squeeze": ("Squeeze", _ALONG),
    "compat.v1.squeeze": ("Squeeze", _ALONG),
    "transpose": ("Transpose", {"perm": "axes", "conjugate": None, "name": None}),
    "compat.v1.transpose": ("Transpose", {"perm": "axes", "conjugate": None, "name": None}),
    "concat": ("Concatenate", _ALONG),
    "stack": ("Stack", _ALONG),
    "linalg.matmul": ("Matmul", {"transpose_a": None, "transpose_b": None, "name": None}),
    "math.equal": ("Equal", {"incompatible_shape_error": None, "name": None}),
    "math.not_equal": ("NotEqual", {"incompatible_shape_error": None, "name": None}),
    "cast": ("Cast", {"dtype": "dtype", "name": None}),
    "reshape": ("Reshape", {"shape": "newshape", "name": None}),
}
# Arguments by name that are operands.
_OPERANDS = ("y", "b")


def module_of_operation(name: str) -> str:
    """Returns the module of an operation of Keras 3."""
    return _MODULES.get(name, _NUMPY)


def convert_operation(value: Config) -> list[Config]:
    """Converts a `SlicingOpLambda` or a `TFOpLambda` of Keras 2 with its calls.

    Returns:
        The operation, with its name, at the end; before it, those whose results it reads: a matrix that
        `tf.matmul(a, b, transpose_b=True)` transposes is transposed by an operation of its own.

    Raises:
        ModelError: If it has no equal in the table, is called several times, or with something that is no number.
    """
    config, calls = value["config"], value.get("inbound_nodes", [])
    where, function = f"layer {config['name']!r:.60}: ", config.get("function")
    if len(calls) != 1:
        raise ModelError(f"{where}an operation of TensorFlow that is not called once; {_REMEDY}")
    entries, settings = _read_call(calls[0])
    if function == "__operators__.getitem":
        class_name, converted = "GetItem", {}
        args = [entries[0], [_item(item) for item in settings.pop("slice_spec")]]
    elif function in _FUNCTIONS:
        class_name, names = _FUNCTIONS[function]
        operands = [_operand(settings.pop(name)) for name in _OPERANDS if name in settings]
        is_joining = class_name in ("Concatenate", "Stack")
        args = [entries] if is_joining else [*entries, *operands]
        # None is the default of TensorFlow, and so is no setting in Keras 3, whose Softmax of None is over all axes.
        converted = {new: settings[old] for old, new in names.items() if new and settings.get(old) is not None}
        unknown = [key for key in settings if key not in names]
        if unknown:
            raise ModelError(f"{where}an operation of TensorFlow, {function!s:.60} with {unknown[0]!s:.30}; {_REMEDY}")
    else:
        raise ModelError(f"{where}an operation of TensorFlow between layers, {function!s:.60}; {_REMEDY}")
    before = []
    for i, side in enumerate(("transpose_a", "transpose_b")):
        if settings.get(side):
            if not (i < len(args) and isinstance(args[i], dict)):
                raise ModelError(
                    f"{where}an operation of TensorFlow, {function!s:.60} of a transposed constant; {_REMEDY}"
                )
            name = f"{config['name']}_{side}"
            before.append(_operation(name, "Swapaxes", {"axis1": -2, "axis2": -1}, [args[i]]))
            args[i] = tensor_of([name, 0, 0])
    return [*before, _operation(value["name"], class_name, {"name": config["name"], **converted}, args)]


def _operation(name: str, class_name: str, settings: Config, args: list[Any]) -> Config:
    """Returns an operation with its only call, as Keras 3 writes it."""
    return {
        "module": module_of_operation(class_name),
        "class_name": class_name,
        "config": {"name": name, **settings},
        "registered_name": class_name,
        "name": name,
        "inbound_nodes": [{"args": args, "kwargs": {}}],
    }


def _read_call(call: list[Any]) -> tuple[list[Any], Config]:
    """Returns the operands of a call, and its arguments by name.

    Keras 2 writes `["lstm", 0, 0, {"axis": 1}]`, a list of such entries, or a constant in place of the layer.
    """
    entries = call if isinstance(call[0], list) else [call]
    settings: Config = {}
    for entry in entries:
        settings.update(entry[3] if len(entry) == 4 else {})
    return [_operand(entry[:3]) for entry in entries], settings


def _operand(value: Any) -> Any:
    """Converts an operand: a tensor `["lstm", 0, 0]`, a constant `["_CONSTANT_VALUE", -1, 2.0]`, or a number."""
    if not isinstance(value, list):
        return value
    if value[0] == "_CONSTANT_VALUE":
        return value[2]
    return tensor_of(value)


def _item(item: Any) -> Any:
    """Converts a part of an index: a slice, an ellipsis, a number, or None for a new axis."""
    if not isinstance(item, dict):
        return item
    if "class_name" in item:
        return {"class_name": "__ellipsis__", "config": {}}
    return {"class_name": "__slice__", "config": {key: item[key] for key in ("start", "stop", "step")}}

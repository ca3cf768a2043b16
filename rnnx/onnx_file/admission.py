"""Decides whether an `.onnx` file of unknown origin may be loaded.

Only files like those that rnnx writes are admitted. The decision is made from the bytes, before onnxruntime or protobuf
sees them. Refused are:

- data outside the file, functions, training information, other domains, operator sets and IR versions;
- operators that rnnx never writes, so no `Loop` and no `If`;
- graphs nested deeper than the body of a Scan;
- tensors whose bytes do not match their declared shape;
- constants that become much larger than the file as soon as onnxruntime loads it.

The check does not cover what an admitted graph computes: it may be slow, need much memory, or be wrong. `rnnx verify`
says whether it is what was proved. Imports the standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path

from rnnx.errors import ModelError
from rnnx.onnx_file.constant_sizes import MAX_INTEGER, MAX_NUMBERS, Constant, bound_result
from rnnx.onnx_file.wire import Message, read_model

# 1 GB, enough for an embedding of a million words in 256 float32 numbers. The shipped files have 1 to 8 MB.
MAX_MODEL_BYTES = 1 << 30

IR_VERSION, OPSET = 8, 13
_DOMAINS = ("", "ai.onnx")
# The operators that rnnx writes for the layers that it supports. The tests export each layer and load it through this
# check.
OPERATORS = frozenset(
    {
        "Abs", "Add", "And", "ArgMax", "ArgMin", "Asinh", "Atan", "AveragePool", "Cast", "Ceil", "Clip",
        "Concat", "Conv", "ConvTranspose", "Cos", "Cosh", "CumSum", "Div", "Elu", "Equal", "Erf", "Exp",
        "Expand", "Floor", "GRU", "Gather", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "Greater",
        "GreaterOrEqual", "HardSigmoid", "Identity", "IsInf", "IsNaN", "LSTM", "LeakyRelu", "Less",
        "LessOrEqual", "Log", "LogSoftmax", "MatMul", "Max", "MaxPool", "Min", "Mod", "Mul", "Neg", "NonZero",
        "Not", "Or", "Pad", "Pow", "RNN", "Range", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceMin",
        "ReduceProd", "ReduceSum", "Relu", "Reshape", "ReverseSequence", "Round", "Scan", "ScatterElements",
        "Selu", "Shape", "Sigmoid", "Sign", "Sin", "Sinh", "Size", "Slice", "Softmax", "Softplus", "Softsign",
        "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tan", "Tanh", "ThresholdedRelu", "Tile", "TopK", "Transpose",
        "Unsqueeze", "Where",
    }
)  # fmt: skip
# Bytes per number of each ONNX data type: float32, uint8, int8, uint16, int16, int32, int64, bool, float16, float64.
_SIZES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8}
# The data types int32 and int64, with their format in `memoryview.cast`.
_INTEGERS = {6: "i", 7: "q"}

_MAX_NODES = 20_000  # the largest graph of the tests has 634
_MAX_RANK = 8
_MAX_PROPERTIES, _MAX_PROPERTY_BYTES = 64, 1 << 22

_RECURRENT = ("RNN", "LSTM", "GRU")
# The index of each operator's first optional input that may be missing although others follow it.
_FIRST_OPTIONAL_INPUT = {**dict.fromkeys(_RECURRENT, 3), "Clip": 1, "Pad": 2, "Slice": 3}
# The index of each operator's input that sets the size of its output.
_SIZE_INPUT = {"Expand": 1, "Pad": 1, "Reshape": 1, "Tile": 1}


class AdmittedModel(bytes):
    """The content of an `.onnx` file that may be loaded. It cannot change, so it is not checked again.

    Only `admit` makes one.
    """

    __slots__ = ()


def admit(data: bytes) -> AdmittedModel:
    """Makes sure that a file may be loaded, and marks its content, so that it is checked once only.

    Args:
        data: The content of the file.

    Returns:
        The same content.

    Raises:
        ModelError: As `require_admissible`.
    """
    if isinstance(data, AdmittedModel):
        return data
    require_admissible(data)
    return AdmittedModel(data)


def require_admissible(data: bytes) -> None:
    """Makes sure that a file may be loaded.

    Args:
        data: The content of the file. An `AdmittedModel` was checked already.

    Raises:
        ModelError: If the file may not be loaded, or is not an ONNX model. The message gives the first reason, without
            the name of the file.
    """
    if isinstance(data, AdmittedModel):
        return
    if len(data) > MAX_MODEL_BYTES:
        raise ModelError(f"the file is larger than {MAX_MODEL_BYTES >> 20} MB")
    model = read_model(data)
    if "graph" not in model:
        raise ModelError("not an ONNX model: it has no graph")
    _check_header(model)
    _check_graph(model["graph"], {})


def require_loadable(path: Path, data: bytes) -> bytes:
    """Makes sure that a file may be loaded if its name ends in `.onnx`; other files are not checked.

    Args:
        path: The path of the file.
        data: The content of the file.

    Returns:
        The same content; an `AdmittedModel` for an `.onnx` file.

    Raises:
        ModelError: If the file may not be loaded. The message names the file.
    """
    if path.suffix != ".onnx":
        return data
    try:
        return admit(data)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _check_header(model: Message) -> None:
    """Checks the versions and the metadata."""
    if model.get("ir_version") != IR_VERSION:
        raise ModelError(f"IR version {model.get('ir_version')} is not supported; files of rnnx have {IR_VERSION}")
    opsets = [(opset.get("domain", ""), opset.get("version")) for opset in model.get("opset_import", ())]
    if len(opsets) != 1 or opsets[0][0] not in _DOMAINS or opsets[0][1] != OPSET:
        found = ", ".join(f"{domain or 'ai.onnx'!r:.60} {version}" for domain, version in opsets[:3]) or "none"
        raise ModelError(f"imported operator sets: {found}; files of rnnx import ai.onnx {OPSET} only")
    properties = model.get("metadata_props", ())
    keys = {entry.get("key", "") for entry in properties}
    if len(keys) != len(properties) or len(keys) > _MAX_PROPERTIES:
        raise ModelError(f"{len(properties)} entries of metadata; at most {_MAX_PROPERTIES} different ones are allowed")
    if any(len(entry.get("value", "")) > _MAX_PROPERTY_BYTES for entry in properties):
        raise ModelError(f"a metadata entry is larger than {_MAX_PROPERTY_BYTES >> 20} MB")


def _check_graph(graph: Message, outer: Mapping[str, Constant]) -> None:
    """Checks a graph and the bodies in it.

    Args:
        graph: A GraphProto.
        outer: The constants of the enclosing graph, by name; a body may read them.
    """
    nodes, tensors = graph.get("node", []), graph.get("initializer", [])
    if max(len(nodes), len(tensors)) > _MAX_NODES:
        raise ModelError(f"a graph has more than {_MAX_NODES:,} nodes or tensors")
    for value in (*graph.get("input", ()), *graph.get("output", ())):
        _check_port(value)
    for node in nodes:
        _check_node(node)
    own = {tensor.get("name", ""): _read_tensor(tensor) for tensor in tensors}
    _check_integers(nodes, own)
    inputs = {value.get("name", "") for value in graph.get("input", ())}
    # An input is not constant, even if an initializer of the same name gives it a default value.
    known = {name: constant for name, constant in {**outer, **own}.items() if name not in inputs}
    for node in nodes:
        for attribute in node.get("attribute", ()):
            if "g" in attribute:
                _check_graph(attribute["g"], known)
        operands = [known.get(name) for name in node.get("input", ()) if name]
        constants = [operand for operand in operands if operand is not None]
        # onnxruntime computes a node whose inputs are all constant while it loads the file.
        if constants and len(constants) == len(operands):
            known |= dict.fromkeys(node.get("output", ()), bound_result(node, constants))


def _check_port(value: Message) -> None:
    """Checks the declared shape of an input or output."""
    tensor = value.get("type", {}).get("tensor_type", {})
    sizes = [size["dim_value"] for size in tensor.get("shape", {}).get("dim", ()) if "dim_value" in size]
    if len(sizes) > _MAX_RANK or any(size < 0 for size in sizes) or prod(sizes) > MAX_NUMBERS:
        raise ModelError(f"{value.get('name', '')!r:.60} has an unsupported shape, {sizes!r:.80}")


def _check_node(node: Message) -> None:
    """Checks the operator of a node, its names, and its attributes."""
    operator, domain = node.get("op_type", ""), node.get("domain", "")
    if domain not in _DOMAINS or operator not in OPERATORS:
        name = operator if domain in _DOMAINS else f"{domain}.{operator}"
        raise ModelError(f"operator {name!r:.60} is not supported; files of rnnx do not contain it")
    _check_names(node)
    for attribute in node.get("attribute", ()):
        name = attribute.get("name", "")
        if any(abs(number) > MAX_INTEGER for number in (attribute.get("i", 0), *attribute.get("ints", ()))):
            raise ModelError(f"attribute {name!r:.60} of operator {operator} holds a number beyond {MAX_INTEGER:,}")
        if "t" in attribute or ("g" in attribute and (operator, name) != ("Scan", "body")):
            kind = "tensor" if "t" in attribute else "graph"
            raise ModelError(f"attribute {name!r:.60} of operator {operator} is a {kind}, which is not supported")


def _check_names(node: Message) -> None:
    """Checks that no required input or output is missing, which means that its name is empty.

    onnxruntime does not check this, and reads the missing value all the same.
    """
    operator, inputs, outputs = node.get("op_type", ""), node.get("input", []), node.get("output", [])
    if "" in inputs[: _FIRST_OPTIONAL_INPUT.get(operator, len(inputs))]:
        raise ModelError(f"operator {operator}: a required input is missing")
    if "" in outputs and operator not in _RECURRENT:
        raise ModelError(f"operator {operator}: a required output is missing")


def _read_tensor(tensor: Message) -> Constant:
    """Reads an initializer, and checks that its bytes match its shape."""
    name, shape, data_type = tensor.get("name", ""), tuple(tensor.get("dims", ())), tensor.get("data_type", 0)
    if data_type not in _SIZES:
        raise ModelError(f"tensor {name!r:.60} has data type {data_type}, which is not supported")
    if len(shape) > _MAX_RANK or min(shape, default=0) < 0:
        raise ModelError(f"tensor {name!r:.60} has an unsupported shape, {shape!r:.80}")
    data = tensor.get("raw_data", b"")
    declared_bytes = prod(shape) * _SIZES[data_type]
    if declared_bytes != len(data):
        raise ModelError(f"tensor {name!r:.60} declares {declared_bytes:,} bytes, but contains {len(data):,}")
    is_integer = data_type in _INTEGERS and len(data) > 0
    return Constant(shape, prod(shape), data.cast(_INTEGERS[data_type]) if is_integer else None)


def _check_integers(nodes: Sequence[Message], constants: Mapping[str, Constant]) -> None:
    """Checks that no integer constant is large, because it could be used as a size.

    Constants that are only read as starts, ends, axes or steps of a Slice may be large: there a large number means "to
    the end".
    """
    uses = [(name, node["op_type"], i) for node in nodes for i, name in enumerate(node.get("input", ()))]
    ends = {name for name, operator, i in uses if operator == "Slice" and i > 0}
    ends -= {name for name, operator, i in uses if operator != "Slice" or i == 0}
    values = {name: constant.values for name, constant in constants.items() if constant.values is not None}
    for name, numbers in values.items():
        if name not in ends and (min(numbers) < -MAX_INTEGER or max(numbers) > MAX_INTEGER):
            raise ModelError(f"tensor {name!r:.60} holds a number beyond {MAX_INTEGER:,}, the largest supported size")
    for name, operator, i in uses:
        if i == _SIZE_INPUT.get(operator) and name in values and _is_too_large(values[name]):
            sizes = values[name].tolist()
            raise ModelError(f"operator {operator} is given an unsupported size, {sizes!r:.60}, by tensor {name!r:.60}")


def _is_too_large(sizes: memoryview) -> bool:
    # A Pad has two sizes per axis.
    return len(sizes) > 2 * _MAX_RANK or prod(abs(size) or 1 for size in sizes) > MAX_INTEGER

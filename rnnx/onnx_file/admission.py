"""What an `.onnx` file from anywhere may be: what the forms of rnnx are, and nothing else.

Everything here is decided from the bytes, before a session is made of them. Refused are data outside the file,
functions, training, other domains and versions, operators that no form of rnnx has (so no `Loop` and no `If`), graphs
nested deeper than the body of a Scan, tensors whose bytes do not fit the shape they declare, and constants that would
become much larger than the file as soon as onnxruntime loads it. What a graph that is let in computes on a text is its
own affair: it can be slow or large, and wrong; `rnnx verify` says whether it is what was proved. Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path

from rnnx.errors import ModelError
from rnnx.onnx_file.constant_sizes import MOST_INTEGER, MOST_NUMBERS, Constant, fold
from rnnx.onnx_file.wire import Message, read_model

# An embedding of a million words in 256 float32 numbers; the shipped files have 1 to 8 MB.
MOST_MODEL_BYTES = 1 << 30

IR_VERSION, OPSET = 8, 13
_DOMAINS = ("", "ai.onnx")
# What the forms of the layers that rnnx models are made of; the tests export each, and a session refuses the rest.
OPERATORS = frozenset(
    {
        "Add", "And", "AveragePool", "Cast", "Clip", "Concat", "CumSum", "Div", "Elu", "Equal", "Erf", "Exp", "Expand",
        "GRU", "Gather", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "Greater", "HardSigmoid", "Identity", "LSTM",
        "LeakyRelu", "Less", "MatMul", "Max", "MaxPool", "Min", "Mod", "Mul", "Neg", "NonZero", "Not", "Or", "Pad",
        "RNN", "Range", "Reciprocal", "ReduceMax", "ReduceMean", "ReduceProd", "ReduceSum", "Relu", "Reshape",
        "ReverseSequence", "Scan", "ScatterElements", "Selu", "Shape", "Sigmoid", "Slice", "Softmax", "Softplus",
        "Softsign", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "Tile", "Transpose", "Unsqueeze", "Where",
    }
)  # fmt: skip
# Bytes of a number, by ONNX's data type: float32, uint8, int8, uint16, int16, int32, int64, bool, float16, float64.
_SIZES = {1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8}
_INTEGERS = {6: "i", 7: "q"}

_MOST_NODES = 20_000  # the largest form of the tests has 634
_MOST_RANK = 8
_MOST_PROPERTIES, _MOST_PROPERTY_BYTES = 64, 1 << 22

_RECURRENT = ("RNN", "LSTM", "GRU")
# By operator, the first input that may be left out with others behind it.
_LEFT_OUT_FROM = {**dict.fromkeys(_RECURRENT, 3), "Clip": 1, "Pad": 2, "Slice": 3}
# By operator, the input that says how large its output is.
_SIZED_BY = {"Expand": 1, "Pad": 1, "Reshape": 1, "Tile": 1}


def require_admissible(data: bytes) -> None:
    """Makes sure that a file may be loaded.

    Raises:
        ModelError: If it may not, or is no model; the first reason, without the file's name.
    """
    if len(data) > MOST_MODEL_BYTES:
        raise ModelError(f"larger than {MOST_MODEL_BYTES >> 20} MB")
    model = read_model(data)
    if "graph" not in model:
        raise ModelError("not an ONNX model: it has no graph")
    _check_header(model)
    _check_graph(model["graph"], {})


def require_loadable(path: Path, data: bytes) -> None:
    """Looks through the content of a file before anybody loads it, if it is an `.onnx` file.

    Raises:
        ModelError: If it may not be loaded; names the file.
    """
    if path.suffix != ".onnx":
        return
    try:
        require_admissible(data)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _check_header(model: Message) -> None:
    if model.get("ir_version") != IR_VERSION:
        raise ModelError(f"IR version {model.get('ir_version')}; the files of rnnx have {IR_VERSION}")
    imported = [(one.get("domain", ""), one.get("version")) for one in model.get("opset_import", ())]
    if len(imported) != 1 or imported[0][0] not in _DOMAINS or imported[0][1] != OPSET:
        said = ", ".join(f"{domain or 'ai.onnx'!r:.60} {version}" for domain, version in imported[:3]) or "none"
        raise ModelError(f"operator sets {said}; the files of rnnx have ai.onnx {OPSET} alone")
    properties = model.get("metadata_props", ())
    keys = {one.get("key", "") for one in properties}
    if len(keys) != len(properties) or len(keys) > _MOST_PROPERTIES:
        raise ModelError(f"{len(properties)} entries of metadata; there should be {_MOST_PROPERTIES} different at most")
    if any(len(one.get("value", "")) > _MOST_PROPERTY_BYTES for one in properties):
        raise ModelError(f"an entry of the metadata has more than {_MOST_PROPERTY_BYTES >> 20} MB")


def _check_graph(graph: Message, outer: Mapping[str, Constant]) -> None:
    """Looks at a graph; `outer` is what is constant in the one around it."""
    nodes, tensors = graph.get("node", []), graph.get("initializer", [])
    if max(len(nodes), len(tensors)) > _MOST_NODES:
        raise ModelError(f"more than {_MOST_NODES:,} nodes or tensors in one graph")
    for value in (*graph.get("input", ()), *graph.get("output", ())):
        _check_port(value)
    for node in nodes:
        _check_node(node)
    own = {tensor.get("name", ""): _read_tensor(tensor) for tensor in tensors}
    _check_integers(nodes, own)
    inputs = {value.get("name", "") for value in graph.get("input", ())}
    known = {name: constant for name, constant in {**outer, **own}.items() if name not in inputs}
    for node in nodes:
        for attribute in node.get("attribute", ()):
            if "g" in attribute:
                _check_graph(attribute["g"], known)
        given = [known.get(name) for name in node.get("input", ()) if name]
        constants = [one for one in given if one is not None]
        if constants and len(constants) == len(given):
            known |= dict.fromkeys(node.get("output", ()), fold(node, constants))


def _check_port(value: Message) -> None:
    tensor = value.get("type", {}).get("tensor_type", {})
    sizes = [size["dim_value"] for size in tensor.get("shape", {}).get("dim", ()) if "dim_value" in size]
    if len(sizes) > _MOST_RANK or any(size < 0 for size in sizes) or prod(sizes) > MOST_NUMBERS:
        raise ModelError(f"{value.get('name', '')!r:.60} is of the absurd shape {sizes!r:.80}")


def _check_node(node: Message) -> None:
    operator, domain = node.get("op_type", ""), node.get("domain", "")
    if domain not in _DOMAINS or operator not in OPERATORS:
        name = operator if domain in _DOMAINS else f"{domain}.{operator}"
        raise ModelError(f"operator {name!r:.60} is none of those that the files of rnnx are made of")
    _check_names(node)
    for attribute in node.get("attribute", ()):
        name = attribute.get("name", "")
        if any(abs(number) > MOST_INTEGER for number in (attribute.get("i", 0), *attribute.get("ints", ()))):
            raise ModelError(f"attribute {name!r:.60} of a {operator} is a number beyond {MOST_INTEGER:,}")
        if "t" in attribute or ("g" in attribute and (operator, name) != ("Scan", "body")):
            raise ModelError(f"attribute {name!r:.60} of a {operator} is a {'tensor' if 't' in attribute else 'graph'}")


def _check_names(node: Message) -> None:
    """An input or output that is left out has an empty name; where none may be, onnxruntime reads it all the same."""
    operator, inputs, outputs = node.get("op_type", ""), node.get("input", []), node.get("output", [])
    if "" in inputs[: _LEFT_OUT_FROM.get(operator, len(inputs))]:
        raise ModelError(f"operator {operator}: an input is left out that it has to have")
    if "" in outputs and operator not in _RECURRENT:
        raise ModelError(f"operator {operator}: an output is left out that it has to have")


def _read_tensor(tensor: Message) -> Constant:
    """An initializer, whose bytes are all there."""
    name, shape, data_type = tensor.get("name", ""), tuple(tensor.get("dims", ())), tensor.get("data_type", 0)
    if data_type not in _SIZES:
        raise ModelError(f"tensor {name!r:.60} is of data type {data_type}, which no file of rnnx has")
    if len(shape) > _MOST_RANK or min(shape, default=0) < 0:
        raise ModelError(f"tensor {name!r:.60} is of the absurd shape {shape!r:.80}")
    data = tensor.get("raw_data", b"")
    if prod(shape) * _SIZES[data_type] != len(data):
        raise ModelError(
            f"tensor {name!r:.60} declares {prod(shape) * _SIZES[data_type]:,} bytes, and {len(data):,} are there"
        )
    is_integer = data_type in _INTEGERS and len(data) > 0
    return Constant(shape, prod(shape), data.cast(_INTEGERS[data_type]) if is_integer else None)


def _check_integers(nodes: Sequence[Message], constants: Mapping[str, Constant]) -> None:
    """No constant that could stand for a size is large; what means `to the end` in a Slice alone may be."""
    uses = [(name, node["op_type"], i) for node in nodes for i, name in enumerate(node.get("input", ()))]
    ends = {name for name, operator, i in uses if operator == "Slice" and i > 0}
    ends -= {name for name, operator, i in uses if operator != "Slice" or i == 0}
    values = {name: one.values for name, one in constants.items() if one.values is not None}
    for name, numbers in values.items():
        if name not in ends and (min(numbers) < -MOST_INTEGER or max(numbers) > MOST_INTEGER):
            raise ModelError(f"tensor {name!r:.60} holds a number beyond {MOST_INTEGER:,}, which no size may have")
    for name, operator, i in uses:
        if i == _SIZED_BY.get(operator) and name in values and _is_absurd(values[name]):
            raise ModelError(f"tensor {name!r:.60} asks a {operator} for an absurd size: {values[name].tolist()!r:.60}")


def _is_absurd(sizes: memoryview) -> bool:
    return len(sizes) > 2 * _MOST_RANK or prod(abs(size) or 1 for size in sizes) > MOST_INTEGER

"""An `.onnx` file read as plain values, by a table of the fields that rnnx writes; any other field is refused.

This looks at a stranger's bytes before anything else does: nothing is copied, and no more is made of them than a cap
allows. protobuf's own reader (`rnnx.onnx_file.messages`) passes over what it does not know and merges what stands
twice; and to import it takes 40 ms of the 400 in which `rnnx infer` answers. Standard library only.

Source: onnx/onnx.proto of ONNX 1.23 (names and numbers of the fields); https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from rnnx.errors import ModelError

# By name of the field: its value, or a list of them where it is repeated. What is not there has no key.
Message: TypeAlias = dict[str, Any]

# Message: number: field, type ("*" in front: repeated). `rnnx.onnx_file.messages` reads and writes some of them.
FIELDS: dict[str, dict[int, tuple[str, str]]] = {
    "ModelProto": {
        1: ("ir_version", "int"),
        2: ("producer_name", "string"),
        3: ("producer_version", "string"),
        6: ("doc_string", "string"),
        7: ("graph", "GraphProto"),
        8: ("opset_import", "*OperatorSetIdProto"),
        14: ("metadata_props", "*StringStringEntryProto"),
    },
    "OperatorSetIdProto": {1: ("domain", "string"), 2: ("version", "int")},
    "StringStringEntryProto": {1: ("key", "string"), 2: ("value", "string")},
    "GraphProto": {
        1: ("node", "*NodeProto"),
        2: ("name", "string"),
        5: ("initializer", "*TensorProto"),
        10: ("doc_string", "string"),
        11: ("input", "*ValueInfoProto"),
        12: ("output", "*ValueInfoProto"),
    },
    "NodeProto": {
        1: ("input", "*string"),
        2: ("output", "*string"),
        3: ("name", "string"),
        4: ("op_type", "string"),
        5: ("attribute", "*AttributeProto"),
        7: ("domain", "string"),
    },
    "AttributeProto": {
        1: ("name", "string"),
        2: ("f", "float"),
        3: ("i", "int"),
        4: ("s", "bytes"),
        5: ("t", "TensorProto"),
        6: ("g", "GraphProto"),
        7: ("floats", "*float"),
        8: ("ints", "*int"),
        9: ("strings", "*bytes"),
        20: ("type", "int"),
    },
    "TensorProto": {
        1: ("dims", "*int"),
        2: ("data_type", "int"),
        8: ("name", "string"),
        9: ("raw_data", "bytes"),
    },
    "ValueInfoProto": {1: ("name", "string"), 2: ("type", "TypeProto")},
    "TypeProto": {1: ("tensor_type", "Tensor")},
    "Tensor": {1: ("elem_type", "int"), 2: ("shape", "TensorShapeProto")},
    "TensorShapeProto": {1: ("dim", "*Dimension")},
    "Dimension": {1: ("dim_value", "int"), 2: ("dim_param", "string")},
}
# What the standard has besides; for the refusals.
_REFUSED: dict[str, dict[int, str]] = {
    "ModelProto": {4: "domain", 5: "model_version", 20: "training_info", 25: "functions", 26: "configuration"},
    "GraphProto": {13: "value_info", 14: "quantization_annotation", 15: "sparse_initializer", 16: "metadata_props"},
    "NodeProto": {6: "doc_string", 8: "overload", 9: "metadata_props", 10: "device_configurations"},
    "AttributeProto": {
        10: "tensors", 11: "graphs", 13: "doc_string", 14: "tp", 15: "type_protos", 21: "ref_attr_name",
        22: "sparse_tensor", 23: "sparse_tensors",
    },
    "TensorProto": {
        3: "segment", 4: "float_data", 5: "int32_data", 6: "string_data", 7: "int64_data", 10: "double_data",
        11: "uint64_data", 12: "doc_string", 13: "external_data", 14: "data_location", 16: "metadata_props",
    },
    "ValueInfoProto": {3: "doc_string", 4: "metadata_props"},
    "TypeProto": {
        4: "sequence_type", 5: "map_type", 6: "denotation", 7: "opaque_type", 8: "sparse_tensor_type",
        9: "optional_type",
    },
    "Dimension": {3: "denotation"},
}  # fmt: skip
_WORDS = {
    "external_data": "numbers that lie in another file",
    "data_location": "numbers that lie in another file",
    "functions": "functions of its own",
    "training_info": "a training",
    "sparse_initializer": "a sparse tensor",
}

# A graph, and in it the bodies of its Scans: no form of rnnx nests deeper, or has more than two for a layer.
MOST_GRAPHS_DEEP, MOST_GRAPHS = 2, 500
# Of all messages together, read in a third of a second; the largest file of the tests has 10 thousand.
_MOST_FIELDS = 200_000
_VARINT, _BYTES, _FIXED32 = 0, 2, 5
_MOST_VARINT_BYTES, _WORD = 10, (1 << 64) - 1


def read_model(data: bytes) -> Message:
    """Reads a ModelProto: every message in it, the bytes of tensors as views.

    Raises:
        ModelError: If the bytes are none, or hold a field that rnnx does not write, a singular one twice, or graphs
            nested too deeply.
    """
    try:
        return _Reader().read("ModelProto", memoryview(data), 0)
    except (IndexError, UnicodeDecodeError) as error:
        raise ModelError("not an ONNX model: it is damaged or cut short") from error


class _Reader:
    def __init__(self) -> None:
        self._count = self._graphs = 0

    def read(self, kind: str, data: memoryview, graphs: int) -> Message:
        """One message; `graphs` is how many it lies in."""
        graphs += kind == "GraphProto"
        self._graphs += kind == "GraphProto"
        if graphs > MOST_GRAPHS_DEEP or self._graphs > MOST_GRAPHS:
            raise ModelError(f"its graphs are nested more than {MOST_GRAPHS_DEEP} deep, or more than {MOST_GRAPHS}")
        fields, found, at = FIELDS[kind], Message(), 0
        while at < len(data):
            self._count_one()
            key, at = _read_varint(data, at)
            if key >> 3 not in fields:
                raise _refusal(kind, key >> 3)
            name, type_ = fields[key >> 3]
            is_repeated, type_ = type_.startswith("*"), type_.lstrip("*")
            values: list[Any]
            if key & 7 == _BYTES:
                size, start = _read_varint(data, at)
                at = start + size
                values = self._read_sized(type_, _cut(data, start, at), graphs)
            elif key & 7 == _VARINT and type_ == "int":
                value, at = _read_varint(data, at)
                values = [_signed(value)]
            elif key & 7 == _FIXED32 and type_ == "float":
                _cut(data, at, at + 4)
                values, at = [None], at + 4  # nobody looks at it
            else:
                raise ModelError(f"not an ONNX model: {kind}.{name} is of wire type {key & 7}")
            if is_repeated:
                found.setdefault(name, []).extend(values)
            elif name in found or len(values) != 1:
                raise ModelError(f"not an ONNX model: {kind}.{name} stands {'twice' if values else 'empty'}")
            else:
                found[name] = values[0]
        return found

    def _read_sized(self, type_: str, data: memoryview, graphs: int) -> list[Any]:
        """A string, some bytes, a message; or numbers packed together."""
        if type_ == "string":
            return [str(data, "utf-8")]
        if type_ == "bytes":
            return [data]
        if type_ in FIELDS:
            return [self.read(type_, data, graphs)]
        if type_ == "float":
            return []
        numbers, at = [], 0
        while at < len(data):
            self._count_one()
            value, at = _read_varint(data, at)
            numbers.append(_signed(value))
        return numbers

    def _count_one(self) -> None:
        self._count += 1
        if self._count > _MOST_FIELDS:
            raise ModelError(f"more than {_MOST_FIELDS:,} fields in one file")


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    """A number of 64 bits at most, and where it ends."""
    byte = data[at]
    if byte < 0x80:
        return byte, at + 1
    value = shift = 0
    for at_byte in range(at, at + _MOST_VARINT_BYTES):
        byte = data[at_byte]
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value & _WORD, at_byte + 1
    raise ModelError("not an ONNX model: a number without an end")


def _signed(value: int) -> int:
    return value - _WORD - 1 if value > _WORD >> 1 else value


def _cut(data: memoryview, start: int, end: int) -> memoryview:
    if end > len(data):
        raise ModelError("not an ONNX model: it is cut short")
    return data[start:end]


def _refusal(kind: str, number: int) -> ModelError:
    name = _REFUSED.get(kind, {}).get(number)
    if name is None:
        return ModelError(f"not an ONNX model: {kind} has no field {number}")
    what = f"{_WORDS[name]} ({kind}.{name})" if name in _WORDS else f"{kind}.{name}"
    return ModelError(f"it has {what}, as no file of rnnx does")

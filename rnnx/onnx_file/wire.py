"""Reads the protobuf encoding of an `.onnx` file strictly: fields that rnnx does not write are refused.

This is the first code that reads the bytes of an unknown file, so it copies no tensor, and limits the number of fields
and graphs. Protobuf's own parser (`rnnx.onnx_file.messages`) skips unknown fields and merges repeated ones, and its
import takes 40 of the 400 ms in which `rnnx infer` answers. Imports the standard library only.

Source: onnx/onnx.proto of ONNX 1.23 (names and numbers of the fields); https://protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

from struct import unpack
from typing import Any, TypeAlias

from rnnx.errors import ModelError

# The value of each field by name; a list for a repeated field. A missing field has no key.
Message: TypeAlias = dict[str, Any]

# The fields of each message: number, then name and type; a leading "*" marks a repeated field.
# `rnnx.onnx_file.messages` uses a part of this table.
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
# The other fields of the standard, by number. They are refused by name.
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
    "external_data": "a reference to another file",
    "data_location": "a reference to another file",
    "functions": "functions of its own",
    "training_info": "training information",
    "sparse_initializer": "a sparse tensor",
}

# The files of rnnx have a graph and the bodies of its Scans, at most two per layer, and nest no deeper.
MAX_GRAPH_DEPTH, MAX_GRAPHS = 2, 500
# The fields of all messages together. Reading this many takes a third of a second; the largest file of the tests has
# 10,000.
_MAX_FIELDS = 200_000
_VARINT, _BYTES, _FIXED32 = 0, 2, 5
_MAX_VARINT_BYTES, _MAX_UINT64 = 10, (1 << 64) - 1


def read_model(data: bytes) -> Message:
    """Reads a ModelProto with all messages in it.

    Args:
        data: The content of an `.onnx` file.

    Returns:
        The message; the bytes of tensors are views of `data`.

    Raises:
        ModelError: If the bytes are not a ModelProto, if they contain a field that rnnx does not write or a singular
            field twice, or if there are too many fields or graphs.
    """
    try:
        return _Reader().read("ModelProto", memoryview(data), 0)
    except (IndexError, UnicodeDecodeError) as error:
        raise ModelError("not an ONNX model: it is damaged or cut short") from error


class _Reader:
    def __init__(self) -> None:
        self._field_count = self._graph_count = 0

    def read(self, kind: str, data: memoryview, depth: int) -> Message:
        """Reads one message of the given kind; `depth` is the number of graphs that contain it."""
        depth += kind == "GraphProto"
        self._graph_count += kind == "GraphProto"
        if depth > MAX_GRAPH_DEPTH or self._graph_count > MAX_GRAPHS:
            raise ModelError(
                f"its graphs are nested more than {MAX_GRAPH_DEPTH} deep, or there are more than {MAX_GRAPHS}"
            )
        fields, found, at = FIELDS[kind], Message(), 0
        while at < len(data):
            self._count_field()
            key, at = _read_varint(data, at)
            if key >> 3 not in fields:
                raise _refusal(kind, key >> 3)
            name, type_ = fields[key >> 3]
            is_repeated, type_ = type_.startswith("*"), type_.lstrip("*")
            values: list[Any]
            if key & 7 == _BYTES:
                size, start = _read_varint(data, at)
                at = start + size
                values = self._read_sized(type_, _cut(data, start, at), depth)
            elif key & 7 == _VARINT and type_ == "int":
                value, at = _read_varint(data, at)
                values = [_signed(value)]
            elif key & 7 == _FIXED32 and type_ == "float":
                values, at = list(unpack("<f", _cut(data, at, at + 4))), at + 4
            else:
                raise ModelError(f"not an ONNX model: {kind}.{name} has the wire type {key & 7}")
            if is_repeated:
                found.setdefault(name, []).extend(values)
            elif name in found or len(values) != 1:
                problem = "occurs twice" if values else "is empty"
                raise ModelError(f"not an ONNX model: {kind}.{name} {problem}")
            else:
                found[name] = values[0]
        return found

    def _read_sized(self, type_: str, data: memoryview, depth: int) -> list[Any]:
        """Reads a length-delimited field: a string, bytes, a message, or packed numbers."""
        if type_ == "string":
            return [str(data, "utf-8")]
        if type_ == "bytes":
            return [data]
        if type_ in FIELDS:
            return [self.read(type_, data, depth)]
        if type_ == "float":
            return list(unpack(f"<{len(data) // 4}f", _cut(data, 0, len(data) // 4 * 4)))
        numbers, at = [], 0
        while at < len(data):
            self._count_field()
            value, at = _read_varint(data, at)
            numbers.append(_signed(value))
        return numbers

    def _count_field(self) -> None:
        self._field_count += 1
        if self._field_count > _MAX_FIELDS:
            raise ModelError(f"the file has more than {_MAX_FIELDS:,} fields")


def _read_varint(data: memoryview, at: int) -> tuple[int, int]:
    """Reads a number of at most 64 bits; returns it and the index after it."""
    byte = data[at]
    if byte < 0x80:
        return byte, at + 1
    value = shift = 0
    for at_byte in range(at, at + _MAX_VARINT_BYTES):
        byte = data[at_byte]
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value & _MAX_UINT64, at_byte + 1
    raise ModelError("not an ONNX model: a number does not end")


def _signed(value: int) -> int:
    return value - _MAX_UINT64 - 1 if value > _MAX_UINT64 >> 1 else value


def _cut(data: memoryview, start: int, end: int) -> memoryview:
    if end > len(data):
        raise ModelError("not an ONNX model: it is cut short")
    return data[start:end]


def _refusal(kind: str, number: int) -> ModelError:
    name = _REFUSED.get(kind, {}).get(number)
    if name is None:
        return ModelError(f"not an ONNX model: {kind} has no field {number}")
    what = f"{_WORDS[name]} ({kind}.{name})" if name in _WORDS else f"{kind}.{name}"
    return ModelError(f"it contains {what}, which is not supported")

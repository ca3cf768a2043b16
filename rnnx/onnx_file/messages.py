"""An `.onnx` file as messages, without the onnx package: what `rnnx verify` needs to look into a file and to extend it.

The messages below are the part of onnx.proto that is looked at; what else a file holds is kept as it is, byte for byte.
They live in a pool of their own, so that the onnx package, where it is loaded too, does not mind.

The names, numbers and types of the fields are those of `rnnx.onnx_file.wire`.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

from rnnx.errors import ModelError
from rnnx.onnx_file.admission import require_admissible
from rnnx.onnx_file.wire import FIELDS

FLOAT, INT32, FLOAT16 = 1, 6, 10
# By ONNX's number: numbers as they lie in raw_data.
_DTYPES: dict[int, npt.DTypeLike] = {
    FLOAT: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", INT32: "<i4", 7: "<i8", 9: "?", FLOAT16: "<f2", 11: "<f8"
}  # fmt: skip

# The fields of `rnnx.onnx_file.wire.FIELDS` that are looked at. A field that is not listed is kept byte for byte, but
# protobuf serializes it apart from those that are: to list one more would change `graph_sha256`, which shipped files
# have recorded, and the order of the fields in an exported file.
_LOOKED_AT = {
    "ModelProto": ("ir_version", "graph", "opset_import", "metadata_props"),
    "OperatorSetIdProto": ("domain", "version"),
    "StringStringEntryProto": ("key", "value"),
    "GraphProto": ("node", "name", "initializer", "input", "output"),
    "NodeProto": ("input", "output", "name", "op_type", "attribute", "domain"),
    "AttributeProto": ("name", "g"),
    "TensorProto": ("dims", "data_type", "name", "raw_data"),
    "ValueInfoProto": ("name", "type"),
    "TypeProto": ("tensor_type",),
    "Tensor": ("elem_type",),
}


def parse_model(data: bytes) -> Any:
    """Reads a file.

    Returns:
        The ModelProto; its fields are those of onnx.proto.

    Raises:
        ModelError: If the bytes are no model, or one that may not be loaded.
    """
    require_admissible(data)
    return _parse("ModelProto", data)


def read_properties(model: Any) -> dict[str, str]:
    """The metadata of a model.

    Raises:
        ModelError: If it is no text.
    """
    properties = {entry.key: entry.value for entry in model.metadata_props}
    # protobuf hands out bytes where a string is not UTF-8.
    if not all(isinstance(text, str) for pair in properties.items() for text in pair):
        raise ModelError("the metadata of the .onnx file is not UTF-8: the file was altered or broken")
    return properties


def parse_graph(data: bytes) -> Any:
    """Reads a GraphProto.

    Raises:
        ModelError: If the bytes are none.
    """
    return _parse("GraphProto", data)


def new_node(op_type: str, inputs: list[str], outputs: list[str]) -> Any:
    """A node without attributes."""
    return _classes()["NodeProto"](op_type=op_type, input=inputs, output=outputs)


def new_output(name: str, data_type: int = FLOAT) -> Any:
    """An output of whatever shape."""
    value = _classes()["ValueInfoProto"](name=name)
    value.type.tensor_type.elem_type = data_type
    return value


def read_tensor(tensor: Any) -> npt.NDArray[Any]:
    """An initializer as an array.

    Raises:
        ModelError: If its bytes do not fit its shape, or lie elsewhere, or its type is not one of ours.
    """
    if tensor.data_type not in _DTYPES:
        raise ModelError(f"initializer {tensor.name!r:.60}: data type {tensor.data_type} is not one that rnnx writes")
    dtype = np.dtype(_DTYPES[tensor.data_type])
    if len(tensor.raw_data) % dtype.itemsize:
        raise ModelError(f"initializer {tensor.name!r:.60}: {len(tensor.raw_data)} bytes are no whole numbers")
    values = np.frombuffer(tensor.raw_data, dtype)
    shape = tuple(tensor.dims)
    if min(shape, default=1) < 0 or values.size != int(np.prod(shape, dtype=object)):
        raise ModelError(f"initializer {tensor.name!r:.60}: {values.size} numbers do not fit the shape {shape}")
    return values.reshape(shape)


def graph_sha256(model: Any) -> str:
    """The hash of a model's graph, in hex: every weight and every node."""
    return hashlib.sha256(model.graph.SerializeToString(deterministic=True)).hexdigest()


def _parse(kind: str, data: bytes) -> Any:
    try:
        return _classes()[kind].FromString(data)
    except message.DecodeError as error:
        raise ModelError(f"not an ONNX model: {error}") from error


@cache
def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name="rnnx_onnx.proto", package="rnnx_onnx", syntax="proto2")
    field_type = descriptor_pb2.FieldDescriptorProto
    scalars = {"int": field_type.TYPE_INT64, "string": field_type.TYPE_STRING, "bytes": field_type.TYPE_BYTES}
    for name, looked_at in _LOOKED_AT.items():
        proto = file.message_type.add(name=name)
        numbers = {field: (number, kind) for number, (field, kind) in FIELDS[name].items()}
        for field in looked_at:
            number, kind = numbers[field]
            added = proto.field.add(name=field, number=number)
            added.label = field_type.LABEL_REPEATED if kind.startswith("*") else field_type.LABEL_OPTIONAL
            kind = kind.removeprefix("*")
            added.type = scalars.get(kind, field_type.TYPE_MESSAGE)
            if kind not in scalars:
                added.type_name = f".rnnx_onnx.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"rnnx_onnx.{name}")) for name in _LOOKED_AT
    }

"""Parses an `.onnx` file with protobuf, without the onnx package, so that `rnnx verify` can read and extend it.

The message classes are built here from the part of onnx.proto that rnnx reads. Protobuf keeps all other fields of a
file byte for byte. The classes are in a descriptor pool of their own, so that they do not collide with those of the
onnx package. The names, numbers and types of the fields come from `rnnx.onnx_file.wire`.

Imports NumPy and protobuf. A file that `rnnx.onnx_file.admission` does not admit is refused.
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
# The NumPy dtype of `raw_data`, by ONNX's number of the data type.
_DTYPES: dict[int, npt.DTypeLike] = {
    FLOAT: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", INT32: "<i4", 7: "<i8", 9: "?", FLOAT16: "<f2", 11: "<f8"
}  # fmt: skip

# The fields of `rnnx.onnx_file.wire.FIELDS` that rnnx reads. Protobuf keeps a field that is not listed byte for byte,
# but serializes it after the listed ones. One more field in this list would therefore change the order of the fields in
# exported files, and `graph_sha256`, which is recorded in the shipped files.
_READ_FIELDS = {
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
    """Parses an `.onnx` file.

    Args:
        data: The content of the file.

    Returns:
        The ModelProto, with the field names of onnx.proto.

    Raises:
        ModelError: If the bytes are not an ONNX model, or the file may not be loaded.
    """
    require_admissible(data)
    return _parse("ModelProto", data)


def read_properties(model: Any) -> dict[str, str]:
    """Returns the metadata of a ModelProto, key to value.

    Raises:
        ModelError: If a key or a value is not UTF-8.
    """
    properties = {entry.key: entry.value for entry in model.metadata_props}
    # protobuf returns bytes for a string that is not UTF-8.
    if not all(isinstance(text, str) for pair in properties.items() for text in pair):
        raise ModelError("the metadata of the .onnx file is not UTF-8: the file was altered or broken")
    return properties


def parse_graph(data: bytes) -> Any:
    """Parses a serialized GraphProto.

    Raises:
        ModelError: If the bytes are not a GraphProto.
    """
    return _parse("GraphProto", data)


def new_node(op_type: str, inputs: list[str], outputs: list[str]) -> Any:
    """Makes a NodeProto without attributes."""
    return _classes()["NodeProto"](op_type=op_type, input=inputs, output=outputs)


def new_output(name: str, data_type: int = FLOAT) -> Any:
    """Makes a ValueInfoProto for an output, with an ONNX data type and without a shape."""
    value = _classes()["ValueInfoProto"](name=name)
    value.type.tensor_type.elem_type = data_type
    return value


def stored_tensors(model: Any) -> list[Any]:
    """Returns the initializers of a ModelProto: those of its graph, then those in the bodies of its Scans."""
    bodies = [attribute.g for node in model.graph.node for attribute in node.attribute if attribute.HasField("g")]
    return [*model.graph.initializer, *(tensor for body in bodies for tensor in body.initializer)]


def read_tensor(tensor: Any) -> npt.NDArray[Any]:
    """Returns an initializer as an array.

    Args:
        tensor: A TensorProto whose numbers are in `raw_data`.

    Raises:
        ModelError: If the bytes do not fit the shape, or rnnx does not write the data type.
    """
    if tensor.data_type not in _DTYPES:
        raise ModelError(f"initializer {tensor.name!r:.60}: data type {tensor.data_type} is not supported")
    dtype = np.dtype(_DTYPES[tensor.data_type])
    if len(tensor.raw_data) % dtype.itemsize:
        raise ModelError(
            f"initializer {tensor.name!r:.60}: {len(tensor.raw_data)} bytes are not a multiple of {dtype.itemsize}"
        )
    values = np.frombuffer(tensor.raw_data, dtype)
    shape = tuple(tensor.dims)
    if min(shape, default=1) < 0 or values.size != int(np.prod(shape, dtype=object)):
        raise ModelError(f"initializer {tensor.name!r:.60}: {values.size} numbers do not fit the shape {shape}")
    return values.reshape(shape)


def graph_sha256(model: Any) -> str:
    """Returns the sha256 of the graph of a ModelProto, in hex. It covers every weight and every node."""
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
    for name, read_fields in _READ_FIELDS.items():
        proto = file.message_type.add(name=name)
        numbers = {field: (number, kind) for number, (field, kind) in FIELDS[name].items()}
        for field in read_fields:
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
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"rnnx_onnx.{name}")) for name in _READ_FIELDS
    }

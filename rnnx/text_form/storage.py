"""Stores the embedding in the file as float32, as float16, or as integers with one scale per row.

A Cast (and a Mul) of constants makes the table float32 before any node reads it. onnxruntime does that once, when it
loads the file, so that the arithmetic and its speed are those of float32. Only the table changes, and with it the
network that the file computes. `store` returns this network, so that the proof compares the file with its reference.

Integers of 16 bits are stored as two tensors of 8 bits, because the WebGPU build of onnxruntime-web (1.30) has no Cast
from int16 or uint16.
"""

from __future__ import annotations

import dataclasses
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import onnx

from rnnx.errors import ModelError
from rnnx.reference import Embedding, Network
from rnnx.rewrites.graph import Graph

Storage: TypeAlias = Literal["f32", "int16", "f16", "int8"]
# int16 halves the file as f16 does, and its error is ten times smaller: all its bits are used for the range of a row.
# int8 changes labels (python -m bench.proof.text_form storage).
DEFAULT_STORAGE: Storage = "int16"

_BYTE = 256  # the number of values of a byte

FLOAT = onnx.TensorProto.FLOAT
FloatTable = npt.NDArray[np.float32]


def store(graph: Graph, network: Network, storage: Storage) -> Network:
    """Stores the embeddings of a graph in another type.

    Args:
        graph: The graph, which is changed in place.
        network: The network that it computes.
        storage: The type.

    Returns:
        The network that it computes now: the same one with the stored tables.

    Raises:
        ModelError: If a table is too large for float16, or is not in the graph.
    """
    nodes = []
    for node in network.nodes:
        if isinstance(node.layer, Embedding) and storage != "f32":
            name, table = _find_table(graph, node.name, node.layer)
            stored = _store_f16(graph, name, table) if storage == "f16" else _store_int(graph, name, table, storage)
            layer = dataclasses.replace(node.layer, table=stored.astype(np.float64))
            nodes.append(dataclasses.replace(node, layer=layer))
        else:
            nodes.append(node)
    return dataclasses.replace(network, nodes=nodes)


def _find_table(graph: Graph, layer: str, embedding: Embedding) -> tuple[str, FloatTable]:
    table = embedding.table.astype(np.float32)
    for tensor in graph.proto.initializer:
        if tuple(tensor.dims) == table.shape and tensor.data_type == onnx.TensorProto.FLOAT:
            array = graph.constant(tensor.name)
            if array is not None and np.array_equal(array, table):
                return tensor.name, table
    raise ModelError(
        f"layer {layer}: the table of this Embedding was not found in the converted graph; please report this model"
    )


def _store_f16(graph: Graph, name: str, table: FloatTable) -> FloatTable:
    with np.errstate(over="ignore"):
        small = table.astype(np.float16)
    if not np.isfinite(small).all():
        raise ModelError(
            f"the embedding contains {np.abs(table).max():.3g}, which is too large for float16; "
            "export with --storage f32 instead"
        )
    _replace_constant(graph, name, "Cast", [graph.add_constant(f"{name}.f16", small)], to=FLOAT)
    return small.astype(np.float32)


def _store_int(graph: Graph, name: str, table: FloatTable, storage: Storage) -> FloatTable:
    dtype = np.dtype(storage)
    largest = np.abs(table).max(axis=1, keepdims=True)
    scale = (np.where(largest > 0, largest, 1) / np.iinfo(dtype).max).astype(np.float32)
    small = np.rint(table / scale).clip(-np.iinfo(dtype).max, np.iinfo(dtype).max).astype(dtype)
    if storage == "int16":
        whole, factor = _add_bytes(graph, f"{name}.{storage}", small), scale * _BYTE
    else:
        stored = graph.add_constant(f"{name}.{storage}", small)
        whole, factor = graph.add("Cast", [stored], f"{name}.whole", to=FLOAT), scale
    _replace_constant(graph, name, "Mul", [whole, graph.add_constant(f"{name}.scale", factor.astype(np.float32))])
    return np.asarray(
        small.astype(np.float32) * scale
    )  # float32 times float32 is one rounding, the same in every runtime


def _add_bytes(graph: Graph, name: str, numbers: npt.NDArray[np.int16]) -> str:
    """Adds numbers of 16 bits as their high and their low bytes, and the nodes that make them float32, exactly.

    Each byte is looked up in a table of what it is worth. There is no Cast to float32, because the float16 converter of
    onnxconverter-common (1.16) leaves those as they are. The result is the numbers divided by 256: it clips constants
    that are larger than 10,000.
    """
    high, low = numbers.astype(np.int32) >> 8 & 255, numbers.astype(np.int32) & 255
    worth = np.arange(_BYTE, dtype=np.float32)
    tables = {"high": np.where(worth < 128, worth, worth - _BYTE), "low": worth / _BYTE}
    parts = []
    for part, array in (("high", high), ("low", low)):
        stored = graph.add_constant(f"{name}_{part}", array.astype(np.uint8))
        table = graph.add_constant(f"{name}_worth_of_{part}", tables[part])
        index = graph.add("Cast", [stored], f"{name}_{part}_index", to=onnx.TensorProto.INT32)
        parts.append(graph.add("Gather", [table, index], f"{name}_{part}_worth", axis=0))
    return graph.add("Add", parts, f"{name}_whole")


def _replace_constant(graph: Graph, name: str, op_type: str, inputs: list[str], **attributes: int) -> None:
    graph.remove_constant(name)
    graph.add(op_type, inputs, name, **attributes)

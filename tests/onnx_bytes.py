"""Assembles an `.onnx` file by hand, field by field, to write files that no ONNX library would write."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

# The number of a field and its value: an int, bytes, a text, or the fields of a message.
Field: TypeAlias = tuple[int, Any]


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def message(*fields: Field) -> bytes:
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
            continue
        data = value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else message(*value)
        out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def tensor(name: str, dims: Iterable[int], data: bytes, data_type: int = 1, more: Iterable[Field] = ()) -> bytes:
    return message(*((1, size) for size in dims), (2, data_type), (8, name), (9, data), *more)


def node(op_type: str, inputs: Iterable[str], outputs: Iterable[str], *attributes: bytes, domain: str = "") -> bytes:
    return message(
        *((1, name) for name in inputs),
        *((2, name) for name in outputs),
        (4, op_type),
        *((5, attribute) for attribute in attributes),
        *([(7, domain)] if domain else []),
    )


def port(name: str, *sizes: int | str) -> bytes:
    dims = [(1, [(1 if isinstance(size, int) else 2, size)]) for size in sizes]
    return message((1, name), (2, [(1, [(1, 1), (2, dims)])]))


def graph(nodes: Iterable[bytes], tensors: Iterable[bytes] = (), more: Iterable[Field] = ()) -> bytes:
    return message(
        *((1, node) for node in nodes),
        (2, "g"),
        *((5, tensor) for tensor in tensors),
        (11, port("x", "batch")),
        (12, port("y", "batch")),
        *more,
    )


def model(
    graph: bytes, more: Iterable[Field] = (), ir_version: int = 8, opsets: Iterable[tuple[str, int]] = (("", 13),)
) -> bytes:
    imports = [(8, [(1, domain), (2, version)]) for domain, version in opsets]
    return message((1, ir_version), (7, graph), *imports, *more)

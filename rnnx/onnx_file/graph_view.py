"""The nodes and constants of an `.onnx` file, and which node gives a value; read from its bytes, without onnx.

Imports NumPy and the strict reader of `rnnx.onnx_file.wire` only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.onnx_file.wire import Message, read_model

_DTYPES: dict[int, npt.DTypeLike] = {
    1: "<f4", 2: "u1", 3: "i1", 4: "<u2", 5: "<i2", 6: "<i4", 7: "<i8", 9: "?", 10: "<f2", 11: "<f8"
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class ViewedNode:
    """A node of a graph.

    Attributes:
        op_type: Its operator.
        inputs: The values that it reads; an empty name is an input that is left out.
        outputs: The values that it gives.
        attributes: By name: a number, bytes, or a list of them; a graph is in `body`.
        body: The body of a Scan; None for all other nodes.
    """

    op_type: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    body: GraphView | None

    @cached_property
    def reads(self) -> tuple[str, ...]:
        """The values that the node reads; of those that its body reads, the ones from outside."""
        return (*(name for name in self.inputs if name), *(self.body.outer_values if self.body else ()))


@dataclass(frozen=True, eq=False)
class GraphView:
    """A graph.

    Attributes:
        inputs: The names of its inputs.
        outputs: The names of its outputs.
        nodes: In the order of the file, in which each comes after those that it reads.
        constants: The initializers by name.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[ViewedNode, ...]
    constants: Mapping[str, npt.NDArray[Any]]

    @cached_property
    def producers(self) -> dict[str, ViewedNode]:
        """The node that gives each value."""
        return {name: node for node in self.nodes for name in node.outputs if name}

    @cached_property
    def outer_values(self) -> tuple[str, ...]:
        """The values that the graph reads from the graph around it, each once."""
        own = {*self.inputs, *self.constants, *self.producers}
        return tuple(dict.fromkeys(name for node in self.nodes for name in node.reads if name not in own))

    @cached_property
    def needed(self) -> frozenset[str]:
        """The values on which an output depends, with the outputs themselves."""
        found: set[str] = set()
        waiting = list(self.outputs)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                if name in self.producers:
                    waiting += self.producers[name].reads
        return frozenset(found)

    def unused(self) -> Iterator[str]:
        """Yields the values of nodes, and the constants, on which no output depends."""
        yield from (node.outputs[0] for node in self.nodes if not self.needed & set(node.outputs))
        yield from (name for name in self.constants if name not in self.needed)


def view_graph(data: bytes) -> GraphView:
    """Reads the graph of a file.

    Args:
        data: The content of a file that may be loaded (`rnnx.onnx_file.admission`).

    Raises:
        ModelError: If the bytes are not an ONNX model.
    """
    return _view(read_model(data)["graph"])


def _view(graph: Message) -> GraphView:
    return GraphView(
        tuple(port.get("name", "") for port in graph.get("input", ())),
        tuple(port.get("name", "") for port in graph.get("output", ())),
        tuple(map(_view_node, graph.get("node", ()))),
        {tensor.get("name", ""): _read(tensor) for tensor in graph.get("initializer", ())},
    )


def _view_node(node: Message) -> ViewedNode:
    attributes, body = {}, None
    for attribute in node.get("attribute", ()):
        if "g" in attribute:
            body = _view(attribute["g"])
            continue
        values = {key: value for key, value in attribute.items() if key not in ("name", "type")}
        attributes[attribute.get("name", "")] = _plain(next(iter(values.values()), 0))
    return ViewedNode(
        node.get("op_type", ""), tuple(node.get("input", ())), tuple(node.get("output", ())), attributes, body
    )


def _plain(value: Any) -> Any:
    """Returns the value of an attribute; bytes and strings as bytes."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return bytes(value) if isinstance(value, memoryview) else value


def _read(tensor: Message) -> npt.NDArray[Any]:
    shape = tuple(tensor.get("dims", ()))
    return np.frombuffer(tensor.get("raw_data", b""), _DTYPES[tensor.get("data_type", 0)]).reshape(shape)

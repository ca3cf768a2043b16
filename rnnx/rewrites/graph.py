"""An ONNX graph that is being rewritten: look up producers, match patterns, add nodes, remove dead ones.

The library for this is onnx-ir. Version 1.1.0 was tried, on 548 forms of 135 converted graphs (onnx 1.23.2, tf2onnx
1.17.0), and it installs next to every TensorFlow that rnnx supports. But `clean` on top of it changes the bytes, and so
the digest, of most forms: its topological sort gives another order in 449 of them. It adds 0.3 s to the import and 87
MB to the installation, nearly all of it sympy. It would replace about 35 lines of this file: the matcher would stay,
because the patterns of onnxscript 0.7.2 do not skip Identity nodes. Ours stays until a later onnx-ir keeps the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import helper, numpy_helper

from rnnx.onnx_file.graph_builder import GraphBuilder

# The two inputs of these operators may be in either order.
_COMMUTATIVE = frozenset({"Add", "Mul", "And", "Equal"})


@dataclass(frozen=True)
class Var:
    """Matches any value. If the name occurs again in a pattern, it must match the same value."""

    name: str


@dataclass(frozen=True)
class Op:
    """Matches the output of a node of this type whose inputs match `inputs`; further inputs may be anything."""

    op_type: str
    inputs: tuple[Pattern, ...]

    def __init__(self, op_type: str, *inputs: Pattern) -> None:
        object.__setattr__(self, "op_type", op_type)
        object.__setattr__(self, "inputs", inputs)


Pattern: TypeAlias = Var | Op
Bindings: TypeAlias = dict[str, str]


@dataclass
class Graph(GraphBuilder):
    """An ONNX graph that is being rewritten.

    Attributes:
        proto: The graph; it is changed in place.
    """

    proto: onnx.GraphProto

    def __post_init__(self) -> None:
        self._producers = {name: node for node in self.proto.node for name in node.output if name}
        self._constants = {tensor.name: tensor for tensor in self.proto.initializer}

    def producer(self, value: str) -> onnx.NodeProto | None:
        """Returns the node that makes a value, or None for inputs and constants."""
        return self._producers.get(value)

    def constant(self, value: str) -> np.ndarray[Any, Any] | None:
        """Returns the constant of that name, or None if there is none."""
        return numpy_helper.to_array(self._constants[value]) if value in self._constants else None

    def match(self, value: str, pattern: Pattern) -> Bindings | None:
        """Matches a value and the nodes that make it against a pattern; Identity nodes are skipped.

        Returns:
            The name of the value that each variable matched, or None without a match.
        """
        return self._match(value, pattern, {})

    def _match(self, value: str, pattern: Pattern, bindings: Bindings) -> Bindings | None:
        while (node := self.producer(value)) is not None and node.op_type == "Identity":
            value = node.input[0]
        if isinstance(pattern, Var):
            if bindings.get(pattern.name, value) != value:
                return None
            return {**bindings, pattern.name: value}
        if node is None or node.op_type != pattern.op_type or len(node.input) < len(pattern.inputs):
            return None
        orders = [list(node.input)]
        if pattern.op_type in _COMMUTATIVE:
            orders.append(list(reversed(node.input)))
        for order in orders:
            if (found := self._match_all(order, pattern.inputs, bindings)) is not None:
                return found
        return None

    def _match_all(self, values: Sequence[str], patterns: Sequence[Pattern], bindings: Bindings) -> Bindings | None:
        for value, pattern in zip(values, patterns, strict=False):
            found = self._match(value, pattern, bindings)
            if found is None:
                return None
            bindings = found
        return bindings

    def add_constant(self, name: str, array: np.ndarray[Any, Any]) -> str:
        """Adds an initializer and returns its name."""
        tensor = numpy_helper.from_array(np.asarray(array, order="C"), name)
        self.proto.initializer.append(tensor)
        self._constants[name] = tensor
        return name

    def rename(self, old: str, new: str) -> None:
        """Renames an output of a node, so that another node can take the old name and its readers."""
        node = self._producers.pop(old)
        node.output[:] = [new if name == old else name for name in node.output]
        self._producers[new] = node

    def remove_constant(self, name: str) -> None:
        """Removes an initializer, so that a node that makes the same value can take its name."""
        del self._constants[name]
        kept = [tensor for tensor in self.proto.initializer if tensor.name != name]
        del self.proto.initializer[:]
        self.proto.initializer.extend(kept)

    def add(self, op_type: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Adds a node and returns the name of its only output. `clean` sorts the nodes afterwards."""
        return self.add_node(helper.make_node(op_type, list(inputs), [output], name=output, **attributes))

    def add_node(self, node: onnx.NodeProto) -> str:
        """Adds a node that was made elsewhere and returns the name of its first output."""
        self.proto.node.append(node)
        added = self.proto.node[-1]
        self._producers |= dict.fromkeys(added.output, added)
        return str(added.output[0])

    def replace(self, old: str, new: str) -> None:
        """Makes all readers of a value read another one, and the graph's outputs too."""
        for node in self.proto.node:
            if new in node.output:
                continue
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.GRAPH:
                    Graph(attribute.g).replace(old, new)
            node.input[:] = [new if name == old else name for name in node.input]
        if old in {output.name for output in self.proto.output} and (node := self.producer(old)) is not None:
            # The graph's output keeps its name. The node that made it until now is dead, and `clean` removes it.
            node.output[:] = [f"{old}.replaced" if name == old else name for name in node.output]
            self._producers[f"{old}.replaced"] = node
            # A recurrence has the name of its layer, and so may an output.
            is_taken = any(other.name == old for other in self.proto.node)
            self.add_node(helper.make_node("Identity", [new], [old], name=f"{old}.output" if is_taken else old))

    def clean(self) -> None:
        """Removes nodes and constants that nobody reads, and sorts the nodes topologically."""
        needed: set[str] = set()
        kept: list[onnx.NodeProto] = []
        waiting = [output.name for output in self.proto.output]
        seen: set[int] = set()
        while waiting:
            value = waiting.pop()
            if value in needed:
                continue
            needed.add(value)
            node = self._producers.get(value)
            if node is not None and id(node) not in seen:
                seen.add(id(node))
                waiting += _read_by(node)
        kept = _in_order([node for node in self.proto.node if id(self._producers.get(node.output[0])) in seen])
        constants = [tensor for tensor in self.proto.initializer if tensor.name in needed]
        copies = [onnx.NodeProto.FromString(node.SerializeToString()) for node in kept]
        tensors = [onnx.TensorProto.FromString(tensor.SerializeToString()) for tensor in constants]
        del self.proto.node[:], self.proto.initializer[:], self.proto.value_info[:]
        self.proto.node.extend(copies)
        self.proto.initializer.extend(tensors)
        self.__post_init__()


def _read_by(node: onnx.NodeProto) -> list[str]:
    """Returns the values that a node reads, in the bodies of Scans too.

    Names inside a body are in the list as well. They do no harm, since no node outside has them as outputs.
    """
    values = [name for name in node.input if name]
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            for inner in attribute.g.node:
                values += _read_by(inner)
            values += [output.name for output in attribute.g.output]
    return values


def _in_order(nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    """Sorts nodes so that each comes after the nodes it reads: depth first, starting in the order given.

    The order is part of the bytes of every exported file, so a change of it changes their digests.
    """
    made_by = {name: i for i, node in enumerate(nodes) for name in node.output}
    done: set[int] = set()
    ordered: list[onnx.NodeProto] = []

    def visit(start: int) -> None:
        stack = [start]
        while stack:
            i = stack[-1]
            before = [made_by[name] for name in _read_by(nodes[i]) if made_by.get(name, i) not in done | {i}]
            if before:
                stack += before
                continue
            stack.pop()
            if i not in done:
                done.add(i)
                ordered.append(nodes[i])

    for i in range(len(nodes)):
        visit(i)
    return ordered

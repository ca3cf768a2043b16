"""A graph to be rewritten: who makes a value, matching against patterns, new nodes, and the removal of what is dead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import helper, numpy_helper

TO_THE_END = 2**31 - 1  # as an end of a slice
# Inputs of these may stand in either order.
_COMMUTATIVE = frozenset({"Add", "Mul", "And", "Equal"})


@dataclass(frozen=True)
class Var:
    """Matches any value; the same name has to match the same value again."""

    name: str


@dataclass(frozen=True)
class Op:
    """Matches what a node of this type makes from inputs that match in turn."""

    op_type: str
    inputs: tuple[Pattern, ...]

    def __init__(self, op_type: str, *inputs: Pattern) -> None:
        object.__setattr__(self, "op_type", op_type)
        object.__setattr__(self, "inputs", inputs)


Pattern: TypeAlias = Var | Op
Bindings: TypeAlias = dict[str, str]


@dataclass
class Graph:
    """A graph under the knife.

    Attributes:
        proto: Changed in place.
        outer: The graph around it, for the body of a loop.
        names: Value names of a body to those of the values outside that they stand for.
    """

    proto: onnx.GraphProto
    outer: Graph | None = None
    names: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._producers = {name: node for node in self.proto.node for name in node.output if name}
        self._constants = {tensor.name: tensor for tensor in self.proto.initializer}

    def producer(self, value: str) -> onnx.NodeProto | None:
        """The node that makes a value; None for inputs and constants."""
        return self._producers.get(value)

    def constant(self, value: str) -> np.ndarray[Any, Any] | None:
        """The constant of that name, here or in the graphs around; None if it is none."""
        value = self.names.get(value, value)
        if value in self._constants:
            return numpy_helper.to_array(self._constants[value])
        return self.outer.constant(value) if self.outer else None

    def match(self, value: str, pattern: Pattern) -> Bindings | None:
        """Matches what makes a value; Identity nodes do not count.

        Returns:
            The values that the variables stand for, or None.
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
        """Adds an initializer, and returns its name."""
        tensor = numpy_helper.from_array(np.asarray(array, order="C"), name)
        self.proto.initializer.append(tensor)
        self._constants[name] = tensor
        return name

    def rename(self, old: str, new: str) -> None:
        """Renames what a node makes, for another node to take the old name; who reads that will read the other."""
        node = self._producers.pop(old)
        node.output[:] = [new if name == old else name for name in node.output]
        self._producers[new] = node

    def remove_constant(self, name: str) -> None:
        """Removes an initializer, for a node that makes the same value to take its name."""
        del self._constants[name]
        kept = [tensor for tensor in self.proto.initializer if tensor.name != name]
        del self.proto.initializer[:]
        self.proto.initializer.extend(kept)

    def shared(self, value: int | float | list[int], dtype: type = np.int32) -> str:
        """A small constant that several nodes may read; made at the first use. A list becomes an axis or a shape."""
        array: np.ndarray[Any, Any] = np.array(value, np.int64 if isinstance(value, list) else dtype)
        name = f"{array.dtype}_{'_'.join(map(str, array.flatten()))}{'' if array.ndim else '_scalar'}"
        return name if name in self._constants else self.add_constant(name, array)

    def add(self, op_type: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Adds a node, and returns the name of its one output; `clean` puts it into its place."""
        return self.add_node(helper.make_node(op_type, list(inputs), [output], name=output, **attributes))

    def slice(self, value: str, name: str, bounds: Mapping[int, tuple[int, int]]) -> str:
        """Adds a slice: by axis, from where to where."""
        starts, ends = (self.shared([bound[i] for bound in bounds.values()]) for i in (0, 1))
        return self.add("Slice", [value, starts, ends, self.shared(list(bounds))], name)

    def add_node(self, node: onnx.NodeProto) -> str:
        """Adds a node made elsewhere, and returns the name of its first output."""
        self.proto.node.append(node)
        added = self.proto.node[-1]
        self._producers |= dict.fromkeys(added.output, added)
        return str(added.output[0])

    def replace(self, old: str, new: str) -> None:
        """Lets everybody who reads a value read another one, the graph's outputs too."""
        for node in self.proto.node:
            if new in node.output:
                continue
            for attribute in node.attribute:
                if attribute.type == onnx.AttributeProto.GRAPH:
                    Graph(attribute.g).replace(old, new)
            node.input[:] = [new if name == old else name for name in node.input]
        if old in {output.name for output in self.proto.output} and (node := self.producer(old)) is not None:
            # The graph's output keeps its name; what made it until now is left to `clean`.
            node.output[:] = [f"{old}.replaced" if name == old else name for name in node.output]
            self._producers[f"{old}.replaced"] = node
            self.add("Identity", [new], old)

    def clean(self) -> None:
        """Removes what nobody reads, and puts the nodes into an order in which each comes after what it reads."""
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
    """What a node reads, the bodies of loops included (names inside a body are taken along; they do no harm)."""
    values = [name for name in node.input if name]
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            for inner in attribute.g.node:
                values += _read_by(inner)
            values += [output.name for output in attribute.g.output]
    return values


def _in_order(nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
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

"""Divides the graph of a file into parts, each of which is described without names and sizes, so that it has a digest.

A part ends where a node reads weights of the network, or at an output of the file. It begins at such nodes, or at
inputs of the file. Its description has every node in between, with its operator, attributes and constants, and what the
network in the evidence computes there: the layers whose weights are read, and those without weights that come before
them. Weights are described by their layer and their name, and sizes of the network by the word `size`, so that models
of the same kind have the same parts. Every other constant is in the description with its value.

So a part with a known digest computes, for inputs of every size, what it computes in the files from which the digest
was taken. Imports NumPy only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy.typing as npt

from rnnx.onnx_file.graph_view import GraphView, ViewedNode
from rnnx.proof.evidence import Evidence, LayerRecord
from rnnx.proof.weight_uses import WeightUse, find_weight_uses, layers_of_node, weights_of_values
from rnnx.reference.streaming import by_layer

# The operators that read shapes. An integer constant that they read may be a size of the network.
_READS_SIZES = frozenset({"Reshape", "Expand", "Concat", "Tile"})
_SIZE_ATTRIBUTES = frozenset({"hidden_size"})
# The largest graph of the tests needs 500 steps, and the deepest part has 24 nodes one after the other. A step of the
# depth takes four frames of Python.
_MOST_STEPS, _MOST_DEPTH = 100_000, 150
_LEAST_SIZE = 4  # smaller integers are described by their value
# What the description of a part begins with; a change of the description needs another one.
_FORMAT = "rnnx part 1"


class PartTooLargeError(Exception):
    """A graph has so many nodes, or so many one after the other, that its parts are not described."""


@dataclass(frozen=True)
class GraphPart:
    """A part of a graph.

    Attributes:
        layers: The layers whose weights the last node of the part reads; the layer that gives the output for a part
            that ends at an output.
        digest: The sha256 of its description, in hex.
    """

    layers: tuple[str, ...]
    digest: str


@dataclass(frozen=True, eq=False)
class PartReader:
    """Describes the parts of one file.

    Attributes:
        graph: The graph of the file.
        evidence: Its evidence.
    """

    graph: GraphView
    evidence: Evidence
    _records: dict[str, LayerRecord] = field(init=False)
    _uses: dict[str, tuple[WeightUse, ...]] = field(init=False)
    _constants: dict[str, frozenset[str]] = field(init=False)
    _inputs: dict[str, str] = field(init=False)
    _states: dict[str, tuple[str, int]] = field(init=False)

    def __post_init__(self) -> None:
        layers = self.evidence.layers
        object.__setattr__(self, "_records", {layer.name: layer for layer in layers})
        object.__setattr__(self, "_uses", find_weight_uses(layers))
        object.__setattr__(self, "_constants", weights_of_values(self.graph, self._uses))
        inputs = {port.name: f"input {port.kind}" for port in self.evidence.inputs}
        if self.evidence.ids is not None:
            inputs = {self.evidence.ids: "input ids"}
        object.__setattr__(self, "_inputs", inputs)
        states = by_layer(self.evidence.carried)
        carried = {state.input: (layer, i) for layer, found in states.items() for i, state in enumerate(found)}
        object.__setattr__(self, "_states", carried)

    @property
    def weights(self) -> frozenset[str]:
        """The constants that hold weights, and the values that are computed from them and from constants alone."""
        return frozenset(name for name, layers in self._constants.items() if layers)

    @cached_property
    def sizes(self) -> frozenset[int]:
        """The sizes of the network: of its weights, and what is their sum or product."""
        single = {size for layer in self.evidence.layers for record in layer.weights.values() for size in record.shape}
        single |= {size for port in self.evidence.inputs for size in port.shape if size}
        both = {a + b for a in single for b in single} if len(single) < 100 else set()
        return frozenset(size for size in single | both if size >= _LEAST_SIZE)

    def parts(self) -> tuple[GraphPart, ...]:
        """Returns the parts of the graph, from those that the outputs end to those that the inputs begin.

        Raises:
            PartTooLargeError: If the graph is larger than any that rnnx writes.
        """
        found: dict[tuple[str, tuple[str, ...]], GraphPart] = {}
        waiting: list[str] = []
        steps = iter(range(_MOST_STEPS))
        states = {state.output: state.layer for state in self.evidence.carried}
        ends = self.evidence.outputs or dict.fromkeys(self.graph.outputs, self.evidence.layers[-1].name)
        for output in self.graph.outputs:
            layer = states.get(output) or ends.get(output, self.evidence.layers[-1].name)
            part = _Description(self, (layer,), steps)
            kind = "state" if output in states else "output"
            found[kind, (output,)] = part.finish(kind, part.value(output))
            waiting += part.borders
        while waiting:
            node = self.graph.producers[waiting.pop()]
            if ("weights", node.outputs) not in found:
                part = _Description(self, tuple(sorted(layers_of_node(node, self._constants), key=self._order)), steps)
                found["weights", node.outputs] = part.finish("weights", part.node(node))
                waiting += part.borders
        return tuple(found.values())

    def _order(self, layer: str) -> int:
        return list(self._records).index(layer)


class _Description:
    """The description of one part.

    Attributes:
        borders: The values at which the part begins that other parts end at.
    """

    def __init__(self, reader: PartReader, layers: tuple[str, ...], steps: Iterator[int]) -> None:
        self._reader, self._layers = reader, layers
        self._steps, self._depth = steps, 0
        self._numbers: dict[str, int] = {}
        self._known: dict[str, str] = {}
        self._outer: Mapping[str, npt.NDArray[Any]] = reader.graph.constants
        self.borders: list[str] = []
        self._network = [self._describe_layer(name, is_end=True) for name in layers]

    def finish(self, kind: str, graph: str) -> GraphPart:
        """Returns the part, given the digest of its last node or value."""
        masks = [
            (layer.kind, layer.settings.get("mask_zero"), layer.settings.get("mask_value"))
            for layer in self._reader.evidence.layers
            if layer.settings.get("mask_zero") or layer.kind == "Masking"
        ]
        return GraphPart(self._layers, _digest(_FORMAT, kind, self._network, masks, graph))

    def _number(self, layer: str) -> int:
        """Returns the number of a layer in this part; the first that is described has number 0."""
        return self._numbers.setdefault(layer, len(self._numbers))

    def _describe_layer(self, name: str, *, is_end: bool) -> list[Any]:
        """Describes what the network computes up to a layer, from the layers with weights before it."""
        layer = self._reader._records.get(name)
        if layer is None:  # an input, or another state of a recurrent layer
            port = next((port for port in self._reader.evidence.inputs if port.name == name), None)
            if port is not None:
                return [port.kind, len(port.shape)]
            owner, _, state = name.rpartition(".")
            return ["state", state, self._describe_layer(owner, is_end=is_end)]
        if name in self._numbers:
            return [self._numbers[name]]
        settings = {key: self._without_sizes(value) for key, value in layer.settings.items()}
        own = [self._number(name), layer.kind, settings, sorted(layer.weights)]
        if layer.weights and not is_end:
            return own
        return [*own, [self._describe_layer(source, is_end=False) for source in layer.inputs]]

    def _without_sizes(self, value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [self._without_sizes(item) for item in value]
        is_size = isinstance(value, int) and not isinstance(value, bool) and value in self._reader.sizes
        return "size" if is_size else value

    def value(self, name: str) -> str:
        """Returns the digest of a value: of the nodes of this part that compute it."""
        if name in self._known:
            return self._known[name]
        reader = self._reader
        node = reader.graph.producers.get(name)
        if name in reader._inputs:
            digest = _digest("given", reader._inputs[name])
        elif name in reader._states:
            layer, place = reader._states[name]
            digest = _digest("given state", self._number(layer), place)
        elif name in reader.graph.constants:
            digest = self._constant(name, self._outer[name], ())
        elif node is None:
            digest = _digest("not given", name)
        elif layers := layers_of_node(node, reader._constants):
            self.borders.append(name)
            numbers = [self._number(layer) for layer in sorted(layers, key=reader._order)]
            kinds = [reader._records[layer].kind for layer in sorted(layers, key=reader._order)]
            digest = _digest("border", node.op_type, node.outputs.index(name), numbers, kinds)
        else:
            digest = _digest("value", node.outputs.index(name), self.node(node))
        self._known[name] = digest
        return digest

    def node(self, node: ViewedNode) -> str:
        """Returns the digest of a node and of all nodes of this part before it."""
        self._depth += 1
        self._count()
        try:
            return self._digest_of_node(node)
        finally:
            self._depth -= 1

    def _count(self) -> None:
        """Counts a node, and refuses to go on in a graph that is too large."""
        if self._depth > _MOST_DEPTH or next(self._steps, None) is None:
            raise PartTooLargeError

    def _digest_of_node(self, node: ViewedNode) -> str:
        is_constant = all(name in self._reader._constants for name in node.reads)
        inputs = [
            self._constant(name, self._outer[name], (node.op_type, is_constant))
            if name in self._outer and name not in self._reader._uses
            else (self.value(name) if name else "")
            for name in node.inputs
        ]
        return _digest("node", node.op_type, inputs, self._attributes(node), self._body(node), len(node.outputs))

    def _attributes(self, node: ViewedNode) -> list[Any]:
        return [
            (key, "size" if key in _SIZE_ATTRIBUTES else _printable(value))
            for key, value in sorted(node.attributes.items())
        ]

    def _body(self, node: ViewedNode) -> str:
        """Returns the digest of the body of a Scan."""
        body = node.body
        if body is None:
            return ""
        known = {name: _digest("body input", i) for i, name in enumerate(body.inputs)}
        known |= {name: self._constant(name, values, ()) for name, values in body.constants.items()}
        for inner in body.nodes:
            self._count()
            inputs = [known.get(name) or (self.value(name) if name else "") for name in inner.inputs]
            digest = _digest("node", inner.op_type, inputs, self._attributes(inner), len(inner.outputs))
            known |= {name: _digest("value", i, digest) for i, name in enumerate(inner.outputs) if name}
        return _digest("body", [known.get(name, "missing") for name in body.outputs])

    def _constant(self, name: str, values: npt.NDArray[Any], reader: tuple[Any, ...]) -> str:
        """Returns the digest of a constant: of the weights in it, or of its numbers."""
        if name in self._reader._uses:
            uses = self._reader._uses[name]
            ranks = {place: i for i, place in enumerate(sorted({use.place for use in uses}))}
            return _digest(
                "weights", [(self._number(use.layer), use.weight, use.form, ranks[use.place]) for use in uses]
            )
        if values.dtype.kind in "iu" and reader and (reader[0] in _READS_SIZES or reader[1]):
            numbers = [
                f"{'-' if number < 0 else ''}size" if abs(number) in self._reader.sizes else number
                for number in values.reshape(-1).tolist()
            ]
            return _digest("numbers", str(values.dtype), values.ndim, numbers)
        if values.size > 1 and values.dtype.kind == "f" and not values.any():
            return _digest("zeros", str(values.dtype), values.ndim)
        return _digest("constant", str(values.dtype), values.shape, hashlib.sha256(values.tobytes()).hexdigest())


def _printable(value: Any) -> Any:
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return value.hex() if isinstance(value, bytes) else value


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()

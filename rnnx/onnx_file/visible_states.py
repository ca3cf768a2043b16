"""Makes the hidden states and the cuts of an exported file visible, by a recipe that is stored in the file.

An exported file has its predictions as outputs, and no states. The recipe says which nodes to add to a copy of the
file, so that the states of each recurrent layer become outputs. It also names the cuts, the outputs of the other layers
that are compared alone (`rnnx.proof.cuts`). The file itself stays as it is.

Imports protobuf through `rnnx.onnx_file.messages`; the onnx package is not needed.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rnnx.errors import ModelError
from rnnx.onnx_file.messages import INT32, new_node, new_output, parse_graph, parse_model

NATIVE = ("RNN", "LSTM", "GRU")
_MAX_EXTRA_BYTES = 1 << 20


@dataclass(frozen=True)
class StatesRecipe:
    """The recipe for the states of a file.

    Attributes:
        names: The name of the value that holds a layer's states in the order of computation, `(time, batch, units)`, by
            recurrent layer.
        extra: The nodes and small constants that compute these values from values of the file: a GraphProto in base64.
        cuts: The name of the value that holds a layer's output, by layer; the rows of the batch come first, and the
            positions may be joined with them. None for a file that was exported before there were cuts.
    """

    names: dict[str, str]
    extra: str
    cuts: dict[str, str] | None = None

    @property
    def without_cuts(self) -> StatesRecipe:
        """The recipe for the states alone."""
        return replace(self, cuts=None)


def make_recipe(names: Mapping[str, str], extra: bytes, cuts: Mapping[str, str] | None = None) -> StatesRecipe:
    """Makes a recipe from names and cuts as in `StatesRecipe` and a serialized GraphProto."""
    return StatesRecipe(dict(names), base64.b64encode(extra).decode(), None if cuts is None else dict(cuts))


def with_states(model: bytes, recipe: StatesRecipe, ids: str | None = None) -> bytes:
    """Returns a copy of a file that has the states of each recurrent layer, and the cuts, as further outputs.

    Args:
        model: The content of the file.
        recipe: The recipe that is stored in it.
        ids: For a file that reads text, the name of the value that holds the token ids; it becomes an output too.

    Returns:
        The content of the copy. The new outputs have the names of the recipe.

    Raises:
        ModelError: If the recipe does not fit the file.
    """
    if len(recipe.extra) > _MAX_EXTRA_BYTES:
        raise ModelError(f"the recipe of the states is larger than {_MAX_EXTRA_BYTES:,} bytes")
    copy = parse_model(model)
    graph = copy.graph
    for node in graph.node:
        _restore_outputs(node)
    try:
        extra = parse_graph(base64.b64decode(recipe.extra, validate=True))
    except ValueError as error:
        raise ModelError(f"the recipe of the states is not base64: {error}") from error
    cuts = set((recipe.cuts or {}).values())
    wanted = cuts | set(recipe.names.values())
    computed = {name for node in graph.node for name in node.output}
    graph.node.extend(_nodes_for(wanted, [node for node in extra.node if not computed & set(node.output)]))
    known = {tensor.name for tensor in graph.initializer}
    graph.initializer.extend(tensor for tensor in extra.initializer if tensor.name not in known)
    computed = {name for node in graph.node for name in node.output}
    if missing := sorted(wanted - computed):
        raise ModelError(f"the recipe of the states names {missing[0]!r:.80}, which no node computes")
    graph.output.extend(new_output(name) for name in recipe.names.values())
    shown = {output.name for output in graph.output}
    graph.output.extend(new_output(name) for name in sorted(cuts - shown))
    if ids is not None:
        graph.output.append(new_output(ids, INT32))
    copied: bytes = copy.SerializeToString()
    return copied


def _nodes_for(wanted: Iterable[str], nodes: Sequence[Any]) -> list[Any]:
    """Returns the nodes that compute some values, in their order.

    A node that nothing reads must not be in the copy: onnxruntime runs it all the same, and does not fuse the node that
    it reads with the others that read it, as a convolution with the normalization after it. The copy would round
    otherwise than the file.
    """
    producers = {name: i for i, node in enumerate(nodes) for name in node.output}
    needed: set[int] = set()
    names = list(wanted)
    while names:
        i = producers.get(names.pop())
        if i is not None and i not in needed:
            needed.add(i)
            names += _reads(nodes[i])
    return [nodes[i] for i in sorted(needed)]


def _reads(node: Any) -> Iterator[str]:
    """Yields the names of the values that a node reads, those that its body takes from outside included."""
    yield from node.input
    for attribute in node.attribute:
        for inner in attribute.g.node:
            yield from _reads(inner)


def _restore_outputs(node: Any) -> None:
    """Adds the output of all states to a recurrence again; export removes it where no node reads it."""
    if node.op_type in NATIVE and not node.output[0]:
        node.output[0] = f"{node.name}.Y"
    if node.op_type == "Scan" and 2 * len(node.output) == len(node.input):  # each state has one scanned input
        body = next(a.g for a in node.attribute if a.name == "body")
        for final, state in list(zip(node.output, body.output, strict=False)):  # a crafted file may have fewer outputs
            name = final.removesuffix(".final")
            node.output.append(f"{name}.y")
            body.node.append(new_node("Identity", [state.name], [f"{name}.h_out"]))
            body.output.append(new_output(f"{name}.h_out"))

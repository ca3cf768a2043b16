"""How the hidden states of an exported file can be seen: a recipe that travels with the file, and its use.

A file puts out probabilities and no states. The recipe says which nodes to add so that each recurrent layer's states
become outputs; what ships, and computes, stays as it is.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rnnx.errors import ModelError
from rnnx.onnx_file.messages import INT32, new_node, new_output, parse_graph, parse_model

NATIVE = ("RNN", "LSTM", "GRU")
_MOST_EXTRA_BYTES = 1 << 20


@dataclass(frozen=True)
class StatesRecipe:
    """What makes a file's states.

    Attributes:
        names: By recurrent layer, the value (time, batch, units) that holds its states in the order of computation.
        extra: The nodes and small constants that make these values from the file's own: a GraphProto in base64.
    """

    names: dict[str, str]
    extra: str


def make_recipe(names: Mapping[str, str], extra: bytes) -> StatesRecipe:
    """Packs a recipe; `extra` is a serialized GraphProto."""
    return StatesRecipe(dict(names), base64.b64encode(extra).decode())


def with_states(model: bytes, recipe: StatesRecipe, ids: str | None = None) -> bytes:
    """A copy of a file with one more output per recurrent layer, named as the recipe says.

    Args:
        model: The file.
        recipe: Its own.
        ids: For a file that reads text, the value that holds the ids; put out too.

    Raises:
        ModelError: If the recipe does not fit the file.
    """
    if len(recipe.extra) > _MOST_EXTRA_BYTES:
        raise ModelError(f"the recipe of the states is larger than {_MOST_EXTRA_BYTES} bytes")
    copy = parse_model(model)
    graph = copy.graph
    for node in graph.node:
        _restore_outputs(node)
    try:
        extra = parse_graph(base64.b64decode(recipe.extra, validate=True))
    except ValueError as error:
        raise ModelError(f"the recipe of the states is not base64: {error}") from error
    made = {name for node in graph.node for name in node.output}
    graph.node.extend(node for node in extra.node if not made & set(node.output))
    known = {tensor.name for tensor in graph.initializer}
    graph.initializer.extend(tensor for tensor in extra.initializer if tensor.name not in known)
    made = {name for node in graph.node for name in node.output}
    if missing := sorted(set(recipe.names.values()) - made):
        raise ModelError(f"the recipe of the states names {missing[0]!r:.80}, which nothing makes")
    graph.output.extend(new_output(name) for name in recipe.names.values())
    if ids is not None:
        graph.output.append(new_output(ids, INT32))
    copied: bytes = copy.SerializeToString()
    return copied


def _restore_outputs(node: Any) -> None:
    """Lets a recurrence collect all its states again, which it was spared where nothing reads them."""
    if node.op_type in NATIVE and not node.output[0]:
        node.output[0] = f"{node.name}.Y"
    if node.op_type == "Scan" and 2 * len(node.output) == len(node.input):  # each state has an input to its steps
        body = next(a.g for a in node.attribute if a.name == "body")
        for final, state in list(zip(node.output, body.output, strict=False)):  # a stranger's file may have fewer
            name = final.removesuffix(".final")
            node.output.append(f"{name}.y")
            body.node.append(new_node("Identity", [state.name], [f"{name}.h_out"]))
            body.output.append(new_output(f"{name}.h_out"))

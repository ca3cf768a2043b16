"""Says for each constant of a file which weights of the network it holds, and for each value which it comes from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rnnx.onnx_file.graph_view import GraphView, ViewedNode
from rnnx.proof.evidence import LayerRecord


@dataclass(frozen=True)
class WeightUse:
    """A weight in a constant.

    Attributes:
        layer: The name of the layer.
        weight: The name of the weight; with `.scale` for its factor if it is stored as integers, and with `.low` for
            their low bytes.
        form: How it is stored: `transposed`, and the order of its blocks.
        place: The index at which it begins.
    """

    layer: str
    weight: str
    form: str
    place: tuple[int, ...]


def find_weight_uses(layers: Iterable[LayerRecord]) -> dict[str, tuple[WeightUse, ...]]:
    """Returns the weights in each constant of a file, by the name of the constant.

    Args:
        layers: The layers in the evidence of the file.
    """
    uses: dict[str, list[WeightUse]] = {}
    for layer in layers:
        for name, record in layer.weights.items():
            if record.initializer is None:
                continue
            form = f"{'transposed ' if record.is_transposed else ''}{','.join(map(str, record.blocks))}"
            uses.setdefault(record.initializer, []).append(WeightUse(layer.name, name, form, tuple(record.start)))
            for part, constant in (("scale", record.scale), ("low", record.low)):
                if constant is not None:
                    uses.setdefault(constant, []).append(WeightUse(layer.name, f"{name}.{part}", "", ()))
    return {name: tuple(sorted(found, key=lambda use: (use.place, use.weight))) for name, found in uses.items()}


def weights_of_values(graph: GraphView, uses: Mapping[str, tuple[WeightUse, ...]]) -> dict[str, frozenset[str]]:
    """Returns the layers whose weights a value is computed from, for each value that depends on constants only.

    The constants in the bodies of Scans are such values too.
    """
    bodies = [node.body.constants for node in graph.nodes if node.body is not None]
    found = {
        name: frozenset(use.layer for use in uses.get(name, ()))
        for constants in (graph.constants, *bodies)
        for name in constants
    }
    for node in graph.nodes:
        if all(name in found for name in node.reads) and node.reads:
            layers = frozenset[str]().union(*(found[name] for name in node.reads))
            found |= dict.fromkeys((name for name in node.outputs if name), layers)
    return found


def layers_of_node(node: ViewedNode, constants: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Returns the layers whose weights a node reads or holds in its body, if the node itself is not constant."""
    if all(name in constants for name in node.reads):
        return frozenset()
    held = () if node.body is None else node.body.constants
    return frozenset[str]().union(*(constants.get(name, frozenset()) for name in (*node.reads, *held)))

"""Compares the structure of an exported file with the network in its evidence, so that no branch can hide in it.

Golden inputs say nothing about inputs that are unlike all of them. So the nodes themselves are checked:

- every node and constant is needed for an output;
- the tokenizer is, node for node, the one that our code builds from the config and the vocabulary;
- no node decides by a size, a position or an id in a way that no file of rnnx does (`rnnx.proof.hidden_branches`);
- the rest is divided into parts, each of which belongs to layers of the network (`rnnx.proof.layer_parts`), and whose
  digests are compared with those in `known_parts.txt`, taken from files of the same kinds of layers.

A file that fails one of the first three is refused. A part with an unknown digest is no fault: other versions of Keras
and tf2onnx write other nodes, and there are more kinds of models than parts in the list. `rnnx verify` names its
layers.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from rnnx.errors import ModelError
from rnnx.onnx_file.graph_view import GraphView, view_graph
from rnnx.proof.evidence import Evidence
from rnnx.proof.hidden_branches import find_hidden_branches
from rnnx.proof.layer_parts import GraphPart, PartReader, PartTooLargeError
from rnnx.proof.text_reader_nodes import find_difference
from rnnx.reference import choices, encoding, items, jumps, operations, softmax, statistics
from rnnx.text.ids import IdEncoder
from rnnx.text.tokenizer import Tokenizer

KNOWN_PARTS_NAME = "known_parts.txt"
# A network with one of these compares ids, computes with them, or counts positions itself, so its nodes may too.
_OPERATIONS = frozenset({"AsMask", "ConvLSTM", "TakeMask"}).union(
    name
    for module in (choices, encoding, items, jumps, operations, softmax, statistics)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and kind.__module__ == module.__name__
)


@dataclass(frozen=True)
class Structure:
    """What is known about the structure of a file.

    Attributes:
        part_count: How many parts its network has.
        unknown_layers: The layers to which parts with unknown digests belong.
        has_unknown_reader: Whether the file reads text and its tokenizer was not compared, because the file was given
            without its bundle.
    """

    part_count: int
    unknown_layers: tuple[str, ...] = ()
    has_unknown_reader: bool = False

    @property
    def is_known(self) -> bool:
        """Whether every node of the file was accounted for."""
        return not self.unknown_layers and not self.has_unknown_reader


def check_structure(name: str, data: bytes, evidence: Evidence, reader: IdEncoder | None) -> Structure:
    """Compares the structure of a file with its evidence.

    Args:
        name: The name of the file.
        data: Its content, which may be loaded.
        evidence: Its evidence.
        reader: The encoder of its bundle; None for a file outside a bundle.

    Raises:
        ModelError: If a node or constant is not used, if the tokenizer is not that of the bundle, or if a node decides
            by a size, a position or an id.
    """
    graph = view_graph(data)
    if (unused := next(graph.unused(), None)) is not None:
        raise ModelError(f"{name}: no output depends on {unused!r:.80}; files of rnnx have no such node or constant")
    reads_text = evidence.ids is not None
    if evidence.ids is not None and isinstance(reader, Tokenizer):
        difference = find_difference(graph, evidence.ids, reader)
        if difference is not None:
            raise ModelError(f"{name}: its tokenizer is not that of the bundle: {difference}")
    parts = PartReader(graph, evidence)
    found = find_hidden_branches(graph, _id_values(evidence), parts.weights, _text_values(graph, evidence))
    if not _decides_itself(evidence) and (branch := next(found, None)) is not None:
        raise ModelError(f"{name}: {branch}; no file of rnnx does that, so it may hide a branch")
    try:
        every = parts.parts()
    except (PartTooLargeError, RecursionError):
        return Structure(0, tuple(layer.name for layer in evidence.layers), reads_text)
    unknown = {layer for part in every if part.digest not in known_digests() for layer in part.layers}
    layers = tuple(layer.name for layer in evidence.layers if layer.name in unknown)
    return Structure(len(every), layers, reads_text and not isinstance(reader, Tokenizer))


def read_parts(data: bytes, evidence: Evidence) -> tuple[GraphPart, ...]:
    """Returns the parts of a file, given its content and its evidence."""
    return PartReader(view_graph(data), evidence).parts()


@cache
def known_digests() -> frozenset[str]:
    """Returns the digests of the known parts."""
    # Python has loaded UTF-8 already. With too little memory for another codec, it would say that there is none.
    lines = files("rnnx.proof").joinpath(KNOWN_PARTS_NAME).read_text("utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("#"))


def format_known_parts(digests: Iterable[str]) -> str:
    """Formats the content of `known_parts.txt`."""
    header = "# Digests of parts of graphs (rnnx/proof/layer_parts.py), written by: python -m bench.proof.known_parts\n"
    return header + "".join(f"{digest}\n" for digest in sorted(digests))


def _decides_itself(evidence: Evidence) -> bool:
    """Whether the network has a layer of `_OPERATIONS`, counts positions for a causal attention, or reads a mask."""
    has_masks = any(port.kind == "mask" for port in evidence.inputs)
    is_causal = any(layer.settings.get("is_causal") for layer in evidence.layers)
    return has_masks or is_causal or not _OPERATIONS.isdisjoint(layer.kind for layer in evidence.layers)


def _id_values(evidence: Evidence) -> frozenset[str]:
    """Returns the values that hold ids."""
    if evidence.ids is not None:
        return frozenset({evidence.ids})
    return frozenset(port.name for port in evidence.inputs if port.kind == "ids")


def _text_values(graph: GraphView, evidence: Evidence) -> frozenset[str]:
    """Returns the values that the ids of a text are computed from, and the ids."""
    found: set[str] = set()
    waiting = [] if evidence.ids is None else [evidence.ids]
    while waiting:
        name = waiting.pop()
        if name not in found and name not in graph.constants:
            found.add(name)
            if name in graph.producers:
                waiting += graph.producers[name].reads
    return frozenset(found)

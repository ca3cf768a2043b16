"""Looks for nodes that no file of rnnx has, with which a file could compute something else for some of its inputs.

Such a file needs a node that decides by a size, a position or an id: whether the batch has more than 40 rows, the text
more than 100 words, or an id is a certain number. What our forms compare is a short list: ids with 0, positions with
lengths, and both with 0 or 1. So everything else of this kind is refused. Every value is given what it depends on: the
weights, the ids themselves, whether an id is 0, the positions, and the sizes.

A branch that is disguised as one of our comparisons passes here. `rnnx.proof.layer_parts` finds it, in the layers whose
parts are known. Imports NumPy only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Flag, auto
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.onnx_file.graph_view import GraphView, ViewedNode

_COMPARES = frozenset({"Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"})
_TESTS = frozenset({"IsInf", "IsNaN"})
_BOUNDS = frozenset({"Min", "Max", "Clip", "Relu", "Abs", "HardSigmoid"})
_FUNCTIONS = frozenset(
    {
        "Elu", "Erf", "Exp", "LeakyRelu", "Log", "LogSoftmax", "Reciprocal", "Selu", "Sigmoid", "Softmax", "Softplus",
        "Softsign", "Sqrt", "Tanh",
    }
)  # fmt: skip
_ARITHMETIC = frozenset({"Add", "Sub", "Mul", "Div", "Mod", "Pow", "Sum"})
_PRODUCTS = frozenset({"MatMul", "Gemm", "Conv", "RNN", "LSTM", "GRU", "Scan"})
_LAYOUT = frozenset({"Expand", "Pad", "Reshape", "Slice", "Squeeze", "Tile", "Unsqueeze"})
_FLOATS, _BOOL = (1, 10, 11), 9  # types of a Cast
_LEAST_MASKING = 1e9  # Keras adds -1e9 to the scores of an attention where a mask is not set
_MOST_STEP = 1  # the largest integer, in absolute value, that positions and lengths are compared with


class Influence(Flag):
    """What a value depends on, other than constants."""

    NUMBERS = auto()  # the weights, and inputs of numbers
    IDS = auto()  # the ids themselves
    PRESENCE = auto()  # whether an id is 0
    POSITIONS = auto()
    SIZES = auto()
    SHIFTED = auto()  # ids with which something was computed, and other integers to which more than 1 was added


_NOTHING = Influence(0)
_SIZES = Influence.SIZES | Influence.SHIFTED


def find_hidden_branches(
    graph: GraphView, ids: frozenset[str], weights: frozenset[str], skipped: frozenset[str] = frozenset()
) -> Iterator[str]:
    """Yields a sentence for each node that decides by a size, a position or an id as no file of rnnx does.

    Args:
        graph: The graph.
        ids: The values that hold ids.
        weights: The constants, and values computed from constants alone, that hold weights of the network.
        skipped: Values whose nodes were compared otherwise.
    """
    sources: dict[str, Influence] = dict.fromkeys(graph.constants, _NOTHING)
    sources |= dict.fromkeys(graph.inputs, Influence.NUMBERS) | dict.fromkeys(ids, Influence.IDS)
    for node in graph.nodes:
        if skipped & set(node.outputs) or not set(node.outputs).isdisjoint(ids):
            sources |= {name: sources.get(name, _NOTHING) for name in node.outputs}
            continue
        read = [sources.get(name, _NOTHING) for name in node.inputs]
        if (problem := _problem(node, read, graph.constants, weights)) is not None:
            yield f"{node.outputs[0]!r:.80} {problem}"
        sources |= dict.fromkeys(node.outputs, _result(node, read, graph.constants, weights))


def _result(
    node: ViewedNode, read: list[Influence], constants: Mapping[str, npt.NDArray[Any]], weights: frozenset[str]
) -> Influence:
    """Returns what the outputs of a node depend on."""
    together, operator = _union(read), node.op_type
    if operator in _PRODUCTS or any(name in weights for name in node.reads):
        return Influence.NUMBERS
    if operator in ("Shape", "Size"):
        return Influence.SIZES
    if operator in ("Range", "NonZero", "CumSum"):
        return (together & ~Influence.IDS) | Influence.POSITIONS
    if operator in _COMPARES | _TESTS or (operator == "Cast" and _casts_to(node, (_BOOL,))):
        return (together & ~(Influence.IDS | Influence.NUMBERS)) | Influence.PRESENCE
    if operator in _LAYOUT:
        return read[0]  # the other inputs set the shape
    if Influence.NUMBERS in together:
        return Influence.NUMBERS
    is_masking = operator == "Mul" and Influence.PRESENCE in together and _largest(node, constants) >= _LEAST_MASKING
    is_far = bool(together) and _largest(node, constants) > _MOST_STEP and not is_masking
    if operator in _ARITHMETIC and (is_far or Influence.IDS in together):
        return together | Influence.SHIFTED
    return together


def _problem(
    node: ViewedNode, read: list[Influence], constants: Mapping[str, npt.NDArray[Any]], weights: frozenset[str]
) -> str | None:
    """Says what is wrong with a node; None if files of rnnx have such nodes."""
    together, operator = _union(read), node.op_type
    if Influence.NUMBERS not in together:
        return _problem_of_integers(node, together, read, constants, weights)
    is_plain = [bool(source) and (source in Influence.IDS | _SIZES or Influence.SHIFTED in source) for source in read]
    if operator in _ARITHMETIC | _PRODUCTS and any(is_plain):
        return f"computes with ids or sizes and with numbers ({operator})"
    if operator == "Where" and read[0] and read[0] in _SIZES:
        return "chooses by a size (Where)"
    return None


def _problem_of_integers(
    node: ViewedNode,
    together: Influence,
    read: list[Influence],
    constants: Mapping[str, npt.NDArray[Any]],
    weights: frozenset[str],
) -> str | None:
    operator, largest = node.op_type, _largest(node, constants)
    is_of_positions = bool(together & ~_SIZES) and Influence.IDS not in together
    is_decision = operator in _COMPARES | _BOUNDS or (operator == "Cast" and _casts_to(node, (_BOOL,)))
    if is_decision and together and (together in _SIZES or Influence.SHIFTED in together):
        return f"decides by a size or an id ({operator})"
    if operator in _COMPARES and Influence.IDS in together and largest != 0:
        return f"compares ids with something else than 0 ({operator})"
    if operator in _BOUNDS and Influence.IDS in together:
        return f"limits ids ({operator})"
    if operator in _COMPARES | _BOUNDS and is_of_positions and largest > _MOST_STEP:
        return f"compares a size or a position with {largest:g} ({operator})"
    if operator in _FUNCTIONS and together & (Influence.IDS | _SIZES):
        return f"is a function of ids or sizes ({operator})"
    if operator == "Cast" and together and together in _SIZES and _casts_to(node, _FLOATS):
        return "makes a size a number (Cast)"
    if (
        operator == "Gather"
        and Influence.IDS in read[1]
        and node.inputs[0] in constants
        and node.inputs[0] not in weights
    ):
        return "looks ids up in a table that holds no weights of the network (Gather)"
    if operator == "Where" and read[0] and read[0] in _SIZES:
        return "chooses by a size (Where)"
    return None


def _union(read: list[Influence]) -> Influence:
    together = _NOTHING
    for source in read:
        together |= source
    return together


def _largest(node: ViewedNode, constants: Mapping[str, npt.NDArray[Any]]) -> float:
    """Returns the largest number, in absolute value, among the constants that a node reads; -1 if it reads none."""
    read = [constants[name] for name in node.inputs if name in constants]
    return max((float(np.abs(values.astype(np.float64)).max(initial=0.0)) for values in read), default=-1.0)


def _casts_to(node: ViewedNode, types: tuple[int, ...]) -> bool:
    return node.attributes.get("to") in types

"""Looks for the numbers that the jumps of a network compare with, among the comparisons of a file.

A threshold that is off by 1e-5, or `>=` in place of `>`, changes nothing on the probes if no computed number lies
between the two. So each number has to be there exactly, in a comparison that decides about equal numbers in the same
way. What is compared with it shows in the numbers that follow. Imports NumPy only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Literal, TypeAlias

import numpy as np

from rnnx.onnx_file.graph_view import GraphView
from rnnx.reference import ApplyStep, Compare, KeepBeyond, Network, Node, OneHot, ThresholdedReLU, is_jump

# Whether equal numbers count as being beyond ("wide") or not ("strict"), or whether only equal numbers count.
_Kind: TypeAlias = Literal["strict", "wide", "equal"]
_OPERATORS: dict[str, _Kind] = {
    "Equal": "equal",
    "Less": "strict",
    "LessOrEqual": "wide",
    "Greater": "strict",
    "GreaterOrEqual": "wide",
}
_NEGATED: dict[_Kind, _Kind] = {"strict": "wide", "wide": "strict", "equal": "equal"}
_RELATIONS: dict[str, _Kind] = {
    "equal": "equal",
    "not_equal": "equal",
    "greater": "strict",
    "greater_equal": "wide",
    "less": "strict",
    "less_equal": "wide",
}


def find_missing_numbers(graph: GraphView, network: Network) -> Iterator[str]:
    """Yields a sentence for each number that a layer compares with, and that no comparison of a file has.

    Args:
        graph: The graph of the file.
        network: The reference.
    """
    read = {name for node in graph.nodes if node.op_type != "Not" for name in node.reads}
    found: Counter[tuple[float, _Kind]] = Counter()
    for node in graph.nodes:
        if (kind := _OPERATORS.get(node.op_type)) is not None:
            constants = [graph.constants[name] for name in node.inputs if name in graph.constants]
            # Not(x < 2) is another way to write x >= 2.
            kinds = {kind} if node.outputs[0] in read else {kind, _NEGATED[kind]}
            found.update({(float(number), k) for values in constants for number in np.unique(values) for k in kinds})
        elif node.op_type == "ThresholdedRelu":  # as tf2onnx writes a product of x and x > 2
            found[float(np.float32(node.attributes.get("alpha", 1.0))), "strict"] += 1
    # A file may compute equal comparisons of the same numbers once.
    wanted = {(number, node.inputs): node.name for node in network.nodes for number in _numbers(node)}
    for (number, _), name in wanted.items():
        found[number] -= 1
        if found[number] < 0:
            yield f"no comparison in the file has the number {number[0]:g} by which layer {name} decides, as it does"


def _numbers(node: Node) -> tuple[tuple[float, _Kind], ...]:
    """Returns the numbers that a layer compares with, if rounding could hide a wrong one."""
    if not is_jump(node.layer):
        return ()
    match node.layer:
        # That a truth value is 0 needs no comparison.
        case Compare(comparison, number) if number is not None and (_RELATIONS[comparison] != "equal" or number):
            return ((number, _RELATIONS[comparison]),)
        case Compare(comparison, numbers=numbers) if numbers:
            return tuple((number, _RELATIONS[comparison]) for number in np.unique(numbers).tolist())
        case KeepBeyond(threshold) | ThresholdedReLU(threshold):
            return ((threshold, "strict"),)
        case ApplyStep("trunc"):
            return ((0.0, "strict"),)
        case OneHot(depth):
            return tuple((float(i), "equal") for i in range(depth))
    return ()

"""Pools states over time in the order in which a form computes them: their sum, their maximum, the maximum of a Dense.

tf2onnx computes these from all states at their positions, with both directions side by side. But a sum and a maximum do
not depend on the order. So a form that computes its states in another order (`rnnx.rewrites.masked_order`) pools them
in that order and does not move them back. Where a Dense reads both directions at once, it becomes one product for each
direction: no states are copied side by side, and only the few outputs of the second product are reordered.

The pooled values are the same, since they include as many zeros as there are masked positions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import onnx

from rnnx.rewrites.graph import Graph, Op, Pattern, Var

_COUNTED = Op("Cast", Op("Unsqueeze", Op("Not", Op("Equal", Var("ids"), Var("pad")))))
_SUM = Op("ReduceSum", Op("Add", Op("Mul", _COUNTED, Op("Transpose", Var("all"))), Op("Mul", Var("zero"), Var("rest"))))
_BOTH = Op("Concat", Var("forward"), Op("ReverseSequence", Op("Transpose", Op("Transpose", Var("backward")))))
# Keras's Dense at every position, with the bias and the activation that may follow it.
_PRODUCT = Op("Reshape", Op("MatMul", Op("Reshape", Var("turned")), Var("kernel")), Op("Cast", Var("shape")))
_SHAPE = Op("Concat", Var("batch_and_time"), Var("outputs"))
_ACTIVATIONS = ("Relu", "Tanh", "Sigmoid")
_SUMS: tuple[Pattern, ...] = (_PRODUCT, Op("Add", _PRODUCT, Var("bias")))
_DENSE = [(activation, Op(activation, total)) for activation in _ACTIVATIONS for total in _SUMS]


@dataclass(frozen=True)
class Pooled:
    """Names of the values from which a form pools a recurrence's outputs; None for those that the form does not have.

    Attributes:
        units: The number of units.
        total: (batch, units), the sum of the states over the unmasked positions.
        maximum: (batch, units), the maximum of the outputs over time.
        moved: (time, batch, units), the outputs, each row of the batch in an order of its own.
        turn: Takes a value (time, batch, features) in the order of `moved` and the number of features. Returns the
            value in the order in which the form has a recurrence that reads from the other end.
        apart: The outputs in several values (steps, batch, units), in the order of `moved` together, and with more
            zeros than there are masked positions. Each value has the same positions as the value of the same index of
            a recurrence that reads from the other end, after that one is reversed.
    """

    units: int
    total: str | None = None
    maximum: str | None = None
    moved: str | None = None
    turn: Callable[[str, int], str] | None = None
    apart: tuple[str, ...] = ()


def replace_pooling(graph: Graph, pooled: Mapping[str, Pooled], turned: Set[str]) -> None:
    """Replaces the nodes that pool outputs of recurrences.

    Args:
        graph: The graph, which is changed in place.
        pooled: Maps the value with all outputs of a recurrence to what its form can pool.
        turned: The values whose masks are those of reversed sequences.
    """
    for node in list(graph.proto.node):
        if node.op_type == "ReduceSum":
            _replace_sum(graph, node, pooled, turned)
        elif node.op_type == "ReduceMax" and not any(a.name == "keepdims" and a.i for a in node.attribute):
            _replace_maximum(graph, node, pooled)
            _replace_detectors(graph, node, pooled, turned)


def _replace_sum(graph: Graph, node: onnx.NodeProto, pooled: Mapping[str, Pooled], turned: Set[str]) -> None:
    """Replaces a masked sum, if the mask is in the order of the states.

    Keras does not reverse the mask of a layer that goes backwards. Its states are then masked at the wrong positions,
    and such a sum is not the one over the unmasked positions. A Bidirectional reverses its backward states first.
    """
    found = graph.match(node.output[0], _SUM)
    axes = graph.constant(node.input[1]) if found else None
    if found is None or axes is None or axes.tolist() != [1] or not _are_zero(graph, found["zero"], found["pad"]):
        return
    forward, *backward = _directions(graph, found["all"])
    if pooled.keys() >= {forward, *backward} and forward not in turned and set(backward) <= turned:
        _replace_side_by_side(graph, node, [pooled[part].total for part in (forward, *backward)])


def _replace_maximum(graph: Graph, node: onnx.NodeProto, pooled: Mapping[str, Pooled]) -> None:
    states = _turned(graph, node.input[0])
    parts = _directions(graph, states or node.input[0])
    if _axes(node) == ([1] if states else [0]) and pooled.keys() >= set(parts):
        _replace_side_by_side(graph, node, [pooled[part].maximum for part in parts])


def _replace_detectors(graph: Graph, node: onnx.NodeProto, pooled: Mapping[str, Pooled], turned: Set[str]) -> None:
    """Replaces the maximum of a Dense over the positions by products of each direction's own states, added up."""
    matches = ((name, graph.match(node.input[0], pattern)) for name, pattern in _DENSE)
    activation, found = next(((name, found) for name, found in matches if found), ("", None))
    if found is None or _axes(node) != [1]:
        return
    kernel, shape = graph.constant(found["kernel"]), graph.match(found["shape"], _SHAPE)
    outputs = graph.constant(shape["outputs"]) if shape else None
    states = _turned(graph, found["turned"])
    if kernel is None or outputs is None or outputs.tolist() != [kernel.shape[1]] or states is None:
        return
    parts = _directions(graph, states)
    if not pooled.keys() >= set(parts) or (len(parts) > 1 and parts[0] in turned):
        return
    name, chosen = node.output[0], [pooled[part] for part in parts]
    if any(part.moved is None or (i and part.turn is None) for i, part in enumerate(chosen)):
        return
    # Relu without a bias gives zero for a zero state, and no output is smaller: so more zeros do not change a maximum.
    takes_zeros = activation == "Relu" and "bias" not in found and all(part.apart for part in chosen)
    values = list(zip(*(part.apart if takes_zeros else (part.moved,) for part in chosen), strict=True))
    products = _add_products(graph, name, chosen, values, found["kernel"], kernel.shape[1])
    # Adding the bias and the activations are monotone, so the maximum is taken first, and they are computed once.
    total = products[0] if len(products) == 1 else graph.add("Max", products, f"{name}.largest_of_steps")
    total = graph.add("ReduceMax", [total], f"{name}.largest", axes=[0], keepdims=0)
    if "bias" in found:
        total = graph.add("Add", [total, found["bias"]], f"{name}.with_bias")
    graph.replace(name, graph.add(activation, [total], f"{name}.active"))


def _add_products(
    graph: Graph, name: str, parts: Sequence[Pooled], values: Sequence[Sequence[Any]], kernel: str, size: int
) -> list[str]:
    """Adds the products of both directions' states with a Dense's kernel, without copying the states side by side.

    The kernel is sliced by nodes and stays in the file as one constant, because the proof looks for it there.

    Args:
        graph: The graph, to which the nodes are added.
        name: The prefix of the new values' names.
        parts: The directions.
        values: For each product, one value (time, batch, units) of each direction.
        kernel: The value (sum of units, size).
        size: The number of the Dense's outputs.

    Returns:
        The products, (time, batch, size) each.
    """
    places = list(pairwise(accumulate((part.units for part in parts), initial=0)))
    kernels = [kernel]
    if len(parts) > 1:
        kernels = [graph.slice(kernel, f"{name}.kernel_{i}", {0: place}) for i, place in enumerate(places)]
    sums = []
    for step, states in enumerate(values):
        products = []
        for i, (part, value, own) in enumerate(zip(parts, states, kernels, strict=True)):
            product = graph.add("MatMul", [value, own], f"{name}.product_{i}_{step}")
            products.append(part.turn(product, size) if i and part.turn else product)
        sums.append(graph.add("Add", products, f"{name}.products_{step}") if len(products) > 1 else products[0])
    return sums


def _turned(graph: Graph, value: str) -> str | None:
    """Returns the value (time, batch, ...) of which this one is the transpose (batch, time, ...), or None."""
    node = graph.producer(value)
    is_turned = node is not None and node.op_type == "Transpose" and list(node.attribute[0].ints) == [1, 0, 2]
    return node.input[0] if node is not None and is_turned else None


def _axes(node: onnx.NodeProto) -> list[int]:
    return next((list(a.ints) for a in node.attribute if a.name == "axes"), [])


def _directions(graph: Graph, states: str) -> tuple[str, ...]:
    """Returns the outputs of the forward and the backward recurrence that are side by side, or the value itself."""
    both = graph.match(states, _BOTH)
    return (both["forward"], both["backward"]) if both else (states,)


def _replace_side_by_side(graph: Graph, node: onnx.NodeProto, parts: Sequence[str | None]) -> None:
    """Replaces a node's value by the concatenation of the parts in the last axis, unless a part is missing."""
    known = [part for part in parts if part]
    if known and len(known) == len(parts):
        graph.replace(node.output[0], graph.add("Concat", known, f"{node.output[0]}.pooled", axis=-1))


def _are_zero(graph: Graph, *values: str) -> bool:
    constants = [graph.constant(value) for value in values]
    return all(constant is not None and not constant.any() for constant in constants)

"""States pooled over the time: a sum, a maximum, or the maximum of a Dense, of states in whatever order.

tf2onnx spells these out from all states, both directions side by side, each at its position. Who sums or takes the
maximum does not ask for the order. So a form that computes its states in another order (`rnnx.rewrites.masked_order`)
pools them as they are, and need not bring them back. Where a Dense looks at both directions at once, it becomes a
product for each of them: nothing is copied side by side, and the few numbers that the second product gives are what is
brought into the order of the first.

The values are the same, those of masked positions among them: what is pooled has as many zeros as there are masked
positions.
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
# Keras's Dense of all positions, and what may follow it.
_PRODUCT = Op("Reshape", Op("MatMul", Op("Reshape", Var("turned")), Var("kernel")), Op("Cast", Var("shape")))
_SHAPE = Op("Concat", Var("batch_and_time"), Var("outputs"))
_ACTIVATIONS = ("Relu", "Tanh", "Sigmoid")
_SUMS: tuple[Pattern, ...] = (_PRODUCT, Op("Add", _PRODUCT, Var("bias")))
_DENSE = [(activation, Op(activation, total)) for activation in _ACTIVATIONS for total in _SUMS]


@dataclass(frozen=True)
class Pooled:
    """The outputs of a recurrence as its form has them, as names of values; None for what it does not have.

    Attributes:
        units: Their number.
        total: (batch, units), the sum of the states over what counts.
        maximum: (batch, units), the maximum of the outputs over the time.
        moved: (time, batch, units), the outputs, each row in an order of its own.
        turn: (a value (time, batch, features) in that order, features) to the value in the order in which the form has
            a recurrence that reads from the other end.
        apart: The outputs in several values (steps, batch, units), with more zeros than are masked; together in the
            order of `moved`. Each one lies beside the same one of a recurrence that reads from the other end, turned.
    """

    units: int
    total: str | None = None
    maximum: str | None = None
    moved: str | None = None
    turn: Callable[[str, int], str] | None = None
    apart: tuple[str, ...] = ()


def replace_pooling(graph: Graph, pooled: Mapping[str, Pooled], turned: Set[str]) -> None:
    """Replaces what pools the outputs of recurrences.

    Args:
        graph: Changed in place.
        pooled: By the value that holds all outputs of a recurrence.
        turned: Those whose masks are those of sequences turned around.
    """
    for node in list(graph.proto.node):
        if node.op_type == "ReduceSum":
            _replace_sum(graph, node, pooled, turned)
        elif node.op_type == "ReduceMax" and not any(a.name == "keepdims" and a.i for a in node.attribute):
            _replace_maximum(graph, node, pooled)
            _replace_detectors(graph, node, pooled, turned)


def _replace_sum(graph: Graph, node: onnx.NodeProto, pooled: Mapping[str, Pooled], turned: Set[str]) -> None:
    """Replaces a masked sum, where the mask stands in the order of the states.

    Keras hands the mask of a layer that goes backwards on as it came: its states are then masked in the wrong places,
    which is no sum over what counts. A Bidirectional turns its backward states around first.
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
    """Replaces the maximum of a Dense over the positions: the Dense of each direction's own states, added up."""
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
    # What zeros give is below no other: then there may be more of them.
    takes_zeros = activation == "Relu" and "bias" not in found and all(part.apart for part in chosen)
    values = list(zip(*(part.apart if takes_zeros else (part.moved,) for part in chosen), strict=True))
    products = _add_products(graph, name, chosen, values, found["kernel"], kernel.shape[1])
    # Addition and activations are monotone: the largest one comes first, they come once.
    total = products[0] if len(products) == 1 else graph.add("Max", products, f"{name}.largest_of_steps")
    total = graph.add("ReduceMax", [total], f"{name}.largest", axes=[0], keepdims=0)
    if "bias" in found:
        total = graph.add("Add", [total, found["bias"]], f"{name}.with_bias")
    graph.replace(name, graph.add(activation, [total], f"{name}.active"))


def _add_products(
    graph: Graph, name: str, parts: Sequence[Pooled], values: Sequence[Sequence[Any]], kernel: str, size: int
) -> list[str]:
    """Adds [parts side by side] kernel, (time, batch, size), without putting them there; one for each set of values.

    The kernel stays whole in the file, where the proof looks for it.
    """
    places = list(pairwise(accumulate((part.units for part in parts), initial=0)))
    kernels = [kernel]
    if len(parts) > 1:
        kernels = [graph.slice(kernel, f"{name}.kernel_{i}", {0: place}) for i, place in enumerate(places)]
    sums = []
    for step, of_one in enumerate(values):
        products = []
        for i, (part, value, own) in enumerate(zip(parts, of_one, kernels, strict=True)):
            product = graph.add("MatMul", [value, own], f"{name}.product_{i}_{step}")
            products.append(part.turn(product, size) if i and part.turn else product)
        sums.append(graph.add("Add", products, f"{name}.products_{step}") if len(products) > 1 else products[0])
    return sums


def _turned(graph: Graph, value: str) -> str | None:
    """What (batch, time, ...) was made of by turning (time, batch, ...) around; None if it was not."""
    node = graph.producer(value)
    is_turned = node is not None and node.op_type == "Transpose" and list(node.attribute[0].ints) == [1, 0, 2]
    return node.input[0] if node is not None and is_turned else None


def _axes(node: onnx.NodeProto) -> list[int]:
    return next((list(a.ints) for a in node.attribute if a.name == "axes"), [])


def _directions(graph: Graph, states: str) -> tuple[str, ...]:
    """The outputs of the forward and of the backward recurrence that lie side by side, or what else these are."""
    both = graph.match(states, _BOTH)
    return (both["forward"], both["backward"]) if both else (states,)


def _replace_side_by_side(graph: Graph, node: onnx.NodeProto, parts: Sequence[str | None]) -> None:
    """Replaces a value by its parts, one after the other in the last axis; leaves it where one is not known."""
    known = [part for part in parts if part]
    if known and len(known) == len(parts):
        graph.replace(node.output[0], graph.add("Concat", known, f"{node.output[0]}.pooled", axis=-1))


def _are_zero(graph: Graph, *values: str) -> bool:
    constants = [graph.constant(value) for value in values]
    return all(constant is not None and not constant.any() for constant in constants)

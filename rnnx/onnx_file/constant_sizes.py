"""How large what onnxruntime computes of constants becomes: it does so while it loads a file, before any text comes.

A kilobyte of constants, multiplied with itself a few times, fills any memory. The forms of rnnx compute little of them
(a folded table of an embedding, the words of a vocabulary); whatever they do not compute is refused. Sizes are upper
bounds, axis by axis where the axes are known. Standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from rnnx.errors import ModelError
from rnnx.onnx_file.wire import Message

MOST_NUMBERS = 1 << 28  # in one tensor, declared or computed: 1 GiB of float32
MOST_INTEGER = 1 << 24  # of a constant; the forms have none above 2^23
_MOST_RANK = 8

Shape: TypeAlias = tuple[int, ...]

_SAME = frozenset({"Cast", "CumSum", "Exp", "Identity", "Neg", "Not", "Reciprocal", "Slice", "Sqrt", "Tanh"})
_NO_LARGER = _SAME | {"ReduceSum", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
_ELEMENTWISE = frozenset(
    {"Add", "And", "Div", "Equal", "Greater", "Less", "Max", "Min", "Mod", "Mul", "Or", "Sub", "Sum", "Where"}
)


@dataclass(frozen=True, eq=False)
class Constant:
    """What is known of a value that does not depend on the input.

    Attributes:
        shape: The largest size of each axis; None if the axes are not known.
        size: The most numbers in it.
        values: The numbers of an integer tensor that stands in the file.
    """

    shape: Shape | None
    size: int
    values: memoryview | None = None


def fold(node: Message, given: Sequence[Constant]) -> Constant:
    """What a node makes of constants.

    Args:
        node: A NodeProto.
        given: Its inputs, those that are left out left out.

    Raises:
        ModelError: If that is too large, or of no kind that a file of rnnx computes.
    """
    operator = node["op_type"]
    shape = _shape(node, given)
    if shape is not None:
        size = prod(shape)
    elif operator in _NO_LARGER:
        size = given[0].size
    elif operator == "Range" and all(one.values is not None and one.size == 1 for one in given):
        size = 2 * MOST_INTEGER  # from one constant to another, by whole numbers
    elif operator in _ELEMENTWISE | {"Concat", "Gather", "MatMul"}:
        size = prod(max(one.size, 1) for one in given)
    else:
        raise ModelError(f"a {operator} of constants alone, as no file of rnnx has one")
    if size > MOST_NUMBERS:
        raise ModelError(f"a {operator} of constants would make {size:,} numbers while the file is loaded")
    return Constant(shape, size)


def _shape(node: Message, given: Sequence[Constant]) -> Shape | None:
    """The axes of what a node makes, as far as they follow from those of its inputs."""
    operator, first = node["op_type"], given[0].shape
    shapes = [one.shape for one in given if one.shape is not None]
    if operator in _SAME:
        return first
    values = given[-1].values
    if operator in ("Reshape", "Unsqueeze") and (values is None or len(values) > _MOST_RANK):
        return None
    if operator == "Reshape" and values is not None:
        rest = prod(size for size in values if size > 0)
        return None if 0 in values else tuple(size if size > 0 else given[0].size // rest for size in values)
    if operator == "Unsqueeze" and values is not None and first is not None:
        rank, sizes = len(first) + len(values), iter(first)
        return tuple(1 if {i, i - rank} & {*values} else next(sizes, 1) for i in range(rank))
    if len(shapes) < len(given):
        return None
    if operator in _ELEMENTWISE:
        return _broadcast(shapes)
    if len(shapes) != 2 and operator in ("MatMul", "Gather"):
        return None
    if operator == "MatMul" and min(map(len, shapes)) >= 2:
        return (*_broadcast([shape[:-2] for shape in shapes]), shapes[0][-2], shapes[1][-1])
    if operator in ("Concat", "Gather") and first:
        axis = next((one.get("i", 0) for one in node.get("attribute", ()) if one.get("name") == "axis"), 0) % len(first)
        if operator == "Gather":
            return (*first[:axis], *shapes[1], *first[axis + 1 :])
        if len({*map(len, shapes)}) == 1:
            return tuple(sum(sizes) if i == axis else max(sizes) for i, sizes in enumerate(zip(*shapes, strict=True)))
    return None


def _broadcast(shapes: Sequence[Shape]) -> Shape:
    rank = max(map(len, shapes))
    wide = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(map(max, zip(*wide, strict=True)))

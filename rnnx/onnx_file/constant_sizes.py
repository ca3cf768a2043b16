"""Bounds the size of what onnxruntime computes from constants while it loads a file.

A file of a kilobyte can fill any memory in this way, for example by multiplying a constant by itself a few times. The
files of rnnx compute little from constants: the folded table of an embedding, the words of a vocabulary, and the shape
of a weight. Every other computation on constants is refused. Sizes are upper bounds, axis by axis where the axes are
known.

Imports the standard library only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from rnnx.errors import ModelError
from rnnx.onnx_file.wire import Message

MAX_NUMBERS = 1 << 28  # in one tensor, declared or computed: 1 GiB of float32
MAX_INTEGER = 1 << 24  # in a constant; the files of rnnx have none above 2^23
_MAX_RANK = 8

Shape: TypeAlias = tuple[int, ...]

# Operators whose result has the shape of their first input (a Slice: at most that shape), those whose result has at
# most as many numbers as that input, and those that broadcast their inputs.
_SAME_SHAPE = frozenset({"Cast", "CumSum", "Exp", "Identity", "Neg", "Not", "Reciprocal", "Slice", "Sqrt", "Tanh"})
_NO_LARGER = _SAME_SHAPE | {"ReduceSum", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
_ELEMENTWISE = frozenset(
    {"Add", "And", "Div", "Equal", "Greater", "Less", "Max", "Min", "Mod", "Mul", "Or", "Sub", "Sum", "Where"}
)


@dataclass(frozen=True, eq=False)
class Constant:
    """The known bounds of a value that does not depend on the inputs of the graph.

    Attributes:
        shape: The largest possible size of each axis; None if the axes are not known.
        size: The largest possible number of elements.
        values: The elements of an integer tensor that is stored in the file; None for all others.
    """

    shape: Shape | None
    size: int
    values: memoryview | None = None


def bound_result(node: Message, operands: Sequence[Constant]) -> Constant:
    """Bounds the output of a node whose inputs are all constant.

    Args:
        node: A NodeProto.
        operands: Its inputs, without those that are missing.

    Returns:
        The bounds of its output, without values.

    Raises:
        ModelError: If the output may be too large, or if files of rnnx do not apply this operator to constants.
    """
    operator = node["op_type"]
    shape = _shape(node, operands)
    if shape is not None:
        size = prod(shape)
    elif operator in _NO_LARGER:
        size = operands[0].size
    elif operator == "Range" and all(operand.values is not None and operand.size == 1 for operand in operands):
        size = 2 * MAX_INTEGER  # integers from one constant to another, both at most MAX_INTEGER in absolute value
    elif operator in _ELEMENTWISE | {"Concat", "Gather", "MatMul"}:
        size = prod(max(operand.size, 1) for operand in operands)
    else:
        raise ModelError(f"operator {operator} has constant inputs only, which is not supported")
    if size > MAX_NUMBERS:
        raise ModelError(f"operator {operator} would compute {size:,} numbers from constants while the file is loaded")
    return Constant(shape, size)


def _shape(node: Message, operands: Sequence[Constant]) -> Shape | None:
    """Returns the largest shape of a node's output; None if it does not follow from the shapes of its inputs."""
    operator, first = node["op_type"], operands[0].shape
    shapes = [operand.shape for operand in operands if operand.shape is not None]
    if operator in _SAME_SHAPE:
        return first
    if operator == "Shape":
        return None if first is None else (len(first),)
    values = operands[-1].values
    if operator in ("Reshape", "Unsqueeze") and (values is None or len(values) > _MAX_RANK):
        return None
    if operator == "Reshape" and values is not None:
        # A size of 0 copies a size of the input, -1 follows from the other sizes.
        rest = prod(size for size in values if size > 0)
        return None if 0 in values else tuple(size if size > 0 else operands[0].size // rest for size in values)
    if operator == "Unsqueeze" and values is not None and first is not None:
        rank, sizes = len(first) + len(values), iter(first)
        return tuple(1 if {i, i - rank} & {*values} else next(sizes, 1) for i in range(rank))
    if len(shapes) < len(operands):
        return None
    if operator in _ELEMENTWISE:
        return _broadcast(shapes)
    if len(shapes) != 2 and operator in ("MatMul", "Gather"):
        return None
    if operator == "MatMul" and min(map(len, shapes)) >= 2:
        return (*_broadcast([shape[:-2] for shape in shapes]), shapes[0][-2], shapes[1][-1])
    if operator in ("Concat", "Gather") and first:
        attributes = node.get("attribute", ())
        axis = next((entry.get("i", 0) for entry in attributes if entry.get("name") == "axis"), 0) % len(first)
        if operator == "Gather":
            return (*first[:axis], *shapes[1], *first[axis + 1 :])
        if len({*map(len, shapes)}) == 1:
            return tuple(sum(sizes) if i == axis else max(sizes) for i, sizes in enumerate(zip(*shapes, strict=True)))
    return None


def _broadcast(shapes: Sequence[Shape]) -> Shape:
    rank = max(map(len, shapes))
    wide = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    return tuple(map(max, zip(*wide, strict=True)))

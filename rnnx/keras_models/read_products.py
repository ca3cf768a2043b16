"""Turns the operations that multiply matrices into layers of the reference, or refuses them. Imports Keras.

A product with constants is read as letters, as an einsum is: which axes are summed over, and where the others go.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod
from string import ascii_letters
from typing import Any

import keras
import numpy as np

from rnnx import reference
from rnnx.keras_models.layer_settings import refusal
from rnnx.keras_models.operation_parts import (
    LayerOrChain,
    OperationReader,
    arguments_of,
    axes_of,
    chain,
    constant_of,
    inputs_of,
)
from rnnx.reference import Array, Selection


def _read_matmul(operation: Any) -> LayerOrChain:
    first, second = arguments_of(operation)[:2]
    tensors = inputs_of(operation)
    if len(tensors) == 2:
        shapes = [tuple(tensor.shape) for tensor in tensors]
        if len(shapes[0]) < 3 or len(shapes[0]) != len(shapes[1]) or shapes[0][1:-2] != shapes[1][1:-2]:
            raise refusal(
                operation,
                f"multiplies tensors of the shapes {shapes[0]} and {shapes[1]}; only a matrix of each row, with the "
                "same axes in front of it, is supported",
            )
        return reference.MultiplyTensors()
    is_first = tensors[0] is second
    matrix = constant_of(first if is_first else second)
    if matrix.ndim == 1 and not is_first:
        return _by_last_axis(operation, first, matrix, 0)
    if matrix.ndim != 2 or (is_first and len(second.shape) < 3):
        raise refusal(operation, f"multiplies by constants of the shape {matrix.shape}; only a matrix is supported")
    return reference.MultiplyMatrix(matrix, is_first)


def _read_dot(operation: Any) -> LayerOrChain:
    first, second = arguments_of(operation)[:2]
    if len(inputs_of(operation)) == 2:
        raise refusal(operation, "multiplies by a computed tensor; use ops.matmul or ops.einsum")
    if isinstance(second, keras.KerasTensor):
        raise refusal(operation, "has the constants in front, which moves the batch; use ops.matmul or ops.einsum")
    constants = constant_of(second)
    return _by_last_axis(operation, first, constants, max(constants.ndim - 2, 0))


def _by_last_axis(operation: Any, x: Any, constants: Array, axis: int) -> LayerOrChain:
    """Reads a product that sums over the last axis of `x` and an axis of the constants."""
    letters = ascii_letters[: len(x.shape)]
    others = list(ascii_letters[len(letters) : len(letters) + constants.ndim])
    others[axis] = letters[-1]
    result = letters[:-1] + "".join(other for other in others if other != letters[-1])
    return _by_constants(operation, letters, constants, "".join(others), result)


def _read_tensordot(operation: Any) -> LayerOrChain:
    first, second = arguments_of(operation)[:2]
    if len(inputs_of(operation)) == 2 or not isinstance(first, keras.KerasTensor):
        raise refusal(operation, "should multiply a computed tensor by constants after it; use ops.einsum")
    constants, axes = constant_of(second), operation.axes
    rank = len(first.shape)
    if isinstance(axes, int):
        of_x, of_constants = list(range(rank - axes, rank)), list(range(axes))
    else:
        of_x, of_constants = ([int(axis) for axis in np.ravel(each)] for each in axes)
    letters = ascii_letters[:rank]
    others = list(ascii_letters[rank : rank + constants.ndim])
    summed = [letters[axis] for axis in of_x]
    for axis, letter in zip(of_constants, summed, strict=True):
        others[axis] = letter
    result = "".join(letter for letter in (*letters, *others) if letter not in summed)
    return _by_constants(operation, letters, constants, "".join(others), result)


def _read_einsum(operation: Any) -> LayerOrChain:
    arguments, tensors = arguments_of(operation), inputs_of(operation)
    letters, result = _letters(operation, [np.shape(each) for each in arguments])
    if len(arguments) == 1:
        raise _refused(operation, "one operand is not supported; use ops.sum or ops.transpose")
    if len(arguments) == 2 and len(tensors) == 1:
        is_first = not isinstance(arguments[0], keras.KerasTensor)
        (x, of_constants), constants = (letters[::-1], arguments[0]) if is_first else (letters, arguments[1])
        return _by_constants(operation, x, constant_of(constants), of_constants, result)
    if len(arguments) != 2 or len(tensors) != 2:
        raise _refused(operation, "only one or two operands are supported; write several einsums")
    first, second = letters
    if "..." in operation.subscripts:
        raise _refused(
            operation, "an ellipsis is supported with one computed operand only; write a letter for each axis"
        )
    batch = {word[:1] for word in (first, second, result)}
    alone = (set(first) ^ set(second)) - set(result)
    sizes = dict(zip(first, tensors[0].shape, strict=True))
    repeated = [each for each, size in zip(second, tensors[1].shape, strict=True) if sizes.get(each, size) != size]
    if len(batch) != 1 or alone or repeated:
        raise _refused(operation, "supported is a product of matrices, of which the batch is the first axis")
    return reference.Einsum(first, second, result)


def _letters(operation: Any, shapes: list[tuple[int | None, ...]]) -> tuple[list[str], str]:
    """Returns the letters of each operand and of the result, with letters for each ellipsis."""
    operands, arrow, result = operation.subscripts.replace(" ", "").partition("->")
    words = operands.split(",")
    if len(words) != len(shapes):
        raise _refused(operation, "the operands are not as many as their letters")
    free = [letter for letter in ascii_letters if letter not in operands + result]
    counts = [
        len(shape) - len(word.replace("...", "")) if "..." in word else 0
        for word, shape in zip(words, shapes, strict=True)
    ]
    extra = "".join(free[: max(counts)])
    letters = [word.replace("...", extra[len(extra) - count :]) for word, count in zip(words, counts, strict=True)]
    if not arrow:  # the letters that are there once, in the order of the alphabet
        every = "".join(words).replace("...", "")
        result = "..." * bool(extra) + "".join(sorted(letter for letter in set(every) if every.count(letter) == 1))
    result = result.replace("...", extra)
    is_plain = all(len(set(word)) == len(word) and re.fullmatch("[A-Za-z]*", word) for word in (*letters, result))
    if not is_plain or not result or not set(result) <= set("".join(letters)):
        raise _refused(operation, "each operand should have a letter once for each axis, and the result some of them")
    return letters, result


def _refused(operation: Any, reason: str) -> Exception:
    return refusal(operation, f"has the equation {operation.subscripts!r:.60}; {reason}")


def _in_order(letters: str, result: str) -> list[reference.Layer]:
    return [] if letters == result else [reference.Transpose(tuple(letters.index(letter) for letter in result))]


def _require_batch(operation: Any, letters: str, result: str, of_constants: str = "") -> None:
    if letters[0] in of_constants or letters[:1] != result[:1]:
        raise refusal(operation, "does not keep the batch as the first axis, which is not supported")


def _by_constants(operation: Any, letters: str, constants: Array, of_constants: str, result: str) -> LayerOrChain:
    """Reads a product with constants, as a product with a matrix, or with a number for each element."""
    (x,) = inputs_of(operation)
    _require_batch(operation, letters, result, of_constants)
    if len(letters) != len(x.shape) or len(of_constants) != constants.ndim:
        raise refusal(operation, f"has constants of the shape {constants.shape}, which do not fit {tuple(x.shape)}")
    sizes: dict[str, int | None] = dict(zip(letters, x.shape, strict=True))
    if any(sizes.get(letter, size) != size for letter, size in zip(of_constants, constants.shape, strict=True)):
        raise refusal(operation, f"has constants of the shape {constants.shape}, which do not fit {tuple(x.shape)}")
    summed = [letter for letter in letters if letter in of_constants and letter not in result]
    shared = [letter for letter in letters if letter in of_constants and letter in result]
    columns = [letter for letter in of_constants if letter not in letters]
    alone = [letter for letter in letters if letter not in of_constants + result]
    if alone or (shared and (summed or columns)) or not set(columns) <= set(result) or not (shared or summed):
        raise refusal(
            operation,
            "multiplies each position by a matrix of its own, or sums over axes of one operand alone; only one matrix "
            "for all positions, or a number for each element, is supported",
        )
    kept = "".join(letter for letter in letters if letter not in summed)
    if shared:
        wide = constants.transpose([of_constants.index(letter) for letter in shared])
        widths = dict(zip(shared, wide.shape, strict=True))
        whole = wide.reshape([widths.get(letter, 1) for letter in kept[1:]])
        return chain([reference.CombineConstants("multiply", whole, False), *_in_order(kept, result)])
    matrix = constants.transpose([of_constants.index(letter) for letter in (*summed, *columns)])
    matrix = matrix.reshape(prod(matrix.shape[: len(summed)]), -1)
    parts = _in_order(letters, kept + "".join(summed))
    open_sizes = [-1 if sizes[letter] is None else int(sizes[letter] or 0) for letter in kept[1:]]
    if len(summed) > 1:
        parts += [reference.Reshape((*open_sizes, len(matrix)))]
    parts += [reference.MultiplyMatrix(matrix)]
    if not columns:
        parts += [reference.GetItem((*[Selection("slice")] * (len(kept) - 1), Selection("index", 0)))]
    elif len(columns) > 1:
        wide_sizes = [constants.shape[of_constants.index(letter)] for letter in columns]
        parts += [reference.Reshape((*open_sizes, *wide_sizes))]
    return chain([*parts, *_in_order(kept + "".join(columns), result)])


def _read_average(operation: Any) -> LayerOrChain:
    if len(arguments_of(operation)) > 1 and arguments_of(operation)[1] is not None:
        raise refusal(operation, "has weights; use ops.sum(x * weights, axis), with weights whose sum is 1")
    axes = axes_of(operation, operation.axis, len(inputs_of(operation)[0].shape), "averages over")
    return reference.Reduce("mean", axes, keepdims=False)


READERS_OF_PRODUCTS: Mapping[str, OperationReader] = {
    "Average": _read_average,
    "Dot": _read_dot,
    "Einsum": _read_einsum,
    "Matmul": _read_matmul,
    "Tensordot": _read_tensordot,
}

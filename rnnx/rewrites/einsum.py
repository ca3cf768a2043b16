"""Replaces Einsum, which few runtimes have, by MatMul: the products of a MultiHeadAttention, and those of people.

An einsum of two operands is a matrix product after some axes have changed their places: the letters of both operands
and of the result count rows of a batch, those of both operands alone are summed over, and the others are rows and
columns. Weights of several axes are stored as the matrix that is multiplied, with Keras's numbers in Keras's order.

Source: the definition of Einsum in ONNX.
"""

from __future__ import annotations

from math import prod

import numpy as np
import onnx
from onnx import helper

from rnnx.rewrites.graph import Graph


def replace_einsums(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replaces every Einsum of the main graph that is such a product.

    Returns:
        A new model. Without Einsum it is equal to the given one.
    """
    model = onnx.ModelProto.FromString(model.SerializeToString())
    einsums = [node for node in model.graph.node if node.op_type == "Einsum"]
    if not einsums:
        return model
    graph = Graph(model.graph)
    for node in einsums:
        equation = next(attribute.s for attribute in node.attribute if attribute.name == "equation").decode()
        operands, _, result = equation.replace(" ", "").partition("->")
        letters = operands.split(",")
        if len(letters) != 2 or not all(letter.isalpha() for letter in "".join((*letters, result))):
            continue
        is_replaced = (
            _multiply_by_weights(graph, node, letters, result) or _multiply_in_any_order(graph, node, letters, result)
            if graph.constant(node.input[1]) is not None
            else _multiply(graph, node, letters, result)
        )
        if is_replaced:
            model.graph.node.remove(node)
    graph.clean()
    return model


def _multiply_by_weights(graph: Graph, node: onnx.NodeProto, letters: list[str], result: str) -> bool:
    """Replaces x W: the last axes of x are the first ones of W, and the result has the others in their order."""
    x, w = letters
    weights = graph.constant(node.input[1])
    summed = [letter for letter in w if letter in x]
    kept, columns = x[: len(x) - len(summed)], w[len(summed) :]
    if weights is None or x != kept + "".join(summed) or w != "".join(summed) + columns or result != kept + columns:
        return False
    name = node.output[0]
    inputs = int(np.prod(weights.shape[: len(summed)]))
    matrix = graph.add_constant(f"{name}.weights", weights.reshape(inputs, -1))
    left = node.input[0]
    if len(summed) > 1:
        left = graph.add("Reshape", [left, graph.shared([*[0] * len(kept), inputs])], f"{name}.joined")
    if len(columns) == 1:
        graph.add_node(helper.make_node("MatMul", [left, matrix], [name], name=name))
        return True
    product = graph.add("MatMul", [left, matrix], f"{name}.product")
    sizes = graph.shared([*[0] * len(kept), *weights.shape[len(summed) :]])
    graph.add_node(helper.make_node("Reshape", [product, sizes], [name], name=name))
    return True


def _multiply_in_any_order(graph: Graph, node: onnx.NodeProto, letters: list[str], result: str) -> bool:
    """Replaces x W with axes in any order; letters of x, W and the result have a matrix of W each."""
    x, w = letters
    weights = graph.constant(node.input[1])
    rows = [letter for letter in result if letter not in w]
    both = [letter for letter in result if letter in x and letter in w]
    summed = [letter for letter in x if letter not in result]
    columns = [letter for letter in result if letter not in x]
    if weights is None or {*w} != {*both, *summed, *columns} or {*x} != {*rows, *both, *summed}:
        return False
    name, size = node.output[0], dict(zip(w, weights.shape, strict=True))
    sizes_of_both, count = [size[letter] for letter in both], prod(size[letter] for letter in summed)
    of_row = [*sizes_of_both, 1, count] if both else [count]
    left = _in_order(graph, node.input[0], f"{name}.left", x, [*rows, *both, *summed])
    left = graph.add("Reshape", [left, graph.shared([*[0] * len(rows), *of_row])], f"{name}.joined")
    # The file has Keras's weights as they are, and runtimes reorder them once.
    right = _in_order(graph, node.input[1], f"{name}.right", w, [*both, *summed, *columns])
    matrix = [*sizes_of_both, count, prod(size[letter] for letter in columns)]
    right = graph.add("Reshape", [right, graph.shared(matrix)], f"{name}.matrix")
    product = graph.add("MatMul", [left, right], f"{name}.product")
    sizes = [*[0] * len(rows), *sizes_of_both, *(size[letter] for letter in columns)]
    product = graph.add("Reshape", [product, graph.shared(sizes)], f"{name}.split")
    order = [*rows, *both, *columns]
    perm = [order.index(letter) for letter in result]
    graph.add_node(helper.make_node("Transpose", [product], [name], name=name, perm=perm))
    return True


def _multiply(graph: Graph, node: onnx.NodeProto, letters: list[str], result: str) -> bool:
    """Replaces a batched product of two values, with at most one axis of rows, of columns and of those summed over.

    A missing axis is added, with size 1, and removed again.
    """
    x, y = letters
    batch = [letter for letter in result if letter in x and letter in y]
    summed = [letter for letter in x if letter in y and letter not in result]
    rows = [letter for letter in x if letter not in y]
    columns = [letter for letter in y if letter not in x]
    groups = (rows, summed, columns)
    if any(len(group) > 1 for group in groups) or set(result) != {*batch, *rows, *columns} or not batch:
        return False
    name, rank = node.output[0], len(batch)
    operands = []
    for value, side, have, (first, second) in (
        (node.input[0], "left", x, (rows, summed)),
        (node.input[1], "right", y, (summed, columns)),
    ):
        operand = _in_order(graph, value, f"{name}.{side}", have, [*batch, *first, *second])
        missing = [rank + i for i, group in enumerate((first, second)) if not group]
        if missing:
            operand = graph.add("Unsqueeze", [operand, graph.shared(missing)], f"{name}.{side}_matrix")
        operands.append(operand)
    product = graph.add("MatMul", operands, f"{name}.product")
    missing = [rank + i for i, group in enumerate((rows, columns)) if not group]
    if missing:
        product = graph.add("Squeeze", [product, graph.shared(missing)], f"{name}.squeezed")
    order = [*batch, *rows, *columns]
    perm = [order.index(letter) for letter in result]
    graph.add_node(helper.make_node("Transpose", [product], [name], name=name, perm=perm))
    return True


def _in_order(graph: Graph, value: str, name: str, have: str, wanted: list[str]) -> str:
    """Returns a value with its axes in the wanted order."""
    perm = [have.index(letter) for letter in wanted]
    return value if perm == sorted(perm) else graph.add("Transpose", [value], name, perm=perm)

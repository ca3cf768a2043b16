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
        if len(letters) == 2 and graph.constant(node.input[0]) is not None:  # weights come second
            letters.reverse()
            node.input[:] = node.input[::-1]
        if len(letters) != 2 or not all(letter.isalpha() for letter in "".join((*letters, result)).replace("...", "")):
            continue
        if "..." in operands and graph.constant(node.input[1]) is None:
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
    """Replaces x W: some axes of x are summed over, and the result has the other ones of W in their place.

    The weights are stored as the matrix of the axes that are summed over and of those that are not. Without any of
    them, each number of x is multiplied by one of the weights.
    """
    x, w = letters
    weights = graph.constant(node.input[1])
    summed = [letter for letter in x if letter in w and letter not in result]
    columns = [letter for letter in w if letter not in x]
    kept = x if not summed else "".join(letter for letter in x if letter not in summed)
    if weights is None or {*kept, *columns} != set(result):
        return False
    name = node.output[0]
    if not summed and not columns:
        return x == result and _multiply_each(graph, node, x, w)
    is_ellipsis = "..." in x
    if not summed or set(w) != {*summed, *columns} or (is_ellipsis and (len(summed) > 1 or len(columns) != 1)):
        return False
    inputs = int(np.prod([weights.shape[w.index(letter)] for letter in summed]))
    ordered = weights.transpose([w.index(letter) for letter in (*summed, *columns)])
    matrix = graph.add_constant(f"{name}.weights", ordered.reshape(inputs, -1))
    if is_ellipsis:
        if not x.endswith(summed[0]) or result != kept + columns[0]:
            return False
        graph.add_node(helper.make_node("MatMul", [node.input[0], matrix], [name], name=name))
        return True
    left = _in_order(graph, node.input[0], f"{name}.left", x, [*kept, *summed])
    if len(summed) > 1:
        left = graph.add("Reshape", [left, graph.shared([*[0] * len(kept), inputs])], f"{name}.joined")
    order = kept + "".join(columns)
    perm = [order.index(letter) for letter in result]
    is_ordered = perm == sorted(perm)
    if len(columns) == 1 and is_ordered:
        graph.add_node(helper.make_node("MatMul", [left, matrix], [name], name=name))
        return True
    value = graph.add("MatMul", [left, matrix], f"{name}.product")
    if not columns:
        squeezed = name if is_ordered else f"{name}.squeezed"
        axes = graph.shared([len(kept)])
        graph.add_node(helper.make_node("Squeeze", [value, axes], [squeezed], name=squeezed))
        if is_ordered:
            return True
        value = squeezed
    if len(columns) > 1:
        sizes = graph.shared([*[0] * len(kept), *ordered.shape[len(summed) :]])
        if is_ordered:
            graph.add_node(helper.make_node("Reshape", [value, sizes], [name], name=name))
            return True
        value = graph.add("Reshape", [value, sizes], f"{name}.parted")
    graph.add_node(helper.make_node("Transpose", [value], [name], name=name, perm=perm))
    return True


def _multiply_each(graph: Graph, node: onnx.NodeProto, x: str, w: str) -> bool:
    weights = graph.constant(node.input[1])
    if weights is None or "..." in x:
        return False
    ordered = weights.transpose([w.index(letter) for letter in x if letter in w])
    sizes = [weights.shape[w.index(letter)] if letter in w else 1 for letter in x[x.index(min(w, key=x.index)) :]]
    name = node.output[0]
    numbers = graph.add_constant(f"{name}.weights", ordered.reshape(sizes))
    graph.add_node(helper.make_node("Mul", [node.input[0], numbers], [name], name=name))
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

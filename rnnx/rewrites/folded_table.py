"""The input of a Scan's steps, computed before the loop: W and b folded into a table whose rows the steps read."""

from __future__ import annotations

import numpy as np

from rnnx.onnx_file.graph_builder import TO_THE_END
from rnnx.rewrites.graph import Graph
from rnnx.rewrites.recurrence import Recurrence


def add_folded(graph: Graph, r: Recurrence, table: str) -> str:
    """Adds `table W + b` for any table.

    onnxruntime computes it once, when it loads the file, if the table is a constant.

    Args:
        graph: The graph, to which the nodes are added.
        r: The recurrence that W and b belong to.
        table: The value (..., inputs).

    Returns:
        The value (..., units).
    """
    kernel = graph.add_constant(f"{r.name}.kernel", r.kernel)
    bias = graph.add_constant(f"{r.name}.bias", r.bias)
    product = graph.add("MatMul", [table, kernel], f"{r.name}.product")
    return graph.add("Add", [product, bias], f"{r.name}.folded")


def add_folded_from_zero(graph: Graph, r: Recurrence, table: str) -> str:
    """Adds `table W + b` for a vocabulary, with zeros in the row of id 0: that input keeps a state at zero.

    Args:
        graph: The graph, to which the nodes are added.
        r: The recurrence that W and b belong to.
        table: The value (words, inputs).

    Returns:
        The value (words, units).
    """
    zero_row = f"zero_row_{len(r.bias)}"
    if graph.constant(zero_row) is None:
        graph.add_constant(zero_row, np.zeros((1, len(r.bias)), np.float32))
    words = graph.slice(add_folded(graph, r, table), f"{r.name}.folded_words", {0: (1, TO_THE_END)})
    return graph.add("Concat", [zero_row, words], f"{r.name}.folded_from_zero", axis=0)

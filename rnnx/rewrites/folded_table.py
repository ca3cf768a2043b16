"""What goes into the steps of a Scan, made before it: W and b folded into a table, which the steps look up."""

from __future__ import annotations

import numpy as np

from rnnx.rewrites.graph import TO_THE_END, Graph
from rnnx.rewrites.recurrence import Recurrence


def add_folded(graph: Graph, r: Recurrence, table: str) -> str:
    """Adds `table W + b`, (..., units), of any table (..., inputs); onnxruntime folds a constant one when it loads."""
    kernel = graph.add_constant(f"{r.name}.kernel", r.kernel)
    bias = graph.add_constant(f"{r.name}.bias", r.bias)
    product = graph.add("MatMul", [table, kernel], f"{r.name}.product")
    return graph.add("Add", [product, bias], f"{r.name}.folded")


def add_folded_from_zero(graph: Graph, r: Recurrence, table: str) -> str:
    """Adds the same of a vocabulary, (words, units), with zeros in the row of id 0, which keep a state at zero."""
    zero_row = f"zero_row_{len(r.bias)}"
    if graph.constant(zero_row) is None:
        graph.add_constant(zero_row, np.zeros((1, len(r.bias)), np.float32))
    words = graph.slice(add_folded(graph, r, table), f"{r.name}.folded_words", {0: (1, TO_THE_END)})
    return graph.add("Concat", [zero_row, words], f"{r.name}.folded_from_zero", axis=0)

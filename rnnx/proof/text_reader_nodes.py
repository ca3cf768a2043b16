"""Compares the tokenizer in a file with the one that our code builds from the config and the vocabulary.

The nodes and constants of a tokenizer follow from these two, so the comparison is exact: every node, every constant,
every word. Nothing else in the file can turn a text into ids. Imports NumPy only.
"""

from __future__ import annotations

import numpy as np

from rnnx.onnx_file.graph_builder import RecordedGraph
from rnnx.onnx_file.graph_view import GraphView
from rnnx.text.tokenizer import Tokenizer
from rnnx.text_form.text_reader import TEXT_NAME, add_text_reader


def find_difference(graph: GraphView, ids: str, tokenizer: Tokenizer) -> str | None:
    """Looks for a difference between the tokenizer in a file and the one that its bundle describes.

    Args:
        graph: The graph of the file.
        ids: The value that holds the ids.
        tokenizer: The tokenizer of the bundle.

    Returns:
        The first value that differs, with what is different; None if the file computes the ids by the expected nodes
        and from the expected constants only.
    """
    # Files of earlier versions store tables of 16 bits as uint16. The file says which ones are expected, all or none.
    has_uint16 = any(constant.dtype == np.uint16 for constant in graph.constants.values())
    expected = RecordedGraph(has_uint16=has_uint16)
    end, _ = add_text_reader(expected, tokenizer)
    if end != ids:
        return f"{ids!r:.80} is not the value {end!r}"
    waiting, seen = [ids], {TEXT_NAME}
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        if name in expected.constants:
            constant, actual = expected.constants[name], graph.constants.get(name)
            if name in graph.producers or actual is None or not _is_same(constant, actual):
                return f"the constant {name!r:.80} is not the one that follows from the vocabulary and the config"
            continue
        node, found = expected.nodes[name], graph.producers.get(name)
        if found is None or (found.op_type, found.inputs) != (node.op_type, node.inputs):
            return f"{name!r:.80} is not computed by {node.op_type} of {', '.join(node.inputs):.200}"
        if dict(found.attributes) != dict(node.attributes) or found.body is not None or found.outputs != (name,):
            return f"the {node.op_type} that gives {name!r:.80} has other attributes"
        waiting += node.inputs
    return None


def _is_same(expected: object, actual: object) -> bool:
    a, b = np.asarray(expected), np.asarray(actual)
    return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b)

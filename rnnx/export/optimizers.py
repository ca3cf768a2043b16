"""Works around faults of tf2onnx's optimizers while it converts a model: they are slow, and one of them is wrong."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import tf2onnx.graph
import tf2onnx.optimizer
from tf2onnx.optimizer.transpose_optimizer import TransposeOptimizer


@contextmanager
def fast_optimizers() -> Iterator[None]:
    """Makes tf2onnx copy a graph and write it as a protobuf message once, and not for each optimizer in each round.

    tf2onnx copies so often in order to continue without an optimizer that fails. It writes the message so often for no
    reason: no optimizer reads it, and `make_model` writes it once more. Both take longer than all optimizers. Here they
    run on one copy. If one of them fails, tf2onnx optimizes the original in its own way. Delete this when tf2onnx
    copies only if it has to, and writes only the finished graph.
    """
    optimize_graph = tf2onnx.optimizer.optimize_graph

    def optimize(graph: Any, catch_errors: bool = True, optimizers: Any = None) -> Any:
        optimizers = dict(tf2onnx.optimizer._get_optimizers()) if optimizers is None else optimizers
        # It names values after addresses in memory; `rnnx.rewrites.einsum` replaces an Einsum instead.
        optimizers.pop("einsum_optimizer", None)
        update_proto = tf2onnx.graph.Graph.update_proto
        tf2onnx.graph.Graph.update_proto = lambda graph: None
        try:
            return optimize_graph(copy.deepcopy(graph), False, optimizers)
        except Exception:  # noqa: BLE001  # an optimizer may fail in any way
            tf2onnx.graph.Graph.update_proto = update_proto
            return optimize_graph(graph, catch_errors, optimizers)
        finally:
            tf2onnx.graph.Graph.update_proto = update_proto

    tf2onnx.optimizer.optimize_graph = optimize
    try:
        yield
    finally:
        tf2onnx.optimizer.optimize_graph = optimize_graph


@contextmanager
def separate_axes() -> Iterator[None]:
    """Makes tf2onnx take only the axes of a Slice for axes, where its starts are the same constant.

    tf2onnx 1.17 shares equal constants, so that `x[:, 1:]` starts at [1] along the axes [1]. When it moves a Transpose
    past the Slice, it changes the axes in place, and the starts with them. Delete this when it makes a new constant.
    """
    slice_handler = TransposeOptimizer._slice_handler

    def handle(self: Any, transpose: Any, node: Any) -> Any:
        if len(node.input) > 3 and node.inputs[3].is_const() and list(node.input).count(node.input[3]) > 1:
            values = node.inputs[3].get_tensor_value(as_list=False)
            axes = self._g.make_const(tf2onnx.utils.make_name(node.input[3]), values)
            self._g.replace_input(node, node.input[3], axes.output[0], 3)
        return slice_handler(self, transpose, node)

    TransposeOptimizer._slice_handler = handle
    try:
        yield
    finally:
        TransposeOptimizer._slice_handler = slice_handler

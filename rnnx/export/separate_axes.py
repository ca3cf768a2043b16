"""Works around a fault of an optimizer of tf2onnx, which takes the starts of a slice for its axes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def separate_axes(optimizer: Any) -> Iterator[None]:
    """Makes tf2onnx take only the axes of a Slice for axes, where its starts are the same constant.

    tf2onnx 1.17 shares equal constants, so that `x[:, 1:]` starts at [1] along the axes [1]. When it moves a Transpose
    past the Slice, it changes the axes in place, and the starts with them. Delete this when it makes a new constant.

    Args:
        optimizer: tf2onnx's class TransposeOptimizer.
    """
    slice_handler = optimizer._slice_handler

    def handle(self: Any, transpose: Any, node: Any) -> Any:
        if len(node.input) > 3 and node.inputs[3].is_const() and list(node.input).count(node.input[3]) > 1:
            values = node.inputs[3].get_tensor_value(as_list=False)
            axes = self._g.make_const(f"{node.name}.axes", values)
            self._g.replace_input(node, node.input[3], axes.output[0], 3)
        return slice_handler(self, transpose, node)

    optimizer._slice_handler = handle
    try:
        yield
    finally:
        optimizer._slice_handler = slice_handler

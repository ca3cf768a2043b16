"""Adds the parts of a Scan that a ConvLSTM needs: convolutions in place of products, images in place of vectors.

Keras has the features of an image last, and ONNX's Conv has them first. The images are turned once before the loop and
once after it, and never inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.rewrites.graph import Graph
from rnnx.rewrites.recurrence import Images, Recurrence


def add_convolved_input(graph: Graph, r: Recurrence, images: Images) -> str:
    """Adds x_t * W + b of all steps, (time, batch, 4 * filters, rows, columns), from vectors (time, batch, numbers)."""
    name, (_, rows, columns) = r.name, r.state_image
    height, width = images.size
    whole = graph.add("Reshape", [r.x, graph.shared([-1, height, width, r.kernel.shape[2]])], f"{name}.x_images")
    turned = graph.add("Transpose", [whole], f"{name}.x_turned", perm=[0, 3, 1, 2])
    places = images.windows(r.kernel.shape[:2])
    pads = [before for _, before, _ in places] + [after for _, _, after in places]
    weights = [graph.add_constant(f"{name}.W", features_first(r.kernel)), graph.add_constant(f"{name}.B", r.bias)]
    convolved = graph.add(
        "Conv",
        [turned, *weights],
        f"{name}.x_W",
        kernel_shape=r.kernel.shape[:2],
        strides=images.strides,
        dilations=images.dilations,
        pads=pads,
    )
    shape = graph.slice(graph.add("Shape", [r.x], f"{name}.x_shape"), f"{name}.time_and_batch", {0: (0, 2)})
    sizes = graph.add(
        "Concat", [shape, graph.shared([r.kernel.shape[3], rows, columns])], f"{name}.steps_shape", axis=0
    )
    return graph.add("Reshape", [convolved, sizes], f"{name}.x")


def features_first(kernel: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Returns a kernel `(height, width, features, outputs)` in the order of ONNX's Conv."""
    return np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))


def add_images(graph: Graph, r: Recurrence, vectors: str, name: str) -> str:
    """Adds states (batch, filters, rows, columns) from vectors (batch, units)."""
    filters, rows, columns = r.state_image
    whole = graph.add("Reshape", [vectors, graph.shared([-1, rows, columns, filters])], f"{name}.images")
    return graph.add("Transpose", [whole], f"{name}.turned", perm=[0, 3, 1, 2])


def add_vectors(graph: Graph, r: Recurrence, states: str, name: str, *, has_time: bool) -> str:
    """Adds states as vectors, with or without the time as the first axis."""
    turned = [0, 1, 3, 4, 2] if has_time else [0, 2, 3, 1]
    back = graph.add("Transpose", [states], f"{name}.back", perm=turned)
    # A size of 0 is that of the input.
    return graph.add("Reshape", [back, graph.shared([*([0] if has_time else []), 0, r.units])], f"{name}.vectors")


def convolution_of_states(r: Recurrence) -> Mapping[str, Any]:
    """Returns the attributes of the convolution of a state, which is padded to keep its size."""
    sizes = r.recurrent_kernel.shape[:2]
    return {"kernel_shape": sizes, "pads": [(size - 1) // 2 for size in sizes] + [size // 2 for size in sizes]}

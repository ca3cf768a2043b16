"""Makes small ONNX models from text, and runs them; needs no TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper, parser

from rnnx.rewrites.recurrence import MARKER_DOMAIN, MARKER_TYPE

Floats = npt.NDArray[np.float32]


def parse(text: str, **constants: Any) -> onnx.ModelProto:
    """Makes a model of ONNX's text syntax, of the same opset and IR version as exported files.

    Args:
        text: A graph; what it reads and does not make is an input or a constant.
        constants: The constants by name.
    """
    model = parser.parse_model(f'<ir_version: 8, opset_import: ["": 13]> {text}')
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(a), name) for name, a in constants.items())
    return model


def add_marker(model: onnx.ModelProto, name: str, weights: tuple[Floats, Floats, Floats], **settings: Any) -> None:
    """Adds a marker as `rnnx.export.markers` writes it; its output is `<name>_y`, (time, batch, units).

    Args:
        model: Changed in place.
        name: The name of the layer.
        weights: W and U transposed and b, as Keras stores them.
        settings: `x` and `mask` are the values that it reads; all else are its attributes.
    """
    given = {"x": "x", "mask": "", "operator": "RNN", "activation": "Tanh", "is_carried": 1} | settings
    constants = [f"{name}.keras_{key}" for key in "WRB"]
    inputs = [given.pop("x"), given.pop("mask"), *constants]
    model.graph.initializer.extend(map(numpy_helper.from_array, weights, constants))
    model.graph.node.append(
        helper.make_node(MARKER_TYPE, inputs, [f"{name}_y"], name=name, domain=MARKER_DOMAIN, **given)  # type: ignore[arg-type]
    )
    if MARKER_DOMAIN not in {opset.domain for opset in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(MARKER_DOMAIN, 1))


def draw_weights(inputs: int, units: int, gates: int = 1, bias_rows: int = 0) -> tuple[Floats, Floats, Floats]:
    """Draws W and U transposed and b of a recurrence."""
    rng = np.random.default_rng(inputs + units)
    shapes = [(inputs, gates * units), (units, gates * units), (*([bias_rows] if bias_rows else []), gates * units)]
    kernel, recurrent_kernel, bias = (rng.normal(scale=0.5, size=shape).astype(np.float32) for shape in shapes)
    return kernel, recurrent_kernel, bias


def check(model: onnx.ModelProto) -> None:
    """Runs onnx's checker, types, shapes and the order of the nodes included."""
    onnx.checker.check_model(model, full_check=True)


def run(model: onnx.ModelProto, **inputs: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """Runs a checked model in onnxruntime itself."""
    check(model)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    results: list[npt.NDArray[Any]] = ort.InferenceSession(model.SerializeToString(), options).run(None, inputs)
    return results


def op_types(model: onnx.ModelProto) -> list[str]:
    """Returns the operators of the main graph, in the order of its nodes."""
    return [node.op_type for node in model.graph.node]

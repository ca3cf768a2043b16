"""Measures the errors of a runtime's own activations: the allowances of `rnnx.primitives.activations`.

No theorem gives these figures. Prints the largest error of onnxruntime (on the operators that tf2onnx writes) and of
TensorFlow, in units of u = 2^-24, over every float32 with 2^-14 <= |x| < 32 and every 256th one elsewhere in
2^-126 <= |x| < 2^7. From each error the entry's `of_input` times |x| is subtracted and, by column, a number of u of the
result.

    python -m bench.proof.activations [--stride 16] [NAME ...]

The elementary functions of `rnnx.primitives.elementary`, such as sin and erf, are measured in the same way.

With `--device cuda` it measures onnxruntime's operators on the card and what cuDNN computes inside a recurrence: tanh
as an RNN of one unit and one step with W = 1 and R = 0; sigmoid as the update gate of such a GRU, which starts at 1.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from rnnx.onnx_file.admission import IR_VERSION, OPSET
from rnnx.primitives.activations import ACTIVATIONS, ActivationFunction
from rnnx.primitives.elementary import FUNCTIONS
from rnnx.rewrites.missing_functions import replace_fills, replace_missing
from rnnx.runtime.session import Device, Session

Floats = npt.NDArray[np.float32]

_ENTRIES: dict[Any, ActivationFunction] = {**ACTIVATIONS, **FUNCTIONS}
_UNIT_ROUNDOFF = 2.0**-24
_RELATIVE = range(7)
_SMALLEST, _LARGEST = (
    float(np.finfo(np.float32).tiny),
    float(np.finfo(np.float32).max),
)  # beyond these: underflow, overflow


def main() -> None:
    """Measures every activation and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=[name for name in _ENTRIES if name not in ("linear", "relu")])
    parser.add_argument("--stride", type=int, default=1, help="measure every n-th number of the inner range")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    print(f"| activation | runtime | {' | '.join(f'less {units} u y' for units in _RELATIVE)} |")
    print(f"|---|---|{'---|' * len(_RELATIVE)}")
    for name in arguments.names:
        for runtime, worst in measure(name, arguments.stride, arguments.device).items():
            print(f"| {name} | {runtime} | {' | '.join(f'{error:.2f}' for error in worst)} |", flush=True)


def measure(name: str, stride: int, device: Device = "cpu") -> dict[str, npt.NDArray[np.float64]]:
    """Measures the largest errors of each runtime.

    Returns:
        By the runtime's name, the errors in units of u; entry `r` has `r` u of the result subtracted.
    """
    runtimes = load_runtimes(name) if device == "cpu" else load_on_cuda(name)
    worst = {runtime: np.zeros(len(_RELATIVE)) for runtime in runtimes}
    for x in blocks(stride):
        expected = _ENTRIES[name].value(x.astype(np.float64))
        for runtime, run in runtimes.items():
            error, size = np.abs(run(x) - expected) / _UNIT_ROUNDOFF, np.abs(expected)
            error = error - _ENTRIES[name].of_input * np.abs(x.astype(np.float64))
            error = np.where((size > _LARGEST) | (size < _SMALLEST), 0.0, error)
            worst[runtime] = np.maximum(worst[runtime], [(error - units * size).max() for units in _RELATIVE])
    return worst


def blocks(stride: int) -> Iterator[Floats]:
    """Yields the numbers to measure, one binade and sign at a time."""
    for exponent in range(-126, 7):
        step = stride if -14 <= exponent < 5 else 256
        bits = np.arange((exponent + 127) << 23, (exponent + 128) << 23, step, dtype=np.uint32)
        for sign in (np.uint32(0), np.uint32(1 << 31)):
            yield (bits | sign).view(np.float32)


def load_runtimes(name: str) -> dict[str, Any]:
    """Returns the functions of onnxruntime and TensorFlow that compute an activation, by the runtime's name."""
    import onnxruntime
    import tensorflow as tf

    function = _find(name)
    model = to_onnx(name)
    session = Session(model.SerializeToString(), device="cpu")
    operators = "+".join(node.op_type for node in model.graph.node)
    return {
        f"onnxruntime {onnxruntime.__version__} ({operators})": lambda x: session.run(x)[0],
        f"tensorflow {tf.__version__}": lambda x: np.asarray(function(tf.constant(x))),
    }


def load_on_cuda(name: str) -> dict[str, Any]:
    """Returns the functions that compute an activation on the card, by the runtime's name."""
    import onnxruntime

    model = to_onnx(name)
    session = Session(model.SerializeToString(), device="cuda")
    operators = "+".join(node.op_type for node in model.graph.node)
    runtimes = {f"onnxruntime {onnxruntime.__version__}, CUDA ({operators})": lambda x: session.run(x)[0]}
    if name in ("tanh", "sigmoid"):
        operator = "RNN" if name == "tanh" else "GRU"
        recurrence = Session(one_unit(operator), device="cuda")
        runtimes[f"cuDNN, {operator}"] = lambda x: run_one_unit(recurrence, x)
    return runtimes


def _find(name: str) -> Any:
    """Returns Keras's function."""
    import keras

    from rnnx.keras_models.keras_2_activations import find_activation

    return getattr(keras.ops, name) if name in FUNCTIONS else find_activation(name)


def one_unit(operator: str) -> bytes:
    """Builds a recurrence whose state after one step is tanh(x) if it is an RNN, and h0 * sigmoid(x) if it is a GRU."""
    gates, activations = (1, ["Tanh"]) if operator == "RNN" else (3, ["Sigmoid", "Tanh"])
    weights = {"W": np.zeros((1, gates, 1)), "R": np.zeros((1, gates, 1)), "B": np.zeros((1, 2 * gates))}
    weights["W"][0, 0] = 1.0  # the update gate comes first; the candidate state is tanh(0)
    settings: dict[str, Any] = {} if operator == "RNN" else {"linear_before_reset": 1}
    inputs = ["x", "W", "R", "B", "", "h0"]
    node = helper.make_node(operator, inputs, ["", "h"], hidden_size=1, activations=activations, **settings)
    x, h0, h = (helper.make_tensor_value_info(key, onnx.TensorProto.FLOAT, [1, None, 1]) for key in ("x", "h0", "h"))
    constants = [numpy_helper.from_array(values.astype(np.float32), key) for key, values in weights.items()]
    graph = helper.make_graph([node], "one_unit", [x, h0], [h], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    data: bytes = model.SerializeToString()
    return data


def run_one_unit(recurrence: Session, x: Floats) -> Floats:
    """Runs one step from a state of 1 for each x and returns the states."""
    given = x[None, :, None]
    return recurrence.run({"x": given, "h0": np.ones_like(given)})[0].ravel()


def to_onnx(name: str) -> Any:
    """Converts an activation to the operators that tf2onnx writes for it."""
    import tensorflow as tf
    import tf2onnx

    function = _find(name)
    signature = [tf.TensorSpec((None,), tf.float32, name="x")]
    with tf.device("/CPU:0"):
        traced = tf.function(function, input_signature=signature)
        model, _ = tf2onnx.convert.from_function(traced, input_signature=signature, opset=OPSET)
    # tf2onnx writes another IR version and an operator set more; a session of rnnx refuses both.
    model.ir_version = IR_VERSION
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", OPSET))
    return replace_fills(replace_missing(model))


if __name__ == "__main__":
    main()

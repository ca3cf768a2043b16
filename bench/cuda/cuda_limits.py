"""Measures the limits of a card in onnxruntime: float32 products, memory traffic and launch time. Prints JSON.

python -m bench.cuda.cuda_limits
"""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper

from rnnx.errors import DeviceError
from rnnx.runtime.session import CUDA_OPTIONS, cuda_problems

_SIZE = 8192  # the size of a square matrix: a product takes 1.1e12 operations, a matrix 268 MB
_ROUNDS = 10


def measure() -> dict[str, float]:
    """Measures the limits, each in the fastest of several rounds.

    Returns:
        `flops`, the floating point operations per second in a product of float32 matrices without TF32; `bytes_per_s`,
        the bytes read and written per second when a matrix is negated; and `launch_s`, the seconds that an operator
        takes on a single number.

    Raises:
        rnnx.errors.DeviceError: If there is no card, or onnxruntime cannot use it.
    """
    if problems := cuda_problems():
        raise DeviceError(problems[0])
    return {
        "flops": 2 * _SIZE**3 / _time("MatMul", 2, _SIZE),
        "bytes_per_s": 2 * 4 * _SIZE**2 / _time("Neg", 1, _SIZE),
        "launch_s": _time("Neg", 1, 1),
    }


def _time(operator: str, input_count: int, size: int) -> float:
    """Returns the seconds that one operator takes on matrices that are already on the card."""
    names = [f"x{number}" for number in range(input_count)]
    shapes = {name: helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [size, size]) for name in (*names, "y")}
    graph = helper.make_graph(
        [helper.make_node(operator, names, ["y"])], "limit", [shapes[name] for name in names], [shapes["y"]]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    session = ort.InferenceSession(
        model.SerializeToString(), providers=[("CUDAExecutionProvider", CUDA_OPTIONS)], enable_fallback=0
    )
    values: Any = np.random.default_rng(0).standard_normal((size, size), np.float32)
    binding = session.io_binding()
    for name in names:
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(values, "cuda", 0))
    binding.bind_ortvalue_output("y", ort.OrtValue.ortvalue_from_shape_and_type([size, size], np.float32, "cuda", 0))
    seconds = []
    for _ in range(_ROUNDS):
        before = time.perf_counter()
        session.run_with_iobinding(binding)  # returns when the card has finished
        seconds.append(time.perf_counter() - before)
    return min(seconds)


if __name__ == "__main__":
    print(json.dumps(measure()))

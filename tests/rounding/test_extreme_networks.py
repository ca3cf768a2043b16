"""Tests 44 extreme networks in onnxruntime: none is refused, and a wrong weight is found wherever rounding is smaller.

The graphs have one recurrent node and one head, built here from the operators' definitions. No exporter takes part.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from rnnx.proof.compare import Outputs, ProbeBatch, compare_runtime
from rnnx.proof.report import RuntimeReport
from rnnx.reference import GRU, LSTM, Dense, Input, Network, Node, Recurrent, RecurrentLayer, SimpleRNN, Tensor
from rnnx.rounding.decisions import decide
from rnnx.rounding.recurrent_bounds import expect_steps

FEATURES, UNITS = 3, 6


@dataclass(frozen=True)
class Setting:
    """How extreme a network is.

    Attributes:
        radius: The spectral radius of each recurrent matrix.
        size: The size of all weights; `radius` counts if it is 1.
        inputs: The size of the inputs.
        time: The number of steps.
    """

    radius: float = 1.0
    size: float = 1.0
    inputs: float = 1.0
    time: int = 60


SETTINGS = {
    "radius 3": Setting(radius=3),
    "radius 30": Setting(radius=30),
    "weights 1e-20": Setting(size=1e-20),
    "weights 1e-40": Setting(size=1e-40),
    "inputs 1e4": Setting(inputs=1e4),
    "5,000 steps": Setting(time=5000),
    "radius 3, 5,000 steps": Setting(radius=3, time=5000),
    "radius 30, 5,000 steps": Setting(radius=30, time=5000),
    "radius 30, inputs 1e4": Setting(radius=30, inputs=1e4),
    "weights 1e-20, inputs 1e4": Setting(size=1e-20, inputs=1e4),
    "weights 1e-40, 5,000 steps": Setting(size=1e-40, time=5000),
}
KINDS = ("SimpleRNN", "LSTM", "GRU", "GRU, reset before")
# Keras has i, f, c, o and z, r, k; ONNX has i, o, f, c and z, r, h.
_ORDER = {SimpleRNN: (0,), LSTM: (0, 3, 1, 2), GRU: (0, 1, 2)}
_OPERATORS = {SimpleRNN: "RNN", LSTM: "LSTM", GRU: "GRU"}


def draw_layer(kind: str, setting: Setting, rng: np.random.Generator) -> RecurrentLayer:
    gates = {"SimpleRNN": 1, "LSTM": 4}.get(kind, 3)

    def draw(*shape: int) -> npt.NDArray[np.float64]:
        return (setting.size * rng.normal(size=shape)).astype(np.float32).astype(np.float64)

    blocks = [draw(UNITS, UNITS) for _ in range(gates)]
    if setting.size == 1:
        blocks = [block * setting.radius / np.abs(np.linalg.eigvals(block)).max() for block in blocks]
    recurrent = np.concatenate(blocks, axis=1).astype(np.float32).astype(np.float64)
    kernel, width = draw(FEATURES, gates * UNITS), gates * UNITS
    match kind:
        case "SimpleRNN":
            return SimpleRNN(kernel, recurrent, draw(width), "tanh", return_sequences=True)
        case "LSTM":
            return LSTM(kernel, recurrent, draw(width), "tanh", return_sequences=True)
        case "GRU":
            return GRU(kernel, recurrent, draw(2, width), "tanh", return_sequences=True)
    return GRU(kernel, recurrent, draw(width), "tanh", return_sequences=True, reset_after=False)


def make_network(layer: RecurrentLayer, rng: np.random.Generator) -> Network:
    head = Dense(rng.normal(size=(UNITS, 2)).astype(np.float32).astype(np.float64), np.zeros(2), "softmax")
    port = Input("x", "numbers", (None, FEATURES))
    return Network([Node("rnn", layer, ("x",)), Node("probs", head, ("rnn",))], (port,))


def _stored(layer: RecurrentLayer, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    blocks = np.split(values.T, len(_ORDER[type(layer)]))
    return np.concatenate([blocks[i] for i in _ORDER[type(layer)]])[None].astype(np.float32)


def run(network: Network, x: npt.NDArray[np.float32]) -> Outputs:
    """Runs a network of `make_network` in onnxruntime."""
    layer, head = network.nodes[0].layer, network.nodes[1].layer
    assert isinstance(layer, Recurrent)
    assert isinstance(head, Dense)
    first, second = layer.biases if isinstance(layer, GRU) else (layer.bias, np.zeros_like(layer.bias))
    tensors: dict[str, npt.NDArray[Any]] = {
        "W": _stored(layer, layer.kernel),
        "R": _stored(layer, layer.recurrent_kernel),
        "B": np.concatenate([_stored(layer, bias) for bias in (first, second)], axis=1),
        "V": head.kernel.astype(np.float32),
        "axis": np.array([2]),
    }
    options: dict[str, Any] = {"linear_before_reset": int(layer.reset_after)} if isinstance(layer, GRU) else {}
    nodes = [
        helper.make_node("Transpose", ["x"], ["by_time"], perm=[1, 0, 2]),
        helper.make_node(_OPERATORS[type(layer)], ["by_time", "W", "R", "B"], ["Y"], hidden_size=UNITS, **options),
        helper.make_node("Transpose", ["Y"], ["turned"], perm=[2, 0, 1, 3]),
        helper.make_node("Squeeze", ["turned", "axis"], ["states"]),
        helper.make_node("MatMul", ["states", "V"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probs"], axis=-1),
    ]
    graph = helper.make_graph(
        nodes,
        "extreme",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["batch", "time", FEATURES])],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("probs", "states")],
        [numpy_helper.from_array(values, name) for name, values in tensors.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    probs, states = session.run(None, {"x": x})
    return Outputs({"probs": probs}, {"rnn": states})


def compare(network: Network, outputs: Outputs, x: npt.NDArray[np.float32]) -> RuntimeReport:
    batch = ProbeBatch({"x": x}, tuple(f"row {i}" for i in range(len(x))))
    return compare_runtime("onnxruntime", network, [batch], [outputs], [decide(network, {"x": x})])


def with_a_wrong_weight(network: Network, name: str) -> Network:
    """Returns a network whose largest weight of one kind is half as large again."""
    node, head = network.nodes
    weights = getattr(node.layer, name).copy()
    weights.flat[int(np.abs(weights).argmax())] *= 1.5
    wrong = dataclasses.replace(node.layer, **{name: weights.astype(np.float32).astype(np.float64)})
    return Network([dataclasses.replace(node, layer=wrong), head], network.inputs)


def exceeds_rounding(network: Network, mutant: Network, outputs: Outputs, x: npt.NDArray[np.float32]) -> bool:
    """Whether some step of the mutant differs from that of the network by more than both bounds together."""
    given, states = x.astype(np.float64), outputs.states["rnn"].astype(np.float64)
    steps = [
        expect_steps(layer, Tensor(given), np.zeros_like(given), states)
        for layer in (network.nodes[0].layer, mutant.nodes[0].layer)
        if isinstance(layer, Recurrent)
    ]
    (right, bound), (wrong, wrong_bound) = steps
    return bool((np.abs(right - wrong) > bound + wrong_bound).any())


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SETTINGS)
def test_an_extreme_network_is_never_refused_and_its_mutant_is_found(name: str, kind: str) -> None:
    setting, rng = SETTINGS[name], np.random.default_rng(7)
    network = make_network(draw_layer(kind, setting, rng), rng)
    x = (setting.inputs * rng.normal(size=(2, setting.time, FEATURES))).astype(np.float32)
    report = compare(network, run(network, x), x)
    assert report.passed, [report.worst, *report.problems]
    for weight in ("kernel", "recurrent_kernel", "bias"):
        mutant = with_a_wrong_weight(network, weight)
        outputs = run(mutant, x)
        if exceeds_rounding(network, mutant, outputs, x):
            assert not compare(network, outputs, x).passed, weight
        elif setting.size == 1:
            # A gate or state that is saturated hides it at these inputs; weights of usual size show it elsewhere.
            assert setting.inputs > 1 or setting.radius > 1, weight

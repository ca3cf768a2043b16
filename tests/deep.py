"""An LSTM with eight Dense layers, as a network and as an exported form; the form needs the package onnx."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from rnnx.reference import LSTM, ActivationName, Dense, Input, Network, Node

if TYPE_CHECKING:
    from rnnx.rewrites.replace import Rewritten

UNITS, INPUTS, CLASSES, DEPTH = 6, 3, 2, 8
MIDDLE = "dense_4"

_RNG = np.random.default_rng(3)


def _draw(*shape: int) -> npt.NDArray[np.float32]:
    # Small kernels forget: what is wrong in the middle does not reach the output.
    drawn: npt.NDArray[np.float32] = (0.3 * _RNG.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32)
    return drawn


LSTM_WEIGHTS = (_draw(INPUTS, 4 * UNITS), _draw(UNITS, 4 * UNITS), _draw(4 * UNITS))
DENSE_WEIGHTS = {f"dense_{i}": (_draw(UNITS, UNITS), _draw(UNITS)) for i in range(DEPTH)}
HEAD_WEIGHTS = (_draw(UNITS, CLASSES), _draw(CLASSES))


def dense(weights: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]], activation: ActivationName) -> Dense:
    """Returns the layer of a kernel and a bias."""
    kernel, bias = weights
    return Dense(kernel.astype(np.float64), bias.astype(np.float64), activation)


def make_network() -> Network:
    """Returns the reference."""
    kernel, recurrent_kernel, bias = (values.astype(np.float64) for values in LSTM_WEIGHTS)
    recurrence = LSTM(kernel, recurrent_kernel, bias, "tanh", return_sequences=False)
    nodes = [Node("lstm", recurrence, ("x",))]
    for name, weights in DENSE_WEIGHTS.items():
        nodes.append(Node(name, dense(weights, "tanh"), (nodes[-1].name,)))
    nodes.append(Node("probs", dense(HEAD_WEIGHTS, "softmax"), (nodes[-1].name,)))
    return Network(nodes, (Input("x", "numbers", (None, INPUTS)),), {"probs": "probs"})


def make_form() -> Rewritten:
    """Writes the network as an export does, without its cuts."""
    from rnnx.rewrites.replace import replace_recurrences
    from rnnx.rewrites.rnn_form import write_rnn
    from tests.rewrites.graphs import add_marker, parse

    lines, read = [], "last"
    for name in DENSE_WEIGHTS:
        lines += [
            f"{name}_product = MatMul({read}, {name}_kernel)",
            f"{name}_sum = Add({name}_product, {name}_bias)",
            f"{name}_output = Tanh({name}_sum)",
        ]
        read = f"{name}_output"
    text = f"""rnnx (float[batch, time, {INPUTS}] x) => (float[batch, {CLASSES}] probs) {{
        turned = Transpose<perm = [1, 0, 2]>(x)
        all_states = Identity(lstm_y)
        last_step = Slice(all_states, minus_one, end, time_axis)
        last = Squeeze(last_step, time_axis)
        {" ".join(lines)}
        head_product = MatMul({read}, head_kernel)
        logits = Add(head_product, head_bias)
        probs = Softmax<axis = -1>(logits)
    }}"""
    constants = {f"{name}_kernel": kernel for name, (kernel, _) in DENSE_WEIGHTS.items()}
    constants |= {f"{name}_bias": bias for name, (_, bias) in DENSE_WEIGHTS.items()}
    constants |= {"head_kernel": HEAD_WEIGHTS[0], "head_bias": HEAD_WEIGHTS[1]}
    ends = {"minus_one": np.array([-1]), "end": np.array([2**31 - 1]), "time_axis": np.array([0])}
    model = parse(text, **constants, **ends)
    add_marker(model, "lstm", LSTM_WEIGHTS, operator="LSTM", x="turned", recurrent_activation="Sigmoid")
    return replace_recurrences(model, write_rnn)

"""The systems that are measured: rnnx and its peers.

A function `open_...` loads a network into a system with a number of threads. What it returns prepares the system for a
shape, and that returns a function that runs a batch. What can be done once is done outside the timed call: loading,
converting, and compiling for the shape. The timed call takes ids as a NumPy array and returns probabilities as one.
Every peer gets the form that suits it best: static shapes if it compiles, the folded table if the code is written by
hand, float32 everywhere.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import onnxruntime as ort
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from bench.jax_scan import jit_predict
from bench.subjects import Floats, PlainWeights, Subject
from rnnx.runtime.session import Session
from rnnx.text.tokenizer import Ids

Run: TypeAlias = Callable[[Ids], Floats]
# Takes the batch size and the time steps, and returns a function that runs batches of that shape.
Prepare: TypeAlias = Callable[[int, int], Run]


class UnfitError(Exception):
    """Raised by a system that cannot express the network."""


@dataclass(frozen=True)
class System:
    """A system that is measured: one row of the tables.

    Attributes:
        name: The name that is printed.
        open: Loads a subject with a number of threads.
        module: The module that it needs beyond rnnx's own requirements. Its distribution has the same name, with
            hyphens.
    """

    name: str
    open: Callable[[Subject, int], Prepare]
    module: str | None = None

    @property
    def is_missing(self) -> bool:
        """Whether the module that it needs is not installed."""
        return self.module is not None and importlib.util.find_spec(self.module) is None


def open_form(name: str) -> Callable[[Subject, int], Prepare]:
    """Makes the function that loads one of rnnx's own files into the session that users run."""

    def open_session(subject: Subject, threads: int) -> Prepare:
        if name not in subject.forms:
            raise UnfitError(f"this network has no {name}")
        return _session(subject.forms[name], threads)

    return open_session


def open_default_graph(subject: Subject, threads: int) -> Prepare:
    """Loads tf2onnx's graph into a session with the same options; `rnnx.runtime.session` refuses a Loop."""
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 4
    session = ort.InferenceSession(subject.default_graph(), options, providers=["CPUExecutionProvider"])

    def run(ids: Ids) -> Floats:
        probs: Floats = session.run(None, {"ids": ids})[0]
        return probs

    return lambda batch, time: run


def _session(model: bytes, threads: int) -> Prepare:
    session = Session(model, device="cpu", threads=threads)

    def run(ids: Ids) -> Floats:
        return session.run(ids)[0]

    return lambda batch, time: run


def open_keras_predict_on_batch(subject: Subject, threads: int) -> Prepare:
    """Runs Keras's `predict_on_batch`, its fastest way to run a batch."""
    return lambda batch, time: subject.model.predict_on_batch


def open_keras_predict(subject: Subject, threads: int) -> Prepare:
    """Runs Keras's `predict`, which the tutorials use."""

    def prepare(batch: int, time: int) -> Run:
        return lambda ids: subject.model.predict(ids, batch_size=batch, verbose=0)

    return prepare


def open_xla(subject: Subject, threads: int) -> Prepare:
    """Compiles a `tf.function` with XLA for one shape."""

    def prepare(batch: int, time: int) -> Run:
        signature = [tf.TensorSpec((batch, time), tf.int32)]
        function = tf.function(
            lambda ids: subject.model(ids, training=False), input_signature=signature, jit_compile=True
        )
        # Calling the concrete function on a tensor takes a tenth of a millisecond less than `function(ids)`.
        concrete = function.get_concrete_function()
        return lambda ids: concrete(tf.constant(ids)).numpy()

    return prepare


def open_litert(subject: Subject, threads: int) -> Prepare:
    """Compiles the network for LiteRT (formerly TensorFlow Lite) with its default delegate, for one shape."""
    litert: Any = importlib.import_module("ai_edge_litert.interpreter")

    def prepare(batch: int, time: int) -> Run:
        signature = [tf.TensorSpec((batch, time), tf.int32)]
        function = tf.function(lambda ids: subject.model(ids, training=False), input_signature=signature)
        # LiteRT's handling of variables (READ_VARIABLE) fails in the body of a while loop, so they become constants.
        constant = convert_variables_to_constants_v2(function.get_concrete_function())
        converter = tf.lite.TFLiteConverter.from_concrete_functions([constant])
        interpreter = litert.Interpreter(model_content=converter.convert(), num_threads=threads)
        interpreter.allocate_tensors()
        [source], [target] = interpreter.get_input_details(), interpreter.get_output_details()

        def run(ids: Ids) -> Floats:
            interpreter.set_tensor(source["index"], ids)
            interpreter.invoke()
            probs: Floats = interpreter.get_tensor(target["index"])
            return probs

        return run

    return prepare


def open_openvino(subject: Subject, threads: int) -> Prepare:
    """Compiles rnnx's model.onnx with OpenVINO for one shape."""
    openvino: Any = importlib.import_module("openvino")
    if "model.onnx" not in subject.forms:
        raise UnfitError("this network has no model.onnx")
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": str(threads),
        "NUM_STREAMS": "1",
        # By default OpenVINO computes in bfloat16 on processors that support it, and its results differ by 1e-3.
        "INFERENCE_PRECISION_HINT": "f32",
    }

    def prepare(batch: int, time: int) -> Run:
        core = openvino.Core()
        model = core.read_model(subject.forms["model.onnx"])
        model.reshape([batch, time])
        request = core.compile_model(model, "CPU", settings).create_infer_request()

        def run(ids: Ids) -> Floats:
            probs: Floats = request.infer([ids], share_inputs=True, share_outputs=True)[0]
            return probs

        return run

    return prepare


def open_jax(subject: Subject, threads: int) -> Prepare:
    """Jits the network in JAX: one gather from the folded table, then `lax.scan` over the time."""
    jax: Any = importlib.import_module("jax")
    weights = _plain(subject)
    arrays = [
        jax.device_put(array)
        for array in (weights.folded, weights.recurrent_kernel, weights.dense_kernel, weights.dense_bias)
    ]

    predict = jit_predict(jax)
    return lambda batch, time: lambda ids: np.asarray(predict(ids, *arrays))


def open_torch(subject: Subject, threads: int) -> Prepare:
    """Traces PyTorch's `nn.RNN` for one shape and freezes it."""
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(threads)
    weights = _plain(subject)
    module = _torch_module(torch, weights).eval()

    def prepare(batch: int, time: int) -> Run:
        example = torch.zeros((batch, time), dtype=torch.int32)
        frozen = torch.jit.freeze(torch.jit.trace(module, example))

        def run(ids: Ids) -> Floats:
            with torch.inference_mode():
                probs: Floats = frozen(torch.from_numpy(ids)).numpy()
            return probs

        return run

    return prepare


def _torch_module(torch: Any, weights: PlainWeights) -> Any:
    """Builds the network in PyTorch with the given weights."""
    nn = torch.nn
    features, units = weights.kernel.shape

    class Last(nn.Module):  # type: ignore[name-defined, misc]  # PyTorch need not be installed, so it is untyped here
        """An Embedding, a recurrence that returns its last state, and a Linear layer with a sigmoid."""

        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(len(weights.table), features)
            self.rnn = nn.RNN(features, units, batch_first=True)
            self.dense = nn.Linear(units, weights.dense_kernel.shape[1])

        def forward(self, ids: Any) -> Any:
            """Computes probabilities `(batch, outputs)` from ids `(batch, time)`."""
            states, _ = self.rnn(self.embedding(ids))
            return torch.sigmoid(self.dense(states[:, -1]))

    module = Last()
    values = {
        "embedding.weight": weights.table,
        "rnn.weight_ih_l0": weights.kernel.T,
        "rnn.weight_hh_l0": weights.recurrent_kernel.T,
        "rnn.bias_ih_l0": weights.bias,
        "rnn.bias_hh_l0": np.zeros_like(weights.bias),
        "dense.weight": weights.dense_kernel.T,
        "dense.bias": weights.dense_bias,
    }
    module.load_state_dict({name: torch.tensor(value) for name, value in values.items()})
    return module


def open_numpy(subject: Subject, threads: int) -> Prepare:
    """Runs the network as a loop over time in NumPy, on the folded table."""
    weights = _plain(subject)

    def run(ids: Ids) -> Floats:
        h = np.zeros((len(ids), len(weights.bias)), np.float32)
        for x_t in weights.folded[ids.T]:
            h = np.tanh(x_t + h @ weights.recurrent_kernel)
        probs: Floats = 1 / (1 + np.exp(-(h @ weights.dense_kernel + weights.dense_bias)))
        return probs

    return lambda batch, time: run


def _plain(subject: Subject) -> PlainWeights:
    """Returns the weights for a system that is written by hand, or raises `UnfitError`."""
    if subject.plain is None:
        raise UnfitError("it is written by hand for an Embedding, a SimpleRNN and a sigmoid only")
    return subject.plain


OWN_PREFIX = "rnnx "
DEFAULT_GRAPH_NAME = "tf2onnx's graph"

SYSTEMS = (
    System(f"{OWN_PREFIX}model.onnx", open_form("model.onnx")),
    System(f"{OWN_PREFIX}model.batch.onnx", open_form("model.batch.onnx")),
    System(DEFAULT_GRAPH_NAME, open_default_graph),
    System("OpenVINO on model.onnx", open_openvino, "openvino"),
    System("LiteRT", open_litert, "ai_edge_litert"),
    System("JAX lax.scan", open_jax, "jax"),
    System("tf.function with XLA", open_xla),
    System("torch nn.RNN, frozen", open_torch, "torch"),
    System("NumPy loop", open_numpy),
    System("Keras predict_on_batch", open_keras_predict_on_batch),
    System("Keras predict", open_keras_predict),
)

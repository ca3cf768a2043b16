"""Decides whether a model can be streamed, and makes the test data of a streaming file."""

from __future__ import annotations

import numpy as np
from onnx import numpy_helper

from rnnx.bundle.directory import TESTDATA_NAME
from rnnx.errors import ModelError
from rnnx.export.source import Source
from rnnx.reference import NamedArrays, Network, Recurrent
from rnnx.reference.streaming import CarriedState, by_layer, streaming_problem, with_time

_MOST_FIRST_POSITIONS = 5


def require_streamable(source: Source) -> None:
    """Makes sure that a model can read a sequence chunk by chunk.

    Raises:
        ModelError: If it cannot. The message names the input or the layer, and the reason.
    """
    network = source.network
    for node in network.nodes:
        if isinstance(node.layer, Recurrent) and len(node.inputs) > 1:
            subject = f"layer {node.name} ({type(node.layer).__name__})"
            raise _refusal(subject, "is given its first state by the model")
    for port in network.inputs:
        if not port.shape or port.shape[0] is not None:
            raise _refusal(f"input {port.name}", f"has the fixed shape {port.shape}; its time should be None")
    timed = with_time(network)
    for node in network.nodes:
        problem = streaming_problem(node.layer, is_timed=bool(timed & set(node.inputs)))
        if problem is not None:
            raise _refusal(f"layer {node.name} ({type(node.layer).__name__})", problem)
    if problem := source.kind.stream_problem(network):
        raise _refusal(f"model {source.config.name}", problem)


def stream_data_sets(network: Network, given: NamedArrays, carried: tuple[CarriedState, ...]) -> dict[str, bytes]:
    """Makes test data sets for a streaming file in ONNX's own format: the first chunk of a sequence, and the rest.

    Args:
        network: The reference.
        given: A batch of sequences.
        carried: The states that are inputs and outputs of the file.

    Returns:
        The content of each file by its name, such as `testdata/stream/test_data_set_0/input_0.pb`. The inputs are those
        of the network, then the states before the chunk. The outputs are those of the network, then the states after
        the chunk.
    """
    tensors, timed = network.forward(given), with_time(network)
    after = {}  # by layer: its states after each step
    for node in network.nodes:
        if isinstance(node.layer, Recurrent):
            after[node.name] = node.layer.carried(tensors[node.inputs[0]])
    cut = min(_MOST_FIRST_POSITIONS, next(iter(given.values())).shape[1] // 2)
    first = {name: values[:, :cut] for name, values in given.items()}
    files = {}
    for i, (start, end) in enumerate(((0, cut), (cut, None)) if cut else ((0, None),)):
        chunk = {name: values[:, start:end] for name, values in given.items()}
        answers = network.answers(given if end is None else first)
        outputs = {
            name: answers[name][:, start:end] if node.name in timed else answers[name]
            for name, node in network.ends.items()
        }
        for layer, states in by_layer(carried).items():
            for state, values in zip(states, after[layer], strict=True):
                chunk[state.input] = np.zeros_like(values[:, 0], np.float32) if start == 0 else values[:, start - 1]
                outputs[state.output] = values[:, -1 if end is None else end - 1]
        for kind, arrays in (("input", chunk), ("output", outputs)):
            for k, (name, array) in enumerate(arrays.items()):
                stored = array if array.dtype in (np.int32, np.bool_) else array.astype(np.float32)
                path = f"{TESTDATA_NAME}/stream/test_data_set_{i}/{kind}_{k}.pb"
                files[path] = numpy_helper.from_array(np.ascontiguousarray(stored), name).SerializeToString()
    return files


def _refusal(subject: str, reason: str) -> ModelError:
    """Returns the error that says why a model cannot be streamed."""
    return ModelError(f"{subject} {reason}; this model cannot be streamed, and nothing was exported")

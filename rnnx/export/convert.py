"""Keras to ONNX by tf2onnx (its only import), with names that stay: `ids` in, `probs` out, `batch` and `time`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx

from rnnx._version import __version__
from rnnx.errors import ModelError, one_line
from rnnx.export.markers import TF_TYPE, fill_markers, make_marker, marked
from rnnx.export.tracing import whole_sequences
from rnnx.reference import BatchNormalization, Network, Recurrent
from rnnx.reference.shapes import keeps_time, output_shapes
from rnnx.rewrites.erfc import replace_erfc
from rnnx.rewrites.graph import Graph
from rnnx.rewrites.normalization import Statistics, restore_statistics
from rnnx.rewrites.recurrence import MARKER_DOMAIN, Recurrence, read_loops

# ReduceSum takes its axes as an input since 13, which the pooling needs; nothing here needs more. IR 8 is the newest
# that every onnxruntime since 1.10 loads.
OPSET = 13
IR_VERSION = 8


def convert(model: keras.Model, network: Network) -> onnx.ModelProto:
    """Converts a model and names what has to be found again.

    Args:
        model: Ids (batch, time) int32 in, probabilities out.
        network: The reference of the same model; its recurrent layers' names go onto the loops.

    Raises:
        ModelError: If tf2onnx cannot convert it, the checker refuses the result, or a recurrence cannot be found in it.
    """
    # tf2onnx warns of what it tries and drops; its errors come as exceptions, and what it leaves as it is (Erfc) is
    # replaced below, or refused by the checker.
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    signature = [
        tf.TensorSpec((None, *one.shape), tf.int32 if one.kind == "ids" else tf.float32, name=one.name)
        for one in network.inputs
    ]
    # from_keras fails on a Keras 3 Sequential (tf2onnx #2319); traced on the CPU, or cuDNN operators come out (#2359).
    with tf.device("/CPU:0"), whole_sequences(model):
        function = tf.function(lambda *given: _call(model, given), input_signature=signature)
        proto: onnx.ModelProto
        try:
            with marked(model, network):
                proto, _ = tf2onnx.convert.from_function(
                    function, input_signature=signature, opset=OPSET, custom_op_handlers={TF_TYPE: (make_marker, [])}
                )
        except Exception as error:  # whatever the converter meets
            raise ModelError(f"tf2onnx cannot convert the model: {one_line(error)}") from error
    proto = restore_statistics(replace_erfc(proto), list(_normalizations(network)))
    for old, new in zip([value.name for value in proto.graph.output], network.ends, strict=True):
        _rename_value(proto.graph, old, new)
    _name_dimensions(proto.graph, network)
    names = fill_markers(proto, model, network)
    _name_loops(proto.graph, {name: layer for name, layer in network.recurrent_nodes.items() if name not in names})
    proto.ir_version = IR_VERSION
    del proto.opset_import[:]  # tf2onnx lists ai.onnx.ml, of which nothing is used; the checker would object
    proto.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    if names:
        proto.opset_import.append(onnx.helper.make_opsetid(MARKER_DOMAIN, 1))
    proto.producer_name, proto.producer_version = "rnnx", __version__
    proto.graph.name = "rnnx"
    proto.graph.doc_string = proto.doc_string = ""
    check(proto)
    return proto


def _call(model: keras.Model, given: Sequence[tf.Tensor]) -> dict[str, tf.Tensor]:
    """The outputs under names that keep their order: tf2onnx sorts by them."""
    outputs = keras.tree.flatten(model(list(given) if len(given) > 1 else given[0], training=False))
    return {f"output_{i:03}": values for i, values in enumerate(outputs)}


def _normalizations(network: Network) -> Iterator[Statistics]:
    for node in network.nodes:
        if isinstance(layer := node.layer, BatchNormalization):
            mean, variance = layer.mean.astype(np.float32), layer.variance.astype(np.float32)
            gamma, beta = (None if w is None else w.astype(np.float32) for w in (layer.gamma, layer.beta))
            yield Statistics(node.name, mean, variance, gamma, beta, layer.epsilon)


def check(proto: onnx.ModelProto) -> None:
    """Runs onnx's checker, types and shapes included.

    Raises:
        ModelError: With what it says.
    """
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"onnx's checker refuses the graph: {one_line(error)}") from error


def _name_loops(graph: onnx.GraphProto, layers: Mapping[str, Recurrent]) -> None:
    """Gives each Loop the name of the layer whose weights it holds, bit for bit."""
    waiting = dict(layers)
    for loop, recurrence in read_loops(Graph(graph)):
        same = (name for name, layer in waiting.items() if _has_weights_of(recurrence, layer))
        name = next(same, None)
        if name is not None:
            loop.name = name
            del waiting[name]
    if waiting:
        raise ModelError(f"the converted graph holds no loop for {', '.join(waiting)}; please report this model")


def _has_weights_of(recurrence: Recurrence, layer: Recurrent) -> bool:
    return all(
        np.array_equal(getattr(layer, name), getattr(recurrence, name))
        for name in ("kernel", "recurrent_kernel", "bias")
    )


def _rename_value(graph: onnx.GraphProto, old: str, new: str) -> None:
    for node in graph.node:
        node.output[:] = [new if name == old else name for name in node.output]
        node.input[:] = [new if name == old else name for name in node.input]
    for value in graph.output:
        if value.name == old:
            value.name = new


def _name_dimensions(graph: onnx.GraphProto, network: Network) -> None:
    """`batch` comes first everywhere; `time` where an input has it, and where an output is as long as that."""
    shapes = {one.name: one.shape for one in network.inputs} | output_shapes(network)
    for value in (*graph.input, *graph.output):
        dimensions = value.type.tensor_type.shape.dim
        del dimensions[:]
        for i, size in enumerate((None, *shapes[value.name])):
            if size is not None:
                dimensions.add().dim_value = size
            else:
                # A pooling over some positions leaves another time than that of the input.
                is_time = value in graph.input or keeps_time(network, value.name)
                dimensions.add().dim_param = "batch" if i == 0 else "time" if is_time else f"{value.name}_{i}"

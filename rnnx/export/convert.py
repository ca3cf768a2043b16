"""Converts a Keras model to ONNX with tf2onnx, and gives the graph rnnx's own names.

Inputs, outputs and dimensions are named as in the reference (`ids`, `probs`, `batch`, `time`), and each recurrence as
its Keras layer, so that later steps find them. This is the only module that imports tf2onnx.
"""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import keras
import numpy as np
import onnx
import tensorflow as tf
import tf2onnx
import tf2onnx.graph
import tf2onnx.optimizer
from tf2onnx.optimizer.transpose_optimizer import TransposeOptimizer

from rnnx._version import __version__
from rnnx.errors import ModelError, one_line
from rnnx.export.markers import TF_TYPE, fill_markers, make_marker, marked
from rnnx.export.plain_encodings import plain_encodings
from rnnx.export.plain_equations import plain_equations
from rnnx.export.plain_jumps import plain_jumps
from rnnx.export.separate_axes import separate_axes
from rnnx.export.traced import flat_outputs
from rnnx.export.tracing import (
    constant_statistics,
    known_sizes,
    plain_convolutions,
    separate_constants,
    unfolded_normalizations,
    whole_sequences,
)
from rnnx.reference import BatchNormalization, CombineTensors, Merge, Network
from rnnx.reference.shapes import name_times, output_shapes
from rnnx.rewrites.canonical_names import make_canonical
from rnnx.rewrites.einsum import replace_einsums
from rnnx.rewrites.missing_functions import replace_missing
from rnnx.rewrites.normalization import Statistics, restore_statistics
from rnnx.rewrites.recurrence import MARKER_DOMAIN
from rnnx.rewrites.transposed import write_output_padding

# Pooling needs ReduceSum with its axes as an input, which opset 13 introduced. Nothing needs a later opset.
# IR version 8 is the newest that every onnxruntime since 1.10 loads.
OPSET = 13
IR_VERSION = 8


def convert(model: keras.Model, network: Network) -> onnx.ModelProto:
    """Converts a model to an ONNX graph whose inputs, outputs, dimensions and recurrences have the reference's names.

    Args:
        model: The Keras model.
        network: The reference of the same model. Its recurrent layers give the markers their names.

    Returns:
        A checked graph. Each recurrent layer is a marker node (`rnnx.export.markers`).

    Raises:
        ModelError: If tf2onnx cannot convert the model, onnx's checker refuses the result, or a recurrent layer is
            missing from it.
    """
    # tf2onnx logs warnings about rewrites that it tries and gives up. Its errors are raised as exceptions, and an
    # operation that it cannot convert stays in the graph: some are replaced below, the checker refuses all others.
    logging.getLogger("tf2onnx").setLevel(logging.CRITICAL)
    signature = [tf.TensorSpec((None, *port.shape), tf.as_dtype(port.dtype), name=port.name) for port in network.inputs]
    # tf2onnx's from_keras fails on a Keras 3 Sequential (tf2onnx #2319). The trace is made on the CPU, because a trace
    # on a GPU contains cuDNN operators that tf2onnx cannot convert (tf2onnx #2359).
    convolutions = plain_convolutions(model, tf.nn.convolution)
    normalizations = unfolded_normalizations(model, network, _add_zeros)
    traced = (
        whole_sequences(model), convolutions, normalizations, plain_encodings(model), plain_equations(model),
        plain_jumps(model),
        constant_statistics(model), known_sizes(model),
        separate_constants(model, tf.debugging.check_numerics),
    )  # fmt: skip
    with tf.device("/CPU:0"), ExitStack() as settings:
        for setting in traced:
            settings.enter_context(setting)
        function = tf.function(lambda *given: _call(model, given), input_signature=signature)
        proto: onnx.ModelProto
        try:
            with marked(model, network), _fast_optimizers(), separate_axes(TransposeOptimizer):
                proto, _ = tf2onnx.convert.from_function(
                    function, input_signature=signature, opset=OPSET, custom_op_handlers={TF_TYPE: (make_marker, [])}
                )
        except Exception as error:  # tf2onnx raises errors of any type
            raise ModelError(f"tf2onnx cannot convert the model: {one_line(error)}") from error
    if loops := [node.name for node in proto.graph.node if node.op_type in ("If", "Loop", "Scan")]:
        raise ModelError(f"tf2onnx left a loop or a branch in the graph: {', '.join(loops)}; please report this model")
    proto = restore_statistics(
        replace_missing(replace_einsums(write_output_padding(proto))), list(_normalizations(network))
    )
    for old, new in zip([value.name for value in proto.graph.output], network.ends, strict=True):
        _rename_value(proto.graph, old, new)
    _name_dimensions(proto.graph, network)
    make_canonical(proto.graph)
    names = fill_markers(proto, model, network)
    if missing := network.recurrent_nodes.keys() - names:
        raise ModelError(f"the converted graph has no {', '.join(sorted(missing))}; please report this model")
    proto.ir_version = IR_VERSION
    del proto.opset_import[:]  # tf2onnx also lists ai.onnx.ml, which the graph does not use and the checker refuses
    proto.opset_import.append(onnx.helper.make_opsetid("", OPSET))
    if names:
        proto.opset_import.append(onnx.helper.make_opsetid(MARKER_DOMAIN, 1))
    proto.producer_name, proto.producer_version = "rnnx", __version__
    proto.graph.name = "rnnx"
    proto.graph.doc_string = proto.doc_string = ""
    check(proto)
    return proto


@contextmanager
def _fast_optimizers() -> Iterator[None]:
    """Makes tf2onnx copy a graph and write it as a protobuf message once, and not for each optimizer in each round.

    tf2onnx copies so often in order to continue without an optimizer that fails. It writes the message so often for no
    reason: no optimizer reads it, and `make_model` writes it once more. Both take longer than all optimizers. Here they
    run on one copy, and nodes are not counted for its log. If an optimizer fails, tf2onnx optimizes the original in its
    own way. Delete this when tf2onnx copies and counts only if it has to, and writes only the finished graph.
    """
    optimize_graph = tf2onnx.optimizer.optimize_graph

    def optimize(graph: Any, catch_errors: bool = True, optimizers: Any = None) -> Any:
        optimizers = dict(tf2onnx.optimizer._get_optimizers()) if optimizers is None else optimizers
        # It names values after addresses in memory; `rnnx.rewrites.einsum` replaces an Einsum instead.
        optimizers.pop("einsum_optimizer", None)
        try:
            with (
                _replaced_method("update_proto", lambda graph: None),
                _replaced_method("dump_node_statistics", lambda graph, **settings: Counter()),
            ):
                return optimize_graph(copy.deepcopy(graph), False, optimizers)
        except Exception:  # noqa: BLE001  # an optimizer may fail in any way
            return optimize_graph(graph, catch_errors, optimizers)

    tf2onnx.optimizer.optimize_graph = optimize
    try:
        yield
    finally:
        tf2onnx.optimizer.optimize_graph = optimize_graph


@contextmanager
def _replaced_method(name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Replaces a method of tf2onnx's graphs."""
    original = getattr(tf2onnx.graph.Graph, name)
    setattr(tf2onnx.graph.Graph, name, function)
    try:
        yield
    finally:
        setattr(tf2onnx.graph.Graph, name, original)


def _call(model: keras.Model, given: Sequence[tf.Tensor]) -> dict[str, tf.Tensor]:
    """Calls the model, and names its outputs so that they keep their order: tf2onnx sorts outputs by name."""
    outputs = flat_outputs(model(list(given) if len(given) > 1 else given[0], training=False))
    return {f"output_{i:03}": values for i, values in enumerate(outputs)}


def _add_zeros(outputs: tf.Tensor) -> tf.Tensor:
    """Adds a bias of zeros to the output of a convolution of images."""
    # TensorFlow keeps this check of a constant, and tf2onnx drops it.
    return tf.nn.bias_add(outputs, tf.debugging.check_numerics(tf.zeros(outputs.shape[-1]), "zeros"))


def _normalizations(network: Network) -> Iterator[Statistics]:
    """Yields the float32 statistics of each BatchNormalization."""
    for node in network.nodes:
        if isinstance(layer := node.layer, BatchNormalization):
            mean, variance = layer.mean.astype(np.float32), layer.variance.astype(np.float32)
            gamma, beta = (None if w is None else w.astype(np.float32) for w in (layer.gamma, layer.beta))
            readers = [reader.layer for reader in network.nodes if node.name in reader.inputs]
            is_multiplied = any(isinstance(r, Merge | CombineTensors) and r.operation == "multiply" for r in readers)
            yield Statistics(node.name, mean, variance, gamma, beta, layer.epsilon, is_multiplied)


def check(proto: onnx.ModelProto) -> None:
    """Runs onnx's checker, with inference of types and shapes.

    Raises:
        ModelError: If the checker refuses the graph. The message quotes the checker.
    """
    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ModelError(f"onnx's checker refuses the graph: {one_line(error)}") from error


def _rename_value(graph: onnx.GraphProto, old: str, new: str) -> None:
    """Renames a value where it is computed, where it is read, and as an output of the graph."""
    for node in graph.node:
        node.output[:] = [new if name == old else name for name in node.output]
        node.input[:] = [new if name == old else name for name in node.input]
    for value in graph.output:
        if value.name == old:
            value.name = new


def _name_dimensions(graph: onnx.GraphProto, network: Network) -> None:
    """Names the open dimensions of inputs and outputs.

    The first is `batch`. An open dimension after it is `time` in an input, and in an output that keeps the time of the
    input; otherwise it is named after the output. Inputs whose times may differ have names of their own.
    """
    times = name_times(network)
    shapes = {port.name: port.shape for port in network.inputs} | output_shapes(network)
    for value in (*graph.input, *graph.output):
        dimensions = value.type.tensor_type.shape.dim
        del dimensions[:]
        for i, size in enumerate((None, *shapes[value.name])):
            if size is not None:
                dimensions.add().dim_value = size
            else:
                # Pooling over windows, for example, makes the time shorter than that of the input.
                name = times.get(value.name) if i == 1 else None
                dimensions.add().dim_param = "batch" if i == 0 else name or f"{value.name}_{i}"

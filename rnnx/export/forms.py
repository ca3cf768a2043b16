"""Builds the forms of a model: ONNX graphs of the same function for different runtimes. Each form is proved."""

from __future__ import annotations

import dataclasses
from functools import partial

import keras
import onnx

from rnnx.bundle.directory import BATCH_NAME, MODEL_NAME, STREAM_NAME
from rnnx.export.convert import check, convert
from rnnx.export.find_cuts import with_cuts
from rnnx.reference import Network
from rnnx.rewrites.embedding import remove_negative_ids
from rnnx.rewrites.equal_weights import has_equal_layers, merge_equal_weights
from rnnx.rewrites.graph import Graph
from rnnx.rewrites.mask_counts import count_without_features
from rnnx.rewrites.missing_functions import replace_fills, replace_truth_casts, write_split_sizes
from rnnx.rewrites.replace import Rewritten, replace_recurrences
from rnnx.rewrites.rnn_form import write_rnn
from rnnx.rewrites.scan import count_states, has_native_steps
from rnnx.rewrites.scan_form import write_scan
from rnnx.rewrites.stream_form import replace_for_stream
from rnnx.rewrites.unrolled import is_put_together


def build_forms(model: keras.Model, network: Network, streaming: bool = False) -> dict[str, Rewritten]:
    """Converts a model and builds its forms.

    Args:
        model: The Keras model.
        network: The reference of the same model.
        streaming: Whether to also build the form with states as inputs and outputs.

    Returns:
        The forms by file name. `model.onnx` has the recurrences as native operators. `model.batch.onnx` is for batches,
        and for engines that do not support `sequence_lens`: each SimpleRNN is a Scan, because the CPU kernel of the RNN
        operator gains nothing from a batch (those of LSTM and GRU do), and no operator takes lengths. It is left out if
        it is equal to `model.onnx`.

    Raises:
        ModelError: If part of the model cannot be converted or rewritten, or onnx's checker refuses a form.
    """
    converted = count_without_features(remove_negative_ids(convert(model, network)))
    forms = {MODEL_NAME: replace_recurrences(converted, write_rnn), BATCH_NAME: _write_scans(converted)}
    if forms[MODEL_NAME].model == forms[BATCH_NAME].model:
        del forms[BATCH_NAME]
    if streaming:
        forms[STREAM_NAME] = replace_for_stream(converted)
    if has_equal_layers(network):
        forms = {name: merge_equal_weights(form) for name, form in forms.items()}
    forms = {
        name: dataclasses.replace(form, model=write_split_sizes(replace_truth_casts(replace_fills(form.model))))
        for name, form in forms.items()
    }
    for form in forms.values():
        check(form.model)
    return {name: with_cuts(form, network) for name, form in forms.items()}


def _write_scans(converted: onnx.ModelProto) -> Rewritten:
    """Writes each SimpleRNN as a Scan, unrolled unless a node reads all states of an unrolled Scan as one value."""
    unrolled = replace_recurrences(converted, partial(write_scan, unrolls=True))
    return replace_recurrences(converted, write_scan) if is_put_together(Graph(unrolled.model.graph)) else unrolled


def read_steps(form: onnx.ModelProto) -> tuple[int, bool]:
    """Measures a step of the Scan form, so that the predictor can choose the faster form for each batch.

    Returns:
        The units of the widest Scan, summed over the layers that run in it, or 0 if there is no Scan; and whether every
        Scan collects its states at every step.
    """
    scans = [node for node in form.graph.node if node.op_type == "Scan" and has_native_steps(node)]
    states = [list(node.attribute[0].g.output)[: count_states(node)] for node in scans]
    widths = [sum(state.type.tensor_type.shape.dim[1].dim_value for state in of_scan) for of_scan in states]
    return max(widths, default=0), all(len(node.output) > count_states(node) for node in scans)

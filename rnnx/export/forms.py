"""The forms of one model: the same function, written for different places. Each goes through the proof."""

from __future__ import annotations

from functools import partial

import keras
import onnx

from rnnx.bundle.directory import BATCH_NAME, MODEL_NAME, STREAM_NAME
from rnnx.export.convert import check, convert
from rnnx.reference import Network
from rnnx.rewrites.embedding import remove_negative_ids
from rnnx.rewrites.graph import Graph
from rnnx.rewrites.replace import Rewritten, replace_loops
from rnnx.rewrites.rnn_form import write_rnn
from rnnx.rewrites.scan import count_states
from rnnx.rewrites.scan_form import write_scan
from rnnx.rewrites.stream_form import replace_for_stream
from rnnx.rewrites.unrolled import is_put_together


def build_forms(model: keras.Model, network: Network, streaming: bool = False) -> dict[str, Rewritten]:
    """Converts a model and writes its forms.

    Args:
        model: Ids (batch, time) int32 in, probabilities out.
        network: The reference of the same model.
        streaming: Whether the form with states as inputs and outputs is wanted too.

    Returns:
        By file name: the recurrences as native operators; and for batches, and for engines that know no lengths, each
        SimpleRNN as a Scan (the RNN operator gains nothing from a batch on the CPU; LSTM and GRU do), and nowhere
        lengths. The second is left out where it is the first.

    Raises:
        ModelError: If something cannot be converted, is not known, or is refused by the checker.
    """
    converted = remove_negative_ids(convert(model, network))
    forms = {MODEL_NAME: replace_loops(converted, write_rnn), BATCH_NAME: _write_scans(converted)}
    if forms[MODEL_NAME].model == forms[BATCH_NAME].model:
        del forms[BATCH_NAME]
    if streaming:
        forms[STREAM_NAME] = replace_for_stream(converted)
    for form in forms.values():
        check(form.model)
    return forms


def _write_scans(converted: onnx.ModelProto) -> Rewritten:
    """The Scans, several steps in a turn where nobody asks for the states of all of them in one value."""
    unrolled = replace_loops(converted, partial(write_scan, unrolls=True))
    return replace_loops(converted, write_scan) if is_put_together(Graph(unrolled.model.graph)) else unrolled


def read_steps(form: onnx.ModelProto) -> tuple[int, bool]:
    """What a step of the Scan form is, for the predictor to tell when it is the faster one.

    Returns:
        Numbers of state of the widest Scan, for one row, layers that run in it counted together; and whether every Scan
        has to write its states down at every step. 0 without a Scan, for there is no choice then.
    """
    scans = [node for node in form.graph.node if node.op_type == "Scan"]
    states = [list(node.attribute[0].g.output)[: count_states(node)] for node in scans]
    widths = [sum(state.type.tensor_type.shape.dim[1].dim_value for state in some) for some in states]
    return max(widths, default=0), all(len(node.output) > count_states(node) for node in scans)

"""The reference as the evidence records it: its layers, the places of its weights in the file, and some of its states.

The structure of the network comes from this record, never from the graph; only the weights are read from the file, and
their hashes show that they are Keras's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, get_args, get_type_hints

import numpy as np

from rnnx import reference
from rnnx.errors import ModelError
from rnnx.onnx_file.messages import read_tensor, stored_tensors
from rnnx.proof.evidence import MOST_UNITS, Evidence, LayerRecord, StateRecord
from rnnx.proof.weight_places import find_weight, read_weight
from rnnx.reference import LSTM, Given, Network, Node
from rnnx.strict_json import read_fields

_KINDS = {kind.__name__: kind for kind in get_args(reference.Layer)}
# Keras has the gates of an LSTM as i, f, c, o, and ONNX as i, o, f, c.
_BLOCKS: dict[type, tuple[int, ...]] = {LSTM: (0, 3, 1, 2)}


def record_network(network: Network, model: Any) -> tuple[LayerRecord, ...]:
    """Describes a network and finds each of its weights in a file, bit for bit.

    Args:
        network: The reference.
        model: From `rnnx.onnx_file.messages.parse_model`.

    Raises:
        ModelError: If a weight is not in the file.
    """
    tensors = {tensor.name: read_tensor(tensor) for tensor in stored_tensors(model)}
    records = []
    for node in network.nodes:
        fields = {field.name: getattr(node.layer, field.name) for field in dataclasses.fields(node.layer)}
        weights = {}
        for name, value in fields.items():
            if isinstance(value, np.ndarray):
                # A Scan has the gates in Keras's order (`rnnx.rewrites.step_scan`).
                orders = dict.fromkeys((_BLOCKS.get(type(node.layer), ()), ()))
                found = next(filter(None, (find_weight(value, tensors, order) for order in orders)), None)
                if found is None:
                    raise ModelError(f"layer {node.name}: its {name} is not in the file")
                weights[name] = found
        settings = {name: value for name, value in fields.items() if name not in weights}
        records.append(LayerRecord(node.name, type(node.layer).__name__, node.inputs, settings, weights))
    return tuple(records)


def read_reference(evidence: Evidence, model: Any) -> Network:
    """Builds the reference from the record and the file's weights.

    Raises:
        ModelError: If a weight differs from the recorded hash, or the record is not a valid network.
    """
    tensors = {tensor.name: tensor for tensor in stored_tensors(model)}
    nodes = []
    known = {each.name for each in evidence.inputs}
    for layer in evidence.layers:
        if layer.kind not in _KINDS or not known.issuperset(layer.inputs):
            raise ModelError(f"layer {layer.name!r:.60}: {layer.kind!r:.60} of {layer.inputs!r:.80} is not known")
        if layer.name in known:  # each is computed, so that copies of one could take any time
            raise ModelError(f"layer {layer.name!r:.60}: the evidence in the file describes it twice")
        weights = {name: read_weight(layer.name, name, record, tensors) for name, record in layer.weights.items()}
        kind = _KINDS[layer.kind]
        try:
            nodes.append(Node(layer.name, kind(**_read_settings(kind, layer), **weights), layer.inputs))
        except (TypeError, ValueError) as error:
            raise ModelError(f"layer {layer.name!r:.60}: {error}") from error
        known.add(layer.name)
        if issubclass(kind, reference.Recurrent):
            known.add(reference.last_state_of(layer.name))
        if issubclass(kind, LSTM):
            known.add(reference.cell_state_of(layer.name))
    if not nodes or not evidence.inputs or not known.issuperset(evidence.outputs.values()):
        raise ModelError("the evidence in the file describes no network")
    return Network(nodes, evidence.inputs, evidence.outputs)


def _read_settings(kind: type, layer: LayerRecord) -> dict[str, Any]:
    """Reads the settings of a layer, without its weights.

    Raises:
        ValueError: If a setting does not fit the layer, or is too large.
    """
    arrays = {name for name, hint in get_type_hints(kind).items() if "ndarray" in str(hint)}
    if strange := sorted(layer.weights.keys() - arrays):
        raise ValueError(f"{strange[0]!r:.60} is no weight of a {layer.kind}")
    settings = read_fields(kind, layer.settings, "settings")
    for name, value in settings.items():
        sizes = value if isinstance(value, tuple) else (value,)
        if any(abs(size) > MOST_UNITS for size in sizes if isinstance(size, int)):
            raise ValueError(f"{name} is {value!r:.60}; {MOST_UNITS} is the most")
    return settings


def golden_states(network: Network, given: Given, steps: Sequence[int]) -> tuple[StateRecord, ...]:
    """Records the reference's states of one row at a few steps.

    Args:
        network: The reference.
        given: The inputs, a batch of one.
        steps: The steps; those after the end of the row are left out.
    """
    if not steps:
        return ()
    recurrent = [i for i, node in enumerate(network.nodes) if isinstance(node.layer, reference.Recurrent)]
    has_first = any(len(network.nodes[i].inputs) > 1 for i in recurrent)
    # The last recurrence and all after it need not run, unless a layer reads the last state of another.
    needed = network if has_first else dataclasses.replace(network, nodes=network.nodes[: max(recurrent, default=0)])
    tensors = needed.forward(given)
    records = []
    for node in network.nodes:
        if isinstance(node.layer, reference.Recurrent):
            x, *first = (tensors[name] for name in node.inputs)
            states = node.layer.states(_begin(node.layer.in_order(x), steps), [state.values for state in first])[0]
            for step in sorted({step for step in steps if step < len(states)}):
                records.append(StateRecord(node.name, step, tuple(states[step].tolist())))
    return tuple(records)


def _begin(x: reference.Tensor, steps: Sequence[int]) -> reference.Tensor:
    """Returns the positions up to the last of some steps."""
    end = max(steps) + 1
    return reference.Tensor(x.values[:, :end], None if x.mask is None else x.mask[:, :end])

"""Tests that wrong weights and wrong nodes of layers are found, and that a file has every weight."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import onnx
from onnx import numpy_helper

from rnnx.keras_models.read_network import read_network
from rnnx.onnx_file.messages import parse_model
from rnnx.proof.evidence import LayerRecord
from rnnx.proof.recorded_reference import read_reference, record_network
from rnnx.strict_json import from_json, to_json
from tests.conversions import build_forms
from tests.keras_models.compared_forms import IDS, compare, make, worst
from tests.keras_models.layer_bodies import BODIES
from tests.keras_models.parts import MARKS

pytestmark = MARKS


def exchange_halves(graph: onnx.GraphProto) -> None:
    """Exchanges the outputs of each Split before a sigmoid."""
    gates = {node.input[0] for node in graph.node if node.op_type == "Sigmoid"}
    for node in graph.node:
        if node.op_type == "Split" and gates & set(node.output):
            node.output[:] = node.output[::-1]


def test_numbers_in_descending_order_are_found() -> None:
    model = make(BODIES["sorted numbers"](), mask_zero=True)
    network = read_network(model)
    for rewritten in build_forms(model, network).values():
        sorts = [node for node in rewritten.model.graph.node if node.op_type == "TopK"]
        assert len(sorts) == 3
        assert worst(compare(network, rewritten)) < 0.5
        for node in sorts:
            node.attribute.append(onnx.helper.make_attribute("largest", 0))
            assert worst(compare(network, rewritten)) > 1
            del node.attribute[-1]


def test_exchanged_halves_are_found_in_the_layer_after_them() -> None:
    model = make(BODIES["gated halves"](), mask_zero=True)
    network = read_network(model)
    for rewritten in build_forms(model, network).values():
        before = rewritten.model.SerializeToString()
        exchange_halves(rewritten.model.graph)
        assert rewritten.model.SerializeToString() != before
        report = compare(network, rewritten)
        assert report.worst.ratio is not None
        assert report.worst.ratio > 1
        assert report.worst.layer in {node.name for node in network.nodes[-4:]}


@pytest.mark.parametrize(
    "name",
    [
        "batch normalization", "layer normalization, last", "batch normalization, last", "transposed, strides",
        "einsum dense, each head", "division by the deviation",
    ],
)  # fmt: skip
def test_every_changed_weight_exceeds_the_bound(name: str) -> None:
    """In both forms, each weight tensor is changed by a hundredth, and an epsilon by a factor of three."""
    model = make(BODIES[name](), mask_zero=True)
    network = read_network(model)
    for rewritten in build_forms(model, network).values():
        weights = [t for t in rewritten.model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT]
        kept = rewritten.model.SerializeToString()
        changed = 0
        for tensor in weights:
            values = numpy_helper.to_array(tensor)
            if not values.any() or values.max() in (1.0, -1.0):
                continue  # a constant of the graph
            altered = dataclasses.replace(rewritten, model=onnx.ModelProto.FromString(kept))
            target = next(t for t in altered.model.graph.initializer if t.name == tensor.name)
            off = values * np.float32(1.01) if values.size > 1 else values * np.float32(3)  # an epsilon has less effect
            target.CopyFrom(numpy_helper.from_array(off, tensor.name))
            assert worst(compare(network, altered)) > 1, tensor.name
            changed += 1
        assert changed >= 8


@pytest.mark.parametrize(
    "name",
    [
        "batch normalization", "batch normalization twice", "layer normalization", "elu layer", "transposed",
        "einsum dense, heads", "einsum dense, each head",
    ],
)  # fmt: skip
def test_the_file_holds_every_weight_bit_for_bit(name: str) -> None:
    model = make(BODIES[name](), mask_zero=True)
    network = read_network(model)
    for rewritten in build_forms(model, network).values():
        parsed = parse_model(rewritten.model.SerializeToString())
        record = from_json(Layers, to_json(Layers(record_network(network, parsed)), indent=None))
        evidence = SimpleNamespace(layers=record.layers, inputs=network.inputs, outputs=network.outputs)
        again = read_reference(evidence, parsed)  # type: ignore[arg-type]  # it reads no more than this
        np.testing.assert_array_equal(network.predict(IDS), again.predict(IDS))


@dataclasses.dataclass(frozen=True)
class Layers:
    """The part of the evidence that describes the network."""

    layers: tuple[LayerRecord, ...]

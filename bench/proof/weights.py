"""The mutant of `sharpness` in the layers without states: one of their weights is off by 1e-4 in the file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from bench.proof.networks import Case, Rng
from rnnx.onnx_file.messages import parse_model
from rnnx.proof.compare import Outputs, ratios
from rnnx.proof.cuts import compare_alone, wanted_cuts
from rnnx.proof.recorded_reference import record_network
from rnnx.proof.weight_places import WeightRecord
from rnnx.reference import Array, Node, Tensor
from rnnx.rewrites.replace import Rewritten

NAME = "a weight of a layer without states off by 1e-4"
OF_ANY_FAMILY = "a weight of a layer of any family off by 1e-4"
_OFF_BY = np.float32(1e-4)


@dataclass(frozen=True)
class Place:
    """One number of a weight of a layer.

    Attributes:
        node: The layer.
        weight: The name of the weight in the reference, such as `bias`.
        index: The place of the number in the weight.
    """

    node: Node
    weight: str
    index: tuple[int, ...]


def draw_place(case: Case, rng: Rng) -> Place:
    """Draws a number that is not zero of a layer that shows its output: a cut, or the head."""
    ends = {node.name for node in case.network.ends.values()}
    nodes = [*wanted_cuts(case.network), *(node for node in case.network.nodes if node.name in ends)]
    places = [
        Place(node, field.name, tuple(int(i) for i in index))
        for node in nodes
        for field in dataclasses.fields(node.layer)
        if isinstance(values := getattr(node.layer, field.name), np.ndarray)
        for index in np.argwhere(values)
    ]
    return places[int(rng.integers(len(places)))]


def build_wrong_weight(form: Rewritten, case: Case, place: Place) -> Rewritten:
    """Changes the number in the graph of a form; everything else stays as it is."""
    model = onnx.ModelProto.FromString(form.model.SerializeToString())
    records = record_network(case.network, parse_model(model.SerializeToString()))
    record = next(layer.weights[place.weight] for layer in records if layer.name == place.node.name)
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == record.initializer)
    values = numpy_helper.to_array(tensor).copy()
    _add(values, record, place.index)
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return dataclasses.replace(form, model=model)


def _add(values: npt.NDArray[np.float32], record: WeightRecord, index: tuple[int, ...]) -> None:
    """Adds to one number of a weight, in the tensor that holds it."""
    # Of a kernel with two sizes, `(outputs, inputs, height, width)`, the last two stay in their order.
    turned = values.transpose(2, 3, 1, 0) if values.ndim == 4 else values.T
    whole = np.squeeze(turned if record.is_transposed else values)
    start = record.start
    at: tuple[int, ...]
    if len(start) == 1:
        whole.flat[start[0] + int(np.ravel_multi_index(index, record.shape))] += _OFF_BY
    else:
        inner = tuple(i for i, size in zip(index, record.shape, strict=True) if size != 1)
        inner = (0,) * (len(start) - len(inner)) + inner
        at = tuple(first + i for first, i in zip(start, inner, strict=True))
        whole[at] += _OFF_BY


def effect_of_weight(case: Case, place: Place, outputs: Outputs) -> float:
    """Computes how far the change moves the layer's output in float64, relative to what rounding can do to it."""
    node = place.node
    ends = {end.name: name for name, end in case.network.ends.items()}
    cuts = outputs.cuts or {}

    def show(shown: Node, expected: Array, bound: Array) -> Array | None:
        values = outputs.answers[ends[shown.name]] if shown.name in ends else cuts.get(shown.name)
        return None if values is None else values.astype(np.float64).reshape(expected.shape)

    states = {name: values.astype(np.float64) for name, values in outputs.states.items()}
    weight = getattr(node.layer, place.weight).copy()
    weight[place.index] = np.float32(weight[place.index]) + _OFF_BY
    wrong = dataclasses.replace(node.layer, **{place.weight: weight})
    read: dict[str, Tensor] = {}
    for compared in compare_alone(case.network, case.batch.given, states, show):
        if compared.node.name == node.name:
            moved = np.abs(wrong(*(read[name] for name in node.inputs)).values - compared.expected)
            return float(ratios(moved, compared.bound).max())
        read[compared.node.name] = compared.output
    raise AssertionError(f"{node.name} is not in its own network")

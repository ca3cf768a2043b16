"""The mutants of `sharpness` in the layers of every family: another operator, or another number that finds ids.

The place of such a mutant is the first layer whose shown value is not that of the right file: up to there, both files
compute the same bits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from bench.proof.networks import Case, Rng
from rnnx.proof.compare import Outputs, ratios
from rnnx.proof.cuts import compare_alone
from rnnx.reference import Array, FindBin, LookUp, Node, Recurrent
from rnnx.rewrites.replace import Rewritten

OPERATOR, NUMBER = "another operator in a layer", "another number in a layer that finds ids"
# Operators that take the same inputs and attributes.
_OTHERS = {
    "Add": "Sub", "Sub": "Add", "Mul": "Add", "Div": "Mul", "Tanh": "Sigmoid", "Sigmoid": "Tanh", "Relu": "Abs",
    "Erf": "Tanh", "Exp": "Abs", "Max": "Min", "Min": "Max", "ReduceMax": "ReduceMin", "ReduceMean": "ReduceMax",
    "Sqrt": "Abs", "Neg": "Abs", "GlobalMaxPool": "GlobalAveragePool", "GlobalAveragePool": "GlobalMaxPool",
}  # fmt: skip
_POOLS = {"MaxPool": "AveragePool", "AveragePool": "MaxPool"}


def build_other_operator(form: Rewritten, rng: Rng) -> Rewritten | None:
    """Replaces one operator of a form that is not in a recurrence; None if it has no such operator."""
    model = onnx.ModelProto.FromString(form.model.SerializeToString())
    inferred = onnx.shape_inference.infer_shapes(model).graph.value_info
    floats = {value.name for value in inferred if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT}
    known = _OTHERS | _POOLS
    nodes = [node for node in model.graph.node if node.op_type in known and {*node.output} <= floats]
    if not nodes:
        return None
    node = nodes[int(rng.integers(len(nodes)))]
    kept = [attribute for attribute in node.attribute if attribute.name not in ("ceil_mode", "count_include_pad")]
    if node.op_type in _POOLS:
        del node.attribute[:]
        node.attribute.extend(kept)
    node.op_type = known[node.op_type]
    return dataclasses.replace(form, model=model)


def build_other_number(form: Rewritten, case: Case, rng: Rng) -> Rewritten | None:
    """Replaces a boundary by its neighbour, or a number of a vocabulary by the next; None if the input has none."""
    found = [node.layer for node in case.network.nodes if isinstance(node.layer, FindBin | LookUp)]
    if not found:
        return None
    numbers = found[0].boundaries if isinstance(found[0], FindBin) else found[0].tokens
    (given,) = case.network.named(case.batch.given).values()
    read = np.intersect1d(np.array(numbers), given)
    if not len(read):
        return None
    right = np.float32(rng.choice(read))
    wrong = np.nextafter(right, np.float32(np.inf)) if isinstance(found[0], FindBin) else right + np.float32(1)
    model = onnx.ModelProto.FromString(form.model.SerializeToString())
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor).copy()
        if values.dtype == np.float32 and values.ndim == 1 and len(values) > 1 and right in values:
            values[values == right] = wrong
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return dataclasses.replace(form, model=model)


def find_place(case: Case, right: Outputs, wrong: Outputs) -> tuple[str, float] | None:
    """Finds the first layer whose shown value differs, and how far, relative to what rounding can do to it.

    Returns:
        None if no value differs.
    """
    ends = {end.name: name for name, end in case.network.ends.items()}

    def show(node: Node, expected: Array, bound: Array) -> Array | None:
        values = _value_of(case, right, node.name)
        return None if values is None else values.astype(np.float64).reshape(expected.shape)

    states = {name: values.astype(np.float64) for name, values in right.states.items()}
    for compared in compare_alone(case.network, case.batch.given, states, show):
        name = compared.node.name
        a, b = (_value_of(case, outputs, name) for outputs in (right, wrong))
        if a is None or b is None or (a.shape == b.shape and a.tobytes() == b.tobytes()):
            continue
        place = "probs" if name in ends and not isinstance(compared.node.layer, Recurrent) else name
        if a.shape != b.shape or not np.isfinite(b).all():
            return place, np.inf
        moved = np.abs(a.astype(np.float64) - b.astype(np.float64)).reshape(compared.bound.shape)
        return place, float(ratios(moved, compared.bound).max())
    return None


def layers_of_place(case: Case, right: Outputs, place: str) -> set[str]:
    """Names the layers of a place: its own, and those before it that the file shows no value of.

    A Dense with tanh before a maximum over time is one: the file adds the bias after the maximum.
    """
    inputs = {node.name: node.inputs for node in case.network.nodes}
    found, waiting = {place}, [case.network.ends[place].name if place in case.network.ends else place]
    while waiting:
        for name in inputs.get(waiting.pop(), ()):
            if name in inputs and name not in found and _value_of(case, right, name) is None:
                found.add(name)
                waiting.append(name)
    return found


def _value_of(case: Case, outputs: Outputs, name: str) -> npt.NDArray[np.float32] | None:
    """Returns the value of a layer that a file shows; None if it shows none."""
    ends = {end.name: name for name, end in case.network.ends.items()}
    shown: Mapping[str, npt.NDArray[np.float32]] = {**outputs.states, **(outputs.cuts or {})}
    return outputs.answers[ends[name]] if name in ends else shown.get(name)

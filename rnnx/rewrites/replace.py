"""Replaces the markers of a graph, and the nodes that take the last state or pool the states.

tf2onnx takes the last state from all states by a Slice; a form that computes it returns it directly. Pooling is handled
in `rnnx.rewrites.pooled_states`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import onnx
from onnx import TensorProto, helper

from rnnx.onnx_file.visible_states import StatesRecipe, make_recipe
from rnnx.reference import cell_state_of
from rnnx.reference.streaming import CarriedState
from rnnx.rewrites.graph import Graph, Op, Var
from rnnx.rewrites.pooled_states import Pooled, replace_pooling
from rnnx.rewrites.recurrence import MARKER_DOMAIN, Recurrence, read_recurrences
from rnnx.rewrites.scan import count_states, has_native_steps

_LAST = Op("Squeeze", Op("Slice", Var("all"), Var("start"), Var("end"), Var("axis")))


@dataclass(frozen=True)
class Written:
    """A recurrence in a new form; the attributes are names of values.

    Attributes:
        states: (time, batch, units), carried over masked positions, in the order of the loop.
        outputs: The states, or the states with zeros at masked positions if the layer has zeros there.
        last: (batch, units), the state at the end.
        pooled: The outputs in the form's own order; None if it has no such order.
        cell: (batch, units), the cell state at the end; None if no node reads it.
    """

    states: str
    outputs: str
    last: str
    pooled: Pooled | None = None
    cell: str | None = None


def add_outputs(graph: Graph, r: Recurrence, states: str) -> str:
    """Adds the outputs of a recurrence, made from its states (time, batch, units), carried over masked positions."""
    if r.is_carried or r.mask is None:
        return states
    return graph.add("Where", [r.mask, states, graph.shared(0.0, np.float32)], f"{r.name}.outputs")


@dataclass(frozen=True)
class Rewritten:
    """A model without markers.

    Attributes:
        model: The model that is exported.
        extra: Nodes and constants that compute the hidden states from values of `model`, so that they can be read.
        states: Maps each layer to the value with its states, in `model` or made by `extra`.
        carried: The states that a streaming form has as inputs and outputs; empty for other forms.
        cuts: Maps each layer that is compared alone, and has no states, to the value with its output; None before these
            values are looked for.
    """

    model: onnx.ModelProto
    extra: onnx.GraphProto
    states: Mapping[str, str]
    carried: tuple[CarriedState, ...] = ()
    cuts: Mapping[str, str] | None = None

    def recipe(self) -> StatesRecipe:
        """Returns the recipe that makes the hidden states and the cuts from the model as it is now."""
        made = {name for node in self.model.graph.node for name in node.output}
        known = {tensor.name for tensor in self.model.graph.initializer}
        extra = onnx.GraphProto()
        extra.node.extend(node for node in self.extra.node if not made & set(node.output))
        extra.initializer.extend(tensor for tensor in self.extra.initializer if tensor.name not in known)
        return make_recipe(self.states, extra.SerializeToString(), self.cuts)


Write: TypeAlias = Callable[[Graph, Sequence[Recurrence]], Sequence[Written]]


def replace_recurrences(model: onnx.ModelProto, write: Write) -> Rewritten:
    """Replaces every marker by the nodes that `write` adds for its recurrence.

    Args:
        model: The model that `rnnx.export.convert` made.
        write: Adds the recurrences to the graph and returns one result for each, in their order.
    """
    model = onnx.ModelProto.FromString(model.SerializeToString())
    graph = Graph(model.graph)
    recurrences = read_recurrences(graph)
    results = write(graph, recurrences)
    written = {r.output: new for r, new in zip(recurrences, results, strict=True)}
    names = {r.name: written[r.output].states for r in recurrences}
    pooled = {output: new.pooled for output, new in written.items() if new.pooled}
    replace_pooling(graph, pooled, {r.output for r in recurrences if r.is_turned})
    _replace_last(graph, written, {r.output for r in recurrences if r.ends_in_zeros})
    for output, new in written.items():
        graph.replace(output, new.outputs)
    for r, new in zip(recurrences, results, strict=True):
        if r.last:
            graph.replace(r.last, new.last)
        if r.cell and new.cell:
            graph.replace(r.cell, new.cell)
            names[cell_state_of(r.name)] = graph.add(
                "Unsqueeze", [new.cell, graph.shared([0])], f"{r.name}.last_cell_state"
            )
    extra = _extract(graph, names.values())
    graph.clean()
    kept = [opset for opset in model.opset_import if opset.domain != MARKER_DOMAIN]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    for node in graph.proto.node:
        _drop_unread_outputs(graph, node)
    return Rewritten(model, extra, names)


def _replace_last(graph: Graph, written: Mapping[str, Written], zeroed: Set[str]) -> None:
    """Replaces the Slices that take the last state; `zeroed` has the outputs with zeros at some masked positions."""
    for node in list(graph.proto.node):
        found = graph.match(node.output[0], _LAST) if node.op_type == "Squeeze" else None
        # The last output may be at a masked position, and then it is a zero, not the last state.
        if found is None or found["all"] not in written.keys() - zeroed:
            continue
        bounds = [graph.constant(found[name]) for name in ("start", "end", "axis")]
        start, end, axis = (None if bound is None else bound.tolist() for bound in bounds)
        if start == [-1] and axis == [0] and end is not None and end[0] >= 2**31 - 1:
            graph.replace(node.output[0], written[found["all"]].last)


def _extract(graph: Graph, values: Iterable[str]) -> onnx.GraphProto:
    """Returns the nodes and small constants from which these values are computed."""
    extract = onnx.GraphProto()
    extract.CopyFrom(graph.proto)
    del extract.output[:]
    extract.output.extend(helper.make_tensor_value_info(value, TensorProto.FLOAT, None) for value in values)
    Graph(extract).clean()
    # The exported model has the large constants, perhaps stored in another way; they are read from there.
    small = [tensor for tensor in extract.initializer if np.prod(tensor.dims) <= 4]
    del extract.initializer[:]
    extract.initializer.extend(small)
    return extract


def _drop_unread_outputs(graph: Graph, node: onnx.NodeProto) -> None:
    """Removes outputs of a Scan that nobody reads, so that the runtime does not collect the states for them.

    Those of a native operator keep their names. Without one, the first output would be called "", as that of any other
    recurrence, and onnxruntime's `symbolic_shape_infer` and `quant_pre_process` would take the two for one value.
    """
    if node.op_type != "Scan" or not has_native_steps(node):
        return
    read = {name for other in graph.proto.node for name in other.input} | {o.name for o in graph.proto.output}
    states = count_states(node)
    # With several steps in an iteration, a later step needs most of these states anyway, and nothing would be gained.
    if len(node.input) == 2 * states and not read & set(node.output[states:]):
        body = node.attribute[0].g
        collected = {output.name for output in body.output[states:]}
        kept = [inner for inner in body.node if inner.output[0] not in collected]
        del node.output[states:], body.output[states:], body.node[:]
        body.node.extend(kept)

"""Tests that each layer with weights is compared alone, on runtimes that are made with NumPy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from rnnx.proof.compare import Outputs, ProbeBatch, compare_runtime
from rnnx.proof.cuts import HasParts, compared_nodes, missing_cuts, wanted_cuts
from rnnx.proof.report import RuntimeReport
from rnnx.reference import (
    Activation,
    BatchNormalization,
    Dense,
    Embedding,
    GlobalMaxPooling1D,
    Input,
    LayerNormalization,
    LeakyReLU,
    Network,
    Node,
    Recurrent,
    Tensor,
)
from rnnx.rounding.decisions import decide
from tests.deep import DENSE_WEIGHTS, INPUTS, MIDDLE, make_network

NETWORK = make_network()
X = np.random.default_rng(0).normal(size=(4, 5, INPUTS)).astype(np.float32)
BATCH = ProbeBatch(X, tuple("abcd"))
CUTS = list(DENSE_WEIGHTS)


def run_rounded(network: Network, x: npt.NDArray[np.float32] = X) -> Outputs:
    """Runs a network as a runtime that rounds once per layer, and shows every layer."""
    tensors = {network.inputs[0].name: Tensor(x.astype(np.float64))}
    states = {}
    for node in compared_nodes(network):
        inputs = [tensors[name] for name in node.inputs]
        output = node.layer(*inputs)
        if isinstance(node.layer, Recurrent):
            states[node.name] = node.layer.states(node.layer.in_order(inputs[0])).astype(np.float32)
        tensors[node.name] = Tensor(output.values.astype(np.float32).astype(np.float64), output.mask)
    shown = {name: tensor.values.astype(np.float32) for name, tensor in tensors.items()}
    answers = {name: shown[node.name] for name, node in network.ends.items()}
    return Outputs(answers, states, {node.name: shown[node.name] for node in wanted_cuts(network)})


def compare(network: Network, outputs: Outputs, batch: ProbeBatch = BATCH) -> RuntimeReport:
    return compare_runtime("test", network, [batch], [outputs], [decide(network, batch.given)])


def with_bias(name: str, change: Callable[[npt.NDArray[np.float64]], npt.NDArray[np.float64]]) -> Network:
    """Returns the network with the bias of one Dense changed."""
    nodes = []
    for node in NETWORK.nodes:
        layer = node.layer
        if node.name == name and isinstance(layer, Dense):
            layer = dataclasses.replace(layer, bias=change(layer.bias.copy()))
        nodes.append(dataclasses.replace(node, layer=layer))
    return dataclasses.replace(NETWORK, nodes=nodes)


def add_to_one(bias: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    bias[2] += 1e-4
    return bias


def test_every_layer_of_a_right_runtime_is_far_from_its_bound() -> None:
    report = compare(NETWORK, run_rounded(NETWORK))
    assert report.passed
    assert [layer.layer for layer in report.layers] == ["lstm", *CUTS, "probs", "end to end"]
    assert all((layer.ratio or 0) < 0.5 for layer in report.layers)


@pytest.mark.parametrize("name", CUTS)
def test_a_bias_off_by_1e4th_fails_far_above_its_bound_in_its_layer(name: str) -> None:
    report = compare(NETWORK, run_rounded(with_bias(name, add_to_one)))
    failed = [layer for layer in report.layers if not layer.passed]
    assert [layer.layer for layer in failed if layer.layer not in ("probs", "end to end")] == [name]
    assert (report.worst.layer, report.worst.unit) == (name, 2)
    assert (report.worst.ratio or 0) > 50


def test_without_cuts_such_a_bias_passes() -> None:
    """This is how Keras and the files that were exported before are compared: a bound grows from layer to layer."""
    wrong = run_rounded(with_bias(CUTS[0], add_to_one))
    hidden = compare(NETWORK, dataclasses.replace(wrong, cuts=None))
    assert [layer.layer for layer in hidden.layers] == ["lstm", "probs", "end to end"]
    assert hidden.passed
    assert not compare(NETWORK, wrong).passed


def test_a_cut_that_is_missing_fails() -> None:
    outputs = run_rounded(NETWORK)
    cuts = {name: values for name, values in (outputs.cuts or {}).items() if name != MIDDLE}
    report = compare(NETWORK, dataclasses.replace(outputs, cuts=cuts))
    assert not report.passed
    assert report.problems == (f"layer {MIDDLE} does not show its output, so it cannot be compared",)


def test_a_cut_that_is_not_finite_fails() -> None:
    outputs = run_rounded(NETWORK)
    values = (outputs.cuts or {})[MIDDLE].copy()
    values[1, 3] = np.nan
    report = compare(NETWORK, dataclasses.replace(outputs, cuts={**(outputs.cuts or {}), MIDDLE: values}))
    assert not report.passed
    assert (report.worst.layer, report.worst.probe, report.worst.unit) == (MIDDLE, "b", 3)


def test_a_cut_of_another_shape_is_refused() -> None:
    outputs = run_rounded(NETWORK)
    cuts = {**(outputs.cuts or {}), MIDDLE: np.zeros((2, 3), np.float32)}
    with pytest.raises(ValueError, match="reshape"):
        compare(NETWORK, dataclasses.replace(outputs, cuts=cuts))


def draw(*shape: int) -> npt.NDArray[np.float64]:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32).astype(np.float64)


def test_layers_with_weights_are_shown_except_lookups_and_outputs() -> None:
    network = Network(
        [
            Node("table", Embedding(draw(9, 4), mask_zero=False), ("ids",)),
            Node("batch", BatchNormalization(draw(4), np.abs(draw(4)), None, None, 1e-3), ("table",)),
            Node("slope", LeakyReLU(0.1), ("batch",)),
            Node("norm", LayerNormalization(draw(4), None, 1e-3), ("slope",)),
            Node("early", Dense(draw(4, 2), draw(2), "linear"), ("norm",)),
            Node("late", Dense(draw(2, 2), draw(2), "linear"), ("early",)),
            Node("soft", Activation("softmax"), ("late",)),
        ],
        outputs={"early": "early", "soft": "soft"},
    )
    assert [node.name for node in wanted_cuts(network)] == ["batch", "norm", "late"]
    assert missing_cuts(network, ["batch", "norm"]) == []  # `soft` is shown, and may be computed together with `late`
    assert missing_cuts(network, ["norm", "late"]) == ["batch"]
    assert missing_cuts(network, ["slope", "norm"]) == []


def test_a_layer_is_compared_together_with_its_only_reader() -> None:
    """A file takes the maximum over the positions before it adds the bias of the Dense."""
    network = Network(
        [
            Node("detectors", Dense(draw(INPUTS, 4), draw(4), "relu"), ("x",)),
            Node("maximum", GlobalMaxPooling1D(keepdims=False), ("detectors",)),
            Node("probs", Dense(draw(4, 2), draw(2), "softmax"), ("maximum",)),
        ],
        (Input("x", "numbers", (None, INPUTS)),),
    )
    outputs = run_rounded(network)
    pooled = (outputs.cuts or {})["detectors"].max(axis=1)
    report = compare(network, dataclasses.replace(outputs, cuts={"maximum": pooled}))
    assert report.passed
    assert [layer.layer for layer in report.layers] == ["detectors", "probs", "end to end"]
    wrong = compare(network, dataclasses.replace(outputs, cuts={"maximum": pooled + np.float32(1e-4)}))
    assert wrong.worst.layer == "detectors"
    assert (wrong.worst.ratio or 0) > 10


@dataclasses.dataclass(frozen=True, eq=False)
class TwoProducts:
    """A layer that multiplies twice, as an attention does."""

    first: Dense
    second: Dense

    def parts(self, node: Node) -> tuple[Node, ...]:
        """Returns both products as nodes."""
        query = Node(f"{node.name}.query", self.first, node.inputs)
        return query, Node(node.name, self.second, (query.name,))

    def __call__(self, x: Tensor) -> Tensor:
        """Computes both products."""
        return self.second(self.first(x))


def test_a_layer_of_several_products_shows_each_of_them() -> None:
    layer = TwoProducts(Dense(draw(INPUTS, 4), draw(4), "linear"), Dense(draw(4, 3), draw(3), "linear"))
    assert isinstance(layer, HasParts)
    nodes = [Node("both", layer, ("x",)), Node("probs", Dense(draw(3, 2), draw(2), "softmax"), ("both",))]  # type: ignore[arg-type]
    network = Network(nodes, (Input("x", "numbers", (None, INPUTS)),))
    assert [node.name for node in wanted_cuts(network)] == ["both.query", "both"]
    outputs = run_rounded(network)
    # The decisions do not know this layer, but its parts.
    expected = [decide(dataclasses.replace(network, nodes=compared_nodes(network)), X)]
    right = compare_runtime("test", network, [BATCH], [outputs], expected)
    assert right.passed
    assert [layer.layer for layer in right.layers] == ["both.query", "both", "probs", "end to end"]
    cuts = {**(outputs.cuts or {}), "both.query": (outputs.cuts or {})["both.query"] + np.float32(1e-4)}
    wrong = compare_runtime("test", network, [BATCH], [dataclasses.replace(outputs, cuts=cuts)], expected)
    assert wrong.worst.layer == "both.query"
    assert not wrong.passed

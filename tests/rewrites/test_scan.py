"""Tests a Scan of several parts with several steps per iteration: operators, numbers, checker."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the [train] extra")
pytest.importorskip("onnxruntime", reason="needs the [cpu] extra")

from rnnx.rewrites.graph import Graph
from rnnx.rewrites.scan import Part, add_scan, count_states
from tests.rewrites.graphs import parse, run

pytestmark = pytest.mark.train

ITERATIONS, BATCH = 3, 2
RNG = np.random.default_rng(7)
# Two parts of different widths, with two steps per iteration each.
XS = {
    f"x{part}{step}": RNG.normal(size=(ITERATIONS, BATCH, 3 + part)).astype(np.float32)
    for part in (0, 1)
    for step in (0, 1)
}
MATRICES = [RNG.normal(size=(3 + part, 3 + part)).astype(np.float32) for part in (0, 1)]


def test_each_part_runs_its_steps_in_their_order() -> None:
    inputs = ", ".join(f"float[n, batch, {array.shape[2]}] {name}" for name, array in XS.items())
    results = [f"float[n, batch, {3 + part}] y{part}{step}" for part in (0, 1) for step in (0, 1)]
    results += [f"float[batch, {3 + part}] last{part}" for part in (0, 1)]
    names = [result.split()[-1] for result in results]
    body = " ".join(f"{name} = Identity (made_{name})" for name in names)
    model = parse(f"g ({inputs}) => ({', '.join(results)}) {{ {body} }}")
    graph = Graph(model.graph)
    activations = ["Tanh", "Affine"]
    parts = [Part(f"part{i}", activations[i], [f"x{i}0", f"x{i}1"], MATRICES[i]) for i in (0, 1)]
    for i, (ys, last) in enumerate(add_scan(graph, "scan", parts)):
        for step, y in enumerate(ys):
            graph.replace(f"made_y{i}{step}", y)
        graph.replace(f"made_last{i}", last)
    graph.clean()
    (scan,) = (node for node in model.graph.node if node.op_type == "Scan")
    assert count_states(scan) == len(parts)
    operators = [node.op_type for node in scan.attribute[0].g.node]
    assert operators == [*["Gemm", "Tanh"] * 2, "Identity", *["Gemm", "Identity"] * 2, "Identity"]
    actual = dict(zip(names, run(model, **XS), strict=True))
    for i, activation in enumerate((np.tanh, np.positive)):
        h = np.zeros((BATCH, 3 + i))
        for n in range(ITERATIONS):
            for step in (0, 1):
                h = activation(h @ MATRICES[i].astype(np.float64) + XS[f"x{i}{step}"][n])
                np.testing.assert_allclose(h, actual[f"y{i}{step}"][n], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(h, actual[f"last{i}"], rtol=1e-4, atol=1e-5)

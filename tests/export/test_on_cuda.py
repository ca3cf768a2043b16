"""Tests exports on a machine with a GPU: every file is proved there, unless CUDA has no kernel for it."""

from __future__ import annotations

import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

from rnnx.export.forms import build_forms
from rnnx.export.prove import prove
from rnnx.keras_models.read_network import read_network
from rnnx.runtime.session import cuda_problems
from tests import grid

pytestmark = [pytest.mark.gpu, pytest.mark.train]


@pytest.fixture(autouse=True)
def _needs_a_gpu() -> None:
    if problems := cuda_problems():
        pytest.skip(f"CUDA is not available: {problems[0]}")


@pytest.mark.parametrize("layer_count", [1, 2])
@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize("direction", ["forward", "backward", "both"])
@pytest.mark.parametrize(
    ("kind", "activation", "native", "scan"),
    [
        ("SimpleRNN", "tanh", True, True),
        ("SimpleRNN", "relu", False, True),
        ("LSTM", "tanh", True, True),
        ("GRU", "tanh", True, True),
        ("GRU, reset before", "tanh", False, False),
        ("LSTM", "relu", False, False),
    ],
)
def test_an_export_is_proved_on_cuda_where_it_has_kernels(
    kind: str, activation: str, native: bool, scan: bool, direction: str, is_masked: bool, layer_count: int
) -> None:
    cell = grid.Cell(kind, direction, "ids", is_masked, True, activation, layer_count)
    model = grid.make(cell)
    network = read_network(model)
    forms = build_forms(model, network)
    report = prove(model, network, forms, grid.probes(cell))
    assert report.passed, report.verdict
    on_gpu = {runtime.runtime.split(",")[0] for runtime in report.runtimes if "CUDA" in runtime.runtime}
    can = {"model.onnx": native, "model.batch.onnx": scan}
    assert on_gpu == {name for name in forms if can[name]}

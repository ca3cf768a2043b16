"""Tests which golden inputs are recorded where the sequences are so long that not all of them fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
from keras import layers

from rnnx.errors import ModelError
from rnnx.export.golden_room import MOST_NUMBERS, choices_of_golden, require_room
from rnnx.keras_models.read_network import read_network
from rnnx.onnx_file.messages import parse_model, read_properties
from rnnx.proof.evidence_metadata import EVIDENCE_KEY, read_evidence
from rnnx.proof.verify import verify_file
from tests.conversions import export

pytestmark = pytest.mark.train

BUDGET = 256 * 1024


def golden(time: int) -> dict[str, tuple[bytes | None, dict[str, np.ndarray]]]:
    rng = np.random.default_rng(0)
    rows = {"zeros": np.zeros((1, time, 1), np.float32), "ones": np.ones((1, time, 1), np.float32)}
    rows |= {f"random {i}": rng.standard_normal((1, time, 1)).astype(np.float32) for i in range(5)}
    return {name: (None, {"x": row}) for name, row in rows.items()}


def test_all_golden_inputs_come_first() -> None:
    inputs = golden(100)
    assert next(choices_of_golden(inputs, BUDGET)) == inputs


@pytest.mark.parametrize(("time", "expected"), [(16_000, {"zeros", "ones", "random"}), (100_000, {"random"})])
def test_a_random_input_and_cheap_ones_are_kept_of_long_sequences(time: int, expected: set[str]) -> None:
    smaller = list(choices_of_golden(golden(time), BUDGET))
    smaller = [choice for choice in smaller if len(choice) < len(golden(time))]
    assert {name.split()[0] for name in smaller[0]} == expected
    assert sum(name.startswith("random") for name in smaller[0]) == 1
    assert [name.split()[0] for name in smaller[-1]] == ["random"]


def test_inputs_of_which_none_can_be_recorded_are_refused() -> None:
    inputs = {name: row for name, row in golden(400_000).items() if name.startswith("random")}
    with pytest.raises(ModelError, match=r"each of its golden inputs takes more than 3,145,728 bytes"):
        list(choices_of_golden(inputs, BUDGET))


@pytest.mark.parametrize(("shape", "fits"), [((MOST_NUMBERS, 1), True), ((MOST_NUMBERS, 2), False), ((None, 9), True)])
def test_a_fixed_size_that_cannot_be_recorded_is_refused_before_the_proof(
    shape: tuple[int | None, int], fits: bool
) -> None:
    network = read_network(keras.Sequential([keras.Input(shape), layers.SimpleRNN(1), layers.Dense(1)]))
    if fits:
        require_room("long", network)
        return
    with pytest.raises(
        ModelError, match=r"^model long: one sequence of its inputs has 251,\d{3} numbers, and a file can"
    ):
        require_room("long", network)


def test_the_file_of_a_long_model_stays_small_and_is_verified(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((9000, 1)), layers.SimpleRNN(1), layers.Dense(1)])
    model.save(tmp_path / "long.keras")
    exported = export(tmp_path / "long.keras", tmp_path / "long")
    for name in ("model.onnx", "model.batch.onnx"):
        content = (exported.path / name).read_bytes()
        parsed = parse_model(content)
        properties = read_properties(parsed)
        assert len(properties[EVIDENCE_KEY]) <= BUDGET
        cases = read_evidence(properties, parsed).cases
        assert any(len(np.unique(case.inputs["x"].values)) > 8000 for case in cases)
        assert verify_file(name, content, ("cpu",)).report.passed

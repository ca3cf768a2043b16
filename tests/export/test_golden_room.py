"""Tests which golden inputs are recorded where the sequences are so long that not all of them fit."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
from keras import layers

from rnnx.errors import ModelError
from rnnx.export.golden_room import MOST_WRITTEN, choices_of_golden, replace_large, require_room
from rnnx.export.probes import GoldenInputs
from rnnx.keras_models.read_network import read_network
from rnnx.onnx_file.messages import parse_model, read_properties
from rnnx.proof.evidence import Evidence
from rnnx.proof.evidence_metadata import EVIDENCE_KEY, MOST_TEXT_BYTES, read_evidence, with_evidence
from rnnx.proof.made_inputs import MOST_MADE
from rnnx.proof.packed import unpack
from rnnx.proof.verify import verify_file
from rnnx.reference import Network, SimpleRNN
from rnnx.strict_json import from_json
from tests.conversions import export

pytestmark = pytest.mark.train

BUDGET = 256 * 1024


def golden(time: int) -> GoldenInputs:
    rng = np.random.default_rng(0)
    rows = {"zeros": np.zeros((1, time, 1), np.float32), "ones": np.ones((1, time, 1), np.float32)}
    rows |= {f"random {i}": rng.standard_normal((1, time, 1)).astype(np.float32) for i in range(5)}
    return {name: (None, {"x": row}) for name, row in rows.items()}


def network_of(shape: tuple[int | None, ...], activation: str = "tanh") -> Network:
    cell = layers.SimpleRNN(1, activation=activation)
    return read_network(keras.Sequential([keras.Input(shape), cell, layers.Dense(1)]))


def test_all_golden_inputs_come_first() -> None:
    inputs = golden(100)
    assert next(choices_of_golden(inputs, {}, BUDGET)) == inputs


@pytest.mark.parametrize(("time", "expected"), [(16_000, {"zeros", "ones", "random"}), (100_000, {"random"})])
def test_a_random_input_and_cheap_ones_are_kept_where_none_is_made(time: int, expected: set[str]) -> None:
    smaller = [choice for choice in choices_of_golden(golden(time), {}, BUDGET) if len(choice) < len(golden(time))]
    assert {name.split()[0] for name in smaller[0]} == expected
    assert sum(name.startswith("random") for name in smaller[0]) == 1
    assert [name.split()[0] for name in smaller[-1]] == ["random"]


def test_what_is_made_is_always_kept() -> None:
    choices = list(choices_of_golden(golden(100_000), {"random 1": 1, "random 4": 4}, BUDGET))
    assert all(choice.keys() >= {"random 1", "random 4"} for choice in choices)
    assert choices[-1].keys() == {"random 1", "random 4"}


def test_inputs_of_which_none_can_be_recorded_are_refused() -> None:
    inputs = {name: row for name, row in golden(400_000).items() if name.startswith("random")}
    with pytest.raises(ModelError, match=r"each of its golden inputs takes more than 3,145,728 bytes"):
        list(choices_of_golden(inputs, {}, BUDGET))


def test_large_inputs_are_replaced_by_made_ones_of_their_shape() -> None:
    network = network_of((None, 1))
    small = golden(100)
    assert replace_large(network, small) == (small, {})
    replaced, seeds = replace_large(network, small | {"large": golden(MOST_WRITTEN + 1)["zeros"]})
    assert seeds == {"seed 0": 0, "seed 1": 1, "seed 2": 2}
    assert replaced.keys() == small.keys() | seeds.keys()
    assert replaced["seed 2"][1]["x"].shape == (1, MOST_WRITTEN + 1, 1)


def test_large_inputs_stay_where_the_network_overflows_on_made_ones() -> None:
    network = network_of((None, 1), "exponential")
    large = {"large": golden(MOST_WRITTEN + 1)["zeros"]}
    (cell, *others) = network.nodes
    assert isinstance(cell.layer, SimpleRNN)
    wild = dataclasses.replace(cell.layer, recurrent_kernel=np.full((1, 1), 100.0))
    network = dataclasses.replace(network, nodes=[dataclasses.replace(cell, layer=wild), *others])
    assert replace_large(network, large) == (large, {})


@pytest.mark.parametrize("shape", [(1 << 20, MOST_MADE >> 20), (None, 9)])
def test_a_fixed_size_that_can_be_recorded_passes(shape: tuple[int | None, int]) -> None:
    require_room("long", network_of(shape))


def test_a_fixed_size_that_cannot_be_recorded_is_refused_before_the_proof() -> None:
    with pytest.raises(
        ModelError, match=r"^model long: one sequence of its inputs has 8,388,608 numbers, and 4,194,304"
    ):
        require_room("long", network_of((1 << 20, 8)))


def test_the_file_of_a_long_model_stays_small_and_is_verified(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((MOST_WRITTEN // 2, 3)), layers.SimpleRNN(1), layers.Dense(1)])
    model.save(tmp_path / "long.keras")
    exported = export(tmp_path / "long.keras", tmp_path / "long")
    for name in ("model.onnx", "model.batch.onnx"):
        content = (exported.path / name).read_bytes()
        parsed = parse_model(content)
        properties = read_properties(parsed)
        assert len(properties[EVIDENCE_KEY]) <= BUDGET
        cases = read_evidence(properties, parsed).cases
        assert [case.name for case in cases if case.made_count] == ["seed 0", "seed 1", "seed 2"]
        assert verify_file(name, content, ("cpu",)).report.passed
        # Another seed makes another input, and its hash says so.
        evidence = json.loads(unpack(properties[EVIDENCE_KEY], MOST_TEXT_BYTES))
        evidence["cases"][-1]["inputs"]["x"]["seed"] = 7
        forged = with_evidence(properties, from_json(Evidence, json.dumps(evidence)), parsed)
        for entry in parsed.metadata_props:
            entry.value = forged[entry.key]
        with pytest.raises(ModelError, match="is not what the seed 7 makes"):
            verify_file(name, parsed.SerializeToString(), ("cpu",))

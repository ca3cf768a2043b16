"""Evidence of networks with large outputs: bounded in size, sampled, packed, and as strict as evidence in full."""

from __future__ import annotations

import dataclasses
import zlib
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import pytest
from keras import layers

from rnnx.errors import ModelError
from rnnx.export.pipeline import export
from rnnx.onnx_file.messages import parse_model, read_properties, read_tensor
from rnnx.proof.evidence import Evidence
from rnnx.proof.evidence_metadata import EVIDENCE_KEY, read_evidence, with_evidence
from rnnx.proof.verify import verify_file

MODEL = "model.onnx"


@pytest.fixture(scope="module")
def every_state(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """`LSTM(64)` on 128 steps of one number, every state an output: 67 kB of weights."""
    folder = tmp_path_factory.mktemp("every_state")
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input((128, 1)), layers.LSTM(64, return_sequences=True, name="lstm")])
    model.save(folder / "states.keras")
    export(folder / "states.keras", folder / "out")
    return (folder / "out" / MODEL).read_bytes()


def sealed(
    data: bytes,
    change: Callable[[Evidence], Evidence] = lambda evidence: evidence,
    alter: Callable[[Any], None] = lambda model: None,
) -> bytes:
    """A file with changed evidence or an altered model, and a digest that fits."""
    model = parse_model(data)
    properties = read_properties(model)
    evidence = change(read_evidence(properties, model))
    alter(model)
    properties = with_evidence(properties, evidence, model)
    for entry in model.metadata_props:
        entry.value = properties[entry.key]
    altered: bytes = model.SerializeToString()
    return altered


def evidence_of(data: bytes) -> Evidence:
    model = parse_model(data)
    return read_evidence(read_properties(model), model)


def change_answers(change: Callable[[Any], Any], of_runtime: bool) -> Callable[[Evidence], Evidence]:
    """Changes what was recorded of the first case."""
    field = "runtime_answers" if of_runtime else "answers"

    def change_evidence(evidence: Evidence) -> Evidence:
        first, *others = evidence.cases
        records = {name: change(record) for name, record in getattr(first, field).items()}
        changed: dict[str, Any] = {field: records}
        return dataclasses.replace(evidence, cases=(dataclasses.replace(first, **changed), *others))

    return change_evidence


def test_the_file_is_bounded_and_verifies(every_state: bytes) -> None:
    assert len(every_state) <= 350_000
    assert len(read_properties(parse_model(every_state))[EVIDENCE_KEY]) <= 256 * 1024
    found = verify_file(MODEL, every_state, ["cpu"])
    assert found.report.passed
    assert set(found.bits.values()) == {"same"}


def test_every_answer_is_sampled_from_its_first_to_its_last_number(every_state: bytes) -> None:
    for case in evidence_of(every_state).cases:
        for record in (*case.answers.values(), *case.runtime_answers.values()):
            assert record.shape == (128, 64)
            assert 64 <= len(record.values) <= 512
            whole = np.arange(128 * 64, dtype=np.float64).reshape(record.shape)
            _, places = record.pair(whole)
            assert (places[0], places[-1]) == (0, 128 * 64 - 1)


def test_a_changed_weight_is_named(every_state: bytes) -> None:
    """Even if the digest was made to fit."""

    def alter(model: Any) -> None:
        tensor = max(model.graph.initializer, key=lambda tensor: read_tensor(tensor).size)
        values = read_tensor(tensor).copy()
        values.flat[values.size // 2] += 1e-6
        tensor.raw_data = values.astype("<f4").tobytes()

    with pytest.raises(ModelError, match="'lstm': its recurrent_kernel is not what Keras had at the export"):
        verify_file(MODEL, sealed(every_state, alter=alter), ["cpu"])


def test_a_wrong_step_is_found_in_its_layer(every_state: bytes) -> None:
    """The graph computes h = o relu(c) where it should be o tanh(c), and the digest was made to fit."""

    def alter(model: Any) -> None:
        node = next(node for node in model.graph.node if node.op_type == "LSTM")
        other = onnx.NodeProto.FromString(node.SerializeToString())
        attributes = [attribute for attribute in other.attribute if attribute.name != "activations"]
        del other.attribute[:]
        other.attribute.extend([*attributes, onnx.helper.make_attribute("activations", ["Sigmoid", "Tanh", "Relu"])])
        node.ParseFromString(other.SerializeToString())

    report = verify_file(MODEL, sealed(every_state, alter=alter), ["cpu"]).report
    assert not report.passed
    assert report.runtimes[0].worst.layer == "lstm"
    assert "times the float32 rounding bound" in report.first_problem


def test_bits_outside_the_sample_count(every_state: bytes) -> None:
    """The hash is of all numbers, so that a difference between the places of the sample is reported too."""
    data = sealed(
        every_state, change_answers(lambda record: dataclasses.replace(record, sha256="0" * 64), of_runtime=True)
    )
    found = verify_file(MODEL, data, ["cpu"])
    assert set(found.bits.values()) == {"other"}
    assert found.report.passed


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda record: dataclasses.replace(record, values=()), "no sample"),
        (lambda record: dataclasses.replace(record, values=record.values[:63]), "no sample"),
        (lambda record: dataclasses.replace(record, shape=(8, 8)), "was recorded, and"),
        (lambda record: dataclasses.replace(record, sha256=None), "do not fit"),
    ],
)
@pytest.mark.parametrize("of_runtime", [False, True])
def test_a_sample_that_says_too_little_is_refused(
    every_state: bytes, change: Callable[[Any], Any], reason: str, of_runtime: bool
) -> None:
    with pytest.raises(ModelError, match=reason):
        verify_file(MODEL, sealed(every_state, change_answers(change, of_runtime)), ["cpu"])


def test_a_golden_number_that_differs_is_refused(every_state: bytes) -> None:
    def change(record: Any) -> Any:
        return dataclasses.replace(record, values=(*record.values[:-1], record.values[-1] + 1e-6))

    with pytest.raises(ModelError, match="not what the reference gives"):
        verify_file(MODEL, sealed(every_state, change_answers(change, of_runtime=False)), ["cpu"])


@pytest.mark.parametrize("name", [MODEL, "model.batch.onnx", "model.text.onnx"])
def test_packed_evidence_says_what_plain_evidence_says(
    tiny_bundle: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = (tiny_bundle / name).read_bytes()
    assert read_properties(parse_model(data))[EVIDENCE_KEY].startswith("{")
    assert read_properties(parse_model(sealed(data))) == read_properties(parse_model(data))
    monkeypatch.setattr("rnnx.proof.evidence_metadata.evidence_budget", lambda model: 0)
    packed = sealed(data)
    assert not read_properties(parse_model(packed))[EVIDENCE_KEY].startswith("{")
    assert len(packed) < len(data)
    assert evidence_of(packed) == evidence_of(data)
    assert set(verify_file(name, packed, ["cpu"]).bits.values()) == {"same"}


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda text: text[:-40], "damaged|cut off"),
        (lambda text: text[:80] + "!" + text[81:], "damaged"),
        (lambda text: text.partition(":")[0] + ":" + b64encode(zlib.compress(bytes(1 << 26))).decode(), "expands to"),
        (lambda text: text.partition(":")[0] + ":" + b64encode(zlib.compress(b"")).decode(), "broken"),
    ],
)
def test_damaged_packed_evidence_is_refused_with_one_line(
    tiny_bundle: Path, damage: Callable[[str], str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rnnx.proof.packed import pack

    monkeypatch.setattr("rnnx.proof.evidence_metadata.evidence_budget", lambda model: 0)
    monkeypatch.setattr("rnnx.proof.evidence_metadata.pack", lambda text: damage(pack(text)))
    data = sealed((tiny_bundle / MODEL).read_bytes())
    with pytest.raises(ModelError, match=reason) as refusal:
        verify_file(MODEL, data, ["cpu"])
    assert "the evidence in the file is broken" in str(refusal.value)
    assert "\n" not in str(refusal.value)


@pytest.fixture(scope="module")
def of_images(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A ConvLSTM of images of 40 x 40 pixels, whose states have 6,400 numbers each."""
    folder = tmp_path_factory.mktemp("of_images")
    keras.utils.set_random_seed(3)
    rnn = layers.ConvLSTM2D(4, 3, padding="same", name="rnn")
    model = keras.Sequential([keras.Input((3, 40, 40, 1)), rnn, layers.GlobalAveragePooling2D(), layers.Dense(2)])
    model.save(folder / "images.keras")
    export(folder / "images.keras", folder / "out")
    return (folder / "out" / MODEL).read_bytes()


def test_large_states_are_sampled_and_compared(of_images: bytes) -> None:
    assert len(read_properties(parse_model(of_images))[EVIDENCE_KEY]) <= 256 * 1024
    states = [state for case in evidence_of(of_images).cases for state in case.states]
    assert {len(state.values) for state in states} == {512}
    assert verify_file(MODEL, of_images, ["cpu"]).report.passed

    def change(take: Callable[[tuple[float, ...]], tuple[float, ...]]) -> Callable[[Evidence], Evidence]:
        def change_evidence(evidence: Evidence) -> Evidence:
            first, *others = evidence.cases
            altered, *rest = first.states
            altered = dataclasses.replace(altered, values=take(altered.values))
            return dataclasses.replace(evidence, cases=(dataclasses.replace(first, states=(altered, *rest)), *others))

        return change_evidence

    for take in (lambda values: (*values[:-1], values[-1] + 1e-6), lambda values: values[:63]):
        with pytest.raises(ModelError, match="the golden vector is not what the reference gives"):
            verify_file(MODEL, sealed(of_images, change(take)), ["cpu"])

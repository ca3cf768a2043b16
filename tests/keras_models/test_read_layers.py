"""Tests the layers around a recurrence: the reference against Keras, and both forms within their bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
from keras import layers

from rnnx.export.golden import GoldenVectors, finish
from rnnx.export.pipeline import export
from rnnx.export.probes import make_array_probes, make_array_traps
from rnnx.keras_models.load_model import load_keras
from rnnx.keras_models.plain_model import make_plain
from rnnx.keras_models.read_network import read_network
from rnnx.onnx_file.messages import parse_model, read_properties
from rnnx.proof.compare_file import Candidate, compare_file
from rnnx.proof.evidence_metadata import read_evidence
from rnnx.proof.recorded_reference import record_network
from rnnx.proof.report import ParityReport, RuntimeReport
from rnnx.proof.structure import check_structure
from rnnx.proof.verify import verify_file
from rnnx.reference import Network, Tensor
from rnnx.rewrites.replace import Rewritten
from rnnx.runtime.session import Session
from tests.conversions import build_forms, decide
from tests.keras_files import through_file
from tests.keras_models.compared_forms import IDS, compare, make, worst
from tests.keras_models.layer_bodies import BODIES, CASES
from tests.keras_models.parts import MARKS, after_states, last, rnn

pytestmark = MARKS


@pytest.mark.parametrize(("name", "mask_zero"), CASES)
def test_reference_keras_and_both_forms_agree(name: str, mask_zero: bool) -> None:
    model = make(BODIES[name](), mask_zero=mask_zero)
    plain = make_plain(model).model  # without a TimeDistributed of images
    network = read_network(plain)
    expected, decisions = network.predict(IDS), decide(network, IDS)["probs"]
    # Compares whole predictions within the bound on all roundings together; these weights amplify errors little.
    actual = np.asarray(model(IDS, training=False))
    assert (np.abs(expected - actual) <= decisions.bounds).all()
    assert np.median(decisions.bounds) < 1e-3
    for rewritten in build_forms(plain, network).values():
        report = compare(network, rewritten)
        ratios = {layer.layer: layer.ratio for layer in report.layers}
        assert not report.problems
        assert all(ratio is not None and ratio < 0.5 for ratio in ratios.values())
        require_no_hidden_branch(network, rewritten, report)


def require_no_hidden_branch(network: Network, rewritten: Rewritten, report: RuntimeReport) -> None:
    """Makes sure that the check of the structure accepts the form as an export writes it."""
    name, inputs = next(iter(make_array_traps(network).items()))
    golden = GoldenVectors.of(network, {name: (None, inputs)})
    data = finish(rewritten, network, golden, ParityReport(0, 1, 6, (report,), unit="sequences"), {})
    model = parse_model(data)
    assert check_structure("model.onnx", data, read_evidence(read_properties(model), model), None).part_count


@pytest.mark.parametrize("is_multiplied", [False, True])
def test_a_batch_normalization_that_was_never_trained_is_exported(is_multiplied: bool) -> None:
    """It has no offset. TensorFlow moves its scale into a product before it, and a product after it looks the same."""

    def body(x: Any) -> Any:
        a = layers.BatchNormalization(center=False)(layers.Dense(4, None if is_multiplied else "gelu")(rnn()(x)))
        return last(layers.Multiply()([a, rnn()(x)]) if is_multiplied else a)

    model = make(body, mask_zero=True, is_trained=False)
    network = read_network(model)
    for rewritten in build_forms(model, network).values():
        assert worst(compare(network, rewritten)) < 0.5


def test_constants_in_a_row_of_a_sequential_stay_in_the_file() -> None:
    """TensorFlow would join them, so that the file would have neither; a Sequential lists its layers in its own way."""
    rng = np.random.default_rng(5)
    mean, variance = rng.normal(size=3).astype(np.float32), rng.uniform(0.5, 2, 3).astype(np.float32)
    scaled = [layers.Normalization(mean=mean, variance=variance), layers.Normalization(mean=-mean, variance=variance)]
    body = [*scaled, layers.BatchNormalization(), layers.SimpleRNN(3), layers.Dense(1, "sigmoid", name="head")]
    model = through_file(keras.Sequential([keras.Input((None, 3)), *body]))
    norm = model.layers[2]
    norm.set_weights([rng.uniform(0.5, 2, 3) for _ in norm.get_weights()])
    plain = make_plain(model).model
    assert isinstance(plain, keras.Sequential)
    network = read_network(plain)
    probes = make_array_probes(network, ())
    batch = probes.batches[0]
    expected = [decide(network, network.named(batch.given))]
    for file, form in build_forms(plain, network).items():
        candidate = Candidate(file, form.model.SerializeToString(), form.recipe(), carried=form.carried)
        report = compare_file(candidate, "cpu", network, [batch], expected).report
        assert report.passed
        record_network(network, parse_model(candidate.model))  # finds every constant, or raises


def test_a_model_with_several_of_these_layers_is_exported_and_verified(tmp_path: Path) -> None:
    body = after_states(
        layers.BatchNormalization(),
        layers.TimeDistributed(layers.Dense(4, "gelu")),
        layers.LayerNormalization(),
        layers.LeakyReLU(0.3),
    )
    model = make(body, mask_zero=True)
    model.save(tmp_path / "model.keras")
    export(tmp_path / "model.keras", tmp_path / "bundle")
    for file in ("model.onnx", "model.batch.onnx"):
        found = verify_file(file, (tmp_path / "bundle" / file).read_bytes(), ["cpu"])
        assert found.report.passed
        assert set(found.bits.values()) == {"same"}


@pytest.mark.parametrize(
    "name", ["items", "arithmetic with constants", "functions", "prelu", "normalization, stored", "unit normalization"]
)
def test_a_model_with_new_layers_is_exported_and_verified(name: str, tmp_path: Path) -> None:
    model = make(BODIES[name](), mask_zero=True)
    model.save(tmp_path / "model.keras")
    export(tmp_path / "model.keras", tmp_path / "bundle")
    for file in ("model.onnx", "model.batch.onnx"):
        data = (tmp_path / "bundle" / file).read_bytes()
        assert verify_file(file, data, ["cpu"]).report.passed
        probs = Session(data, device="cpu").run(IDS)[0]
        np.testing.assert_allclose(probs, np.asarray(model(IDS, training=False)), rtol=1e-4, atol=1e-5)


def test_a_model_reads_the_same_before_and_after_saving(tmp_path: Path) -> None:
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            layers.Embedding(12, 4, mask_zero=True),
            layers.Masking(),
            layers.TimeDistributed(layers.Dense(6)),
            layers.Reshape((-1, 6)),
            rnn(),
            layers.BatchNormalization(),
            layers.SimpleRNN(3),
            layers.LayerNormalization(),
            layers.Softmax(),
        ]
    )
    model.save(tmp_path / "model.keras")
    loaded = read_network(load_keras((tmp_path / "model.keras").read_bytes(), "model.keras"))
    np.testing.assert_array_equal(read_network(model).predict(IDS), loaded.predict(IDS))


def test_several_ids_at_each_position_are_embedded_side_by_side() -> None:
    """The ids are `(batch, time, k)`; Keras's Reshape drops their mask."""
    ids = np.random.default_rng(0).integers(0, 12, (2, 5, 3)).astype(np.int32)
    given = keras.Input((None, 3), dtype="int32")
    embedding = layers.Embedding(12, 4, mask_zero=True)
    flat = layers.Reshape((-1, 12))
    model = keras.Model(given, rnn()(flat(embedding(given))))
    nodes = read_network(model).nodes
    embedded = nodes[0].layer(Tensor(ids.astype(np.float64)))
    np.testing.assert_array_equal(np.asarray(embedding.compute_mask(ids)), embedded.mask)
    reshaped = nodes[1].layer(embedded)
    np.testing.assert_array_equal(np.asarray(flat(embedding(ids))), reshaped.values.astype(np.float32))
    assert reshaped.mask is None

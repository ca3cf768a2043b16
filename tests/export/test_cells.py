"""Tests LSTM, GRU and the activations of recurrences, from Keras to native operators and their proof."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import onnx
from keras import layers

from rnnx.bundle.directory import read_directory
from rnnx.errors import ModelError, ParityError
from rnnx.export.convert import convert
from rnnx.export.forms import read_steps
from rnnx.export.keras_states import KerasRunner
from rnnx.export.pipeline import export
from rnnx.infer.predictor import Predictor
from rnnx.keras_models.read_network import read_network
from rnnx.keras_models.read_recurrent import recurrent_layers
from rnnx.onnx_file.messages import parse_model
from rnnx.proof.compare import ProbeBatch, compare_runtime
from rnnx.proof.compare_file import Candidate, compare_file
from rnnx.proof.evidence_metadata import read_evidence
from rnnx.proof.recorded_reference import read_reference
from rnnx.proof.verify import verify_file
from rnnx.rewrites.recurrence import MARKER_DOMAIN, MARKER_TYPE
from rnnx.rounding.decisions import decide
from rnnx.runtime.session import Session
from rnnx.text.tokenizer import Tokenizer, Vocabulary
from tests import conversions
from tests.conversions import build_forms
from tests.mutations import change, drop_bias, exports_after, floats
from tests.networks import CELL_KINDS, build, build_cells, make_cell
from tests.texts import tiny_recipe

if TYPE_CHECKING:
    from rnnx.datasets import Dataset
    from rnnx.train.recipes import TextRecipe

pytestmark = pytest.mark.train

# One row each: zeros in front, at the end, between, nowhere, and everywhere.
IDS = np.array(
    [[0, 0, 3, 4, 5, 6], [3, 4, 5, 0, 0, 0], [3, 0, 0, 4, 11, 0], [7, 8, 9, 10, 11, 1], [0, 0, 0, 0, 0, 0]], np.int32
)
SETTINGS: dict[str, dict[str, Any]] = {
    "last state": {},
    "all states": {"return_sequences": True},
    "backwards": {"go_backwards": True},
    "backwards, all states": {"go_backwards": True, "return_sequences": True},
    "zeros": {"return_sequences": True, "zero_output_for_mask": True},
    "zeros, last": {"zero_output_for_mask": True},
    "no bias": {"use_bias": False},
    "other activations": {"activation": "softsign", "recurrent_activation": "hard_sigmoid"},
    "unlike itself": {"unit_forget_bias": False, "dropout": 0.5, "recurrent_dropout": 0.3},
}
ACTIVATIONS = ("linear", "hard_sigmoid", "softsign", "softplus", "elu", "leaky_relu")


def operator_of(kind: str) -> str:
    return kind.partition(",")[0]


def operators(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def assert_computes_the_same(model: keras.Model) -> dict[str, Counter[str]]:
    """Compares Keras and every form with the reference, and returns the operators of each form.

    Six steps in float32 with moderate weights stay within 1e-4.
    """
    network = read_network(model)
    np.testing.assert_allclose(network.predict(IDS), np.asarray(model(IDS, training=False)), rtol=0, atol=1e-4)
    counted = {}
    for form, rewritten in build_forms(model, network).items():
        counted[form] = operators(rewritten.model)
        assert not counted[form].keys() & {"Loop", MARKER_TYPE}
        assert [(opset.domain, opset.version) for opset in rewritten.model.opset_import] == [("", 13)]
        assert rewritten.model.ir_version == 8
        assert set(rewritten.states) == set(network.recurrent_nodes)
        session = Session(rewritten.model.SerializeToString(), device="cpu")
        for ids in (IDS, IDS[:1], IDS[1:2], IDS[4:], IDS[[2] * 9]):
            np.testing.assert_allclose(network.predict(ids), session.run(ids)[0], rtol=0, atol=1e-4)
    return counted


@pytest.mark.parametrize("mask_zero", [False, True])
@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("kind", CELL_KINDS)
def test_each_setting_becomes_the_native_operator(kind: str, settings: str, mask_zero: bool) -> None:
    counted = assert_computes_the_same(build(make_cell(kind, **SETTINGS[settings]), mask_zero=mask_zero))
    operator = operator_of(kind)
    assert all(operators[operator] == 1 for operators in counted.values())
    # Without a mask there are no lengths, so no form without them is needed.
    assert list(counted) == (["model.onnx", "model.batch.onnx"] if mask_zero else ["model.onnx"])


@pytest.mark.parametrize("mask_zero", [False, True])
@pytest.mark.parametrize("kind", CELL_KINDS)
def test_a_stack_on_both_directions_becomes_three_operators(kind: str, mask_zero: bool) -> None:
    counted = assert_computes_the_same(build_cells(kind, mask_zero))
    assert all(operators[operator_of(kind)] == 3 for operators in counted.values())


@pytest.mark.parametrize("kind", CELL_KINDS)
def test_a_mean_skips_masked_positions(kind: str) -> None:
    model = build(
        layers.Bidirectional(make_cell(kind, 3, return_sequences=True)), layers.GlobalAveragePooling1D(), mask_zero=True
    )
    network = read_network(model)
    ids = IDS[:4]
    for rewritten in build_forms(model, network).values():
        (actual,) = Session(rewritten.model.SerializeToString(), device="cpu").run(ids)
        np.testing.assert_allclose(network.predict(ids), actual, rtol=0, atol=1e-5)
        assert "Loop" not in operators(rewritten.model)


def test_an_lstm_after_a_simple_rnn_stays_an_operator() -> None:
    counted = assert_computes_the_same(
        build(layers.SimpleRNN(4, return_sequences=True), layers.LSTM(4), mask_zero=True)
    )
    assert (counted["model.onnx"]["RNN"], counted["model.onnx"]["LSTM"]) == (1, 1)
    assert (counted["model.batch.onnx"]["Scan"], counted["model.batch.onnx"]["LSTM"]) == (1, 1)


@pytest.mark.parametrize("mask_zero", [False, True])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_simple_rnn_with_each_activation_computes_the_same(activation: str, mask_zero: bool) -> None:
    rnn = layers.SimpleRNN(3, activation=activation, return_sequences=True)
    counted = assert_computes_the_same(build(rnn, layers.SimpleRNN(2, activation=activation), mask_zero=mask_zero))
    # With softplus, onnxruntime's own operator gives infinity for large numbers, so there is one form, without it.
    assert counted["model.onnx"]["RNN"] == (0 if activation == "softplus" else 2)
    assert list(counted.values())[-1]["Scan"] in (1, 2)
    assert ("model.batch.onnx" in counted) == (activation != "softplus")


@pytest.mark.parametrize("kind", CELL_KINDS)
def test_the_portable_form_has_no_lengths(kind: str) -> None:
    model = build(make_cell(kind), mask_zero=True)
    forms = build_forms(model, read_network(model))
    operator = operator_of(kind)
    given = {
        form: len(next(node for node in rewritten.model.graph.node if node.op_type == operator).input)
        for form, rewritten in forms.items()
    }
    assert given == {"model.onnx": 5, "model.batch.onnx": 4}
    assert read_steps(forms["model.batch.onnx"].model)[0] == 0


def test_a_conversion_does_not_change_the_model() -> None:
    model = build(layers.Bidirectional(layers.GRU(3)))
    converted = convert(model, read_network(model))
    names = {node.name for node in converted.graph.node if node.domain == MARKER_DOMAIN}
    assert names == {f"{model.layers[1].name}.{half}" for half in ("forward", "backward")}
    assert all("inner_loop" not in vars(layer) for _, layer in recurrent_layers(model))


def test_two_layers_with_equal_weights_are_kept_apart() -> None:
    model = build(layers.LSTM(5, return_sequences=True, name="first"), layers.LSTM(5, name="second"), mask_zero=True)
    weights = model.get_weights()
    model.set_weights([weights[0], *weights[1:4], *weights[1:4]])
    assert_computes_the_same(model)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ([layers.LSTM(4, activation="hard_shrink", name="memory")], r"layer memory \(LSTM\) has the activation 'hard_"),
        ([layers.GRU(4, recurrent_activation="glu", name="gru")], r"layer gru .* the recurrent activation 'glu'"),
        ([layers.SimpleRNN(4, activation="sparsemax", name="rnn")], r"layer rnn .* the activation 'sparsemax'"),
        ([layers.LSTM(4, unroll=True, name="memory")], r"layer memory .* unroll=True"),
        ([layers.RNN(layers.LSTMCell(4), name="wrapped")], r"layer wrapped \(RNN\) is of an unsupported class"),
    ],
)
def test_an_unsupported_layer_is_refused_by_name_and_reason(body: list[keras.Layer], reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        read_network(build(*body))


def test_a_stateful_layer_is_refused() -> None:
    ids = keras.Input(batch_shape=(2, 3), dtype="int32")
    model = keras.Model(ids, layers.LSTM(4, stateful=True, name="memory")(layers.Embedding(12, 5)(ids)))
    with pytest.raises(ModelError, match=r"layer memory .* stateful=True"):
        read_network(model)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_right_files_stay_within_the_bound(activation: str) -> None:
    """The weights are moderate, because some of the activations have no largest result."""
    settings: dict[str, Any] = {"activation": activation, "return_sequences": True}
    # With gates that can exceed 1, the states would grow beyond float32 over the steps.
    gates: dict[str, Any] = {"recurrent_activation": activation} if activation in ("hard_sigmoid", "softsign") else {}
    cells = [make_cell(kind, **settings, **gates) for kind in CELL_KINDS]
    model = build(layers.SimpleRNN(4, **settings), *cells, layers.LSTM(3), layers.Dense(1, "sigmoid"), mask_zero=True)
    model.set_weights([w * 0.3 for w in model.get_weights()])
    network = read_network(model)
    ids = np.random.default_rng(0).integers(0, 12, (4, 30)).astype(np.int32)
    batches = [ProbeBatch(IDS, tuple("abcde")), ProbeBatch(ids, tuple("fghi"))]
    decisions = [decide(network, batch.given) for batch in batches]
    run_keras = KerasRunner(model, network)
    reports = [compare_runtime("keras", network, batches, [run_keras(batch) for batch in batches], decisions)]
    for name, form in build_forms(model, network).items():
        candidate = Candidate(name, form.model.SerializeToString(), form.recipe())
        reports.append(compare_file(candidate, "cpu", network, batches, decisions, batches[1]).report)
    for report in reports:
        assert not report.problems
        assert {layer.layer: layer.ratio for layer in report.layers if layer.ratio is None or layer.ratio > 0.7} == {}


def network_of(kind: str) -> Any:
    def build_network(vocabulary_size: int, outputs: int, activation: str) -> keras.Model:
        ids = keras.Input((None,), dtype="int32", name="ids")
        x = layers.Embedding(vocabulary_size, 8, mask_zero=True)(ids)
        if kind == "lstm":
            x = layers.LSTM(8)(x)
        else:
            x = layers.Bidirectional(layers.GRU(6, return_sequences=True))(x)
            x = layers.GlobalAveragePooling1D()(x)
        return keras.Model(ids, layers.Dense(outputs, activation)(x))

    return build_network


def cell_recipe(kind: str) -> TextRecipe:
    return dataclasses.replace(tiny_recipe("default"), name=kind, build=network_of(kind))


@pytest.fixture(scope="module", params=["lstm", "gru"])
def run(request: pytest.FixtureRequest, tiny_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from rnnx.train.fit import Observer
    from rnnx.train.run import train

    out: Path = tmp_path_factory.mktemp("cells") / request.param
    train(tiny_dataset, cell_recipe(request.param), out, seed=3, observer=Observer())
    return out


def test_a_text_model_is_exported_verified_and_used(run: Path, tmp_path: Path) -> None:
    """Each file is verified from the file alone, also the one that reads raw text."""
    path = export(run, tmp_path / "bundle").path
    bundle = read_directory(path)
    for name in ("model.onnx", "model.batch.onnx", "model.text.onnx"):
        model = onnx.load_from_string(bundle[name])
        onnx.checker.check_model(model, full_check=True)
        counted = operators(model)
        assert counted[run.name.upper()] == (1 if run.name == "lstm" else 2)
        assert not counted.keys() & {"Loop", "Scan", "RNN"}
        checked = verify_file(name, bundle[name], ["cpu"], None)
        assert checked.report.passed, checked.report.first_problem
    assert bundle.config.tokenizer is not None
    tokenizer = Tokenizer(bundle.config.tokenizer, Vocabulary.from_bytes(bundle["vocabulary.txt"]))
    network = read_network(keras.saving.load_model(path / "model.keras", compile=False))
    texts = ["a wonderful film", "an awful plot and a dull actor"]
    expected = network.predict(tokenizer.pad([tokenizer.encode(text.encode()).ids for text in texts]))
    # With so many rows, a predictor would choose the form with a Scan if there were one.
    actual = [prediction.probs["pos"] for prediction in Predictor(bundle).predict(texts * 40)]
    np.testing.assert_allclose(np.tile(expected[:, 0], 40), actual, rtol=0, atol=1e-6)


def test_a_bare_keras_file_without_a_mask_has_one_form(tmp_path: Path) -> None:
    build(layers.GRU(4), layers.Dense(1, "sigmoid")).save(tmp_path / "mine.keras")
    bundle = read_directory(export(tmp_path / "mine.keras", tmp_path / "out").path)
    assert "model.batch.onnx" not in bundle.files
    assert bundle.config.recurrent_units == 0
    assert verify_file("model.onnx", bundle["model.onnx"], ["cpu"], None).report.passed


@pytest.fixture(params=["lstm", "gru"])
def keras_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Saves a network whose random weights are large enough that one wrong weight is found."""
    path = tmp_path / f"{request.param}.keras"
    model = network_of(request.param)(12, 1, "sigmoid")
    rng = np.random.default_rng(4)
    model.set_weights([rng.normal(size=w.shape).astype(np.float32) * 0.7 for w in model.get_weights()])
    model.save(path)
    return path


def gates_of(graph: onnx.ModelProto) -> int:
    return 4 if operators(graph)["LSTM"] else 3


def swap_gates(graph: onnx.ModelProto) -> None:
    tensor = next(t for t in floats(graph, 2) if t.name.endswith(".W"))
    units = tensor.dims[1] // gates_of(graph)

    def swap(values: np.ndarray) -> np.ndarray:
        values[:, : 2 * units] = np.roll(values[:, : 2 * units], units, axis=1)
        return values

    change(tensor, swap)


def transpose_recurrent_kernel(graph: onnx.ModelProto) -> None:
    """Transposes the block of each gate, like a converter that confuses rows and columns."""
    gates = gates_of(graph)

    def transpose(values: np.ndarray) -> np.ndarray:
        blocks = np.split(values[0], gates)
        return np.concatenate([block.T for block in blocks])[None]

    change(next(t for t in floats(graph, 2) if t.name.endswith(".R")), transpose)


def corrupt(suffix: str) -> Callable[[onnx.ModelProto], None]:
    def mutate(graph: onnx.ModelProto) -> None:
        def add(values: np.ndarray) -> np.ndarray:
            values.flat[values.size // 3] += 1e-3
            return values

        change(next(t for t in floats(graph) if t.name.endswith(suffix)), add)

    return mutate


@pytest.mark.parametrize(
    ("mutate", "form"),
    [
        (swap_gates, "model.onnx"),
        (drop_bias, "model.batch.onnx"),
        (transpose_recurrent_kernel, "model.onnx"),
        (corrupt(".W"), "model.onnx"),
        (corrupt(".R"), "model.batch.onnx"),
        (corrupt(".B"), "model.onnx"),
    ],
    ids=["gates", "no bias", "transposed", "one of W", "one of R", "one of B"],
)
def test_a_wrong_graph_is_not_published(mutate: Any, form: str, keras_file: Path, tmp_path: Path) -> None:
    with pytest.raises(ParityError, match=f"{form}.*nothing was published") as caught:
        exports_after(mutate, keras_file, tmp_path / "out", form)
    assert list(tmp_path.iterdir()) == [keras_file]
    assert caught.value.report.runtimes[0].passed  # Keras itself is right


def test_an_altered_weight_in_the_file_is_found(keras_file: Path, tmp_path: Path) -> None:
    """The record has the numbers of Keras, while the file has the gates in another order."""
    bundle = read_directory(conversions.export(keras_file, tmp_path / "bundle").path)
    parsed = parse_model(bundle["model.onnx"])
    evidence = read_evidence({entry.key: entry.value for entry in parsed.metadata_props}, parsed)
    original = read_network(keras.saving.load_model(keras_file, compile=False))
    for node, own in zip(read_reference(evidence, parsed).nodes, original.nodes, strict=True):
        for name, value in vars(own.layer).items():
            np.testing.assert_array_equal(value, getattr(node.layer, name))
    model = onnx.load_from_string(bundle["model.onnx"])
    swap_gates(model)
    with pytest.raises(ModelError, match="is not what Keras had at the export"):
        read_reference(evidence, parse_model(model.SerializeToString()))
    with pytest.raises(ModelError, match="altered after its export"):
        verify_file("model.onnx", model.SerializeToString(), ["cpu"], None)

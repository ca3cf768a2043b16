"""Tests models as people build them: each one is saved to a file, exported, proved, and run against Keras."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import onnx
from keras import layers

from rnnx.bundle.directory import CARD_NAME, MODEL_NAME, STREAM_NAME, read_directory
from rnnx.errors import ModelError, ParityError
from rnnx.export import saved_model
from rnnx.export.pipeline import Exported
from rnnx.export.pipeline import export as export_anew
from rnnx.export.source import open_source
from rnnx.infer.load import load
from rnnx.keras_models import plain_model
from rnnx.proof.verify import verify_file
from rnnx.runtime.session import Session
from tests.conversions import export

# A nested model is called with a mask that it does not expect, and Keras warns of it.
pytestmark = [pytest.mark.train, pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")]

SIZES = ((1, 1), (2, 7), (3, 12))
Build = Callable[[], keras.Model]


def numbers(name: str | None = None, features: int = 3) -> Any:
    return keras.Input((None, features), name=name)


def ids(name: str) -> Any:
    return keras.Input((None,), dtype="int32", name=name)


def nested() -> keras.Model:
    """A Sequential in a functional model in a Sequential; the mask passes through all of them."""
    pair = keras.Sequential(
        [keras.Input((None, 4)), layers.GRU(4, return_sequences=True), layers.Dense(4)], name="pair"
    )
    x = keras.Input((None, 4))
    encoder = keras.Model(x, layers.LSTM(5)(pair(x)), name="encoder")
    return keras.Sequential([ids("x"), layers.Embedding(9, 4, mask_zero=True), encoder, layers.Dense(2)])


def siamese() -> keras.Model:
    left, right = ids("left"), ids("right")
    embedding, rnn = layers.Embedding(9, 4, mask_zero=True), layers.LSTM(5, name="shared")
    joined = layers.Subtract()([rnn(embedding(left)), rnn(embedding(right))])
    return keras.Model([left, right], layers.Dense(1, activation="sigmoid")(joined))


def shared_in_a_row() -> keras.Model:
    x, rnn = numbers(), layers.GRU(3, return_sequences=True)
    return keras.Model(x, layers.Dense(2, activation="softmax")(rnn(rnn(x))))


def dictionaries() -> keras.Model:
    title, body = ids("title"), numbers("the-body")
    states = layers.Concatenate()([layers.SimpleRNN(4)(layers.Embedding(9, 4)(title)), layers.LSTM(4)(body)])
    heads = {"topic": layers.Dense(3, activation="softmax")(states), "a score": layers.Dense(1)(states)}
    return keras.Model({"title": title, "the-body": body}, heads)


def odd_names() -> keras.Model:
    left, right = numbers("sensor 1"), numbers("sensor-2")
    joined = layers.Concatenate()([layers.LSTM(4, name="LSTM no. 1")(left), layers.GRU(3, name="_gru")(right)])
    return keras.Model([left, right], layers.Dense(1, name="out: °C")(joined), name="my model")


def activation_layers() -> keras.Model:
    words = ids("x")
    x = layers.Embedding(9, 4, mask_zero=True)(words)
    x = layers.Dense(4, activation=layers.LeakyReLU(0.1))(x)
    x = layers.LSTM(4, return_sequences=True)(x)
    x = layers.Conv1D(4, 3, padding="same", activation=layers.ReLU(max_value=0.1, negative_slope=0.5))(x)
    x = layers.Activation(layers.ELU(0.7))(x)
    return keras.Model(words, layers.Dense(2, activation=layers.LeakyReLU())(layers.GRU(3)(x)))


def backward_only() -> keras.Model:
    x = numbers()
    both = layers.Bidirectional(layers.LSTM(4, return_sequences=True), merge_mode=None)
    return keras.Model(x, layers.Dense(2)(both(x)[1]))


def states_only() -> keras.Model:
    x = numbers()
    states = layers.Bidirectional(layers.GRU(4, return_sequences=True, return_state=True))(x)
    return keras.Model(x, layers.Dense(2)(layers.Concatenate()(states[1:])))


def fixed_batch() -> keras.Model:
    x = keras.Input(batch_shape=(2, None, 3))
    return keras.Model(x, layers.Dense(2)(layers.LSTM(4)(x)))


def sequential_of_sequentials() -> keras.Model:
    inner = [keras.Sequential([layers.SimpleRNN(4, return_sequences=True)]), keras.Sequential([layers.SimpleRNN(3)])]
    return keras.Sequential([numbers(), *inner, layers.Dense(1)])


def unrolled() -> keras.Model:
    rnn = layers.Bidirectional(layers.LSTM(4, return_sequences=True, unroll=True))
    return keras.Sequential([keras.Input((7, 3)), rnn, layers.GRU(3, unroll=True), layers.Dense(2)])


BUILDS: tuple[Build, ...] = (
    nested, siamese, shared_in_a_row, dictionaries, odd_names, backward_only, states_only, fixed_batch,
    sequential_of_sequentials, unrolled, activation_layers,
)  # fmt: skip


def save(build: Build, folder: Path, policy: str = "float32") -> tuple[keras.Model, Path]:
    """Builds a model with weights and biases of its own, and saves it."""
    keras.utils.set_random_seed(3)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = build()
    finally:
        keras.config.set_dtype_policy(before)
    rng = np.random.default_rng(1)
    for variable in model.trainable_weights:
        variable.assign(np.asarray(variable) + rng.normal(size=variable.shape) * 0.1)
    path = folder / f"{build.__name__}.keras"
    model.save(path)
    return model, path


def draw(model: keras.Model, batch: int, time: int) -> list[np.ndarray[Any, Any]]:
    """Draws the inputs of a model: ids, some of them padding, numbers, and masks."""
    rng = np.random.default_rng(time)
    inputs = []
    for tensor in model.inputs:
        shape = (batch, *(time if size is None else size for size in tensor.shape[1:]))
        is_ids = tensor.dtype == "int32"
        drawn = rng.integers(0, 9, shape).astype(np.int32) if is_ids else rng.normal(size=shape).astype(np.float32)
        inputs.append(drawn > 0 if tensor.dtype == "bool" else drawn)
    return inputs


def require_equal(model: keras.Model, exported: Exported, atol: float = 2e-6) -> None:
    """Runs each exported file next to Keras, which computes the model as it was saved."""
    function = model._functional if isinstance(model, keras.Sequential) else model
    bundle = read_directory(exported.path)
    for file in [name for name in bundle.files if name.endswith(".onnx") and name != STREAM_NAME]:
        session = Session(bundle[file], device="cpu")
        for batch, time in SIZES:
            given = draw(model, batch, time)
            expected = keras.tree.flatten(model(keras.tree.pack_sequence_as(function._inputs_struct, given)))
            actual = session.run(dict(zip(session.input_names, given, strict=True)))
            for values, others in zip(expected, actual, strict=True):
                np.testing.assert_allclose(np.asarray(values, np.float64), others, rtol=0, atol=atol)
        assert verify_file(file, bundle[file], ["cpu"]).report.passed


@pytest.mark.parametrize("build", BUILDS)
def test_a_model_of_this_structure_is_exported_and_computes_what_keras_computes(build: Build, tmp_path: Path) -> None:
    model, path = save(build, tmp_path)
    exported = export(path, tmp_path / "out")
    require_equal(model, exported)
    is_rebuilt = build not in (backward_only, states_only, fixed_batch)
    assert any(runtime.runtime.endswith(", as saved") for runtime in exported.report.runtimes) == is_rebuilt
    assert exported.report.precision is None


def test_names_say_where_a_layer_is_and_which_call_it_is(tmp_path: Path) -> None:
    network = open_source(save(nested, tmp_path)[1]).network
    assert list(network.recurrent_nodes) == ["encoder.pair.gru", "encoder.lstm"]
    source = open_source(save(siamese, tmp_path)[1])
    assert [node.inputs for node in source.network.nodes if node.name.startswith("shared")] != [("left",), ("right",)]
    assert list(source.network.recurrent_nodes) == ["shared", "shared.2"]


def test_the_weights_of_a_shared_layer_are_stored_once(tmp_path: Path) -> None:
    exported = export(save(siamese, tmp_path)[1], tmp_path / "out")
    model = onnx.load_from_string(read_directory(exported.path)[MODEL_NAME])
    sizes = sorted(tuple(tensor.dims) for tensor in model.graph.initializer if np.prod(tensor.dims) >= 20)
    assert sizes == [(1, 20, 4), (1, 20, 5), (1, 40), (9, 4)]


def test_dictionaries_and_odd_names_give_the_names_of_the_files(tmp_path: Path) -> None:
    source = open_source(save(dictionaries, tmp_path)[1])
    assert sorted(port.name for port in source.network.inputs) == ["the_body", "title"]
    assert sorted(source.network.ends) == ["a_score", "topic"]
    source = open_source(save(odd_names, tmp_path)[1])
    assert [port.name for port in source.network.inputs] == ["sensor_1", "sensor_2"]
    assert "'LSTM no. 1' is called LSTM_no._1 in the files" in source.notes
    assert "the input 'sensor-2' is called sensor_2 in the files" in source.notes


def mixed() -> keras.Model:
    head = layers.Dense(2, activation="softmax")
    return keras.Sequential(
        [numbers(), layers.Bidirectional(layers.GRU(4, return_sequences=True)), layers.LSTM(3), head]
    )


@pytest.mark.parametrize(
    ("policy", "atol", "note"),
    [
        ("mixed_float16", 5e-3, "with the weights as stored"),
        ("mixed_bfloat16", 5e-2, "with the weights as stored"),
        ("float16", 5e-3, "with the weights as stored"),
        ("float64", 1e-6, "with its weights rounded to float32 once"),
    ],
)
def test_another_precision_is_exported_as_float32(policy: str, atol: float, note: str, tmp_path: Path) -> None:
    model, path = save(mixed, tmp_path, policy)
    source = open_source(path)
    assert source.notes == (f"Keras computes this model in {policy}; the files compute it in float32, {note}",)
    for mine, theirs in zip(source.model.get_weights(), model.get_weights(), strict=True):
        assert mine.dtype == np.float32
        np.testing.assert_array_equal(mine, theirs.astype(np.float32))
    exported = export(source, tmp_path / "out")
    require_equal(model, exported, atol)
    precision = exported.report.precision
    assert precision is not None
    assert precision.policy == policy
    assert precision.max_abs_diff is not None
    assert 0 < precision.max_abs_diff < atol
    assert precision.label_count > precision.differing_count >= 0
    card = read_directory(exported.path)[CARD_NAME].decode()
    assert f"made in Keras with the precision `{policy}`" in card


def stateful() -> keras.Model:
    lower = layers.LSTM(4, return_sequences=True, stateful=True, name="lower")
    upper = layers.GRU(3, return_sequences=True, stateful=True, name="upper")
    return keras.Sequential([keras.Input(batch_shape=(2, 3, 3)), lower, upper, layers.Dense(2)])


def test_a_stateful_model_gets_a_file_with_its_states(tmp_path: Path) -> None:
    model, path = save(stateful, tmp_path)
    exported = export(path, tmp_path / "out")
    assert exported.report.runtimes[1].runtime.endswith(", as saved")
    bundle = read_directory(exported.path)
    session = Session(bundle[STREAM_NAME], device="cpu")
    names = [f"{layer}.{kind}" for layer, kind in (("lower", "h"), ("lower", "c"), ("upper", "h"))]
    states = {f"{name}_in": np.zeros((2, 3 if "upper" in name else 4), np.float32) for name in names}
    assert set(session.input_names) == {"x", *states}
    for time in (3, 4, 5):  # three calls in a row, of other numbers each
        x = draw(model, 2, time)[0][:, :3]
        answers = session.run_by_name({"x": x, **states})
        np.testing.assert_allclose(np.asarray(model(x)), answers["values"], rtol=0, atol=2e-6)
        states = {f"{name}_in": np.asarray(answers[f"{name}_out"], np.float32) for name in names}
    assert load(exported.path) is not None


def test_the_states_of_images_go_in_and_out_as_vectors(tmp_path: Path) -> None:
    def build() -> keras.Model:
        images = layers.ConvLSTM2D(2, (1, 2), padding="same", return_sequences=True, stateful=True, name="lower")
        upper = layers.GRU(3, stateful=True, name="upper")
        return keras.Sequential([keras.Input(batch_shape=(2, None, 2, 3, 1)), images, layers.Reshape((-1, 12)), upper])

    model, path = save(build, tmp_path)
    session = Session(read_directory(export(path, tmp_path / "out").path)[STREAM_NAME], device="cpu")
    sizes = {"lower.h": 12, "lower.c": 12, "upper.h": 3}
    states = {f"{name}_in": np.zeros((2, size), np.float32) for name, size in sizes.items()}
    for time in (3, 1, 5):
        x = np.random.default_rng(time).normal(size=(2, time, 2, 3, 1)).astype(np.float32)
        answers = session.run_by_name({"x": x, **states})
        np.testing.assert_allclose(np.asarray(model(x)), answers["values"], rtol=0, atol=2e-6)
        states = {f"{name}_in": np.asarray(answers[f"{name}_out"], np.float32) for name in sizes}


def half_stateful() -> keras.Model:
    lower, upper = layers.LSTM(4, return_sequences=True, stateful=True), layers.GRU(3, name="fresh")
    return keras.Sequential([keras.Input(batch_shape=(2, 3, 3)), lower, upper, layers.Dense(2)])


class Own(keras.Model):  # type: ignore[misc]  # keras ships no types
    """A model whose call is code."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = layers.LSTM(3)

    def call(self, x: Any) -> Any:
        """Runs it."""
        return self.rnn(x)


class OwnTraining(keras.Model):  # type: ignore[misc]  # keras ships no types
    """A functional model with a step of training of its own."""


def test_what_cannot_be_rebuilt_is_refused_with_the_reason_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"layer fresh \(GRU\) starts anew with each call, but lstm is stateful"):
        open_source(save(half_stateful, tmp_path)[1])
    with pytest.raises(
        ModelError, match=r"Own\): it is a subclass of keras\.Model, and its call is code .* keras\.Model\("
    ):
        plain_model.make_plain(Own())
    path = tmp_path / "own.keras"
    own = Own()
    own(np.zeros((1, 2, 3), np.float32))
    own.save(path)
    with pytest.raises(
        ModelError,
        match=r"own\.keras: the model is of the class Own, whose code .* keras\.Model\(inputs, outputs",
    ):
        open_source(path)
    path = tmp_path / "trained.keras"
    inputs = keras.Input((None, 3))
    OwnTraining(inputs, layers.LSTM(3)(inputs)).save(path)
    with pytest.raises(
        ModelError, match=r"OwnTraining, .* call of its own, save keras\.Model\(model\.inputs, model\.out"
    ):
        open_source(path)
    path = tmp_path / "unbuilt.keras"
    fresh = keras.Sequential([layers.Embedding(9, 4), layers.LSTM(3)], name="fresh")
    with pytest.warns(UserWarning, match="not yet been built"):
        fresh.save(path)
    with pytest.raises(ModelError, match=r'saved before it knew .* keras\.Input\(\(None,\), dtype="int32"\)'):
        open_source(path)
    with pytest.raises(ModelError, match=r'model fresh: it was never built.* keras\.Input\(\(None,\), dtype="int32"\)'):
        plain_model.make_plain(fresh)
    x = numbers()
    inner = keras.Model(y := numbers(), layers.LSTM(4, activation="hard_shrink", name="deep")(y), name="body")
    keras.Model(x, layers.Dense(1)(inner(x))).save(path)
    with pytest.raises(ModelError, match=r"layer body\.deep \(LSTM\) has the activation 'hard_shrink'"):
        open_source(path)


def test_a_wrong_copy_of_a_layer_fails_the_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain form and its reference agree with each other then; only the saved model shows the mistake."""
    copy_layer = plain_model._copy_layer

    def copy_wrongly(layer: Any, name: str) -> Any:
        copied = copy_layer(layer, name)
        if isinstance(copied, layers.LSTM):
            copied.set_weights = lambda weights: layers.LSTM.set_weights(copied, [weights[0] * 1.001, *weights[1:]])
        return copied

    monkeypatch.setattr(plain_model, "_copy_layer", copy_wrongly)
    with pytest.raises(ParityError, match=", as saved: layer end to end"):
        export_anew(save(nested, tmp_path)[1], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_precision_that_overflows_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = saved_model._measure

    def overflow(policy: str, answers: Any, decisions: Any) -> Any:
        answers = [{name: np.full_like(values, np.inf) for name, values in batch.items()} for batch in answers]
        return measure(policy, answers, decisions)

    monkeypatch.setattr(saved_model, "_measure", overflow)
    exported = export(save(mixed, tmp_path, "mixed_float16")[1], tmp_path / "out")
    precision = exported.report.precision
    assert precision is not None
    assert precision.max_abs_diff is None
    assert precision.summary.endswith("gives results that are not finite")


def stateful_in_calls_of_five() -> keras.Model:
    return keras.Sequential([keras.Input(batch_shape=(2, 5, 3)), layers.GRU(4, stateful=True), layers.Dense(2)])


def test_a_stateful_model_is_compared_in_whole_calls(tmp_path: Path) -> None:
    """It gives the last state only, so no call can be filled up, and no probe has a time of 5."""
    exported = export(save(stateful_in_calls_of_five, tmp_path)[1], tmp_path / "out")
    assert exported.report.runtimes[1].runtime.endswith(", as saved")
    assert exported.report.runtimes[1].layers

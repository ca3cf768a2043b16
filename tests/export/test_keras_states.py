"""Tests that Keras's states from one compiled graph equal those of its cells, called step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import tensorflow as tf
from keras import layers

from rnnx.export.keras_states import KerasRunner, run_eagerly
from rnnx.keras_models.read_network import read_network
from rnnx.keras_models.read_recurrent import recurrent_layers
from rnnx.proof.compare import Outputs, ProbeBatch, compare_runtime
from rnnx.reference import Network
from rnnx.rounding.decisions import decide

pytestmark = pytest.mark.train

# One row each: zeros everywhere, in front, at the end, between, and nowhere.
IDS = np.array([[0] * 6, [0, 0, 3, 4, 5, 6], [3, 4, 0, 0, 0, 0], [3, 0, 0, 4, 11, 0], [7, 8, 9, 10, 11, 1]], np.int32)
CELLS = {
    "simple": layers.SimpleRNN,
    "lstm": layers.LSTM,
    "gru": layers.GRU,
    "gru, reset before": lambda *args, **settings: layers.GRU(*args, reset_after=False, **settings),
}
Cell = Callable[..., Any]
LOWER: dict[str, Callable[[Cell], Any]] = {
    "forward": lambda cell: cell(4, return_sequences=True),
    "backward": lambda cell: cell(4, return_sequences=True, go_backwards=True),
    "both": lambda cell: layers.Bidirectional(cell(4, return_sequences=True)),
    "both, the last states": lambda cell: layers.Bidirectional(cell(4)),
    "zeros at masked positions": lambda cell: cell(4, return_sequences=True, zero_output_for_mask=True),
    "the last state": lambda cell: cell(4),
}


def draw_weights(model: keras.Model) -> keras.Model:
    rng = np.random.default_rng(3)
    model.set_weights([0.5 * rng.normal(size=weight.shape) for weight in model.get_weights()])
    return model


def build(cell: str, lower: str, *, is_masked: bool) -> keras.Model:
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = LOWER[lower](CELLS[cell])(layers.Embedding(12, 5, mask_zero=is_masked)(ids))
    x = CELLS[cell](3)(x) if len(x.shape) == 3 else x
    return draw_weights(keras.Model(ids, layers.Dense(2, "softmax")(x)))


def run(model: keras.Model, network: Network, inputs: np.ndarray) -> tuple[Outputs, dict[str, Any], Any]:
    """Returns what the compiled graph gives, and the states and the output of an eager call."""
    runner = KerasRunner(model, network)
    assert runner.name == f"keras {keras.__version__}"
    (answers, states) = run_eagerly(model, network, [inputs])
    return runner(ProbeBatch(inputs, tuple(map(str, range(len(inputs)))))), states, answers[0]


@pytest.mark.parametrize("is_masked", [False, True])
@pytest.mark.parametrize("lower", LOWER)
@pytest.mark.parametrize("cell", CELLS)
def test_compiled_states_equal_those_of_the_cells_bit_for_bit(cell: str, lower: str, is_masked: bool) -> None:
    model = build(cell, lower, is_masked=is_masked)
    network = read_network(model)
    actual, states, answer = run(model, network, IDS)
    assert actual.states.keys() == states.keys() == network.recurrent_nodes.keys()
    for name, expected in states.items():
        assert expected.shape == (*IDS.shape, network.recurrent_nodes[name].units)
        np.testing.assert_array_equal(expected, actual.states[name])
    np.testing.assert_array_equal(np.asarray(answer), actual.answers["probs"])
    # The layers are restored: they answer as before, and no patch is left on them.
    np.testing.assert_array_equal(np.asarray(answer), model(IDS, training=False))
    assert all("inner_loop" not in vars(layer) for _, layer in recurrent_layers(model))


def test_one_trace_serves_batches_of_every_shape() -> None:
    model = build("lstm", "both", is_masked=True)
    network = read_network(model)
    runner = KerasRunner(model, network)
    for rows, time in ((1, 1), (5, 6), (2, 40), (3, 2)):
        ids = np.random.default_rng(time).integers(0, 12, (rows, time)).astype(np.int32)
        actual = runner(ProbeBatch(ids, ("a row",) * rows))
        _, states = run_eagerly(model, network, [ids])
        for name, expected in states.items():
            np.testing.assert_array_equal(expected, actual.states[name])


def test_several_inputs_and_outputs_are_matched_by_name() -> None:
    first, second = keras.Input((None, 3), name="first"), keras.Input((None, 2), name="second")
    x = layers.GRU(4, return_sequences=True)(layers.Concatenate()([first, second]))
    model = draw_weights(keras.Model([first, second], [layers.Dense(2, name="each")(x), layers.LSTM(3, name="end")(x)]))
    network = read_network(model)
    rng = np.random.default_rng(0)
    given = {name: rng.normal(size=(2, 5, size)).astype(np.float32) for name, size in (("first", 3), ("second", 2))}
    actual = KerasRunner(model, network)(ProbeBatch(given, ("a", "b")))
    answers, states = run_eagerly(model, network, list(given.values()))
    assert list(actual.answers) == ["each", "end"]
    for expected, values in zip(answers, actual.answers.values(), strict=True):
        np.testing.assert_array_equal(np.asarray(expected), values)
    for name, expected in states.items():
        np.testing.assert_array_equal(expected, actual.states[name])


def test_a_model_that_cannot_be_traced_is_run_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    model = build("gru", "both", is_masked=True)
    network = read_network(model)
    batch = ProbeBatch(IDS, tuple("abcde"))
    expected = KerasRunner(model, network)(batch)
    called = type(model).__call__

    def call(self: keras.Model, inputs: Any, *args: Any, **settings: Any) -> Any:
        if tf.is_symbolic_tensor(keras.tree.flatten(inputs)[0]):
            raise NotImplementedError("this layer wants values")
        return called(self, inputs, *args, **settings)

    monkeypatch.setattr(type(model), "__call__", call)
    told: list[str] = []
    runner = KerasRunner(model, network, told.append)
    assert runner.name == f"keras {keras.__version__}, called step by step"
    assert told == ["running Keras step by step, which takes longer: this layer wants values"]
    actual = runner(batch)
    for name, states in expected.states.items():
        np.testing.assert_array_equal(states, actual.states[name])


@pytest.mark.parametrize("is_known", [True, False])
def test_a_time_distributed_is_right_in_a_graph(monkeypatch: pytest.MonkeyPatch, *, is_known: bool) -> None:
    """In a graph, Keras 3.15 computes it right for a known time only; a long batch runs in a loop."""
    ids = keras.Input((None,), dtype="int32", name="ids")
    embedding = layers.Embedding(12, 5, mask_zero=True)
    x = layers.TimeDistributed(layers.Dense(4, "gelu"))(embedding(ids))
    model = draw_weights(keras.Model(ids, layers.Dense(2, "softmax")(layers.SimpleRNN(3)(x))))
    network = read_network(model)

    def call_without_time(inputs: Any, call: Any = embedding.call) -> Any:
        outputs = call(inputs)
        is_traced = tf.is_symbolic_tensor(outputs)
        return tf.compat.v1.placeholder_with_default(outputs, (None, None, 5)) if is_traced else outputs

    if not is_known:
        monkeypatch.setattr(embedding, "call", call_without_time)
    told: list[str] = []
    runner = KerasRunner(model, network, told.append)
    assert (runner.name, told) == (f"keras {keras.__version__}", [])
    for given in (IDS, IDS[:, -3:], np.tile(IDS, 3)):
        batch = ProbeBatch(given, tuple("abcde"))
        outputs = runner(batch)
        assert compare_runtime(runner.name, network, [batch], [outputs], [decide(network, given)]).passed
        answers, states = run_eagerly(model, network, [given])
        np.testing.assert_allclose(np.asarray(answers[0]), outputs.answers["probs"], rtol=0, atol=1e-6)
        for name, values in states.items():
            np.testing.assert_allclose(values, outputs.states[name], rtol=0, atol=1e-6)


def test_a_method_set_on_a_cell_is_restored() -> None:
    model = build("simple", "forward", is_masked=True)
    network = read_network(model)
    cell = dict(recurrent_layers(model))[lower_layer(network)].cell
    calls = []
    original = cell.call

    def counted(*args: Any, **settings: Any) -> Any:
        calls.append(1)
        return original(*args, **settings)

    cell.call = counted
    run_eagerly(model, network, [IDS])
    assert calls
    assert cell.call is counted


def test_a_layer_whose_weights_changed_does_not_pass() -> None:
    """The reference has the weights as they were read; one weight of Keras is changed afterwards."""
    model = build("simple", "forward", is_masked=True)
    network = read_network(model)
    batch = ProbeBatch(IDS, tuple("abcde"))
    decisions = [decide(network, IDS)]
    right = compare_runtime("keras", network, [batch], [KerasRunner(model, network)(batch)], decisions)
    assert right.passed
    cell = dict(recurrent_layers(model))[lower_layer(network)].cell
    kernel = np.array(cell.recurrent_kernel)
    kernel[1, 2] += 1e-4
    cell.recurrent_kernel.assign(kernel)
    wrong = compare_runtime("keras", network, [batch], [KerasRunner(model, network)(batch)], decisions)
    assert not wrong.passed
    assert wrong.worst.layer == lower_layer(network)


def lower_layer(network: Network) -> str:
    """Returns the name of the lower of the recurrences."""
    return next(iter(network.recurrent_nodes))

"""Tests first states, last states and cell states, and encoders with their decoders: saved, exported and proved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import onnx
from keras import layers

import rnnx
from rnnx.bundle.directory import BATCH_NAME, MODEL_NAME, read_directory
from rnnx.errors import ModelError, ParityError
from rnnx.export.source import open_source
from rnnx.export.streams import require_streamable
from rnnx.infer.predictions import Values
from rnnx.proof.cuts import wanted_cuts
from tests.conversions import export
from tests.export.test_structure import draw, ids, numbers, require_equal, save
from tests.mutations import exports_after

pytestmark = pytest.mark.train

Build = Callable[[], keras.Model]
KINDS = {"SimpleRNN": layers.SimpleRNN, "LSTM": layers.LSTM, "GRU": layers.GRU}


def states_put_out() -> keras.Model:
    x = ids("x")
    sequence = layers.LSTM(4, return_sequences=True, return_state=True, name="lstm")
    return keras.Model(x, sequence(layers.Embedding(9, 3, mask_zero=True)(x)))


def cell_state_read() -> keras.Model:
    x = numbers()
    _, h, c = layers.LSTM(4, return_state=True, go_backwards=True)(x)
    return keras.Model(x, layers.Dense(2, activation="softmax")(layers.Concatenate()([h, c])))


def cell_state_alone() -> keras.Model:
    x = numbers()
    return keras.Model(x, layers.LSTM(4, return_state=True)(x)[2])


def first_states() -> keras.Model:
    """Every kind, with a mask and without, forward and backward; the states are inputs."""
    x, h, c = ids("x"), keras.Input((4,), name="h"), keras.Input((4,), name="c")
    embedding = layers.Embedding(9, 3, mask_zero=True)
    masked, mask, open_ = embedding(x), embedding.compute_mask(x), layers.Embedding(9, 3)(x)
    _, last = layers.SimpleRNN(4, return_state=True)(masked, initial_state=h, mask=mask)
    ends = [
        last,
        layers.SimpleRNN(4)(masked, initial_state=h, mask=mask),
        layers.SimpleRNN(4, go_backwards=True)(open_, initial_state=c),
        layers.GRU(4, reset_after=False)(open_, initial_state=h),
        layers.GRU(4, go_backwards=True)(masked, initial_state=h, mask=mask),
        layers.LSTM(4)(masked, initial_state=[h, c], mask=mask),
        layers.LSTM(4, activation="relu")(open_, initial_state=[c, h]),
    ]
    return keras.Model([x, h, c], layers.Dense(1, activation="sigmoid")(layers.Concatenate()(ends)))


def mask_that_is_ignored() -> keras.Model:
    """Without `mask=`, Keras gives a layer with first states no mask, and hands the mask on to the next layer."""
    x, h = ids("x"), keras.Input((4,), name="h")
    states = layers.GRU(4, return_sequences=True)(layers.Embedding(9, 3, mask_zero=True)(x), initial_state=h)
    return keras.Model([x, h], layers.Dense(2)(layers.LSTM(3)(states)))


def training_graph() -> keras.Model:
    """An encoder of both directions, whose states are joined for the decoder."""
    source, target = ids("source"), ids("target")
    encoder = layers.Bidirectional(layers.LSTM(3, return_state=True), name="encoder")
    _, fh, fc, bh, bc = encoder(layers.Embedding(9, 3, mask_zero=True)(source))
    first = [layers.Concatenate()([fh, bh]), layers.Concatenate()([fc, bc])]
    x = layers.LSTM(6, return_sequences=True, name="decoder")(layers.Embedding(9, 4)(target), initial_state=first)
    return keras.Model([source, target], layers.Dense(5, activation="softmax")(x))


def encoder_alone() -> keras.Model:
    x = numbers("source")
    return keras.Model(x, layers.LSTM(4, return_state=True, name="encoder")(x)[1:])


def decoder_alone() -> keras.Model:
    """One step of a decoder, in a nested model."""
    x, h, c = keras.Input((1, 3), name="target"), keras.Input((4,), name="h"), keras.Input((4,), name="c")
    y, *states = layers.LSTM(4, return_sequences=True, return_state=True, name="decoder")(x, initial_state=[h, c])
    body = keras.Model([x, h, c], [y, *states], name="body")
    outer = [keras.Input((1, 3), name="target"), keras.Input((4,), name="h"), keras.Input((4,), name="c")]
    y, *states = body(outer)
    return keras.Model(outer, [layers.Dense(2, activation="softmax", name="word")(y), *states])


def both_directions_from_states() -> keras.Model:
    x, states = numbers("x"), [keras.Input((3,), name=name) for name in ("fh", "fc", "bh", "bc")]
    both = layers.Bidirectional(layers.LSTM(3, return_sequences=True))
    return keras.Model([x, *states], layers.Dense(2)(both(x, initial_state=states)))


def computed_first_states() -> keras.Model:
    """As for the caption of an image: the first states are computed from features, for one layer with a mask."""
    x, image = ids("x"), keras.Input((6,), name="image")
    embedding = layers.Embedding(9, 3, mask_zero=True)
    h = layers.Dense(4, activation="tanh", name="compress")(image)
    states = [h, layers.Dense(4, name="remember")(image)]
    first = layers.LSTM(4, return_sequences=True, name="caption")(
        embedding(x), initial_state=states, mask=embedding.compute_mask(x)
    )
    second = layers.GRU(4, return_sequences=True)(first, initial_state=h)
    return keras.Model([x, image], layers.Dense(3, activation="softmax")(second))


BUILDS: tuple[Build, ...] = (
    states_put_out, cell_state_read, cell_state_alone, first_states, mask_that_is_ignored, training_graph,
    encoder_alone, decoder_alone, both_directions_from_states, computed_first_states,
)  # fmt: skip


@pytest.mark.parametrize("build", BUILDS)
def test_states_go_in_and_out_as_in_keras(build: Build, tmp_path: Path) -> None:
    model, path = save(build, tmp_path)
    exported = export(path, tmp_path / "out")
    require_equal(model, exported)
    shown = {layer.layer for layer in exported.report.runtimes[-1].layers}
    network = open_source(path).network
    cuts = {node.name for node in wanted_cuts(network)}
    assert shown == {*network.shown_states, *cuts, *network.ends, "end to end"}
    reads_cell = build not in (
        first_states, mask_that_is_ignored, both_directions_from_states, computed_first_states
    )  # fmt: skip
    assert any(name.endswith(".cell") for name in shown) == reads_cell


def test_an_encoder_and_its_decoder_have_times_of_their_own(tmp_path: Path) -> None:
    model, path = save(training_graph, tmp_path)
    exported = export(path, tmp_path / "out")
    graph = onnx.load_from_string(read_directory(exported.path)[MODEL_NAME]).graph
    shapes = {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert shapes == {
        "source": ["batch", "time"],
        "target": ["batch", "target_time"],
        "probs": ["batch", "target_time", 5],
    }
    source, target = draw(model, 2, 4)[0], draw(model, 2, 9)[1]
    expected = np.asarray(model([source, target]))
    answers = rnnx.load(exported.path).predict({"source": source, "target": target})
    for values, answer in zip(expected, answers, strict=True):
        assert isinstance(answer, Values)
        np.testing.assert_allclose(values, answer.outputs["probs"], rtol=0, atol=2e-6)


def test_the_step_of_a_decoder_fed_with_its_own_states_is_the_whole_sequence(tmp_path: Path) -> None:
    model, path = save(decoder_alone, tmp_path)
    predictor = rnnx.load(export(path, tmp_path / "out").path)
    rng = np.random.default_rng(0)
    x, states = rng.normal(size=(5, 3)).astype(np.float32), [np.zeros((1, 4), np.float32)] * 2
    fed = {"h": states[0], "c": states[1]}
    for step in x:
        given = step[None, None]
        word, *states = (np.asarray(values) for values in model([given, *states]))
        (answer,) = predictor.predict({"target": given, **fed})
        assert isinstance(answer, Values)
        outputs = answer.outputs
        np.testing.assert_allclose(word[0], outputs["word"], rtol=0, atol=2e-6)
        fed = {"h": outputs["body_1"][None], "c": outputs["body_2"][None]}


def swap_first_states(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type == "LSTM" and len(node.input) > 6 and node.input[5]:
            node.input[5], node.input[6] = node.input[6], node.input[5]


def start_at_zero(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type == "LSTM":
            del node.input[5:]


def put_out_the_hidden_state(model: onnx.ModelProto) -> None:
    for node in model.graph.node:
        if node.op_type == "LSTM" and len(node.output) > 2:
            hidden, cell = node.output[1], node.output[2]
            for other in model.graph.node:
                other.input[:] = [hidden if name == cell else name for name in other.input]


@pytest.mark.parametrize(
    ("build", "mutate", "layer"),
    [
        (decoder_alone, swap_first_states, r"body\.decoder"),
        (decoder_alone, start_at_zero, r"body\.decoder"),
        (training_graph, put_out_the_hidden_state, r"encoder\.forward\.cell"),
        (computed_first_states, swap_first_states, "caption"),
    ],
)
def test_a_wrong_state_is_found_where_it_is(
    build: Build, mutate: Callable[[onnx.ModelProto], None], layer: str, tmp_path: Path
) -> None:
    with pytest.raises(ParityError, match=rf"layer {layer}, step"):
        exports_after(mutate, save(build, tmp_path)[1], tmp_path / "out", MODEL_NAME)
    assert not (tmp_path / "out").exists()


def test_what_is_not_supported_of_states_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"layer body\.decoder \(LSTM\) is given its first state by the model; this"):
        require_streamable(open_source(save(decoder_alone_over_time, tmp_path)[1]))


def decoder_alone_over_time() -> keras.Model:
    x, h = numbers("x"), keras.Input((4,), name="h")
    inner, first = numbers("x"), keras.Input((4,), name="h")
    decoded = layers.LSTM(4, return_sequences=True, name="decoder")(inner, initial_state=[first, first])
    return keras.Model([x, h], layers.Dense(2)(keras.Model([inner, first], decoded, name="body")([x, h])))


def test_the_form_for_batches_is_left_out_where_it_would_be_the_same(tmp_path: Path) -> None:
    bundle = read_directory(export(save(encoder_alone, tmp_path)[1], tmp_path / "out").path)
    assert BATCH_NAME not in bundle.files

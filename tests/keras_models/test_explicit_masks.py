"""Tests masks that are passed to a layer as an argument: they are read as Keras applies them, or refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
from keras import layers

from rnnx.errors import ModelError
from rnnx.export.pipeline import export
from rnnx.export.probes import Probes
from rnnx.export.probes_of_numbers import ProbeSize, make_number_probes
from rnnx.export.prove import prove
from rnnx.keras_models.load_model import load_keras
from rnnx.keras_models.read_network import read_network
from rnnx.reference import Embedding, Network, Node, TakeMask
from tests.conversions import build_forms

pytestmark = [
    pytest.mark.train,
    # Of the parts of a GroupQueryAttention, which hands its mask on all the same.
    pytest.mark.filterwarnings("ignore:[^$]*of type EinsumDense. was passed an input with a mask attached:UserWarning"),
]

IDS = np.array([[0, 0, 3, 4, 5, 1], [3, 4, 5, 0, 0, 0], [3, 0, 0, 4, 5, 0], [7, 8, 9, 10, 11, 1], [0] * 6], np.int32)
FEATURES = np.where(IDS[..., None] == 0, 0, np.random.default_rng(0).integers(1, 20, (*IDS.shape, 2))).astype(np.int32)

# Maps the words, their features and the mask of the words to the rest of the network.
Body = Callable[[Any, Any, Any], Any]


def rnn(kind: type[keras.Layer] = layers.SimpleRNN, **settings: Any) -> keras.Layer:
    return kind(4, **{"return_sequences": True, **settings})


def joined(x: Any, y: Any) -> Any:
    return layers.Concatenate(name="join")([x, y])


def attentions(x: Any, y: Any, mask: Any) -> Any:
    """Attentions whose masks are others than those of their inputs, or are missing."""
    other = keras.ops.logical_not(mask)
    every = [
        layers.Attention()([x, x], mask=[None, other]),
        layers.AdditiveAttention()([x, x], mask=[other, None]),
        layers.Attention()([y, y], mask=[mask, mask]),
        layers.MultiHeadAttention(2, 2)(x, y, value_mask=other),
        layers.GroupQueryAttention(2, 2, 1)(x, x, query_mask=other),
        layers.GroupQueryAttention(2, 2, 1)(y, y, query_mask=other),
    ]
    return layers.Concatenate()([rnn()(one) for one in every])


BODIES: dict[str, Body] = {
    "one direction": lambda x, y, mask: rnn()(joined(x, y), mask=mask),
    "backwards": lambda x, y, mask: rnn(go_backwards=True)(joined(x, y), mask=mask),
    "both directions": lambda x, y, mask: layers.Bidirectional(rnn())(joined(x, y), mask=mask),
    "twice": lambda x, y, mask: layers.Bidirectional(rnn())(
        layers.Bidirectional(rnn())(joined(x, y), mask=mask), mask=mask
    ),
    "the second by what travels": lambda x, y, mask: rnn()(rnn()(joined(x, y), mask=mask)),
    "zeros put out": lambda x, y, mask: rnn(zero_output_for_mask=True)(joined(x, y), mask=mask),
    "LSTM both directions": lambda x, y, mask: layers.Bidirectional(rnn(layers.LSTM))(joined(x, y), mask=mask),
    "GRU": lambda x, y, mask: rnn(layers.GRU)(joined(x, y), mask=mask),
    "mean": lambda x, y, mask: layers.GlobalAveragePooling1D()(rnn()(joined(x, y), mask=mask)),
    "mean of what has no mask": lambda x, y, mask: layers.Concatenate()(
        [layers.GlobalAveragePooling1D()(y, mask=mask), layers.SimpleRNN(3)(x)]
    ),
    "last state": lambda x, y, mask: layers.SimpleRNN(3)(joined(x, y), mask=mask),
    "computed": lambda x, y, mask: rnn()(y, mask=keras.ops.logical_not(mask)),
    "computed, both directions": lambda x, y, mask: layers.Bidirectional(rnn(layers.GRU))(
        joined(x, y), mask=keras.ops.logical_or(mask, keras.ops.not_equal(x[..., 0], 0))
    ),
    "computed, with first states": lambda x, y, mask: rnn(layers.LSTM)(
        y, mask=keras.ops.logical_not(mask), initial_state=[layers.Dense(4)(layers.SimpleRNN(3)(x)) for _ in "hc"]
    ),
    "computed, of attentions": attentions,
}


def make(body: Body, *, seed: int = 1) -> keras.Model:
    keras.utils.set_random_seed(seed)
    ids = keras.Input((None,), dtype="int32", name="ids")
    features = keras.Input((None, 2), dtype="int32", name="features")
    words = layers.Embedding(12, 3, mask_zero=True, name="words")
    values = layers.Embedding(20, 3, name="values")(features)
    x = body(words(ids), layers.Reshape((-1, 6), name="row")(values), words.compute_mask(ids))
    return keras.Model([ids, features], layers.Dense(3, activation="softmax", name="probs")(x))


@pytest.mark.parametrize("name", BODIES)
def test_keras_reference_and_both_forms_agree_for_padding_in_any_place(name: str) -> None:
    model = make(BODIES[name])
    network = read_network(model)
    expected = np.asarray(model([IDS, FEATURES], training=False))
    actual = network.predict({"ids": IDS, "features": FEATURES})
    # The mean of an empty row does not exist.
    np.testing.assert_allclose(expected[:-1], actual[:-1], atol=1e-6)
    if "mean" in name:
        return  # the traps of the proof contain empty rows, which have no mean
    drawn, long = make_number_probes(network, ProbeSize(12), 2)
    report = prove(model, network, build_forms(model, network), Probes(drawn, 0, len(drawn), long))
    assert report.passed, report.first_problem
    ways = {way.way for way in report.invariance}
    # If the sequence is reversed, an output has no position of its own at which it can be compared. What zeros mean for
    # a mask that is computed, only the computation says.
    has_own = name != "backwards" and not name.startswith("computed")
    assert ("more padding in front" in ways) is network.masks_zero is has_own


@pytest.mark.parametrize("name", ["mean", "mean of what has no mask"])
def test_a_mean_over_the_words_alone_is_computed_by_both_forms(name: str) -> None:
    from rnnx.runtime.session import Session

    model = make(BODIES[name])
    for form in build_forms(model, read_network(model)).values():
        session = Session(form.model.SerializeToString(), device="cpu")
        actual = session.run({"ids": IDS[:-1], "features": FEATURES[:-1]})[0]
        np.testing.assert_allclose(np.asarray(model([IDS[:-1], FEATURES[:-1]])), actual, atol=1e-6)


def test_padding_does_not_change_the_output_at_a_word() -> None:
    network = read_network(make(BODIES["twice"]))
    assert network.masks_zero
    given = {"ids": IDS[3:4], "features": FEATURES[3:4]}
    expected = network.predict(given)[0]
    for before, after in ((2, 0), (0, 3)):
        padded = {
            name: np.pad(values, [(0, 0), (before, after), *[(0, 0)] * (values.ndim - 2)])
            for name, values in given.items()
        }
        np.testing.assert_allclose(expected, network.predict(padded)[0, before : before + 6], rtol=1e-12)


def test_without_the_argument_the_padding_is_not_masked() -> None:
    """Keras's Concatenate treats a branch without a mask as present everywhere."""
    network = read_network(make(lambda x, y, mask: rnn()(joined(x, y))))
    assert not network.masks_zero
    assert not any(isinstance(node.layer, TakeMask) for node in network.nodes)


def test_a_mask_that_is_passed_on_anyway_needs_no_layer() -> None:
    network = read_network(make(lambda x, y, mask: layers.Concatenate()([rnn()(x, mask=mask), rnn()(x), y])))
    # The mask that the first layer is given is another tensor than the one passed on, computed in the same way.
    assert not any(isinstance(node.layer, TakeMask) for node in network.nodes)


def test_a_model_reads_the_same_before_and_after_saving(tmp_path: Path) -> None:
    model = make(BODIES["twice"])
    model.save(tmp_path / "m.keras")
    saved, loaded = read_network(model), read_network(load_keras((tmp_path / "m.keras").read_bytes(), "m.keras"))
    given = {"ids": IDS, "features": FEATURES}
    np.testing.assert_array_equal(saved.predict(given), loaded.predict(given))
    taken = [
        [node.inputs[1] for node in network.nodes if isinstance(node.layer, TakeMask)] for network in (saved, loaded)
    ]
    assert taken == [["words"]] * 2  # the second recurrence gets the mask with its input


def test_leaving_the_mask_out_changes_the_answer() -> None:
    """Without the mask, the reference is another network, and the proof would fail on it."""
    network = read_network(make(BODIES["one direction"]))
    plain = [node for node in network.nodes if not isinstance(node.layer, TakeMask)]
    (taken,) = (node for node in network.nodes if isinstance(node.layer, TakeMask))
    nodes = [Node(n.name, n.layer, tuple(taken.inputs[0] if i == taken.name else i for i in n.inputs)) for n in plain]
    given = {"ids": IDS, "features": FEATURES}
    unmasked = Network(nodes, network.inputs).predict(given)
    assert np.abs(network.predict(given) - unmasked)[:, -1].max() > 1e-3
    assert any(isinstance(node.layer, Embedding) and node.layer.mask_zero for node in network.nodes)


def test_a_mask_of_another_shape_is_refused() -> None:
    def body(x: Any, y: Any, mask: Any) -> Any:
        return layers.Bidirectional(rnn(), name="p")(y, mask=keras.ops.any(mask, axis=-1, keepdims=True))

    with pytest.raises(ModelError, match=r"layer p \(Bidirectional\) has an explicit mask that is not supported"):
        read_network(make(body))


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (lambda x, mask: layers.MultiHeadAttention(2, 2, name="p")(x, x, query_mask=~mask), "has a query_mask, which"),
        (lambda x, mask: layers.Attention(name="p")([x, x], mask=[mask[:, None], None]), "should be (batch, time)"),
    ],
)
def test_such_a_mask_of_an_attention_is_refused(body: Any, reason: str) -> None:
    with pytest.raises(ModelError, match=rf"layer p \(\w+\) .*{re.escape(reason)}.*; nothing was exported"):
        read_network(make(lambda x, y, mask: rnn()(body(x, mask))))


def test_a_mask_that_rounding_could_decide_is_refused() -> None:
    with pytest.raises(ModelError, match=r"layer p \(\w+\) has a mask of computed numbers, where rounding"):
        read_network(make(lambda x, y, mask: rnn(name="p")(y, mask=keras.ops.greater(layers.Dense(3)(x)[..., 0], 0))))


@pytest.mark.filterwarnings("ignore:Layer 'reshape' .* was passed an input with a mask attached:UserWarning")
def test_the_mask_of_a_masking_layer_may_be_passed_to_another_layer(tmp_path: Path) -> None:
    x = keras.Input((None, 2), name="x")
    masking = layers.Masking(name="m")
    y = layers.Concatenate()([masking(x), layers.Dense(3)(x)])
    y = rnn()(layers.Reshape((-1, 5))(y), mask=masking.compute_mask(x))
    model = keras.Model(x, layers.Dense(2)(rnn()(y)))
    model.save(tmp_path / "m.keras")
    loaded = load_keras((tmp_path / "m.keras").read_bytes(), "m.keras")
    given = FEATURES.astype(np.float32)
    for network in (read_network(model), read_network(loaded)):
        assert [node.inputs[1] for node in network.nodes if isinstance(node.layer, TakeMask)] == ["m"]
        np.testing.assert_allclose(np.asarray(model(given)), network.predict(given), atol=1e-6)


def test_a_mask_of_ids_needs_no_masking_embedding(tmp_path: Path) -> None:
    """The padding is 0 or 3 here, which no layer of Keras masks by itself."""
    keras.utils.set_random_seed(1)
    ids = keras.Input((None,), dtype="int32", name="ids")
    kept = keras.ops.logical_and(keras.ops.not_equal(ids, 0), keras.ops.not_equal(ids, 3))
    states = layers.Bidirectional(rnn())(layers.Embedding(12, 3)(ids), mask=kept)
    model = keras.Model(ids, layers.Dense(2, activation="softmax")(layers.SimpleRNN(3)(states)))
    model.save(tmp_path / "m.keras")
    bundle = export(tmp_path / "m.keras", tmp_path / "out").path
    from rnnx.runtime.session import Session

    session = Session((bundle / "model.onnx").read_bytes(), device="cpu")
    np.testing.assert_allclose(np.asarray(model(IDS, training=False)), session.run(IDS)[0], atol=1e-6)


def test_a_network_with_a_mask_from_its_ids_can_be_streamed(tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    ids, others = (keras.Input((None,), dtype="int32", name=name) for name in ("ids", "others"))
    words = layers.Embedding(12, 3, mask_zero=True, name="words")
    x = rnn()(joined(words(ids), layers.Embedding(9, 3, name="values")(others)), mask=words.compute_mask(ids))
    model = keras.Model([ids, others], layers.Dense(3, activation="softmax", name="probs")(x))
    model.save(tmp_path / "m.keras")
    exported = export(tmp_path / "m.keras", tmp_path / "out", streaming=True)
    assert exported.report.passed
    assert "model.stream.onnx" in exported.sizes_bytes

"""Tests networks with any inputs and outputs: exported, proved, and proved again from the file alone."""

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

from rnnx.bundle.directory import MODEL_NAME, read_directory
from rnnx.errors import ModelError, ParityError
from rnnx.export.pipeline import Exported
from rnnx.keras_models.read_network import read_network
from rnnx.proof.verify import verify_file
from rnnx.runtime.session import Session
from tests.conversions import build_forms, export
from tests.mutations import exports_after

pytestmark = pytest.mark.train

RNG = np.random.default_rng(0)
IDS = RNG.integers(0, 20, (3, 9), dtype=np.int32)
SERIES = RNG.standard_normal((3, 9, 4)).astype(np.float32)


def text_ids() -> Any:
    return keras.Input((None,), dtype="int32", name="words")


def regression() -> keras.Model:
    return keras.Sequential([keras.Input((None, 4)), layers.SimpleRNN(5), layers.Dense(2)])


def fixed_time() -> keras.Model:
    rnn = layers.SimpleRNN(5, return_sequences=True)
    return keras.Sequential([keras.Input((9, 4)), rnn, layers.Dense(3, activation="softmax")])


def tagger() -> keras.Model:
    ids = text_ids()
    x = layers.Bidirectional(layers.SimpleRNN(5, return_sequences=True))(layers.Embedding(20, 6, mask_zero=True)(ids))
    return keras.Model(ids, layers.Dense(4, activation="softmax")(x))


def two_inputs() -> keras.Model:
    ids, series = text_ids(), keras.Input((None, 4), name="series")
    x = layers.Concatenate()([layers.Embedding(20, 6)(ids), series])
    return keras.Model([ids, series], layers.Dense(1, activation="sigmoid")(layers.SimpleRNN(5)(x)))


def three_outputs() -> keras.Model:
    ids = text_ids()
    states = layers.SimpleRNN(5, return_sequences=True, name="states")(layers.Embedding(20, 6)(ids))
    label = layers.Dense(1, activation="sigmoid", name="label")(layers.SimpleRNN(4, name="upper")(states))
    return keras.Model(ids, [label, states, layers.Dense(3, activation="softmax", name="tags")(states)])


def image_and_words() -> keras.Model:
    """The first input has a fixed size, so its rows say nothing of the length; the second is of whole numbers."""
    image, marks, words = keras.Input((4, 3), name="image"), keras.Input((1,), dtype="int32", name="marks"), text_ids()
    first = layers.Dense(5)(layers.Concatenate()([layers.Flatten()(image), keras.ops.cast(marks, "float32")]))
    states = layers.LSTM(5, return_sequences=True)(layers.Embedding(20, 4)(words), initial_state=[first, first])
    return keras.Model([image, marks, words], layers.Dense(4, activation="softmax")(states))


# The model, its task, the shapes of its inputs and outputs without the batch, and values to run.
MODELS: dict[str, tuple[Callable[[], keras.Model], str, dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "regression": (regression, "values", {"x": (None, 4)}, {"values": (2,)}, {"x": SERIES}),
    "a fixed time": (fixed_time, "tagging", {"x": (9, 4)}, {"probs": (9, 3)}, {"x": SERIES}),
    "tagger": (tagger, "tagging", {"ids": (None,)}, {"probs": (None, 4)}, {"ids": IDS}),
    "two inputs": (
        two_inputs,
        "classification",
        {"words": (None,), "series": (None, 4)},
        {"probs": (1,)},
        {"words": IDS, "series": SERIES},
    ),
    "an image, a number and words": (
        image_and_words,
        "tagging",
        {"image": (4, 3), "marks": (1,), "words": (None,)},
        {"probs": (None, 4)},
        {"image": SERIES[:, :4, :3], "marks": IDS[:, :1].astype(np.float32), "words": IDS},
    ),
    "three outputs": (
        three_outputs,
        "values",
        {"ids": (None,)},
        {"label": (1,), "states": (None, 5), "tags": (None, 3)},
        {"ids": IDS},
    ),
}


def export_model(model: keras.Model, folder: Path) -> Exported:
    path = folder / "mine.keras"
    model.save(path)
    return export(path, folder / "bundle")


@pytest.mark.parametrize("name", MODELS)
def test_a_network_is_exported_and_proved_again_from_the_file_alone(name: str, tmp_path: Path) -> None:
    make, task, inputs, outputs, given = MODELS[name]
    keras.utils.set_random_seed(1)
    model = make()
    exported = export_model(model, tmp_path)
    bundle = read_directory(exported.path)
    assert bundle.config.task == task
    assert {entry.name: entry.shape for entry in bundle.config.inputs} == inputs
    assert {entry.name: entry.shape for entry in bundle.config.outputs} == outputs
    assert {entry.name for entry in bundle.config.inputs if entry.kind == "ids"} == inputs.keys() & {"ids", "words"}
    expected = read_network(model).answers(given)
    for file in [name for name in bundle.files if name.endswith(".onnx")]:
        session = Session(bundle[file], device="cpu")
        assert session.input_names == list(inputs)
        assert session.output_names == list(outputs)
        for output, actual in zip(outputs, session.run(given), strict=True):
            np.testing.assert_allclose(expected[output], actual, rtol=0, atol=1e-5)
        verification = verify_file(file, bundle[file], ["cpu"])
        assert verification.report.passed
        assert set(verification.bits.values()) == {"same"}
    inputs_of_keras = list(given.values())
    answers = model(inputs_of_keras if len(given) > 1 else inputs_of_keras[0], training=False)
    for values, actual in zip(expected.values(), keras.tree.flatten(answers), strict=True):
        np.testing.assert_allclose(values, np.asarray(actual), rtol=0, atol=1e-5)


def test_sizes_have_names_or_are_fixed(tmp_path: Path) -> None:
    for name, sizes in {
        "a fixed time": {"x": ["batch", 9, 4], "probs": ["batch", 9, 3]},
        "tagger": {"ids": ["batch", "time"], "probs": ["batch", "time", 4]},
    }.items():
        keras.utils.set_random_seed(1)
        forms = build_forms(model := MODELS[name][0](), read_network(model))
        for form in forms.values():
            values = [*form.model.graph.input, *form.model.graph.output]
            shapes = {v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in values}
            assert shapes == sizes
            onnx.checker.check_model(form.model, full_check=True)


def weaken_one_output(model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.shape == (5, 3):
            changed = values.copy()
            changed[2, 1] += 1e-3
            tensor.CopyFrom(onnx.numpy_helper.from_array(changed, tensor.name))
            return
    raise AssertionError("no kernel of the tags")


@pytest.mark.parametrize("form", [MODEL_NAME, "model.batch.onnx"])
def test_one_wrong_output_of_several_is_found(form: str, tmp_path: Path) -> None:
    keras.utils.set_random_seed(1)
    three_outputs().save(tmp_path / "mine.keras")
    with pytest.raises(ParityError, match=rf"{form}, CPUExecutionProvider: layer tags") as caught:
        exports_after(weaken_one_output, tmp_path / "mine.keras", tmp_path / "bundle", form)
    assert not caught.value.report.passed
    assert not (tmp_path / "bundle").exists()


def test_invalid_inputs_and_outputs_are_refused(tmp_path: Path) -> None:
    ids, unread = text_ids(), keras.Input((None, 4), name="unread")
    probs = layers.Dense(1, activation="sigmoid")(layers.SimpleRNN(3)(layers.Embedding(20, 4)(ids)))
    with pytest.raises(ModelError, match="no layer reads its input unread"):
        read_network(keras.Model([ids, unread], probs))
    with pytest.raises(ModelError, match="two of its outputs are the same"):
        read_network(keras.Model(ids, [probs, probs]))
    with pytest.raises(ModelError, match="an output is its input words, which no layer changes; leave it out"):
        read_network(keras.Model(ids, [probs, ids]))
    with pytest.raises(ModelError, match=r"an output is its input words, which .*; leave it out"):
        read_network(keras.Model(ids, [probs, layers.Identity()(ids)]))
    with pytest.raises(ModelError, match=r"its output not_equal\w* is of truth values; make numbers of them"):
        read_network(keras.Model(ids, [probs, keras.ops.not_equal(ids, 0)]))
    documents = keras.Input((None, None), name="documents")
    each = layers.TimeDistributed(layers.SimpleRNN(3))(layers.Reshape((-1, 4, 1))(documents))
    with pytest.raises(ModelError, match=r"documents \(None, None, None\) has an open axis besides .*fixed size"):
        read_network(keras.Model(documents, layers.Dense(1)(layers.SimpleRNN(3)(each))))
    scalar = keras.Input((), name="scalar")
    rnn = layers.SimpleRNN(3)(layers.Reshape((1, 1))(scalar))
    with pytest.raises(ModelError, match=r"scalar \(None,\) is a single number of each row, .* make it"):
        read_network(keras.Model(scalar, layers.Dense(1)(rnn)))

"""Tests that a model of Keras 3 is the same model from a file of every format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
from keras import layers

from rnnx.errors import ModelError, UsageError
from rnnx.keras_models.file_formats import find_format
from rnnx.keras_models.keras_2_masks import require_masks
from rnnx.keras_models.load_model import load_file, load_keras

pytestmark = pytest.mark.train

X = np.random.default_rng(0).normal(size=(3, 5, 3)).astype(np.float32)


def save_hdf5(model: keras.Model, folder: Path) -> Path:
    model.save(folder / "m.h5")
    return folder / "m.h5"


def save_pair(model: keras.Model, folder: Path) -> Path:
    model.save_weights(folder / "m.weights.h5")
    (folder / "m.json").write_text(model.to_json(), encoding="utf-8")
    return folder / "m.weights.h5"


def save_packed(model: keras.Model, folder: Path) -> Path:
    model.save(folder / "m.keras")
    return (folder / "m.keras").rename(folder / "M.KERAS")


def save_unpacked(model: keras.Model, folder: Path) -> Path:
    keras.saving.save_model(model, folder / "m", zipped=False)
    return folder / "m"


def make() -> keras.Model:
    """Builds a model in which layers of one class and one shape are told apart by their places only."""
    x = keras.Input((5, 3), name="x")
    inner = keras.Sequential(
        [keras.Input((5, 8)), layers.LSTM(4, return_sequences=True), layers.Dense(8)], name="inner"
    )
    y = inner(layers.Bidirectional(layers.LSTM(4, return_sequences=True))(x))
    y = layers.Dropout(0.5)(layers.BatchNormalization()(inner(y)))
    y = layers.TimeDistributed(layers.Dense(4))(y)
    model = keras.Model(x, layers.Dense(4, name="b")(layers.Dense(4, name="a")(layers.GRU(4)(y))))
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(rng.uniform(0.1, 0.6, weight.shape))
    return model


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("save", [save_hdf5, save_pair, save_packed, save_unpacked])
def test_a_file_of_keras_3_is_the_same_model(save: Callable[[keras.Model, Path], Path], tmp_path: Path) -> None:
    model = make()
    path = save(model, tmp_path)
    found = find_format(path)
    assert found is not None
    loaded, data = load_file(found, path)
    for same in (loaded, load_keras(data, "model.keras")):
        np.testing.assert_array_equal(np.asarray(model(X)), np.asarray(same(X)))
    # The packed file itself is kept; the others are written by rnnx, without a date.
    assert data == (path.read_bytes() if save is save_packed else load_file(found, path)[1])


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
@pytest.mark.parametrize("save", [save_hdf5, save_pair])
def test_operations_between_layers_are_read_from_every_file(
    save: Callable[[keras.Model, Path], Path], tmp_path: Path
) -> None:
    """Keras itself cannot load the `.h5` file, which names the operations without their modules."""
    x = keras.Input((5, 3), name="x")
    y = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(layers.Masking()(x))  # saved as NotEqual and Any
    weights = keras.ops.softmax(layers.Dense(1)(y[..., 1:5] * 2 + 1), axis=1)
    model = keras.Model(
        x, layers.Dense(2)(keras.ops.sum(weights * y, axis=1) - keras.ops.max(keras.ops.erf(y), axis=1))
    )
    path = save(model, tmp_path)
    found = find_format(path)
    assert found is not None
    given = np.where(np.arange(5)[:, None] == 2, 0, X)
    np.testing.assert_array_equal(np.asarray(model(given)), np.asarray(load_file(found, path)[0](given)))


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_the_weights_of_lora_are_a_part_of_the_kernels(tmp_path: Path) -> None:
    model = keras.Sequential(
        [keras.Input((None,), dtype="int32"), layers.Embedding(9, 4), layers.LSTM(3), layers.Dense(2)]
    )
    for layer in (model.layers[0], model.layers[2]):
        layer.enable_lora(2)
        layer.set_weights([np.random.default_rng(0).normal(size=weight.shape) for weight in layer.get_weights()])
    model.save(tmp_path / "m.keras")
    loaded = load_keras((tmp_path / "m.keras").read_bytes(), "m.keras")
    assert not any("lora" in weight.path for weight in loaded.weights)
    ids = np.arange(8).reshape(2, 4)
    np.testing.assert_allclose(np.asarray(model(ids)), np.asarray(loaded(ids)), atol=1e-5)
    found = find_format(save_hdf5(model, tmp_path))  # this format has both
    assert found is not None
    with pytest.raises(ModelError, match=r"it has LoRA weights beside its kernel; save the model as \.keras"):
        load_file(found, tmp_path / "m.h5")


def test_another_backend_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(UsageError, match="Keras was imported with the backend jax; rnnx needs tensorflow: set KERAS_"):
        load_keras(b"", "m.keras")


def test_what_keras_says_is_quoted_without_its_own_places(tmp_path: Path) -> None:
    keras.Sequential([keras.Input((None, 3)), layers.GRU(2)]).save(tmp_path / "m.keras")
    found = find_format(save_pair(keras.Sequential([keras.Input((None, 3)), layers.GRU(2)]), tmp_path))
    assert found is not None
    keras.Sequential([keras.Input((None, 3)), layers.GRU(4)]).save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(ModelError, match=r"m\.weights\.h5: Keras cannot load it: .*") as refused:
        load_file(found, tmp_path / "m.weights.h5")
    assert "keras.src" not in str(refused.value)
    assert "site-packages" not in str(refused.value)


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask attached:UserWarning")
@pytest.mark.parametrize(
    ("reader", "is_refused"),
    [
        (layers.LSTM(3, name="reader"), False),
        (layers.GlobalAveragePooling1D(), False),
        (layers.GlobalMaxPooling1D(), True),
        (layers.Conv1D(3, 2), True),
        (layers.Dense(3, name="reader"), True),  # an output at each position
    ],
)
def test_a_product_of_masked_inputs_of_keras_2_is_refused_if_masked_positions_are_read(
    reader: keras.Layer, is_refused: bool
) -> None:
    """In Keras 3 such a product is 0 at masked positions."""
    x = layers.Embedding(9, 4, mask_zero=True)(ids := keras.Input((None,), dtype="int32"))
    product = layers.Multiply(name="gate")([x, layers.Dense(4, "sigmoid")(x)])
    model = keras.Model(ids, reader(layers.Dropout(0.1)(product)))
    if is_refused:
        with pytest.raises(ModelError, match=r"layer gate \(Multiply\) joins masked inputs"):
            require_masks(model)
    else:
        require_masks(model)

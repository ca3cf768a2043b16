"""Tests `.keras` files that are too dangerous for Keras; it must never be given one of them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import h5py
import keras
from keras import layers

from rnnx.errors import MissingExtraError, ModelError
from rnnx.keras_models import read_network
from rnnx.keras_models.keras_file import clean_keras_file
from rnnx.keras_models.load_model import load_keras

pytestmark = pytest.mark.train

Members = dict[str, bytes]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    model = keras.Sequential([keras.Input((None, 3)), layers.SimpleRNN(2, name="rnn"), layers.Dense(1, name="probs")])

    def own_loss(expected: Any, actual: Any) -> Any:
        return keras.ops.mean(keras.ops.abs(expected - actual))

    model.compile("adam", loss=own_loss)
    path = tmp_path_factory.mktemp("keras") / "m.keras"
    model.save(path)
    return path.read_bytes()


def members(data: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(content: Members, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def with_far_root(content: Members) -> None:
    """Overwrites an address in the header of the HDF5 file with one beyond all bounds."""
    weights = content["model.weights.h5"]
    content["model.weights.h5"] = weights[:44] + bytes(7) + b"\x80" + weights[52:]


def with_layer(**layer: Any) -> Callable[[Members], None]:
    """Returns a change that replaces the second layer."""

    def change(content: Members) -> None:
        config = json.loads(content["config.json"])
        config["config"]["layers"][1] = layer
        content["config.json"] = json.dumps(config).encode()

    return change


def with_setting(name: str, value: Any) -> Callable[[Members], None]:
    def change(content: Members) -> None:
        config = json.loads(content["config.json"])
        config["config"]["layers"][1]["config"][name] = value
        content["config.json"] = json.dumps(config).encode()

    return change


def with_weights(write: Callable[[h5py.File], None]) -> Callable[[Members], None]:
    def change(content: Members) -> None:
        buffer = io.BytesIO(content["model.weights.h5"])
        with h5py.File(buffer, "r+") as file:
            write(file)
        content["model.weights.h5"] = buffer.getvalue()

    return change


def lambda_layer() -> dict[str, Any]:
    code = {"class_name": "__lambda__", "config": {"value": "4wAAAAA=", "defaults": None, "closure": None}}
    return {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"name": "harm", "function": code},
        "registered_name": None,
    }


def without_weights(content: Members) -> None:
    del content["model.weights.h5"]


def external(file: h5py.File) -> None:
    file.create_dataset("x", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
    file.create_virtual_dataset("x", layout)


def linked(file: h5py.File) -> None:
    file["x"] = h5py.ExternalLink("/etc/passwd", "/")


def soft(file: h5py.File) -> None:
    file["x"] = h5py.SoftLink("/layers")


def circle(file: h5py.File) -> None:
    file["x"] = file["/"]


REFUSED: dict[str, tuple[Callable[[Members], None], str]] = {
    "a Lambda": (with_layer(**lambda_layer()), "layer 'harm': a Lambda contains code"),
    "a Lambda under another name": (
        with_layer(**{**lambda_layer(), "class_name": "Dense", "registered_name": "Lambda"}),
        "a Lambda contains code",
    ),
    "a lambda as a setting": (
        with_setting("activation", {"class_name": "__lambda__", "config": {"value": "4wAAAAA="}}),
        "a Lambda contains code",
    ),
    "a module of Python's": (
        with_layer(module="os", class_name="system", config={"name": "x", "command": "true"}, registered_name=None),
        "os, system: code from outside the layers of Keras",
    ),
    "a function of Keras's own tools": (
        with_layer(module="keras.utils", class_name="get_file", config={"name": "x"}, registered_name=None),
        "code from outside",
    ),
    "a function among the initializers": (
        with_layer(module="keras.initializers", class_name="deserialize", config={}, registered_name=None),
        "code from outside",
    ),
    "a function": (
        with_setting("activation", {"module": "builtins", "class_name": "function", "config": "eval"}),
        "layer 'rnn': its function eval is not one of Keras, .* set the activation of the layer to one of keras",
    ),
    "a class of the user's": (
        with_layer(module="mine", class_name="Layer", config={"name": "own"}, registered_name="mine>Layer"),
        "layer 'own': its class, mine>Layer, is not a class of Keras",
    ),
    "a class without a module": (with_layer(class_name="Dense", config={"name": "d"}), "no module, Dense"),
    "TorchModuleWrapper": (
        with_layer(module="keras.layers", class_name="TorchModuleWrapper", config={"name": "t"}, registered_name=None),
        "layer 't': TorchModuleWrapper is of an unsupported class",
    ),
    "Conv3D": (
        with_layer(module="keras.layers", class_name="Conv3D", config={"name": "v"}, registered_name=None),
        "layer 'v': Conv3D is of an unsupported class; rnnx has sequences and images, but no volumes; use layers of",
    ),
    "TFSMLayer": (
        with_layer(module="keras.layers", class_name="TFSMLayer", config={"filepath": "/"}, registered_name=None),
        "TFSMLayer is of an unsupported class",
    ),
    "a deep configuration": (lambda m: m.update({"config.json": b'{"a":' * 9000 + b"1" + b"}" * 9000}), "nested too"),
    "no configuration": (lambda m: m.update({"config.json": b"{"}), "the file is damaged, or is not a .keras file"),
    "a member elsewhere": (lambda m: m.update({"../evil.txt": b"x"}), r"contains '\.\./evil\.txt' too"),
    "an asset": (lambda m: m.update({"assets/words.txt": b"x"}), "assets/words.txt"),
    "no weights": (without_weights, "lacks one of them"),
    "a bomb": (
        lambda m: m.update({"config.json": b" " * (1 << 25)}),
        "unpacks to 33,554,432 bytes; at most 16 MB",
    ),
    "weights in another file": (with_weights(external), "numbers of 'x' in another file"),
    "weights of another file": (with_weights(virtual), "numbers of 'x' in another file"),
    "a link to another file": (with_weights(linked), "has a link, 'x', which is not followed"),
    "a link": (with_weights(soft), "has a link, 'x', which is not followed"),
    "groups without an end": (with_weights(circle), "contains too many arrays, or too many nested groups"),
    "weights that are none": (with_weights(lambda f: f.create_dataset("x", data="a text")), "not an array of numbers"),
    "weights of nothing": (
        with_weights(lambda f: f.create_dataset("x", (1 << 34,), "f4", chunks=(1 << 20,))),
        "declares 68,719,",
    ),
    "an address beyond all bounds": (with_far_root, r"model\.weights\.h5 is damaged"),
    "no HDF5": (lambda m: m.update({"model.weights.h5": b"none"}), r"model\.weights\.h5 is damaged"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_dangerous_file_never_reaches_keras(name: str, saved: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    change, reason = REFUSED[name]
    content = members(saved)
    change(content)
    monkeypatch.setattr(keras.saving, "load_model", lambda *_, **__: pytest.fail("Keras was handed it"))
    with pytest.raises(ModelError, match=reason) as refused:
        load_keras(packed(content), "m.keras")
    assert str(refused.value).startswith("m.keras: ")


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x89HDF\r\n\x1a\n" + b"\0" * 100])
def test_a_file_that_is_not_a_keras_file_is_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match=r"m\.keras: the file is damaged, or is not a \.keras file"):
        clean_keras_file(data, "m.keras")


def test_a_truncated_or_damaged_file_raises_no_other_error(saved: bytes) -> None:
    rng = np.random.default_rng(0)
    refused_count = 0
    for _ in range(300):
        data = bytearray(saved[: int(rng.integers(1, len(saved)))] if rng.random() < 0.3 else saved)
        data[int(rng.integers(len(data)))] ^= 1 << int(rng.integers(8))
        try:
            clean_keras_file(bytes(data), "m.keras")
        except ModelError:
            refused_count += 1
    assert refused_count >= 100, "a third of the files is truncated, and cannot be read"


@pytest.mark.parametrize("units", [20_000, 10**10])
def test_a_config_with_more_weights_than_the_file_is_refused_before_they_are_made(units: int, saved: bytes) -> None:
    content = members(saved)
    config = json.loads(content["config.json"])
    (rnn,) = [layer["config"] for layer in config["config"]["layers"] if layer["class_name"] == "SimpleRNN"]
    rnn["units"] = units
    content["config.json"] = json.dumps(config).encode()
    add_weight = keras.layers.Layer.add_weight
    with pytest.raises(ModelError, match="more weights than the file stores"):
        load_keras(packed(content), "m.keras")
    assert keras.layers.Layer.add_weight is add_weight


def test_a_custom_loss_is_dropped(saved: bytes) -> None:
    """The loss is code of the user and plays no part in what the network computes; the weights are loaded."""
    model = load_keras(saved, "m.keras")
    assert [layer.name for layer in model.layers] == ["rnn", "probs"]
    original = h5py.File(io.BytesIO(members(saved)["model.weights.h5"]))["layers/simple_rnn/cell/vars/0"][()]
    np.testing.assert_array_equal(model.layers[0].get_weights()[0], original)


@pytest.mark.parametrize(
    "own",
    [
        {"module": None, "class_name": "Own", "config": {}, "registered_name": "mine>Own"},
        {"module": "mine", "class_name": "Own", "config": {}, "registered_name": "Own"},
        {"module": "builtins", "class_name": "function", "config": "own", "registered_name": "function"},
        {"class_name": "__lambda__", "config": {"value": "code"}},
    ],
)
def test_an_initializer_regularizer_and_constraint_of_the_user_is_dropped(own: dict[str, Any], saved: bytes) -> None:
    """They are code that only training needs."""
    content = members(saved)
    for name in ("recurrent_initializer", "kernel_regularizer", "bias_constraint"):
        with_setting(name, own)(content)
    model = load_keras(packed(content), "m.keras")
    expected = load_keras(saved, "m.keras")
    for before, after in zip(expected.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert model.layers[0].cell.kernel_regularizer is None


def test_an_old_keras_is_refused(saved: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras, "__version__", "3.13.1")
    with pytest.raises(MissingExtraError, match=r"keras 3\.13\.1 is older than 3\.13\.2"):
        load_keras(saved, "m.keras")


def test_layers_that_are_nested_deeply_are_refused(saved: bytes) -> None:
    content = members(saved)
    config = json.loads(content["config.json"])
    for _ in range(300):
        config = {"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": [config]}}
    content["config.json"] = json.dumps(config).encode()
    with pytest.raises(ModelError, match=r"m\.keras: its config\.json has layers in layers.* levels deep"):
        clean_keras_file(packed(content), "m.keras")


@pytest.mark.parametrize("depth", [1, 3, 8])
def test_layers_that_are_nested_a_little_pass(saved: bytes, depth: int) -> None:
    content = members(saved)
    config = json.loads(content["config.json"])
    for _ in range(depth):
        config = {"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": [config]}}
    content["config.json"] = json.dumps(config).encode()
    assert clean_keras_file(packed(content), "m.keras")


@pytest.mark.parametrize("shape", [[None, 10**12, 3], [None, None, 10**12], [None, 10**7, 3]])
def test_an_input_of_a_huge_fixed_size_is_refused(shape: list[int | None]) -> None:
    model = keras.Sequential([keras.Input(shape[1:]), layers.GlobalAveragePooling1D(name="pool")])
    with pytest.raises(ModelError, match="an axis of a fixed size of more than 1,048,576"):
        read_network.read_network(model)

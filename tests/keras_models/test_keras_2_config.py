"""Tests how configs of Keras 2 are turned into configs of Keras 3; needs neither of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rnnx.errors import ModelError
from rnnx.keras_models.hdf5_weights import StoredArray, convert_cudnn, match_variables
from rnnx.keras_models.keras_2 import HARD_SIGMOID, is_keras_2, to_keras_3


def converted(class_name: str, version: str = "2.4.0", /, **settings: Any) -> dict[str, Any]:
    config = to_keras_3({"class_name": class_name, "config": {"name": "x", **settings}}, version)
    settings = config["config"]
    assert settings.pop("name") == "x"
    return settings


def test_versions() -> None:
    assert [is_keras_2(v) for v in ("2.2.4-tf", "2.15.0", "3.15.1", None, "")] == [True, True, False, False, False]
    with pytest.raises(ModelError, match=r"Keras 1\.2\.0 wrote it; files of Keras 2 and 3 are supported"):
        is_keras_2("1.2.0")


@pytest.mark.parametrize("class_name", ["LSTM", "GRU", "Dense", "Activation", "LSTMCell"])
def test_the_hard_sigmoid_of_keras_2_is_kept(class_name: str) -> None:
    assert converted(class_name, activation="hard_sigmoid")["activation"] == HARD_SIGMOID
    assert converted(class_name, "3.15.0", activation="hard_sigmoid")["activation"] == "hard_sigmoid"


@pytest.mark.parametrize(
    ("version", "default"), [("2.1.6-tf", HARD_SIGMOID), ("2.3.1", "sigmoid"), ("2.15.0", "sigmoid")]
)
def test_settings_that_an_old_file_lacks_have_the_default_of_its_version(version: str, default: Any) -> None:
    assert converted("LSTM", version)["recurrent_activation"] == default
    assert converted("GRU", version) == {"recurrent_activation": default, "reset_after": False}


def test_settings_are_renamed_or_dropped() -> None:
    assert converted("LeakyReLU", alpha=0.1) == {"negative_slope": 0.1}
    assert converted("ThresholdedReLU", theta=2.0) == {"threshold": 2.0}
    assert converted("InputLayer", batch_input_shape=[None, 3], sparse=False, ragged=False) == {
        "batch_shape": [None, 3],
        "sparse": False,
    }
    assert converted("BatchNormalization", axis=[2], fused=True, beta_initializer={"class_name": "Zeros"}) == {
        "axis": 2
    }
    assert converted("Embedding", input_dim=4, input_length=7, dtype="int32") == {"input_dim": 4}
    policy = {"class_name": "Policy", "config": {"name": "mixed_float16"}}
    assert converted("Dense", input_dim=4, implementation=1, dtype=policy) == {"dtype": "mixed_float16"}
    cudnn = to_keras_3({"class_name": "CuDNNGRU", "config": {"name": "x", "units": 2}}, "2.2.4")
    assert cudnn["class_name"] == "GRU"
    assert cudnn["config"]["reset_after"] is True


@pytest.mark.parametrize("key", ["time_major", "ragged", "causal"])
def test_a_setting_that_changes_the_meaning_is_refused(key: str) -> None:
    with pytest.raises(ModelError, match=f"layer 'x': {key}=True of Keras 2 is not supported"):
        to_keras_3({"class_name": "LSTM", "config": {"name": "x", key: True}}, "2.4.0")


def tensor(name: str, call: int = 0, index: int = 0) -> dict[str, Any]:
    config = {"shape": [None], "dtype": "float32", "keras_history": [name, call, index]}
    return {"class_name": "__keras_tensor__", "config": config}


def functional() -> dict[str, Any]:
    def called(class_name: str, name: str, *call: Any, **config: Any) -> dict[str, Any]:
        config = {"name": name, **config}
        return {"class_name": class_name, "config": config, "name": name, "inbound_nodes": [list(call)]}

    layers = [
        called("LSTM", "a", ["in", 0, 0, {}], ["s", 0, 1, {}]),
        called("Add", "b", ["a", 0, 0], ["inner", 1, 0, {}]),
        called("GRU", "c", ["b", 0, 0, {"mask": ["m", 0, 0]}]),
        called("Sequential", "inner", ["in", 0, 0, {}], layers=[{"class_name": "InputLayer", "config": {}}]),
    ]
    ends = {"input_layers": [["in", 0, 0]], "output_layers": [["inner", 1, 0], ["c", 0, 0]]}
    return {"class_name": "Model", "config": {"name": "m", "layers": layers, **ends}}


def test_calls_become_arguments() -> None:
    config = to_keras_3(functional(), "2.2.4")
    assert config["class_name"] == "Functional"
    calls = [layer["inbound_nodes"] for layer in config["config"]["layers"]]
    assert calls[0] == [{"args": [tensor("in")], "kwargs": {"initial_state": tensor("s", 0, 1)}}]
    assert calls[1] == [{"args": [[tensor("a"), tensor("inner", 0)]], "kwargs": {}}]
    assert calls[2] == [{"args": [tensor("b")], "kwargs": {"mask": tensor("m")}}]
    assert config["config"]["input_layers"] == ["in", 0, 0]
    assert config["config"]["output_layers"] == [["inner", 0, 0], ["c", 0, 0]]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Returns every container in a config with each of its keys."""
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in places(value[key])]


def product(second: Any, **settings: Any) -> list[Any]:
    """Converts `tf.matmul(x, second, ...)`; returns the class, the name and the operands of each operation."""
    layer = {
        "class_name": "TFOpLambda",
        "name": "p",
        "config": {"name": "p", "function": "linalg.matmul"},
        "inbound_nodes": [["x", 0, 0, {"b": second, **settings}]],
    }
    config = to_keras_3({"class_name": "Functional", "config": {"name": "m", "layers": [layer]}}, "2.15.0")
    return [
        (
            part["class_name"],
            part["name"],
            [arg["config"]["keras_history"][0] for arg in part["inbound_nodes"][0]["args"]],
        )
        for part in config["config"]["layers"]
    ]


def test_a_transposed_operand_becomes_an_operation_of_its_own() -> None:
    y = ["y", 0, 0]
    assert product(y, transpose_a=False) == [("Matmul", "p", ["x", "y"])]
    assert product(y, transpose_b=True) == [
        ("Swapaxes", "p_transpose_b", ["y"]),
        ("Matmul", "p", ["x", "p_transpose_b"]),
    ]
    assert [name for name, *_ in product(y, transpose_a=True, transpose_b=True)] == ["Swapaxes", "Swapaxes", "Matmul"]
    with pytest.raises(ModelError, match="of a transposed constant; use layers of Keras instead"):
        product(["_CONSTANT_VALUE", -1, [[1.0]]], transpose_b=True)
    with pytest.raises(ModelError, match=r"linalg\.matmul with adjoint_b; use layers"):
        product(y, adjoint_b=True)


def test_a_changed_config_raises_no_other_error() -> None:
    rng, refused_count = np.random.default_rng(0), 0
    for _ in range(2000):
        config = functional()
        container, key = (found := places(config))[int(rng.integers(len(found)))]
        junk = [None, 3, "x", [], {}, ["x"], [["x", 0, 0]], {"class_name": "x"}, {"class_name": "__keras_tensor__"}]
        container[key] = junk[int(rng.integers(len(junk)))]
        try:
            to_keras_3(config, "2.2.4")
        except ModelError:
            refused_count += 1
    assert 500 < refused_count < 1900


def stored(path: str, *shape: int, value: float = 0.0) -> StoredArray:
    *places, name = path.split("/")
    return StoredArray(tuple(places), name, np.full(shape, value))


def test_weights_are_found_by_their_names() -> None:
    arrays = [
        stored("bi/backward_lstm/lstm_cell/kernel", 2, 8, value=1.0),
        stored("bi/forward_lstm/lstm_cell/kernel", 2, 8, value=2.0),
        stored("bi/backward_lstm/lstm_cell/bias", 8, value=3.0),
        stored("bi/forward_lstm/lstm_cell_1/bias_1", 8, value=4.0),
    ]
    wanted: list[tuple[str, tuple[int, ...]]]
    wanted = [(f"m/bi/{half}_lstm/lstm_cell/kernel", (2, 8)) for half in ("forward", "backward")]
    wanted += [(f"m/bi/{half}_lstm/lstm_cell/bias", (8,)) for half in ("forward", "backward")]
    assert [values.flat[0] for values in match_variables("bi", wanted, arrays)] == [2.0, 1.0, 4.0, 3.0]


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ([], r"layer 'd': its weight kernel \(2, 3\) is stored not in the file"),
        ([stored("a/kernel", 2, 3), stored("b/kernel", 2, 3)], "is stored twice in the file"),
        ([stored("kernel", 3, 2)], "is stored not in the file"),
        ([stored("d/kernel", 2, 3), stored("d/bias", 3)], "the file has a weight of it, 'bias', that it lacks"),
    ],
)
def test_weights_that_do_not_fit_are_refused(arrays: list[StoredArray], reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        match_variables("d", [("m/d/kernel", (2, 3))], arrays)


def test_cudnn_weights_have_two_biases_and_transposed_kernels() -> None:
    rng = np.random.default_rng(0)
    for gates in (3, 4):
        kernel, recurrent, bias = (
            rng.normal(size=(3, gates * 2)),
            rng.normal(size=(2, gates * 2)),
            rng.normal(size=gates * 4),
        )
        new = convert_cudnn({"kernel": kernel, "recurrent_kernel": recurrent, "bias": bias})
        np.testing.assert_array_equal(recurrent[:, :2].T, new["recurrent_kernel"][:, :2])
        np.testing.assert_array_equal(kernel[:, :2].ravel(), new["kernel"][:, :2].ravel("F"))
        assert new["bias"].shape == ((2, 6) if gates == 3 else (8,))

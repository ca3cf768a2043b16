"""Tests which files are recognised as models of Keras, and that a file is refused before Keras sees it.

Needs h5py, but neither Keras nor TensorFlow: the files are made by hand.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("h5py", reason="comes with Keras, in the [train] extra")

import h5py

from rnnx.errors import ModelError
from rnnx.keras_models.file_formats import describe_ending, find_format, name_without_ending
from rnnx.keras_models.keras_2 import HARD_SIGMOID
from rnnx.keras_models.model_parts import ModelParts


def layer(class_name: str, name: str, **settings: Any) -> dict[str, Any]:
    return {"class_name": class_name, "config": {"name": name, "dtype": "float32", **settings}}


LSTM = layer(
    "LSTM", "rnn", units=2, activation="tanh", recurrent_activation="hard_sigmoid", batch_input_shape=[None, None, 3]
)
DENSE = layer("Dense", "probs", units=1, activation="sigmoid")


def config_of(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"class_name": "Sequential", "config": {"name": "m", "layers": list(layers)}}


def write_hdf5(path: Path, *layers: dict[str, Any], has_config: bool = True, version: str = "2.4.0") -> Path:
    """Writes a file as Keras 2 does, with an array for each layer."""
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = version
        if has_config:
            file.attrs["model_config"] = json.dumps(config_of(*layers))
        group = file.create_group("model_weights") if has_config else file
        group.attrs["layer_names"] = [entry["config"]["name"] for entry in layers]
        for entry in layers:
            name = entry["config"]["name"]
            group[f"{name}/{name}/kernel:0"] = np.zeros((3, 8), np.float32)
    return path


def read(path: Path) -> ModelParts:
    found = find_format(path)
    assert found is not None
    return found.read(path)


@pytest.mark.parametrize("name", ["m.h5", "m.hdf5", "M.H5", "m.keras", "m.model"])
def test_an_hdf5_file_is_read_under_every_ending(name: str, tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / name, LSTM, DENSE)
    parts = read(path)
    assert parts.is_of_keras_2
    first, rnn, _ = parts.config["config"]["layers"]
    assert first["config"]["batch_shape"] == [None, None, 3]
    assert rnn["config"]["recurrent_activation"] == HARD_SIGMOID
    found = find_format(path)
    assert found is not None
    note = describe_ending(found, path)
    assert (note == "") is (path.suffix.lower() in (".h5", ".hdf5"))
    assert name.startswith(("m.h", "M.H")) or "is an HDF5 file under another ending" in note


def test_weights_are_read_with_the_config_next_to_them(tmp_path: Path) -> None:
    weights = write_hdf5(tmp_path / "m.weights.h5", LSTM, DENSE, has_config=False)
    with pytest.raises(ModelError, match=r"has weights, but not the layers of the model; put m\.json .* next to it"):
        read(weights)
    (tmp_path / "m.json").write_text(json.dumps({**config_of(LSTM, DENSE), "keras_version": "2.4.0"}), encoding="utf-8")
    for path in (weights, tmp_path / "m.json"):
        parts = read(path)
        assert parts.group == ""
        assert parts.is_of_keras_2
        assert name_without_ending(path) == "m"
    weights.unlink()
    with pytest.raises(ModelError, match=r"layers of a model, but not the weights; put m\.weights\.h5 next to it"):
        read(tmp_path / "m.json")


def packed(config: Any, version: str = "3.15.0") -> bytes:
    weights = io.BytesIO()
    h5py.File(weights, "w").close()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("config.json", json.dumps(config))
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("model.weights.h5", weights.getvalue())
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["m.keras", "M.KERAS", "m.h5"])
def test_a_keras_file_is_read_under_every_ending(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(packed(config_of(LSTM, DENSE), "2.13.1"))
    parts = read(path)
    assert [entry["config"]["name"] for entry in parts.config["config"]["layers"]] == ["m_input", "rnn", "probs"]
    found = find_format(path)
    assert found is not None
    assert ("under another ending" in describe_ending(found, path)) is (name == "m.h5")


def test_a_keras_file_that_was_unpacked_is_read(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(packed(config_of(LSTM, DENSE), "2.13.1"))) as archive:
        archive.extractall(tmp_path / "m")
    assert read(tmp_path / "m").is_of_keras_2


def test_other_files_are_no_models_of_keras(tmp_path: Path) -> None:
    assert find_format(tmp_path / "missing.keras") is None
    assert find_format("imdb") is None
    for name, content in {"a.txt": b"text", "b.json": b'{"name": 1}', "c.zip": b"PK\x03\x04", "d": b""}.items():
        (tmp_path / name).write_bytes(content)
        assert find_format(tmp_path / name) is None
    assert find_format(tmp_path) is None


def saved_model(path: Path, *names: str) -> None:
    path.mkdir()
    for name in ("saved_model.pb", *names):
        (path / name).write_bytes(b"")


def test_what_cannot_be_read_is_named_with_the_remedy(tmp_path: Path) -> None:
    for name in ("m.keras", "m.h5"):
        (tmp_path / name).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n")
        with pytest.raises(ModelError, match="a pointer of Git LFS, and not the file itself; run git lfs pull"):
            read(tmp_path / name)
    saved_model(tmp_path / "k3")
    with pytest.raises(ModelError, match=r'k3: a SavedModel, .* save the model with model\.save\("model\.keras"\)'):
        read(tmp_path / "k3")
    saved_model(tmp_path / "k2", "keras_metadata.pb")
    with pytest.raises(ModelError, match=r'k2: a SavedModel, .*load_model\(FOLDER\)\.save\("model\.h5"\)'):
        read(tmp_path / "k2")
    (tmp_path / "m.h5").write_bytes(b"none")
    with pytest.raises(ModelError, match="the file is damaged, or is no HDF5 file"):
        read(tmp_path / "m.h5")


def model_of(class_name: str, name: str = "x", **settings: Any) -> Callable[[Any], None]:
    """Returns a change of the config: a further layer."""

    def change(file: Any) -> None:
        file.attrs["model_config"] = json.dumps(config_of(LSTM, layer(class_name, name, **settings), DENSE))

    return change


def attribute(name: str, value: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        file.attrs[name] = value

    return change


def external(file: Any) -> None:
    file.create_dataset("model_weights/x", (4,), "f4", external=[("/etc/passwd", 0, 16)])


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
    file.create_virtual_dataset("model_weights/x", layout)


def linked(file: Any) -> None:
    file["model_weights/x"] = h5py.ExternalLink("/etc/passwd", "/")


def soft(file: Any) -> None:
    del file["model_weights"]
    file["model_weights"] = h5py.SoftLink("/elsewhere")


def circle(file: Any) -> None:
    file["model_weights/x"] = file["/"]


def references(file: Any) -> None:
    file.create_dataset("model_weights/x", (2,), h5py.ref_dtype)


def committed(file: Any) -> None:
    file["model_weights/x"] = np.dtype("f4")


def texts(file: Any) -> None:
    file.create_dataset("model_weights/x", (2,), h5py.string_dtype())


def plugin(file: Any) -> None:
    file.create_dataset("model_weights/x", (64,), "f4", compression="lzf")


def huge(file: Any) -> None:
    file.create_dataset("model_weights/x", (1 << 34,), "f4", chunks=(1 << 20,))


def huge_chunk(file: Any) -> None:
    file.create_dataset("model_weights/x", (1,), "f4", chunks=((1 << 29) - 1,), maxshape=(None,), compression="gzip")


def own_weights(file: Any) -> None:
    file["model_weights/top_level_model_weights/w"] = np.zeros(2)


DANGEROUS: dict[str, tuple[Callable[[Any], None], str]] = {
    "a Lambda": (
        model_of("Lambda", "last_step", function=["4wAAAA==", None, None]),
        "layer 'last_step': a Lambda contains code",
    ),
    "a class of the user's": (model_of("Mine>Pool", "p"), "layer 'p': its class, Mine>Pool, is not a class of Keras"),
    "an operation of TensorFlow": (
        model_of("TFOpLambda", "tf.nn.relu"),
        "layer 'tf.nn.relu': an operation of TensorFlow .*use layers of Keras",
    ),
    "a layer that reads a file": (
        model_of("TFSMLayer", "s", filepath="/"),
        "layer 's': TFSMLayer is of an unsupported class",
    ),
    "text": (
        model_of("TextVectorization", "words"),
        "layer 'words': TextVectorization .* model of the layers after it",
    ),
    "time first": (
        model_of("LSTM", "t", units=2, time_major=True),
        "layer 't': time_major=True of Keras 2 is not supported",
    ),
    "a list of configs": (attribute("model_config", ["{}", "{}"]), "its attribute model_config is not a text"),
    "a number as config": (attribute("model_config", 3), "its attribute model_config is not a text"),
    "a reference as version": (
        lambda f: f.attrs.create("keras_version", f.ref, dtype=h5py.ref_dtype),
        "keras_version is not a text",
    ),
    "no JSON": (attribute("model_config", "{"), "its config is damaged"),
    "a deep config": (attribute("model_config", '{"a":' * 200 + "1" + "}" * 200), "more than 100 levels deep"),
    "no model": (attribute("model_config", '{"class_name": 3}'), "its config is not that of a model"),
    "no layers": (attribute("model_config", '{"class_name": "Sequential", "config": 3}'), "a model without layers"),
    "a subclass": (
        attribute("model_config", '{"class_name": "Tagger", "config": {}}'),
        "the model is of the class Tagger, whose code",
    ),
    "an input that is not known": (
        attribute("model_config", json.dumps(config_of(DENSE))),
        "the Sequential was saved before it knew the shape of its input",
    ),
    "Keras 1": (attribute("keras_version", "1.2.2"), r"Keras 1\.2\.2 wrote it"),
    "numbers in another file": (external, "numbers of 'x' in another file"),
    "numbers of another file": (virtual, "numbers of 'x' in another file"),
    "a link to another file": (linked, "has a link, 'x', which is not followed"),
    "a link": (soft, "has a link, 'model_weights', which is not followed"),
    "groups without an end": (circle, "contains too many arrays, or too many nested groups"),
    "references": (references, "contains 'x', which is not an array of numbers"),
    "a type": (committed, "contains 'x', which is not an array of numbers"),
    "texts": (texts, "contains 'x', which is not an array of numbers"),
    "a plugin": (plugin, "stores 'x' with a filter that is not part of HDF5"),
    "an array of nothing": (huge, "declares 68,719,"),
    "a chunk of nothing": (huge_chunk, "declares 2,147,"),
}


@pytest.mark.parametrize("name", DANGEROUS)
def test_a_dangerous_hdf5_file_is_refused(name: str, tmp_path: Path) -> None:
    change, reason = DANGEROUS[name]
    path = write_hdf5(tmp_path / "m.h5", LSTM, DENSE)
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(ModelError, match=reason) as refused:
        read(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert "keras.src" not in str(refused.value)


def test_a_long_list_of_texts_is_never_read(tmp_path: Path) -> None:
    """HDF5 would copy the text that all elements refer to once for each of them."""
    path = write_hdf5(tmp_path / "m.h5", LSTM, DENSE)
    with h5py.File(path, "r+") as file:
        file["model_weights"].attrs["layer_names"] = np.array(["x" * (1 << 20)] * 3, h5py.string_dtype())
    assert read(path).group == "model_weights"


def test_a_truncated_or_damaged_hdf5_file_raises_no_other_error(tmp_path: Path) -> None:
    data = write_hdf5(tmp_path / "m.h5", LSTM, DENSE).read_bytes()
    rng, refused_count = np.random.default_rng(0), 0
    for _ in range(200):
        changed = bytearray(data[: int(rng.integers(100, len(data)))] if rng.random() < 0.3 else data)
        changed[int(rng.integers(8, len(changed)))] ^= 1 << int(rng.integers(8))
        (tmp_path / "d.h5").write_bytes(changed)
        try:
            read(tmp_path / "d.h5")
        except ModelError:
            refused_count += 1
    assert refused_count >= 60


def test_the_command_refuses_a_file_without_importing_tensorflow(tmp_path: Path) -> None:
    path = write_hdf5(tmp_path / "m.h5", LSTM, layer("Lambda", "last_step"), DENSE)
    arguments = ["export", str(path), "--out", str(tmp_path / "out")]
    code = (
        f"import sys\nfrom rnnx.cli import run\ncode = run({arguments!r})\n"
        "print(code, [m for m in ('tensorflow', 'keras', 'tf2onnx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603  # our own code
    assert done.stdout.split(maxsplit=1)[1].strip() == "[]"
    assert "layer 'last_step': a Lambda contains code" in done.stderr

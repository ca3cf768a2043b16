"""Gives bundles and `.onnx` files with random changes to every command that takes one.

`tests.fuzz.checks` says what must hold for each of them. A test's name also names it as a target of
`tests.fuzz.guided`.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("onnx", reason="needs the [train] extra")

from rnnx.bundle.config import CONFIG_NAME
from tests.fuzz import graphs
from tests.fuzz.checks import FAILED, MODEL, OK, PARITY, USAGE, Fuzz
from tests.fuzz.conftest import fuzzed
from tests.fuzz.job import Job
from tests.fuzz.mutations import NASTY_BYTES, edited_json, joined, mangled

pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

ANY = (OK, FAILED, USAGE, PARITY, MODEL)
# Beginnings of further lines that explain and diff print.
_NOTES = ("a.txt:", *(f"{count} of " for count in range(100)))
_DATA = {
    "a.txt": b"a great film\nand a boring one\n",
    "a.csv": b"text,label\ngreat,pos\nbad,neg\n",
    "numbers.csv": b"1,2,3\n4,5,6\n",
    "ids.csv": b"1,2,3\n4,5,6\n",
    "a.conllu": b"1\tcat\t_\tNOUN\t_\t_\t_\t_\t_\t_\n\n",
}
_EVALUATION = json.dumps({"dataset": "a (test part)", "model_sha256": "0" * 64, "accuracy": 0.5, "count": 2}).encode()
# Commands for a changed bundle `b`, by the bundle that it was made from.
_COMMANDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "texts": (
        ("infer", "--model", "b", "--lines", "a.txt"),
        ("infer", "--model", "b", "--jsonl", "a.txt"),
        ("infer", "--model", "b", "--follow", "a.txt"),
        ("explain", "--model", "b", "a.txt"),
        ("evaluate", "b", "a.csv"),
        ("info", "b"),
        ("info", "--json", "b"),
    ),
    "words": (("infer", "--model", "b", "--conllu", "a.txt"), ("evaluate", "b", "a.conllu"), ("info", "b")),
    "sensor": (
        ("infer", "--model", "b", "numbers.csv"),
        ("infer", "--model", "b", "--follow", "numbers.csv"),
        ("info", "b"),
    ),
    "ids": (("infer", "--model", "b", "--json", "ids.csv"), ("infer", "--model", "b", "--follow", "ids.csv")),
}
_ASKED = [(name, command) for name, commands in _COMMANDS.items() for command in commands]
# Commands that prove or compare every step, and so take longer.
_PROVING = (
    ("verify", "b/model.onnx"),
    ("diff", "b", "b"),
    ("verify", "b/model.stream.onnx"),
    ("explain", "--model", "b", "a.txt"),
)


def _bundle(files: Mapping[str, bytes], changed: Mapping[str, bytes], *, is_hashed: bool) -> dict[str, bytes]:
    """Returns the files of a changed bundle and the data next to it; with `is_hashed`, the hashes in the config fit."""
    files = {**files, **changed}
    if is_hashed and CONFIG_NAME not in changed:
        config = json.loads(files[CONFIG_NAME])
        config["files"] = {name: hashlib.sha256(files[name]).hexdigest() for name in config["files"] if name in files}
        files[CONFIG_NAME] = json.dumps(config).encode()
    return {**{f"b/{name}": data for name, data in files.items()}, **_DATA}


@fuzzed(1600)
@given(st.data(), st.sampled_from(_ASKED))
def test_a_changed_config_is_read_or_refused(
    fuzz: Fuzz, data: st.DataObject, asked: tuple[str, tuple[str, ...]]
) -> None:
    name, command = asked
    files = fuzz.files[name]
    config = json.loads(files[CONFIG_NAME])
    if data.draw(st.booleans()):  # the hashes are kept
        hashes = json.dumps(config.pop("files"))
        rest = data.draw(edited_json(config))
        new = b'{"files": %s, %s' % (hashes.encode(), rest[1:]) if rest[:1] == b"{" and len(rest) > 2 else rest
    else:
        new = data.draw(st.one_of(edited_json(config), mangled(files[CONFIG_NAME])))
    fuzz.run(Job(command, _bundle(files, {CONFIG_NAME: new}, is_hashed=False)), ANY, notes=_NOTES)


_TOKENS = (
    b"<pad>",
    b"<start>",
    b"<unknown>",
    b"great",
    b"film",
    b"cat",
    b"SUFFIX1=d",
    b"SHAPE=xx",
    b"Cat",
    b"a b",
    b"\n",
    b"\n",
    b"\r\n",
)


@fuzzed(600)
@given(
    st.data(),
    st.sampled_from([pair for pair in _ASKED if pair[0] in ("texts", "words")]),
    st.one_of(st.none(), joined(_TOKENS), joined((*_TOKENS, *NASTY_BYTES))),
)
def test_a_changed_vocabulary_is_read_or_refused(
    fuzz: Fuzz, data: st.DataObject, asked: tuple[str, tuple[str, ...]], drawn: bytes | None
) -> None:
    name, command = asked
    files = fuzz.files[name]
    new = data.draw(mangled(files["vocabulary.txt"])) if drawn is None else b"<pad>\n<start>\n<unknown>\n" + drawn
    fuzz.run(Job(command, _bundle(files, {"vocabulary.txt": new}, is_hashed=True)), ANY, notes=_NOTES)


@fuzzed(1000)
@given(
    st.data(),
    st.sampled_from(("golden.json", "parity.json", "history.json", "metrics.json", "evaluation.json")),
    st.sampled_from(
        (
            ("info", "b"),
            ("info", "--json", "b"),
            ("evaluate", "b", "a.csv", "--save"),
            ("embed", "python", "b", "--out", "out"),
        )
    ),
)
def test_a_changed_record_is_read_or_refused(
    fuzz: Fuzz, data: st.DataObject, file: str, command: tuple[str, ...]
) -> None:
    """The changed file is a record next to the models; the commands make a card or a project from it."""
    files = {**fuzz.files["texts"], "evaluation.json": _EVALUATION}
    new = data.draw(st.one_of(edited_json(json.loads(files[file])), mangled(files[file])))
    files = _bundle(files, {file: new}, is_hashed=True)
    target = {"evaluate": "b", "embed": "out"}.get(command[0])
    fuzz.run(Job(command, files, target=target), ANY, notes=_NOTES)


def _changed(name: str, files: Mapping[str, bytes]) -> st.SearchStrategy[bytes]:
    other = files["model.onnx"][:4000]
    return st.one_of(
        graphs.changed_structure(files[name]),
        graphs.changed_structure(files[name]),
        graphs.changed_metadata(files[name]),
        graphs.other_bytes(files[name], other),
    )


@fuzzed(2000)
@given(st.data(), st.sampled_from([pair for pair in _ASKED if pair[1][0] in ("infer", "evaluate")]))
def test_a_changed_model_is_run_or_refused(fuzz: Fuzz, data: st.DataObject, asked: tuple[str, tuple[str, ...]]) -> None:
    name, command = asked
    files = fuzz.files[name]
    form = "model.stream.onnx" if "--follow" in command else "model.onnx"
    new = {form: data.draw(_changed(form, files))}
    if form == "model.onnx" and "model.batch.onnx" in files and data.draw(st.booleans()):
        new = {"model.batch.onnx": data.draw(_changed("model.batch.onnx", files))}
    fuzz.run(Job(command, _bundle(files, new, is_hashed=True)), ANY, notes=_NOTES)


@fuzzed(500)
@given(st.data(), st.sampled_from(_PROVING))
def test_a_changed_model_is_proved_or_refused(fuzz: Fuzz, data: st.DataObject, command: tuple[str, ...]) -> None:
    files = fuzz.files["texts"]
    form = "model.stream.onnx" if "b/model.stream.onnx" in command else "model.onnx"
    new = {form: data.draw(_changed(form, files))}
    codes = ANY if command[0] in ("explain", "diff") else (OK, FAILED, PARITY, MODEL)
    fuzz.run(Job(command, _bundle(files, new, is_hashed=True)), codes, notes=_NOTES)


@fuzzed(400)
@given(st.data(), st.sampled_from(("texts", "sensor", "ids", "series")), st.sampled_from(((), ("--json",))))
def test_a_changed_file_alone_is_verified_or_refused(
    fuzz: Fuzz, data: st.DataObject, name: str, form: tuple[str, ...]
) -> None:
    new = data.draw(_changed("model.onnx", fuzz.files[name]))
    fuzz.run(Job(("verify", "alone.onnx", *form), {"alone.onnx": new}), (OK, PARITY, MODEL))


@st.composite
def keras_files(draw: st.DrawFn, data: bytes) -> bytes:
    """Draws a `.keras` file with another configuration, other weights, other members, or other bytes."""
    how = draw(st.integers(0, 7))
    if how == 0:
        return draw(mangled(data))
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    if how == 1:
        members[draw(st.sampled_from(("more", "../secret.txt", "config.json/", "assets/vocabulary.txt")))] = b"text"
    elif how == 2:
        del members[draw(st.sampled_from(sorted(members)))]
    elif how < 5:
        members["model.weights.h5"] = draw(mangled(members["model.weights.h5"]))
    else:
        members["config.json"] = draw(edited_json(json.loads(members["config.json"])))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", draw(st.sampled_from((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)))) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


@fuzzed(1000)
@given(st.data())
def test_a_changed_keras_file_is_read_or_refused(fuzz: Fuzz, data: st.DataObject) -> None:
    new = data.draw(keras_files(fuzz.files["texts"]["model.keras"]))
    fuzz.run(Job((), {"a.keras": new}, reader="keras"), (OK, MODEL))


def _as_hdf5(data: bytes, config: bytes) -> bytes:
    """Writes a `.keras` file as a whole model in HDF5, in which each layer has a group under its name."""
    import h5py

    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, h5py.File(packed, "w") as file:
        file.attrs["keras_version"] = "3.13.2"
        file.attrs["model_config"] = config.replace(b"\0", b"0")  # an attribute has no zero bytes
        with h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as weights:
            weights.copy(weights["layers"], file, "model_weights")
    return packed.getvalue()


@fuzzed(500)
@given(st.data(), st.booleans())
def test_a_changed_hdf5_file_is_read_or_refused(fuzz: Fuzz, data: st.DataObject, is_config: bool) -> None:
    keras_file = fuzz.files["texts"]["model.keras"]
    with zipfile.ZipFile(io.BytesIO(keras_file)) as archive:
        config = archive.read("config.json")
    if is_config:
        new = _as_hdf5(keras_file, data.draw(edited_json(json.loads(config))))
    else:
        new = data.draw(mangled(_as_hdf5(keras_file, config)))
    fuzz.run(Job((), {"a.h5": new}, reader="hdf5"), (OK, MODEL))


_SAMPLES: dict[str, Any] = {
    "texts": [{"text": "a great film", "label": "pos", "probability": 0.9}] * 2,
    "words": [{"words": ["a", "cat"], "tags": ["DET", "NOUN"], "probabilities": [0.9, 0.8]}],
    "series": [{"x": [[1.0, 2.0]], "probs": {"a": 0.5, "b": 0.5}}, {"x": [[1.0, 2.0], [3, 4]], "values": [1.5]}],
}


@fuzzed(500)
@given(st.data(), st.sampled_from(sorted(_SAMPLES)))
def test_changed_samples_are_read_or_refused(fuzz: Fuzz, data: st.DataObject, name: str) -> None:
    document = _SAMPLES[name]
    new = data.draw(st.one_of(edited_json(document), mangled(json.dumps(document).encode())))
    fuzz.run(Job((), {"samples.json": new}, reader=name), (OK, MODEL))

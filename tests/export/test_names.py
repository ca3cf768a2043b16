"""Tests the words and labels that a user names for a bare `.keras` file: what it reads then, and what does not fit."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
from keras import layers

import rnnx
from rnnx.bundle.directory import read_directory
from rnnx.cli import run
from rnnx.cli.export import _choose_rule
from rnnx.cli.rule_names import RuleName
from rnnx.infer.predictions import Prediction, Values
from tests.make_bundles import BUNDLES, EARLIER

pytestmark = pytest.mark.train

WORDS = ("good", "bad", "film", "the", "café")
VOCABULARY = "\n".join(["<pad>", "<start>", "<unknown>", *WORDS]) + "\n"

Capture = pytest.CaptureFixture[str]


def build(path: Path, head: Any, *, mask: bool = True, rows: int = 8) -> keras.Model:
    keras.utils.set_random_seed(1)
    ids = keras.Input((None,), dtype="int32")
    x = layers.Embedding(rows, 4, mask_zero=mask)(ids)
    model = keras.Model(ids, head(layers.SimpleRNN(5)(x)))
    model.save(path)
    return model


@pytest.fixture
def vocabulary(tmp_path: Path) -> str:
    (tmp_path / "words.txt").write_text(VOCABULARY, encoding="utf-8")
    return str(tmp_path / "words.txt")


def test_a_keras_file_with_a_vocabulary_reads_texts(tmp_path: Path, vocabulary: str, capsys: Capture) -> None:
    model = build(tmp_path / "mine.keras", layers.Dense(3, activation="softmax"))
    arguments = ["export", str(tmp_path / "mine.keras"), "--out", str(tmp_path / "out"), "--vocabulary", vocabulary]
    assert run([*arguments, "--labels", "up, down,flat"]) == 0
    bundle = read_directory(tmp_path / "out")
    assert {"model.text.onnx", "vocabulary.txt", "golden.json"} <= bundle.files.keys()
    assert bundle.config.tokenizer is not None
    assert (bundle.config.tokenizer.pad_to, bundle.config.tokenizer.max_length) == ("batch", 400)
    assert bundle.config.labels == ("up", "down", "flat")
    (prediction,) = rnnx.load(tmp_path / "out").predict(["The GOOD, good café: unheard of!"])
    expected = model(np.array([[1, 6, 3, 3, 7, 2, 2]])).numpy()[0]  # the probabilities may differ by an ulp or two
    assert list(prediction.probs.values()) == pytest.approx(expected.tolist(), abs=1e-6)
    capsys.readouterr()
    (tmp_path / "a.txt").write_text("good film", encoding="utf-8")
    assert run(["infer", "--model", str(tmp_path / "out"), "--json", str(tmp_path / "a.txt")]) == 0
    assert json.loads(capsys.readouterr().out)[0]["label"] in ("up", "down", "flat")


def test_a_vocabulary_is_read_by_the_rule_that_the_user_names(tmp_path: Path, capsys: Capture) -> None:
    model = build(tmp_path / "mine.keras", layers.Dense(1, activation="sigmoid"), rows=6)
    words = tmp_path / "words.txt"
    words.write_text("<pad>\n<start>\n<unknown>\n電\n影\n!\n", encoding="utf-8")
    arguments = ["export", str(tmp_path / "mine.keras"), "--out", str(tmp_path / "out"), "--vocabulary", str(words)]
    assert run(arguments) == 4
    assert "line 6 is b'!', which cannot be a word of a text" in capsys.readouterr().err
    assert run([*arguments, "--tokenizer", "unicode-14"]) == 0
    config = read_directory(tmp_path / "out").config.tokenizer
    assert config is not None
    assert (config.rule, config.marks) == ("unicode-14", True)
    (prediction,) = rnnx.load(tmp_path / "out").predict(["電影\uff01x"])
    expected = float(model(np.array([[1, 3, 4, 5, 2]])).numpy()[0, 0])
    assert prediction.probs["1"] == pytest.approx(expected, abs=1e-6)


def test_the_rule_of_a_run_or_bundle_is_taken_with_its_vocabulary(tmp_path: Path) -> None:
    earlier = BUNDLES / EARLIER / "vocabulary.txt"
    assert _choose_rule(earlier, None) == "unicode-14"
    assert _choose_rule(earlier, RuleName.BYTES) == "bytes"
    assert _choose_rule(BUNDLES / "article" / "vocabulary.txt", None) == "bytes"
    other = shutil.copytree(BUNDLES / EARLIER, tmp_path / "other") / "vocabulary.txt"
    other.write_bytes(other.read_bytes() + b"more\n")
    assert _choose_rule(other, None) is None
    assert _choose_rule(None, None) is None


def test_a_network_without_a_mask_is_padded_as_it_was_trained(tmp_path: Path, vocabulary: str) -> None:
    Path(vocabulary).write_text(VOCABULARY.replace("<unknown>", "<unk>").replace("\n", "\r\n"), encoding="utf-8")
    model = build(tmp_path / "mine.keras", layers.Dense(1, activation="sigmoid"), mask=False)
    (tmp_path / "labels.txt").write_text("no\nyes\n", encoding="utf-8")
    arguments = ["export", str(tmp_path / "mine.keras"), "--out", str(tmp_path / "out"), "--vocabulary", vocabulary]
    arguments += ["--labels", str(tmp_path / "labels.txt"), "--max-length", "6", "--padding-side", "right"]
    assert run([*arguments, "--truncation-side", "right", "--no-start"]) == 0
    (prediction,) = rnnx.load(tmp_path / "out").predict(["good film"])
    expected = float(model(np.array([[3, 5, 0, 0, 0, 0]])).numpy()[0, 0])
    assert prediction.probs["yes"] == pytest.approx(expected, abs=1e-6)
    # The unknown token has other names elsewhere; a bundle has one.
    assert "<unk>" in Path(vocabulary).read_text(encoding="utf-8")
    assert (tmp_path / "out" / "vocabulary.txt").read_text(encoding="utf-8") == VOCABULARY


def test_a_keras_file_with_labels_alone_reads_ids(tmp_path: Path, capsys: Capture) -> None:
    model = build(tmp_path / "mine.keras", layers.Dense(2, activation="softmax"))
    assert run(["export", str(tmp_path / "mine.keras"), "--out", str(tmp_path / "out"), "--labels", "a,b"]) == 0
    predictor = rnnx.load(tmp_path / "out")
    rows = [np.array([3, 4]), np.array([5]), np.array([1, 2, 3, 4])]
    for row, prediction in zip(rows, predictor.predict(rows), strict=True):
        assert isinstance(prediction, Prediction)
        assert prediction.tokens == len(row)
        assert list(prediction.probs.values()) == pytest.approx(model(row[None]).numpy()[0].tolist(), abs=1e-6)
    capsys.readouterr()
    # The second row is fully masked. A mean would be undefined, but here the last state is 0, which gives an answer.
    (tmp_path / "a.csv").write_text("3,4\n0,0\n9\n", encoding="utf-8")
    assert run(["infer", "--model", str(tmp_path / "out"), "--jsonl", str(tmp_path / "a.csv")]) == 1
    items = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [item["status"] for item in items] == ["ok", "ok", "error"]


def test_an_answer_that_is_not_a_number_fails_only_its_own_item(tmp_path: Path, capsys: Capture) -> None:
    ids = keras.Input((None,), dtype="int32")
    x = layers.SimpleRNN(5, return_sequences=True)(layers.Embedding(8, 4, mask_zero=True)(ids))
    probs = layers.Dense(1, activation="sigmoid")(layers.GlobalAveragePooling1D()(x))
    keras.Model(ids, probs).save(tmp_path / "mine.keras")
    assert run(["export", str(tmp_path / "mine.keras"), "--out", str(tmp_path / "out")]) == 0
    capsys.readouterr()
    (tmp_path / "a.csv").write_text("3,4\n0,0\n", encoding="utf-8")
    assert run(["infer", "--model", str(tmp_path / "out"), "--json", str(tmp_path / "a.csv")]) == 1
    out, err = capsys.readouterr()
    assert [item["status"] for item in json.loads(out)] == ["ok", "error"]
    assert err == f"error: {tmp_path / 'a.csv'}: sequence 1: the network gives no finite number\n"


def test_several_inputs_and_outputs_are_matched_by_name(tmp_path: Path, capsys: Capture) -> None:
    keras.utils.set_random_seed(2)
    a, b = keras.Input((None, 2), name="a"), keras.Input((None,), dtype="int32", name="b")
    states = layers.SimpleRNN(3, return_sequences=True, name="states")(a)
    last = layers.SimpleRNN(4, name="last")(layers.Embedding(6, 2)(b))
    model = keras.Model([a, b], [states, layers.Dense(2, name="sums")(last)])
    model.save(tmp_path / "two.keras")
    assert run(["export", str(tmp_path / "two.keras"), "--out", str(tmp_path / "out")]) == 0
    given = {"a": [np.ones((3, 2)), np.zeros((5, 2))], "b": [np.array([1, 2]), np.array([3, 4])]}
    predictions = rnnx.load(tmp_path / "out").predict(given)
    for i, values in enumerate(predictions):
        assert isinstance(values, Values)
        expected = model([given["a"][i].astype(np.float32)[None], given["b"][i][None]])
        assert values.outputs.keys() == {"states", "sums"}
        for (name, actual), output in zip(values.outputs.items(), expected, strict=True):
            assert actual == pytest.approx(output.numpy()[0], abs=1e-6), name
    capsys.readouterr()
    np.savez(tmp_path / "in.npz", a=np.ones((3, 2)), b=[1, 2])
    assert run(["infer", "--model", str(tmp_path / "out"), "--json", str(tmp_path / "in.npz")]) == 0
    (item,) = json.loads(capsys.readouterr().out)
    assert np.shape(item["outputs"]["states"]) == (3, 3)
    assert isinstance(predictions[0], Values)
    assert item["outputs"]["sums"] == pytest.approx(predictions[0].outputs["sums"].tolist(), rel=1e-6)
    assert run(["infer", "--model", str(tmp_path / "out"), str(tmp_path / "in.npz")]) == 0
    _, index, states_cell, *sums = capsys.readouterr().out.rstrip("\n").split("\t")
    assert (index, np.shape(json.loads(states_cell)), len(sums)) == ("0", (3, 3), 2)


@pytest.mark.parametrize(
    ("head", "options", "code", "message"),
    [
        ("softmax", ["--labels", "a,b"], 4, "labels: a, b are 2 different labels; the network has 3 outputs"),
        ("softmax", ["--labels", "a,b,b"], 4, "labels: a, b, b are 2 different labels; the network has 3 outputs"),
        ("softmax", ["--labels", "a,,b"], 4, "labels: '' is empty or cannot be printed"),
        (
            "sigmoid",
            ["--labels", "a,b,c"],
            4,
            "labels: a, b, c are 3 different labels; the network has one sigmoid, so two labels",
        ),
        ("linear", ["--labels", "a,b"], 4, "labels: the network gives values"),
        (
            "linear",
            ["--vocabulary", "WORDS"],
            4,
            "vocabulary: the network gives no probability for each label of a text",
        ),
        (
            "softmax",
            ["--max-length", "9"],
            2,
            "options for texts were given without a vocabulary; add --vocabulary FILE",
        ),
        ("softmax", ["--vocabulary", "MORE"], 4, "vocabulary: it has 9 tokens, but the embedding has 8 rows"),
        ("softmax", ["--vocabulary", "BARE"], 4, "vocabulary: the first three tokens should be <pad>, <start> and"),
        ("softmax", ["--vocabulary", "NONE"], 1, "No such file"),
    ],
)
def test_names_that_do_not_fit_the_network_are_refused(
    tmp_path: Path, head: str, options: list[str], code: int, message: str, capsys: Capture
) -> None:
    files = {"WORDS": VOCABULARY, "MORE": VOCABULARY + "more\n", "BARE": "good\nbad\n"}
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    units = {"softmax": 3, "sigmoid": 1, "linear": 2}[head]
    build(tmp_path / "mine.keras", layers.Dense(units, activation=head))
    options = [str(tmp_path / option) if option.isupper() else option for option in options]
    assert run(["export", str(tmp_path / "mine.keras"), "--out", str(tmp_path / "out"), *options]) == code
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_network_that_reads_numbers_takes_no_vocabulary(tmp_path: Path, vocabulary: str, capsys: Capture) -> None:
    x = keras.Input((None, 2), name="x")
    keras.Model(x, layers.Dense(1, activation="sigmoid")(layers.SimpleRNN(3)(x))).save(tmp_path / "mine.keras")
    assert run(["export", str(tmp_path / "mine.keras"), "--out", str(tmp_path / "o"), "--vocabulary", vocabulary]) == 4
    assert "vocabulary: the network reads x numbers (None, 2)" in capsys.readouterr().err


def test_other_names_for_a_run_are_refused(tiny_run: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(["export", str(tiny_run), "--out", str(tmp_path / "out"), "--labels", "a,b"]) == 2
    assert (
        "vocabulary and labels; to use others, copy its model.keras elsewhere, and export the copy"
        in capsys.readouterr().err
    )

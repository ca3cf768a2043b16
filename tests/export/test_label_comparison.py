"""Tests the comparison of the labels of a data set, text by text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
from keras import layers

from rnnx.cli import run
from rnnx.errors import ParityError, UsageError
from rnnx.export import pipeline
from rnnx.export.label_comparison import DecisionTexts, compare_decisions
from rnnx.export.names import Names
from rnnx.export.source import Source, open_source
from rnnx.proof.report import DecisionsReport
from rnnx.rewrites.replace import Rewritten
from rnnx.text_form.build import TextForm
from tests.conversions import build_forms, export, shared
from tests.mutations import change, floats
from tests.texts import make_texts

pytestmark = pytest.mark.train

TEXTS = [text for text, _ in make_texts(300, 5)] + [b"", b"\xff"]


def test_a_right_export_gives_every_label_of_keras(tiny_run: Path) -> None:
    source = open_source(tiny_run)
    report = compare_decisions(source, build_forms(source.model, source.network), None, DecisionTexts("mine", TEXTS))
    assert report.passed
    assert report.count == len(TEXTS)
    assert report.certain_count > 0.9 * report.count
    assert report.differing == {"model.onnx": 0, "model.batch.onnx": 0}
    assert all(0 < ratio < 1 for ratio in report.max_ratio.values())


def test_a_time_distributed_is_compared_with_eager_keras(tmp_path: Path) -> None:
    """In a graph, Keras 3.15 computes a TimeDistributed with open time wrongly once batches have several shapes."""
    vocabulary = b"\n".join([b"<pad>", b"<start>", b"<unknown>", *sorted({w for t in TEXTS[:99] for w in t.split()})])
    ids = keras.Input((None,), dtype="int32")
    x = layers.TimeDistributed(layers.Dense(4, "gelu"))(
        layers.Embedding(vocabulary.count(b"\n") + 1, 5, mask_zero=True)(ids)
    )
    model = keras.Model(ids, layers.Dense(2, "softmax")(layers.SimpleRNN(3)(x)))
    rng = np.random.default_rng(2)
    model.set_weights([rng.normal(size=weight.shape) for weight in model.get_weights()])
    model.save(tmp_path / "model.keras")
    source = open_source(tmp_path / "model.keras", Names(vocabulary, ("no", "yes"), 20))
    forms = build_forms(source.model, source.network)
    texts = [text for text, _ in make_texts(600, 5)]  # enough texts for three batches, which are sorted by length
    report = compare_decisions(source, forms, None, DecisionTexts("mine", texts))
    assert report.passed
    assert report.wrong["keras"] == 0
    assert set(report.differing.values()) == {0}


def test_a_wrong_head_is_found(tiny_run: Path) -> None:
    source = open_source(tiny_run)
    forms = build_forms(source.model, source.network)
    head = next(t for t in floats(forms["model.onnx"].model, 2) if t.dims[-1] == 1)
    change(head, lambda values: -values)
    report = compare_decisions(source, forms, None, DecisionTexts("mine", TEXTS))
    assert not report.passed
    assert report.wrong["model.onnx"] > 0
    assert report.wrong["keras"] == report.wrong["model.batch.onnx"] == 0
    assert report.differing["model.onnx"] > 0


def test_the_figures_are_written_to_the_bundle(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "mine.csv"
    lines = [f"{text.decode()},{label}" for text, label in make_texts(80, 6)]
    table.write_text("\n".join(["text,label", *lines]), encoding="utf-8")
    with shared():
        assert run(["export", str(tiny_run), "--out", str(tmp_path / "out"), "--decisions", str(table)]) == 0
    capsys.readouterr()
    decisions = json.loads((tmp_path / "out" / "parity.json").read_bytes())["decisions"]
    assert decisions["count"] == 80
    assert ": 0 for `model.onnx`" in (tmp_path / "out" / "README.md").read_text()


def test_an_export_with_a_differing_label_is_not_published(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The form is changed after the proof has passed, so only the data set can show the error."""

    def late(
        source: Source, forms: Mapping[str, Rewritten], text_form: TextForm | None, texts: DecisionTexts
    ) -> DecisionsReport:
        change(floats(forms["model.batch.onnx"].model, 2)[-1], np.negative)
        return compare_decisions(source, forms, text_form, texts)

    monkeypatch.setattr(pipeline, "compare_decisions", late)
    with pytest.raises(ParityError, match="nothing was published"):
        export(tiny_run, tmp_path / "out", decisions=DecisionTexts("mine", TEXTS))
    assert not (tmp_path / "out").exists()


def test_labels_cannot_be_compared_without_a_vocabulary(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.keras").write_bytes((tiny_run / "model.keras").read_bytes())
    with pytest.raises(UsageError, match=r"model .*: has no vocabulary, so it gives no labels for texts"):
        export(tmp_path / "mine.keras", tmp_path / "out", decisions=DecisionTexts("mine", TEXTS))

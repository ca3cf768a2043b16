"""Tests how much each label and example weighs."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

from rnnx.bundle.config import TokenizerConfig
from rnnx.datasets import Dataset
from rnnx.errors import UsageError
from rnnx.text.tokenizer import Tokenizer, Vocabulary
from rnnx.train.batches import SeriesSource, SoftTextSource, TextSource
from rnnx.train.class_weights import balance, label_weights
from rnnx.train.fit import Observer
from rnnx.train.options import Options, apply_options
from rnnx.train.recipes import ClassWeights
from rnnx.train.run import train
from tests.texts import tiny_recipe

pytestmark = pytest.mark.train

WEIGHTS: tuple[ClassWeights | None, ...] = (None, "balanced")
LABEL_IDS = np.array([0, 0, 0, 1], np.int32)


def text_source() -> TextSource:
    config = TokenizerConfig(9, False, False, "batch", "left", "left")
    tokenizer = Tokenizer(config, Vocabulary.build([b"a b"], 5, strip_breaks=False))
    return TextSource([np.array([3], np.int32)] * 4, LABEL_IDS, tokenizer)


def test_labels_weigh_the_same_together_and_one_on_average() -> None:
    assert label_weights(np.array([3.0, 1.0])) == pytest.approx([2 / 3, 2])
    assert label_weights(np.array([3.0, 0.0, 1.0])) == pytest.approx([2 / 3, 0, 2])


def test_the_weights_follow_the_batch() -> None:
    balanced = balance(text_source())
    assert balanced.weights == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2])
    assert balanced.weights.mean() == pytest.approx(1)
    _, label_ids, weights = balanced.stack(np.array([3, 0]))
    assert label_ids[:, 0].tolist() == [1, 0]
    assert weights == pytest.approx([2, 2 / 3])
    assert len(balanced.signature) == 3


def test_probabilities_weigh_as_their_labels_do_on_average() -> None:
    soft = SoftTextSource(text_source(), np.array([[0], [0], [0.5], [0.5]], np.float32))
    assert balance(soft).weights == pytest.approx([2 / 3, 2 / 3, 4 / 3, 4 / 3])


def test_values_have_no_weights() -> None:
    values = SeriesSource([np.zeros((2, 1), np.float32)], np.zeros((1, 1), np.float32))
    with pytest.raises(UsageError, match="--class-weights is for examples with a label each"):
        balance(values)


def test_a_rare_label_is_learned(tmp_path: Path) -> None:
    """The text does not show the label, so the network learns how much each label weighs."""
    dataset = Dataset.from_pairs("rare", [(b"a b", label) for label in ("often", "often", "often", "rare")] * 20)
    tiny = dataclasses.replace(tiny_recipe("default"), has_temperature=False)
    shares = []
    for weights in WEIGHTS:
        recipe = apply_options(tiny, Options(class_weights=weights, epochs=6))
        fitted = train(dataset, recipe, tmp_path / str(weights), observer=Observer())
        shares.append(float(fitted.model.predict_on_batch(np.array([[1, 3, 4]], np.int32))[0, 0]))
    assert shares == [pytest.approx(0.25, abs=0.08), pytest.approx(0.5, abs=0.08)]

"""Tests of the benchmarks of other languages: how they split data, and what the simplest peer answers."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from bench.training.languages import to_markdown
from bench.training.peers import Measured
from bench.training.text_sets import SETS
from bench.training.treebanks import measure_majority
from rnnx.bundle.config import TokenizerConfig
from rnnx.datasets.sentences import TaggedWords
from rnnx.text.tokenizer import SPECIAL_TOKENS, Vocabulary


def test_every_fifth_row_is_for_the_test(tmp_path: Path) -> None:
    (tmp_path / "waimai").mkdir()
    rows = "".join(f"{i % 2},text {i}\n" for i in range(1, 12))
    (tmp_path / "waimai" / "waimai_10k.csv").write_text(f"label,review\n{rows}", encoding="utf-8")
    rows_of = SETS["waimai"](tmp_path)
    assert rows_of.test == [("1", "text 5"), ("0", "text 10")]
    assert len(rows_of.train) == 9
    assert rows_of.majority == 0.5


def test_the_most_frequent_tag_of_a_word() -> None:
    train = [TaggedWords((b"a", b"a", b"a", b"b", b"c"), ("X", "Y", "Y", "Z", "Z"))]
    test = [TaggedWords((b"a", b"a", b"b", b"d", b"e"), ("Y", "X", "Z", "Z", "X"))]
    assert measure_majority(train, test) == (3 / 5, 1 / 2)


def test_a_figure_is_measured_once(tmp_path: Path) -> None:
    figures = iter([0.5, 0.75])
    for _ in range(2):
        measured = Measured(tmp_path / "figures.json")
        assert measured.get("a", lambda: next(figures)) == 0.5
    assert measured.get("b", lambda: None) is None
    assert to_markdown({"s": {"a": 0.5, "b": None}}).splitlines()[2] == "| s | 0.5000 | - |"


@pytest.mark.train
def test_words_that_a_rule_cannot_find_are_left_out_with_their_rows() -> None:
    keras = pytest.importorskip("keras", reason="needs the [train] extra")
    from bench.training.change_rule import keep_rows, shorten_vocabulary

    config = TokenizerConfig(9, False, False, "batch", "left", "left")
    vocabulary = Vocabulary((*SPECIAL_TOKENS, b"good", "don\u00b4t".encode(), "é".encode()))
    shorter, ids = shorten_vocabulary(vocabulary, dataclasses.replace(config, rule="unicode-14"))
    assert shorter.tokens == (*SPECIAL_TOKENS, b"good", "é".encode())
    assert ids == [0, 1, 2, 3, 5]
    inputs = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(6, 2, mask_zero=True, name="embedding")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.SimpleRNN(2)(x)))
    changed = keep_rows(model, ids)
    rows = keras.ops.convert_to_tensor([[3, 5]])
    expected = model.predict_on_batch(rows)
    assert changed.predict_on_batch(keras.ops.convert_to_tensor([[3, 4]])) == pytest.approx(expected, abs=0)
    assert changed.get_layer("embedding").get_weights()[0].shape == (5, 2)

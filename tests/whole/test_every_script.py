"""Trains, exports and runs a classifier with the rule `unicode-14`, on Chinese and English texts."""
# ruff: noqa: RUF001  # characters that look like others are what is tested

from __future__ import annotations

import dataclasses
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import rnnx
from rnnx.bundle.directory import TEXT_NAME, read_directory
from rnnx.cli import run
from rnnx.runtime.session import Session
from rnnx.text.tokenizer import to_batch
from rnnx.train.recipes import DEFAULT_RECIPES, TextRecipe
from tests import unicode_reference
from tests.streams import forward_recipe, open_path
from tests.texts import tiny_recipe

pytestmark = pytest.mark.train

Capture = pytest.CaptureFixture[str]
GOOD, BAD = ("很好吃", "味道不错", "wonderful", "it’s great"), ("太难吃了", "送餐很慢", "awful", "I don’t like it")
# Lines as people type them, and as editors and telephones write them.
PAIRS = (
    ("I don't like it", "I don’t like it"),
    ("I didn't enjoy a single minute", "I didn’t enjoy a single minute"),
    ("I can't recommend this", "I can’t recommend this"),
    ("It wasn't funny", "It wasn’t funny"),
    ("He doesn't care and it shows", "He doesn’t care and it shows"),
    ("brilliant - funny", "brilliant—funny"),
    ('A "wonderful" film', "A “wonderful” film"),
    ("awful...", "awful…"),
    ("Great film!", "Great film！"),
    ("Awful acting", "Awful\xa0acting"),
    ("I hated it 💩", "I hated it💩"),
)
TEXT = "很好吃，Ｗonderful！\u200d但是 it’s so\xadso 😀"


def tiny_unicode_recipe() -> TextRecipe:
    """Returns the recipe of the tests with the rule of the recipe `default`, and a vocabulary for all words."""
    return dataclasses.replace(tiny_recipe("default"), vocabulary_size=200)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Writes 160 short reviews with their labels."""
    rng = np.random.default_rng(3)
    path: Path = tmp_path_factory.mktemp("data") / "reviews.jsonl"
    rows = [("good", GOOD), ("bad", BAD)] * 80
    lines = (json.dumps({"text": "，".join(rng.choice(phrases, 3)), "label": label}) for label, phrases in rows)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def bundle(table: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trains and exports from the command line; do not write into it."""
    folder = tmp_path_factory.mktemp("every_script")
    command = ["train", str(table), "--tokenizer", "unicode-14", "--out", str(folder / "run"), "--epochs", "1"]
    recipe = dataclasses.replace(forward_recipe(), vocabulary_size=60)  # a network that can stream
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DEFAULT_RECIPES, "texts", recipe)
        assert run(command) == 0
    assert run(["export", str(folder / "run"), "--out", str(folder / "bundle"), "--streaming"]) == 0
    return folder / "bundle"


def test_a_bundle_names_its_rule_and_has_a_text_form(bundle: Path, tmp_path: Path) -> None:
    directory = read_directory(bundle)
    assert directory.config.tokenizer is not None
    assert directory.config.tokenizer.rule == "unicode-14"
    assert not directory.config.tokenizer.marks
    assert TEXT_NAME in directory.files
    words = directory["vocabulary.txt"].decode().splitlines()[3:]
    assert {"好", "吃", "it's", "don't", "wonderful"} <= set(words)
    assert "`unicode-14`" in directory["README.md"].decode()
    assert run(["export", str(bundle), "--out", str(tmp_path / "again")]) == 0
    assert run(["embed", "node", str(bundle), "--out", str(tmp_path / "project")]) == 0
    assert run(["verify", str(bundle)]) == 0


def test_the_text_form_answers_as_the_predictor_does(bundle: Path) -> None:
    texts = [*GOOD, *BAD, TEXT, "", "I DON\u2019T", "I don\x92t"]
    (probs,) = Session((bundle / TEXT_NAME).read_bytes(), device="cpu").run(to_batch([text.encode() for text in texts]))
    model = rnnx.load(bundle, device="cpu")
    expected = [[prediction.probs[label] for label in model.labels] for prediction in model.predict(texts)]
    np.testing.assert_allclose(expected, probs, rtol=0, atol=0.01)


def test_curly_and_straight_texts_have_the_same_answer(bundle: Path) -> None:
    model = rnnx.load(bundle, device="cpu")
    first, second, third = model.predict(["I don't like it", "I don’t like it", "Ｉ ＤＯＮ＇Ｔ ＬＩＫＥ ＩＴ"])
    assert first.probs == second.probs == third.probs


def test_lines_of_editors_and_telephones_have_the_answers_of_plain_ones(tmp_path: Path) -> None:
    rows = [{"text": text, "label": "good" if i % 2 else "bad"} for i, (text, _) in enumerate(PAIRS * 8)]
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DEFAULT_RECIPES, "texts", tiny_unicode_recipe())
        assert run(["train", str(tmp_path / "lines.jsonl"), "--out", str(tmp_path / "run"), "--epochs", "1"]) == 0
    assert run(["export", str(tmp_path / "run"), "--out", str(tmp_path / "bundle")]) == 0
    model = rnnx.load(tmp_path / "bundle", device="cpu")
    plain, other = (model.predict(texts) for texts in zip(*PAIRS, strict=True))
    assert [prediction.probs for prediction in plain] == [prediction.probs for prediction in other]
    assert len({prediction.probability for prediction in plain}) == len(PAIRS)  # its words are known
    session = Session((tmp_path / "bundle" / TEXT_NAME).read_bytes(), device="cpu")
    plain_probs, other_probs = (
        [session.run(to_batch([text.encode()]))[0].tolist() for text in texts] for texts in zip(*PAIRS, strict=True)
    )
    assert plain_probs == other_probs


@pytest.mark.parametrize(
    ("rule", "advice"),
    [
        ("bytes", "train with --tokenizer unicode-14, which finds the words of every script"),
        ("unicode-14", "check --text-column and --encoding, or train on more texts of this kind"),
    ],
)
def test_a_training_warns_of_held_out_texts_without_a_known_word(
    rule: str, advice: str, tmp_path: Path, capsys: Capture
) -> None:
    rng = np.random.default_rng(4)
    words = ["".join(rng.choice(list("abcdefgh"), 12)) for _ in range(80)]  # none of them occurs twice
    rows = [{"text": word, "label": "good" if i % 2 else "bad"} for i, word in enumerate(words)]
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    command = ["train", str(tmp_path / "lines.jsonl"), "--out", str(tmp_path / "run"), "--epochs", "1"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DEFAULT_RECIPES, "texts", tiny_unicode_recipe())
        assert run([*command, "--tokenizer", rule]) == 0
    expected = (
        f"lines: 100 % of the held-out texts have no known word, so the model can only guess their labels; {advice}"
    )
    assert f"warning: {expected}\n" in capsys.readouterr().err


def test_an_explanation_shows_the_original_text_of_each_token(bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")
    assert run(["explain", "--model", str(bundle), str(tmp_path / "text.txt"), "--json"]) == 0
    (item,) = json.loads(capsys.readouterr().out)
    located = unicode_reference.locate(TEXT.encode())
    assert [(word["start"], word["end"]) for word in item["words"]] == [(start, end) for _, start, end in located]
    shown = ["很", "好", "吃", "Ｗonderful", "但", "是", "it’s", "so\xadso", "😀"]
    assert [word["word"] for word in item["words"]] == shown
    assert [word["is_known"] for word in item["words"]] == [True] * 4 + [False] * 2 + [True, False, False]


def test_a_stream_answers_as_the_whole_text_wherever_it_is_cut(bundle: Path) -> None:
    (expected,) = rnnx.load(bundle, device="cpu").predict([TEXT])
    words = tuple(word.decode() for word in unicode_reference.tokenize(TEXT.encode()))
    data = TEXT.encode()
    for cut in range(0, len(data), 5):
        stream = open_path(bundle)
        answers = [stream.feed(data[:cut]), stream.feed(data[cut:]), stream.finish()]
        assert sum((answer.words for answer in answers), ()) == words
        assert answers[-1].predictions[-1].probs == pytest.approx(expected.probs, abs=2e-6)


def test_a_growing_text_is_followed(bundle: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    lines = ["很好\n".encode(), "吃，it’s".encode(), b" great\n"]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"".join(lines))))
    assert run(["infer", "--model", str(bundle), "--follow", "-", "--jsonl"]) == 0
    items = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(item["line"], item["tokens"]) for item in items] == [(1, 2), (2, 5)]


def test_a_tokenizer_is_only_for_texts(tmp_path: Path, capsys: Capture) -> None:
    np.savez(tmp_path / "numbers.npz", x=np.zeros((8, 3, 1), np.float32), y=np.arange(8) % 2)
    assert run(["train", str(tmp_path / "numbers.npz"), "--tokenizer", "unicode-14"]) == 2
    assert "--tokenizer is for texts, not for sequences" in capsys.readouterr().err


def test_info_names_the_rule(bundle: Path, capsys: Capture) -> None:
    assert run(["info", str(bundle)]) == 0
    assert "words by the rule unicode-14" in capsys.readouterr().out

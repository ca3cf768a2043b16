from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs the [train] extra")

from rnnx.text.unicode_rule import UnicodeRule
from rnnx.train.teacher import judge

pytestmark = pytest.mark.train

FILLERS = ("film", "plot", "actor", "scene", "camera")


def pair_texts(count: int, seed: int, pairs: list[str]) -> tuple[list[bytes], np.ndarray]:
    """Draws texts that all have the same words; only which words are neighbours shows the label."""
    rng = np.random.default_rng(seed)
    label_ids = rng.permutation(np.arange(count) % len(pairs)).astype(np.int32)
    words = sorted({word for pair in pairs for word in pair.split()})
    texts = []
    for label_id in label_ids:
        pieces = [pairs[label_id], *(word for word in words if word not in pairs[label_id].split())]
        rng.shuffle(pieces)
        between = rng.choice(FILLERS, len(pieces))
        texts.append(" ".join(f"{piece} {filler}" for piece, filler in zip(pieces, between, strict=True)).encode())
    return texts, label_ids


@pytest.mark.parametrize("pairs", [["not good", "not bad"], ["not good", "not bad", "not dull"]])
def test_the_teacher_learns_from_pairs_of_words(pairs: list[str]) -> None:
    texts, label_ids = pair_texts(300, 1, pairs)
    unlabelled, expected = pair_texts(90, 2, pairs)
    probs = judge(texts, label_ids, unlabelled, strip_breaks=False)
    assert (probs.shape, str(probs.dtype)) == ((90, len(pairs)), "float32")
    assert probs.argmax(axis=1).tolist() == expected.tolist()
    # Each probability was rounded to float32, by at most half of 2 ** -24.
    np.testing.assert_allclose(probs.sum(axis=1, dtype=np.float64), 1, rtol=0, atol=len(pairs) * 2.0**-25)
    assert (probs >= 0).all()


def test_the_same_texts_give_the_same_bits() -> None:
    texts, label_ids = pair_texts(60, 1, ["a b", "a c", "a d"])
    unlabelled, _ = pair_texts(30, 2, ["a b", "a c", "a d"])
    first, second = (judge(texts, label_ids, unlabelled, strip_breaks=False) for _ in range(2))
    assert first.tobytes() == second.tobytes()


def test_a_text_without_known_words_gets_an_even_judgement() -> None:
    """It has no features, so only the intercept counts, and both labels have equally many texts."""
    texts, label_ids = [b"great film", b"bad film"] * 20, np.array([1, 0] * 20, np.int32)
    probs = judge(texts, label_ids, [b"", b"...", b"zebra", b"a great film"], strip_breaks=False)
    assert np.isfinite(probs).all()
    assert (probs[:3] == probs[0]).all()
    assert 0.4 < probs[0, 1] < 0.6
    assert probs[3, 1] > 0.9


def test_the_teacher_reads_words_by_the_rule() -> None:
    texts = ["很好吃\uff0c谢谢".encode(), "太难吃\uff0c谢谢".encode()] * 5
    label_ids = np.array([1, 0] * 5, np.int32)
    unlabelled = ["真的好吃".encode(), "真的难吃".encode()]
    probs = judge(texts, label_ids, unlabelled, strip_breaks=False, rule=UnicodeRule(marks=False))
    assert probs[0, 1] > 0.6
    assert probs[1, 1] < 0.4
    by_bytes = judge(texts, label_ids, unlabelled, strip_breaks=False)  # no sentence occurs twice
    assert by_bytes[0].tolist() == by_bytes[1].tolist()


def test_breaks_separate_words_only_if_the_recipe_says_so() -> None:
    texts, label_ids = [b"good<br />x", b"poor<br />x"] * 5, np.array([1, 0] * 5, np.int32)
    for strip_breaks in (True, False):
        probs = judge(texts, label_ids, [b"good x", b"good br x"], strip_breaks=strip_breaks)
        assert (probs[0, 1] > probs[1, 1]) == strip_breaks, "all words of one text should be known"


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([b"red", b"blue", b"green"], None),  # no word is in two texts
        ([b"red", b"", b""], None),
        ([b"", b"...", b"!"], [1 / 3, 2 / 3]),  # no words
    ],
)
def test_very_few_words_are_enough(texts: list[bytes], expected: list[float] | None) -> None:
    probs = judge(texts, np.array([1, 0, 1], np.int32), [b"red", b"", b"blue sky"], strip_breaks=True)
    assert (probs.shape, str(probs.dtype)) == ((3, 2), "float32")
    np.testing.assert_allclose(probs.sum(axis=1, dtype=np.float64), 1, rtol=0, atol=2 * 2.0**-25)
    if expected is not None:
        np.testing.assert_array_equal(probs, np.tile(np.array(expected, np.float32), (3, 1)))


def test_there_may_be_no_text_to_judge() -> None:
    assert judge([b""] * 2, np.array([0, 1], np.int32), [], strip_breaks=True).shape == (0, 2)

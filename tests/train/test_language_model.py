from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import tensorflow as tf

from rnnx.bundle.config import TokenizerConfig
from rnnx.text.tokenizer import SPECIAL_TOKENS, START_ID, UNKNOWN_ID, Ids, Tokenizer, Vocabulary
from rnnx.train.checkpoint import Checkpoint
from rnnx.train.language_model import LanguageModel, pretrain
from rnnx.train.task import Preparation, StageProgress

pytestmark = pytest.mark.train

WORDS = tuple(b"abcdefgh"[i : i + 1] for i in range(8))
TOKENIZER = Tokenizer(TokenizerConfig(30, True, True, "batch", "left", "left"), Vocabulary((*SPECIAL_TOKENS, *WORDS)))
SIZE = len(TOKENIZER.vocabulary)
UNITS = 8


class DeathError(Exception):
    """Simulates a power cut."""


def corpus(count: int = 96) -> list[Ids]:
    """Returns texts `a b c ... h a b ...` from a random letter on; all words are equally frequent."""
    rng = np.random.default_rng(1)
    letters = b" ".join(WORDS * 5).split()
    starts, lengths = rng.integers(0, 8, count), rng.integers(4, 20, count)
    texts = [b" ".join(letters[start : start + length]) for start, length in zip(starts, lengths, strict=True)]
    return [TOKENIZER.encode(text).ids for text in texts]


def model_of(rows: list[Ids], seed: int = 1) -> LanguageModel:
    return LanguageModel(SIZE, UNITS, np.bincount(np.concatenate(rows), minlength=SIZE), seed)


def prepared(
    seed: int = 1, checkpoint: Checkpoint | None = None, told: list[StageProgress] | None = None
) -> Preparation:
    return Preparation(seed, checkpoint, lambda p: None if told is None else told.append(p))


def full_softmax(model: LanguageModel, ids: Ids) -> tuple[float, float]:
    """Returns the cross entropy over all words, forward and backward, in float64 by its definition."""
    states = np.asarray(model.body(ids), np.float64)
    embedding, bias = np.asarray(model.body.trainable_variables[0], np.float64), np.asarray(model._bias, np.float64)
    sums = []
    for direction, projection in enumerate(model._projections):
        losses = []
        for row in range(len(ids)):
            for t in range(ids.shape[1]):
                neighbour = t + 1 if direction == 0 else t - 1
                if ids[row, t] == 0 or not 0 <= neighbour < ids.shape[1] or ids[row, neighbour] < UNKNOWN_ID:
                    continue
                half = states[row, t, direction * UNITS : (direction + 1) * UNITS]
                logits = embedding[UNKNOWN_ID:] @ (half @ np.asarray(projection, np.float64)) + bias[UNKNOWN_ID:]
                losses.append(np.log(np.exp(logits).sum()) - logits[ids[row, neighbour] - UNKNOWN_ID])
        sums.append(float(np.mean(losses)))
    return sums[0], sums[1]


def test_the_recurrences_learn_a_pattern() -> None:
    """In both directions, the next word of the pattern is certain."""
    rows = corpus()
    told: list[StageProgress] = []
    weights = pretrain(rows, TOKENIZER, units=UNITS, epochs=40, preparation=prepared(told=told))
    assert [weight.shape for weight in weights] == [(SIZE, UNITS), *[(UNITS, UNITS), (UNITS, UNITS), (UNITS,)] * 2]
    assert [(p.done, p.total) for p in told] == [(i + 1, 80) for i in range(80)]
    # A least-squares fit on the states alone must predict the next word.
    model = model_of(rows)
    for variable, weight in zip(model.body.trainable_variables, weights, strict=True):
        variable.assign(weight)
    for half, step in ((slice(None, UNITS), 1), (slice(UNITS, None), -1)):
        x, y = [], []
        for row in rows:
            states = np.asarray(model.body(row[None]))[0, :, half]
            for t in range(1, len(row)):
                if 0 <= t + step < len(row) and row[t + step] > START_ID:
                    x.append([*states[t], 1.0])
                    y.append(np.eye(SIZE)[row[t + step]])
        fitted, *_ = np.linalg.lstsq(np.array(x), np.array(y), rcond=None)
        assert ((np.array(x) @ fitted).argmax(1) == np.array(y).argmax(1)).mean() > 0.95


def test_the_loss_falls_far_below_that_of_frequencies() -> None:
    """The loss of the unigram is log 8 = 2.08 nats."""
    rows = corpus()
    model = model_of(rows)
    ids = TOKENIZER.pad(rows)
    optimizer = keras.optimizers.Adam(1e-2)
    optimizer.build(model.variables)
    rng = np.random.default_rng(2)
    for _ in range(150):
        with tf.GradientTape() as tape:
            loss = model.loss(tf.constant(ids), tf.constant(model.draw(rng)))
        optimizer.apply(tape.gradient(loss, [v.value for v in model.variables]), model.variables)
    forward, backward = full_softmax(model, ids)
    assert forward < 0.5  # the first word is uncertain: log 8 nats at about one position in twelve
    assert backward < 0.5
    assert forward < np.log(8) / 4


def test_with_every_word_drawn_once_the_loss_is_the_full_softmax() -> None:
    """Then there is no correction, and the right word is in the sum once, not twice."""
    rows = corpus(16)
    model = model_of(rows)
    rng = np.random.default_rng(3)
    model._bias.assign(rng.normal(size=SIZE).astype(np.float32))
    model._log_expected = tf.zeros(SIZE)
    ids = TOKENIZER.pad(rows)
    expected = np.mean(full_softmax(model, ids))
    actual = float(model.loss(tf.constant(ids), tf.constant(np.arange(UNKNOWN_ID, SIZE, dtype=np.int32))))
    # A logit has UNITS + 2 terms of at most 4, the sum of exponentials has SIZE, and the mean some 200 of at most 8.
    assert actual == pytest.approx(expected, abs=(4 * (UNITS + 2) + 8 * (SIZE + 200)) * 2.0**-24)


def test_the_sampled_softmax_equals_its_formula_in_numpy() -> None:
    """For one batch and its draw: log(exp(s_right) + the sum of exp(s_drawn) without the right word) - s_right."""
    rows = corpus(6)
    model = model_of(rows)
    rng = np.random.default_rng(5)
    model._bias.assign(rng.normal(size=SIZE).astype(np.float32))
    for projection in model._projections:
        projection.assign(rng.normal(size=(UNITS, UNITS)).astype(np.float32))
    ids, drawn = TOKENIZER.pad(rows), model.draw(rng)
    counts = np.bincount(np.concatenate(rows), minlength=SIZE).astype(np.float64)
    counts[:UNKNOWN_ID] = 0
    probs = counts**0.75 / (counts**0.75).sum()
    offset = np.asarray(model._bias, np.float64) - np.log(512 * probs + 1e-12)
    states, embedding = np.asarray(model.body(ids), np.float64), np.asarray(model._embedding, np.float64)
    means = []
    for direction in (0, 1):
        projection, losses = np.asarray(model._projections[direction], np.float64), []
        for row, t in np.argwhere(ids > 0):
            neighbour = t + 1 - 2 * direction
            if 0 <= neighbour < ids.shape[1] and ids[row, neighbour] > START_ID:
                half = states[row, t, direction * UNITS : (direction + 1) * UNITS] @ projection
                scores = embedding @ half + offset
                right = ids[row, neighbour]
                wrong = np.exp(scores[drawn[drawn != right]]).sum()
                losses.append(np.log(np.exp(scores[right]) + wrong) - scores[right])
        means.append(np.mean(losses))
    # Each logarithm of 512 terms of at most e^6 is accurate to gamma_{512 + 2 * UNITS} in float32, and so is the mean.
    assert float(model.loss(tf.constant(ids), tf.constant(drawn))) == pytest.approx(np.mean(means), abs=2e-4)


def test_padding_and_the_start_are_never_targets() -> None:
    rows = corpus(16)
    model = model_of(rows)
    rng = np.random.default_rng(2)
    assert {int(i) for _ in range(50) for i in model.draw(rng)} == set(range(3, SIZE)), (
        "they should not be drawn either"
    )
    ids, drawn = TOKENIZER.pad(rows), tf.constant(model.draw(rng))
    before = float(model.loss(tf.constant(ids), drawn))
    bias = np.zeros(SIZE, np.float32)
    bias[:UNKNOWN_ID] = 50  # the loss would grow if these tokens were among the candidates
    model._bias.assign(bias)
    assert float(model.loss(tf.constant(ids), drawn)) == before
    wider = np.pad(ids, ((0, 0), (7, 0)))
    # They do not count in the mean either: more padding changes the loss only by rounding, some 300 terms of 3 nats.
    assert float(model.loss(tf.constant(wider), drawn)) == pytest.approx(before, rel=300 * 2.0**-24)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others() -> None:
    def train(seed: int) -> list[bytes]:
        weights = pretrain(corpus(), TOKENIZER, units=UNITS, epochs=2, preparation=prepared(seed))
        return [weight.tobytes() for weight in weights]

    first = train(1)
    assert first == train(1)
    assert first != train(2)


def test_a_resumed_pretraining_gives_the_same_bits(tmp_path: Path) -> None:
    """It dies in the first epoch, in the second, and when both epochs are done."""
    whole = pretrain(corpus(), TOKENIZER, units=UNITS, epochs=2, preparation=prepared())
    for at in (1, 3, 4):

        def die(p: StageProgress, at: int = at) -> None:
            if p.done == at:
                raise DeathError

        preparation = dataclasses.replace(prepared(checkpoint=Checkpoint(tmp_path / "c", {})), on_stage=die)
        with pytest.raises(DeathError):
            pretrain(corpus(), TOKENIZER, units=UNITS, epochs=2, preparation=preparation)
    told: list[StageProgress] = []
    for expected in ([3, 4], []):
        told.clear()
        preparation = prepared(checkpoint=Checkpoint(tmp_path / "c", {}), told=told)
        resumed = pretrain(corpus(), TOKENIZER, units=UNITS, epochs=2, preparation=preparation)
        assert [p.done for p in told] == expected, "no finished epoch should be trained again"
        assert [weight.tobytes() for weight in resumed] == [weight.tobytes() for weight in whole]


def test_empty_texts_and_single_words_do_no_harm() -> None:
    """They fill whole batches here, whose losses would be means over no position."""
    short = [TOKENIZER.encode(text).ids for text in (*[b""] * 130, *[b"a"] * 70)]
    weights = pretrain([*short, *corpus(3)], TOKENIZER, units=UNITS, epochs=2, preparation=prepared())
    assert all(np.isfinite(weight).all() for weight in weights)
    alone = pretrain(corpus(3), TOKENIZER, units=UNITS, epochs=2, preparation=prepared())
    assert not np.array_equal(weights[0], model_of(short).body.get_weights()[0]), (
        "the other texts should have been learned"
    )
    assert len(alone) == len(weights)
    nothing = pretrain(short, TOKENIZER, units=UNITS, epochs=2, preparation=prepared())
    for weight, start in zip(nothing, model_of(short).body.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, start)

"""Tests temperatures: a known one is found again, the fit agrees with SciPy, and it is folded into the head."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from scipy.optimize import minimize_scalar

from rnnx.bundle.directory import read_directory
from rnnx.bundle.samples import samples_from_json
from rnnx.errors import ModelError
from rnnx.metrics.calibration import measure_calibration
from rnnx.train.batches import SeriesSource
from rnnx.train.networks import article_network
from rnnx.train.temperature import (
    HIGHEST_TEMPERATURE,
    LOWEST_TEMPERATURE,
    Logits,
    fit_temperature,
    fold_temperature,
    temper,
)

pytestmark = pytest.mark.train

UNIT_ROUNDOFF = 2.0**-24


def softmax(logits: Logits) -> Logits:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def likelihood(logits: Logits, label_ids: npt.NDArray[np.integer], temperature: float) -> float:
    """Returns the negative log likelihood, computed with log-sum-exp."""
    z = logits / temperature
    top = z.max(axis=1)
    return float((top + np.log(np.exp(z - top[:, None]).sum(axis=1)) - z[np.arange(len(z)), label_ids]).mean())


def drawn(rng: np.random.Generator, count: int, labels: int) -> tuple[Logits, npt.NDArray[np.int64]]:
    """Draws calibrated logits, and labels from them; for two labels, the first logit is 0 as with a sigmoid."""
    logits = rng.normal(0, 2, (count, labels))
    if labels == 2:
        logits[:, 0] = 0
    label_ids = np.array([rng.choice(labels, p=row) for row in softmax(logits)])
    return logits, label_ids


@pytest.mark.parametrize("labels", [2, 4])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found_again(labels: int, temperature: float) -> None:
    logits, label_ids = drawn(np.random.default_rng(labels), 20_000, labels)
    found = fit_temperature(logits * temperature, label_ids)
    # The second derivative of the likelihood by 1 / T is the Fisher information of one example. So the estimate of
    # 1 / T has the standard error 1 / sqrt(count * information); five standard errors are allowed.
    probs = softmax(logits)
    scaled = logits * temperature
    information = ((probs * scaled**2).sum(axis=1) - (probs * scaled).sum(axis=1) ** 2).mean()
    assert abs(1 / temperature - 1 / found) <= 5 / np.sqrt(len(logits) * information)


@settings(deadline=None, max_examples=50)
@given(st.integers(20, 200), st.integers(2, 5), st.floats(0.3, 8), st.integers(0, 2**31))
def test_the_fit_reaches_the_minimum_of_scipy(count: int, labels: int, sharpness: float, seed: int) -> None:
    logits, label_ids = drawn(np.random.default_rng(seed), count, labels)
    logits *= sharpness
    found = fit_temperature(logits, label_ids)
    bounds = 1 / HIGHEST_TEMPERATURE, 1 / LOWEST_TEMPERATURE
    best = minimize_scalar(
        lambda beta: likelihood(logits, label_ids, 1 / beta), bounds=bounds, method="bounded", options={"xatol": 1e-9}
    )
    assert LOWEST_TEMPERATURE <= found <= HIGHEST_TEMPERATURE
    # The two sums add in different orders, which gives some hundred roundings in float64.
    assert likelihood(logits, label_ids, found) <= best.fun * (1 + 1e-13) + 1e-13


def test_an_overconfident_set_is_calibrated() -> None:
    logits, label_ids = drawn(np.random.default_rng(7), 5000, 3)
    logits *= 3
    found = fit_temperature(logits, label_ids)
    said = logits.argmax(axis=1)
    before = measure_calibration(softmax(logits), label_ids, said)
    after = measure_calibration(softmax(logits / found), label_ids, said)
    assert before.expected_calibration_error > 0.1
    assert after.expected_calibration_error < before.expected_calibration_error / 5
    assert after.negative_log_likelihood is not None
    assert before.negative_log_likelihood is not None
    assert after.negative_log_likelihood < before.negative_log_likelihood
    assert sum(b.count * b.accuracy for b in after.bins) == pytest.approx(
        sum(b.count * b.accuracy for b in before.bins)
    )


@pytest.mark.parametrize(
    ("logits", "label_ids", "expected"),
    [
        ([[0, 3], [0, -2]], [1, 0], LOWEST_TEMPERATURE),  # all labels are right, so 0 would be best
        ([[0, 3], [0, -2]], [0, 1], HIGHEST_TEMPERATURE),  # all labels are wrong, so infinity would be best
        ([[0, 2], [0, 2]], [0, 1], HIGHEST_TEMPERATURE),  # the logits are independent of the labels
        ([[0, 0], [1, 1]], [0, 1], 1.0),  # no logits
        ([[0, 1e300], [0, -1e300]], [1, 0], 1.0),  # at any temperature, all probabilities are 0 or 1
        ([[0, 1e300], [0, -1e300]], [0, 1], HIGHEST_TEMPERATURE),
        ([[0, 2], [0, 2], [0, 2]], [1, 1, 0], 2 / np.log(2)),  # sigmoid(2 / T) = 2 / 3
    ],
)
def test_a_temperature_without_a_minimum_is_bounded(
    logits: list[list[float]], label_ids: list[int], expected: float
) -> None:
    found = fit_temperature(np.array(logits, np.float64), np.array(label_ids))
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_logits_that_are_not_numbers_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="all of them finite"):
        fit_temperature(np.array([[0, value]]), np.array([1]))
    with pytest.raises(ValueError, match="at least one row"):
        fit_temperature(np.zeros((0, 2)), np.zeros(0, np.int64))


def network(outputs: int, activation: str, *, has_bias: bool = True, seed: int = 0) -> keras.Model:
    keras.utils.set_random_seed(seed)
    x = keras.Input((None, 3), name="x")
    y = layers.SimpleRNN(8, name="rnn")(x)
    y = layers.Dense(outputs, activation=activation, use_bias=has_bias, bias_initializer="normal", name="probs")(y)
    return keras.Model(x, y, name="own")


def states_of(model: keras.Model, x: npt.NDArray[np.float32]) -> Logits:
    return np.asarray(keras.Model(model.inputs, model.layers[-1].input).predict_on_batch(x), np.float64)


def logits_of(model: keras.Model, states: Logits) -> Logits:
    kernel, *bias = (np.asarray(weight, np.float64) for weight in model.layers[-1].get_weights())
    return np.asarray(states @ kernel + (bias[0] if bias else 0))


@pytest.mark.parametrize(("outputs", "activation"), [(1, "sigmoid"), (4, "softmax")])
@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("temperature", [0.7, 2.0, 3.3])
def test_a_folded_temperature_divides_the_logits(
    outputs: int, activation: str, has_bias: bool, temperature: float
) -> None:
    model = network(outputs, activation, has_bias=has_bias)
    weights = [weight.copy() for weight in model.get_weights()]
    folded = fold_temperature(model, temperature)
    assert all(
        np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True)
    )  # the original network is unchanged
    x = np.random.default_rng(1).normal(size=(200, 6, 3)).astype(np.float32)
    states = states_of(model, x)
    expected, actual = logits_of(model, states) / temperature, logits_of(folded, states)
    # Each weight is rounded once, by at most u of its size; the roundings of float64 are negligible.
    kernel, *bias = (np.abs(weight) / temperature for weight in weights[-1 - has_bias :])
    bound = 1.001 * UNIT_ROUNDOFF * (np.abs(states) @ kernel + (bias[0] if bias else 0))
    assert (np.abs(expected - actual) <= bound).all()
    if temperature == 2.0:
        assert np.array_equal(expected, actual)
    # In Keras, a logit sums fewer than ten products of a weight with a number of at most 1: 12 roundings. The
    # activation has a slope of at most 1/4, and its own error is some units in the last place of 1.
    spread = expected if outputs > 1 else np.hstack([np.zeros_like(expected), expected])
    probs = softmax(spread) if outputs > 1 else softmax(spread)[:, 1:]
    assert np.abs(probs - folded.predict_on_batch(x)).max() <= 12 * bound.max() / 4 + 8 * UNIT_ROUNDOFF


@pytest.mark.parametrize(("outputs", "activation"), [(1, "sigmoid"), (4, "softmax")])
def test_a_folded_temperature_changes_no_label(outputs: int, activation: str) -> None:
    """This holds if the margin is larger than the rounding of the weights, and for ties."""
    model = network(outputs, activation, seed=2)
    x = np.random.default_rng(2).normal(size=(500, 6, 3)).astype(np.float32)
    x[0] = 0  # with a state of zeros, only the bias decides
    kernel, bias = model.layers[-1].get_weights()
    bias[:] = bias[0] if outputs > 1 else 0
    if outputs > 1:
        kernel[:, 2] = kernel[:, 1]  # these two labels tie whenever they win
    model.layers[-1].set_weights([kernel, bias])
    folded = fold_temperature(model, 3.3)
    before, after = model.predict_on_batch(x), folded.predict_on_batch(x)
    if outputs == 1:
        assert before[0, 0] == after[0, 0] == 0.5
        assert np.array_equal(before >= 0.5, after >= 0.5)
        return
    assert np.array_equal(before.argmax(axis=1), after.argmax(axis=1))
    assert len(np.unique(after[0])) == 1
    assert np.array_equal(before[:, 1], before[:, 2])
    assert np.array_equal(after[:, 1], after[:, 2])
    assert (after.argmax(axis=1) == 1).any()
    assert not (after.argmax(axis=1) == 2).any()


def test_a_temperature_is_folded_into_a_sequential() -> None:
    """This is the network of the article; dividing by a power of two rounds nothing."""
    model = article_network(50, 3, "softmax")
    folded = fold_temperature(model, 4.0)
    kernel, bias = model.layers[-1].get_weights()
    assert np.array_equal(folded.layers[-1].get_weights()[0], kernel / 4)
    assert np.array_equal(folded.layers[-1].get_weights()[1], bias / 4)
    assert np.array_equal(folded.get_weights()[0], model.get_weights()[0])


def test_a_head_that_cannot_take_a_temperature_is_named() -> None:
    model = network(3, "linear")
    with pytest.raises(ModelError, match="layer probs: its activation is linear, not sigmoid or softmax"):
        fold_temperature(model, 2.0)
    softmaxed = keras.Model(model.inputs, layers.Softmax(name="softer")(model.outputs[0]), name="own")
    with pytest.raises(ModelError, match="layer softer: it is a Softmax, not a Dense that gives the output"):
        fold_temperature(softmaxed, 2.0)
    two = keras.Model(model.inputs, [model.outputs[0], model.layers[1].output], name="own")
    with pytest.raises(ModelError, match="model own has 2 outputs"):
        fold_temperature(two, 2.0)
    for temperature in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match="a temperature should be above 0"):
            fold_temperature(network(1, "sigmoid"), temperature)


class _OneInput(SeriesSource):
    """Sequences without their mask, for a network that reads none."""

    def stack(self, chosen: npt.NDArray[np.intp]) -> tuple[Any, ...]:
        (numbers, _), targets = super().stack(chosen)
        return numbers, targets


@pytest.mark.parametrize(("outputs", "activation"), [(1, "sigmoid"), (3, "softmax")])
def test_the_measured_calibration_is_that_of_the_folded_network(outputs: int, activation: str) -> None:
    rng = np.random.default_rng(3)
    model = network(outputs, activation)
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([5 * kernel, bias])  # more confident than its labels justify
    rows = [rng.normal(size=(int(length), 3)).astype(np.float32) for length in rng.integers(1, 9, 300)]
    labels = max(outputs, 2)
    targets = rng.integers(0, labels, (300, 1)).astype(np.int32)
    source = _OneInput(rows, targets)
    # Batches of one text have no padding, which this network would read.
    tempered = temper(model, source, 1)
    probs = np.concatenate([tempered.model.predict_on_batch(row[None]) for row in rows])
    probs = probs if outputs > 1 else np.hstack([1 - probs, probs])
    said = probs.argmax(axis=1)
    figures = measure_calibration(probs, targets[:, 0], said)
    assert tempered.temperature > 1
    assert tempered.after.negative_log_likelihood == pytest.approx(figures.negative_log_likelihood, abs=1e-6)
    assert tempered.after.brier_score == pytest.approx(figures.brier_score, abs=1e-6)
    assert tempered.before.negative_log_likelihood is not None
    assert tempered.after.negative_log_likelihood is not None
    assert tempered.after.negative_log_likelihood < tempered.before.negative_log_likelihood
    assert set(tempered.figures()) == {"temperature", "validation_calibration"}


def test_a_network_that_gives_nan_is_refused() -> None:
    model = network(1, "sigmoid")
    model.set_weights([np.full_like(weight, np.nan) for weight in model.get_weights()])
    source = _OneInput([np.ones((2, 3), np.float32)] * 4, np.array([[0], [1], [0], [1]], np.int32))
    with pytest.raises(ModelError, match="model own gives no finite number for 4 of 4 validation examples"):
        temper(model, source, 2)


def test_a_run_is_tempered_if_its_recipe_says_so(tiny_run: Path) -> None:
    """Its samples must be the answers of the network that is kept."""
    run = read_directory(tiny_run)
    metrics = json.loads(run["metrics.json"])
    if tiny_run.name == "article":
        assert "temperature" not in metrics
        return
    assert LOWEST_TEMPERATURE <= metrics["temperature"] <= HIGHEST_TEMPERATURE
    assert metrics["temperature"] != 1
    calibration = metrics["validation_calibration"]
    assert set(calibration) == {"before", "after"}
    assert calibration["after"]["negative_log_likelihood"] < calibration["before"]["negative_log_likelihood"]
    assert sum(row["count"] for row in calibration["after"]["bins"]) == 24  # a tenth of 240
    right = sum(row["count"] * row["accuracy"] for row in calibration["after"]["bins"])
    assert right / 24 == pytest.approx(metrics["validation_accuracy"], abs=1e-6)  # Keras computes it in float32
    from rnnx.text.tokenizer import Tokenizer, Vocabulary

    assert run.config.tokenizer is not None
    tokenizer = Tokenizer(run.config.tokenizer, Vocabulary.from_bytes(run["vocabulary.txt"]))
    model = keras.saving.load_model(tiny_run / "model.keras")
    for sample in samples_from_json(run["samples.json"])[:5]:
        (prob,) = model.predict_on_batch(tokenizer.pad([tokenizer.encode(sample.text).ids]))[0]
        assert sample.probability == pytest.approx(max(prob, 1 - prob), abs=1e-6)

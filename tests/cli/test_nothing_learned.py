"""Tests the warning that a network has learned nothing. No TensorFlow."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rnnx.cli.train_messages import warn_of_no_learning
from rnnx.datasets import Dataset, Series, SeriesDataset
from rnnx.train.held_out import HeldOut

DATA = Dataset.from_pairs("mine", [(b"x", "bad"), (b"y", "good")])


def fitted(held_out: HeldOut | None, name: str = "accuracy", score: float = 0.5) -> Any:
    return SimpleNamespace(held_out=held_out, best=SimpleNamespace(name=name, validation_score=score))


def test_a_network_that_is_no_better_than_the_majority_is_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    warn_of_no_learning(fitted(HeldOut.of(np.array([1, 1, 1, 0]), np.array([1, 1, 1, 1]))), DATA)
    assert capsys.readouterr().err == (
        "warning: mine: the network has learned nothing: it is right for 75.0 % of the held-out part, and always "
        "answering good for 75.0 %; check that the right columns are read, and try more data, --epochs, another "
        "--learning-rate, or --class-weights balanced\n"
    )


def test_sequences_have_no_columns_to_check(capsys: pytest.CaptureFixture[str]) -> None:
    series = Series([np.zeros((2, 1), np.float32)] * 2, np.arange(2, dtype=np.int32))
    data = SeriesDataset("mine", ("bad", "good"), series, None, "classification")
    warn_of_no_learning(fitted(HeldOut.of(np.array([1, 1, 1, 0]), np.array([1, 1, 1, 1]))), data)
    assert "; check that row i of y belongs to row i of x, and try more data, --epochs" in capsys.readouterr().err


def test_values_that_are_not_predicted_are_said_to_be(capsys: pytest.CaptureFixture[str]) -> None:
    warn_of_no_learning(fitted(None, "r2", -0.1), DATA)
    assert "on the held-out part it is no better than the mean of the values" in capsys.readouterr().err


def test_a_network_that_has_learned_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    warn_of_no_learning(fitted(HeldOut.of(np.array([1, 1, 1, 0]), np.array([1, 1, 1, 0]))), DATA)
    warn_of_no_learning(fitted(None, "r2", 0.1), DATA)
    assert capsys.readouterr().err == ""

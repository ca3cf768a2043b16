"""Tests the plot of the training curves through the axes of its figure, because the picture itself cannot be read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from rnnx.train.curves import draw_curves
from rnnx.train.fit import Epoch
from rnnx.train.task import Score

pytestmark = pytest.mark.train


def history_of(scores: Sequence[float], losses: Sequence[float], name: Score = "accuracy") -> list[Epoch]:
    """Returns a history in which validation is 0.05 below in the score and 0.05 above in the loss."""
    pairs = enumerate(zip(scores, losses, strict=True), 1)
    return [Epoch(i, loss, score, loss + 0.05, score - 0.05, name) for i, (score, loss) in pairs]


def axes_of(history: Sequence[Epoch], best: Epoch, monkeypatch: pytest.MonkeyPatch) -> list[Axes]:
    figures: list[Figure] = []
    original = Figure.savefig

    def keep(figure: Figure, *args: Any, **options: Any) -> None:
        figures.append(figure)
        original(figure, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Figure, "savefig", keep)
        draw_curves(history, best, "title")
    return figures[0].axes


def values_of(line: Line2D) -> tuple[list[float], list[float]]:
    return np.asarray(line.get_xdata()).tolist(), np.asarray(line.get_ydata()).tolist()


def legend_of(axes: Axes) -> list[str]:
    legend = axes.get_legend()
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def test_training_is_drawn_as_dots_and_validation_as_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    history = history_of([0.63, 0.8, 0.9, 0.93], [0.6, 0.4, 0.3, 0.25])
    left, right = axes_of(history, history[2], monkeypatch)
    assert (left.get_title(), right.get_title()) == ("Training and validation accuracy", "Training and validation loss")
    assert (left.get_xlabel(), left.get_ylabel(), right.get_ylabel()) == ("Epoch", "Accuracy", "Loss")
    for axes, attribute in ((left, "score"), (right, "loss")):
        _, training, validation, kept = axes.get_lines()
        assert (training.get_linestyle(), training.get_marker()) == ("None", "o")
        assert validation.get_linestyle() == "-"
        assert values_of(training) == ([1, 2, 3, 4], [getattr(epoch, attribute) for epoch in history])
        assert values_of(validation)[1] == [getattr(epoch, f"validation_{attribute}") for epoch in history]
        assert values_of(kept)[0] == [3]
    assert legend_of(left)[2] == "Kept: epoch 3, validation accuracy 0.8500"
    assert legend_of(right)[2] == "Kept: epoch 3, validation loss 0.3500"
    assert left.get_ylim()[0] == pytest.approx(0.5)
    assert right.get_ylim()[0] == 0


@pytest.mark.parametrize(
    ("scores", "losses", "name"),
    [
        ([0.9], [0.3], "accuracy"),
        ([0.05, 1.0], [0.0, 0.0], "accuracy"),
        ([-40.0, 0.99], [50.0, 0.01], "r2"),
        ([0.5, 0.5], [math.nan, math.inf], "accuracy"),
        ([math.nan], [math.nan], "accuracy"),
    ],
)
def test_everything_drawn_lies_within_the_axes(
    scores: list[float], losses: list[float], name: Score, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = history_of(scores, losses, name)
    for axes in axes_of(history, history[-1], monkeypatch):
        (bottom, top), (first, last) = axes.get_ylim(), axes.get_xlim()
        assert first < 1 <= len(history) < last
        assert bottom < top
        drawn = [value for line in axes.get_lines()[1:] for value in values_of(line)[1]]
        assert all(bottom <= value <= top for value in drawn if math.isfinite(value))
        assert all(tick == round(tick) for tick in axes.get_xticks())


def test_the_same_history_gives_the_same_bytes() -> None:
    history = history_of([0.7, 0.8], [0.5, 0.4])
    assert draw_curves(history, history[1], "title") == draw_curves(history, history[1], "title")

"""Draws the article's two plots next to each other: accuracy (or R2) and loss per epoch. Imports Matplotlib."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rnnx.train.fit import Epoch

# From the palette of Okabe and Ito, which is distinct for every kind of colour vision; the shapes differ as well.
_BLUE, _VERMILLION, _GREY = "#0072B2", "#D55E00", "#767676"


def draw_curves(history: Sequence[Epoch], best: Epoch, title: str) -> bytes:
    """Draws the curves of a training.

    Args:
        history: One entry per epoch.
        best: The epoch whose weights are kept; it is marked.
        title: The title above both plots.

    Returns:
        A PNG file of 1200 x 450 pixels.
    """
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    figure.suptitle(title, fontsize=13)
    left, right = figure.subplots(1, 2)
    _draw(left, history, best, "score")
    _draw(right, history, best, "loss")
    png = io.BytesIO()
    # The Software key holds the version of Matplotlib; without it, the same history gives the same bytes.
    figure.savefig(png, dpi=100, format="png", metadata={"Software": None})
    return png.getvalue()


def _draw(axes: Axes, history: Sequence[Epoch], best: Epoch, attribute: str) -> None:
    """Draws one plot as the article does: dots for training, a line for validation."""
    what = "loss" if attribute == "loss" else {"r2": "R2", "f1": "F1"}.get(best.name, best.name)
    epochs = [epoch.epoch for epoch in history]
    training = [getattr(epoch, attribute) for epoch in history]
    validation = [getattr(epoch, f"validation_{attribute}") for epoch in history]
    kept = getattr(best, f"validation_{attribute}")
    axes.axvline(best.epoch, color=_GREY, lw=1, ls=":", zorder=1)
    axes.plot(epochs, training, "o", color=_BLUE, ms=7, label=f"Training {what}")
    # A line of a single epoch would be invisible without the small dots.
    axes.plot(epochs, validation, ".-", color=_BLUE, lw=2, ms=5, label=f"Validation {what}")
    axes.plot(
        [best.epoch],
        [kept],
        "o",
        mfc="none",
        mec=_VERMILLION,
        mew=2,
        ms=13,
        label=f"Kept: epoch {best.epoch}, validation {what} {kept:.4f}",
    )
    axes.set(title=f"Training and validation {what}", xlabel="Epoch", ylabel=what[:1].upper() + what[1:])
    axes.set_xlim(0.5, len(history) + 0.5)
    axes.set_ylim(*_limits([value for value in (*training, *validation) if math.isfinite(value)], attribute))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.set_axisbelow(True)
    axes.legend(framealpha=0.9)


def _limits(values: Sequence[float], attribute: str) -> tuple[float | None, float | None]:
    """The limits of the y axis: a loss starts at 0, a score at a tenth below its minimum; None: automatic."""
    if not values:
        return None, None
    if attribute == "loss":
        return 0, max(values) * 1.05 or None
    lowest = math.floor(min(values) * 10 - 0.25) / 10
    return max(lowest, 0.0) if min(values) >= 0 else lowest, min(max(values) + 0.1 * (max(values) - lowest), 1.005)

"""The article's two plots side by side: accuracy (or R2) and loss over the epochs, for training and validation."""

from __future__ import annotations

import io
from collections.abc import Sequence

from matplotlib.figure import Figure

from rnnx.train.fit import Epoch


def draw_curves(history: Sequence[Epoch], best: Epoch, title: str) -> bytes:
    """Draws the curves.

    Args:
        history: One entry per epoch.
        best: The epoch kept; marked.
        title: Above both plots.

    Returns:
        A PNG, 1200 x 450 pixels.
    """
    epochs = [epoch.epoch for epoch in history]
    figure = Figure(figsize=(12, 4.5), layout="constrained")
    figure.suptitle(title)
    names = ("R2" if best.name == "r2" else best.name, "loss")
    for axes, what, attribute in zip(figure.subplots(1, 2), names, ("score", "loss"), strict=True):
        axes.plot(epochs, [getattr(epoch, attribute) for epoch in history], "bo", label=f"Training {what}")
        values = [getattr(epoch, f"validation_{attribute}") for epoch in history]
        axes.plot(epochs, values, "b", label=f"Validation {what}")
        kept = getattr(best, f"validation_{attribute}")
        axes.plot(
            [best.epoch], [kept], "o", mfc="none", mec="tab:red", ms=12, label=f"Kept: epoch {best.epoch}, {kept:.3f}"
        )
        axes.set(title=f"Training and validation {what}", xlabel="Epoch", ylabel=what[:1].upper() + what[1:])
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    png = io.BytesIO()
    # Without the Software key, which names the matplotlib version, the same history gives the same bytes.
    figure.savefig(png, dpi=100, format="png", metadata={"Software": None})
    return png.getvalue()

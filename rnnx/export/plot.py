"""Plots proofs and differences over the positions of a sequence. Imports matplotlib, without pyplot."""

from __future__ import annotations

import io

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from rnnx.proof.diff import DiffReport
from rnnx.proof.report import ParityReport

_DPI = 100
_SMALLEST = 1e-12  # shown in place of a difference of zero, which a logarithmic axis cannot show


def plot_proof(report: ParityReport) -> bytes:
    """Draws one panel per recurrent layer: the rounding errors of single steps, their bound, and the drift.

    Returns:
        A PNG.
    """
    layers = list(dict.fromkeys(curve.layer for curve in report.drift))
    figure = Figure(figsize=(6.4 * len(layers), 5.2), dpi=_DPI, layout="constrained")
    for i, layer in enumerate(layers):
        axes = figure.add_subplot(1, len(layers), i + 1)
        curves = [curve for curve in report.drift if curve.layer == layer]
        bounds = [max(bound) for bound in zip(*(curve.bound for curve in curves), strict=True)]
        positions = [step + 1 for step in curves[0].steps]
        axes.plot(positions, bounds, color="black", linewidth=2, label="bound of one step")
        for number, curve in enumerate(curves):
            colour = f"C{number}"
            axes.plot(positions, _visible(curve.difference), color=colour, label=f"one step, {curve.runtime}")
            axes.plot(positions, _visible(curve.drift), color=colour, linestyle=":", label=f"drift, {curve.runtime}")
        axes.set(xscale="log", yscale="log", title=layer, xlabel="position", ylabel="difference of the state")
        axes.grid(visible=True, alpha=0.3)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize="small")
    return write_png(figure)


def plot_difference(report: DiffReport) -> bytes:
    """Draws the difference between two computations over the steps, one line per recurrent layer.

    Returns:
        A PNG.
    """
    figure = Figure(figsize=(8, 4.5), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    for curve in report.curves:
        axes.plot(range(1, len(curve.differences) + 1), _visible(curve.differences), label=curve.layer)
    axes.set(yscale="log", xlabel="position", ylabel="largest difference of a state", title=" and ".join(report.names))
    axes.grid(visible=True, alpha=0.3)
    axes.legend()
    return write_png(figure)


def write_png(figure: Figure) -> bytes:
    """Draws a figure as a PNG.

    To find the layout, `savefig` draws the whole figure once before it draws it for the file. The layout alone is
    enough, and gives the same bytes. The figure loses its layout engine.
    """
    FigureCanvasAgg(figure)
    if engine := figure.get_layout_engine():
        engine.execute(figure)
    figure.set_layout_engine("none")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=figure.dpi, metadata={"Software": None})
    return file.getvalue()


def _visible(values: tuple[float, ...]) -> list[float]:
    """Raises values to the smallest one that a logarithmic axis shows."""
    return [max(value, _SMALLEST) for value in values]

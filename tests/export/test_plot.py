"""Tests of the plots of proofs."""

import io

from matplotlib.figure import Figure

from rnnx.export.plot import write_png


def _figure() -> Figure:
    figure = Figure(figsize=(4, 3), dpi=100, layout="constrained")
    axes = figure.add_subplot()
    axes.plot([1, 10, 1000], [1e-9, 1e-6, 1e-7], label="a line")
    axes.set(xscale="log", yscale="log", title="a title", xlabel="position", ylabel="difference")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center")
    return figure


def test_a_figure_that_is_laid_out_first_has_the_bytes_of_one_that_savefig_lays_out() -> None:
    expected = io.BytesIO()
    _figure().savefig(expected, format="png", dpi=100, metadata={"Software": None})
    assert write_png(_figure()) == expected.getvalue()

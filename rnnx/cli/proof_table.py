"""Prints a proof as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rnnx.cli import terminal

if TYPE_CHECKING:
    from rnnx.proof.report import ParityReport


def print_report(report: ParityReport, *, to_stderr: bool = False) -> None:
    """Prints a proof: for each runtime and layer the largest difference, as a share of its bound, and its place."""
    rows = [
        (
            runtime.runtime,
            layer.layer,
            "not finite" if layer.ratio is None else f"{layer.ratio:.3g}",
            f"{layer.probe}{'' if layer.step is None else f', step {layer.step}'}, unit {layer.unit}",
            "-" if runtime.max_abs_diff is None else f"{runtime.max_abs_diff:.2g}",
            "ok" if layer.passed and not runtime.problems else "FAILED",
        )
        for runtime in report.runtimes
        for layer in runtime.layers
    ]
    terminal.write_table(
        ("Runtime", "Layer", "Difference / bound", "Largest at", "End to end", "Verdict"), rows, to_stderr=to_stderr
    )
    if report.precision:
        terminal.note(report.precision.summary)
    for runtime in report.runtimes:
        for problem in runtime.problems[:3]:
            terminal.warning(f"{runtime.runtime}: {problem}")
    for problem in report.problems[:3]:
        terminal.warning(problem)

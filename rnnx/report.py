"""The report of a proof, as a value: figures, where they stand, and the verdict. Imports numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# The row for the whole way from ids to probabilities, against what rounding can carry through the network.
END_TO_END = "end to end"


@dataclass(frozen=True)
class LayerReport:
    """The largest ratio of difference to bound in one layer, and where it stands.

    Attributes:
        layer: The layer's name; `probs` for what follows the recurrence; `end to end` for the whole network.
        ratio: Above 1 fails; None if something was not finite.
        probe: The row's name.
        step: The position, in the order of the computation; None behind the time.
        unit: The unit or class.
        difference: |expected - actual| there.
        bound: What rounding can do there.
    """

    layer: str
    ratio: float | None
    probe: str
    step: int | None
    unit: int
    difference: float | None
    bound: float | None

    @property
    def passed(self) -> bool:
        """Whether rounding explains the difference; not finite never passes."""
        return self.ratio is not None and self.ratio <= 1.0


@dataclass(frozen=True)
class RuntimeReport:
    """One runtime against the reference.

    Attributes:
        runtime: Such as `keras 3.15.1` or `model.onnx, CPUExecutionProvider`.
        layers: Each recurrent layer, then `probs` and `end to end`.
        max_abs_diff: End to end, in probability; None if something was not finite.
        label_count: Probes whose label was compared.
        tie_count: Probes whose label rounding could change; not compared.
        problems: Wrong shape, dtype, values that are not finite, labels that differ; one sentence each.
    """

    runtime: str
    layers: tuple[LayerReport, ...]
    max_abs_diff: float | None
    label_count: int
    tie_count: int
    problems: tuple[str, ...]

    @property
    def worst(self) -> LayerReport:
        """The layer nearest to its bound, or beyond it; the whole way only if no single layer is to blame."""
        rows = [layer for layer in self.layers if layer.layer != END_TO_END]
        whole = [layer for layer in self.layers if layer.layer == END_TO_END and not layer.passed]
        if rows and (not whole or not all(layer.passed for layer in rows)):
            return max(rows, key=lambda layer: np.inf if layer.ratio is None else layer.ratio)
        return max(whole or rows, key=lambda layer: np.inf if layer.ratio is None else layer.ratio)

    @property
    def passed(self) -> bool:
        """Whether there is no problem and every layer is within its bound."""
        return not self.problems and all(layer.passed for layer in self.layers)


@dataclass(frozen=True)
class ParityReport:
    """The proof of one export.

    Attributes:
        text_count: Real texts among the probes.
        trap_count: Made-up inputs among them.
        longest: The longest probe, in ids.
        runtimes: Keras first, then each file on each provider.
        problems: What concerns the whole, such as a label that is not the one recorded at training.
    """

    text_count: int
    trap_count: int
    longest: int
    runtimes: tuple[RuntimeReport, ...]
    problems: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """The verdict."""
        return bool(self.runtimes) and not self.problems and all(runtime.passed for runtime in self.runtimes)

    @property
    def verdict(self) -> str:
        """The verdict in one sentence."""
        if not self.passed:
            return f"FAILED: {self.first_problem}"
        worst = max(self.runtimes, key=lambda runtime: runtime.worst.ratio or 0.0)
        return (
            f"proved: on {self.text_count} texts and {self.trap_count} traps, every step of every runtime is within "
            f"{worst.worst.ratio:.3f} of what float32 rounding can do ({worst.runtime}, layer {worst.worst.layer})"
        )

    @property
    def first_problem(self) -> str:
        """What is wrong, and where; empty if nothing is."""
        if self.problems:
            return self.problems[0]
        for runtime in self.runtimes:
            if not runtime.worst.passed:
                worst = runtime.worst
                size = "not finite" if worst.ratio is None else f"{worst.ratio:.3g} times what rounding can do"
                step = "" if worst.step is None else f", step {worst.step}"
                return f"{runtime.runtime}: layer {worst.layer}{step}, unit {worst.unit} on {worst.probe!r} is {size}"
            if runtime.problems:
                return f"{runtime.runtime}: {runtime.problems[0]}"
        return "" if self.runtimes else "nothing was compared"

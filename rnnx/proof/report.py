"""The report of a proof, as a value: figures, where they stand, and the verdict. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass

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
        layers: Each recurrent layer, then `probs` and `end to end`; none behind ids that differ.
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
        """The first layer, in the order of the computation, that failed; else the one nearest to its bound.

        What is wrong in a layer can reach those behind it. The whole way is to blame only if no single layer is.
        """
        single = [layer for layer in self.layers if layer.layer != END_TO_END] or list(self.layers)
        failed = next((layer for layer in [*single, *self.layers] if not layer.passed), None)
        return failed or max(single, key=lambda layer: layer.ratio or 0.0)

    @property
    def passed(self) -> bool:
        """Whether there is no problem and every layer is within its bound."""
        return not self.problems and all(layer.passed for layer in self.layers)


@dataclass(frozen=True)
class DriftCurve:
    """One layer of one runtime along a sequence of four times the longest that the model reads.

    Attributes:
        runtime: As in its report.
        layer: The recurrent layer.
        steps: Some positions, from 0 on.
        drift: How far the state is from the reference's own by then, the largest unit; it adds up.
        difference: How far the state is from one exact step from the state before, at the unit nearest to its bound.
        bound: What rounding can do to that unit in that step.
    """

    runtime: str
    layer: str
    steps: tuple[int, ...]
    drift: tuple[float, ...]
    difference: tuple[float, ...]
    bound: tuple[float, ...]


@dataclass(frozen=True)
class InvarianceReport:
    """Two ways to ask for the same, which need no reference.

    Attributes:
        runtime: The file and where it ran.
        way: What was varied.
        has_same_bits: Whether nothing differed at all.
        max_abs_diff: In probability; None if something was not finite.
        ratio: The largest difference over what rounding can do to both; above 1 fails.
    """

    runtime: str
    way: str
    has_same_bits: bool
    max_abs_diff: float | None
    ratio: float | None

    @property
    def passed(self) -> bool:
        """Whether rounding explains what differs."""
        return self.ratio is not None and self.ratio <= 1.0


@dataclass(frozen=True)
class DecisionsReport:
    """The labels of a whole data set.

    Attributes:
        dataset: Its name and part.
        count: Texts.
        certain_count: Texts whose label no float32 runtime can change that keeps the bounds (to first order).
        differing: By file: texts whose label is not Keras's.
        wrong: By runtime: certain labels that are not the reference's; any fails.
        max_ratio: By runtime: the largest difference in probability from the reference, over its bound.
    """

    dataset: str
    count: int
    certain_count: int
    differing: dict[str, int]
    wrong: dict[str, int]
    max_ratio: dict[str, float]

    @property
    def passed(self) -> bool:
        """Whether every certain label is right, and every probability within its bound."""
        return not any(self.wrong.values()) and all(ratio <= 1.0 for ratio in self.max_ratio.values())


@dataclass(frozen=True)
class ParityReport:
    """The proof of one export.

    Attributes:
        text_count: Real texts among the probes, or sentences, or sequences of numbers.
        trap_count: Made-up inputs among them.
        longest: The longest probe, in ids.
        runtimes: Keras first, then each file on each provider.
        problems: What concerns the whole, such as a label that is not the one recorded at training.
        invariance: What must not matter, per file.
        drift: Along a long sequence, per runtime and layer.
        decisions: Of a data set, where one was given.
        unit: What `text_count` counts: `texts`, `sentences` or `sequences`.
    """

    text_count: int
    trap_count: int
    longest: int
    runtimes: tuple[RuntimeReport, ...]
    problems: tuple[str, ...] = ()
    invariance: tuple[InvarianceReport, ...] = ()
    drift: tuple[DriftCurve, ...] = ()
    decisions: DecisionsReport | None = None
    unit: str = "texts"

    @property
    def passed(self) -> bool:
        """The verdict."""
        return bool(self.runtimes) and not self.first_problem

    @property
    def verdict(self) -> str:
        """The verdict in one sentence."""
        if not self.passed:
            return f"FAILED: {self.first_problem}"
        worst = max(self.runtimes, key=lambda runtime: runtime.worst.ratio or 0.0)
        # Where the weights expand, the steps are proved and no decision is: that is said, not passed over.
        is_decided = any(runtime.label_count or not runtime.tie_count for runtime in self.runtimes)
        return (
            f"proved: on {self.text_count} {self.unit} and {self.trap_count} made-up inputs, the largest difference "
            f"between any runtime's step and the float64 reference is {worst.worst.ratio:.3f} of the float32 rounding "
            f"bound ({worst.runtime}, layer {worst.worst.layer})"
            f"{'' if is_decided else '; rounding could change every label, so no label was compared'}"
        )

    @property
    def first_problem(self) -> str:
        """What is wrong, and where; empty if nothing is."""
        if self.problems:
            return self.problems[0]
        for runtime in self.runtimes:
            if runtime.layers and not runtime.worst.passed:
                worst = runtime.worst
                size = "not finite" if worst.ratio is None else f"{worst.ratio:.3g} times the float32 rounding bound"
                step = "" if worst.step is None else f", step {worst.step}"
                return f"{runtime.runtime}: layer {worst.layer}{step}, unit {worst.unit} on {worst.probe!r} is {size}"
            if runtime.problems:
                return f"{runtime.runtime}: {runtime.problems[0]}"
        for invariance in self.invariance:
            if not invariance.passed:
                size = (
                    "not finite"
                    if invariance.ratio is None
                    else f"{invariance.ratio:.3g} times the float32 rounding bound"
                )
                return f"{invariance.runtime}: {invariance.way}: the difference is {size}"
        if self.decisions and not self.decisions.passed:
            return (
                f"{self.decisions.dataset}: some labels or probabilities differ by more than float32 rounding explains"
            )
        return "" if self.runtimes else "nothing was compared"

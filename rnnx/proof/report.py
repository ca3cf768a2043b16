"""The report of a proof as values: the figures, where each was measured, and the verdict.

Imports the standard library only.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

# The name of the row that compares the outputs for the same inputs, within what rounding carries through the network.
END_TO_END = "end to end"


@dataclass(frozen=True)
class LayerReport:
    """The largest ratio of difference to bound in one layer, and where it occurs.

    Attributes:
        layer: The layer's name; `probs` for what follows the recurrence; `end to end` for the whole network.
        ratio: Above 1 fails; None if something was not finite.
        probe: The row's name.
        step: The position, in the order of the computation; None for a layer after the time axis is gone.
        unit: The unit or class.
        difference: |expected - actual| at that place.
        bound: The rounding bound at that place.
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
    """The comparison of one runtime with the reference.

    Attributes:
        runtime: Such as `keras 3.15.1` or `model.onnx, CPUExecutionProvider`.
        layers: Each recurrent layer, then `probs` and `end to end`; empty if the ids differ.
        max_abs_diff: The largest end-to-end difference in probability; None if something was not finite.
        label_count: Probes whose label was compared.
        tie_count: Probes whose label rounding could change; not compared.
        problems: Wrong shape, dtype, values that are not finite, labels that differ; one sentence each.
        uncertified_count: Probes that have no bound end to end (`rnnx.rounding.first_order`). Only their steps were
            compared.
        has_jumps: Whether an output depends on what a layer decides by computed numbers, as a comparison does.
    """

    runtime: str
    layers: tuple[LayerReport, ...]
    max_abs_diff: float | None
    label_count: int
    tie_count: int
    problems: tuple[str, ...]
    uncertified_count: int = 0
    has_jumps: bool = False

    @property
    def worst(self) -> LayerReport:
        """The first layer in the order of the computation that failed, or the layer nearest to its bound.

        An error in a layer can reach the layers after it. The end-to-end row is named only if no single layer failed.
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
    """The drift of one layer along a sequence four times as long as the longest that the model reads.

    Attributes:
        runtime: As in its report.
        layer: The recurrent layer.
        steps: Some positions, from 0 on.
        drift: The largest difference of a unit from the reference's own states at that step; it accumulates.
        difference: The difference from one exact step after the runtime's previous state, at the unit nearest to its
            bound.
        bound: The rounding bound of that unit in that step.
    """

    runtime: str
    layer: str
    steps: tuple[int, ...]
    drift: tuple[float, ...]
    difference: tuple[float, ...]
    bound: tuple[float, ...]


@dataclass(frozen=True)
class InvarianceReport:
    """The comparison of two ways to compute the same answers, which needs no reference.

    Attributes:
        runtime: The file and the execution provider.
        way: What was varied.
        has_same_bits: Whether every bit was equal.
        max_abs_diff: In probability; None if something was not finite.
        ratio: The largest difference divided by the rounding bounds of both; above 1 fails.
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
class PrecisionReport:
    """How far Keras is from the float32 network of the same weights, if it computes in another precision.

    The files compute in float32 and are proved against that network, so this decides nothing.

    Attributes:
        policy: The precision, such as `mixed_float16`.
        max_abs_diff: The largest difference of an output; None if Keras's result was not finite.
        label_count: Labels that were compared.
        differing_count: Labels of Keras that are not those of the float32 network.
    """

    policy: str
    max_abs_diff: float | None
    label_count: int
    differing_count: int

    @property
    def summary(self) -> str:
        """The report in one sentence."""
        if self.max_abs_diff is None:
            return f"Keras itself, in {self.policy}, gives results that are not finite"
        labels = f", with {self.differing_count:,} of {self.label_count:,} labels different" if self.label_count else ""
        return (
            f"Keras itself, in {self.policy}, is up to {self.max_abs_diff:.2g} from the float32 network of these "
            f"weights{labels}"
        )


@dataclass(frozen=True)
class DecisionsReport:
    """The comparison of the labels of a whole data set.

    Attributes:
        dataset: Its name and part.
        count: Texts.
        certain_count: Texts whose label no float32 runtime within the bounds can change (to first order).
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
        problems: Problems of the whole export, such as a label that differs from the label recorded at training.
        invariance: Comparisons under batching, order and padding, per file.
        drift: Along a long sequence, per runtime and layer.
        decisions: The labels of a data set, if a data set was given.
        unit: What `text_count` counts: `texts`, `sentences` or `sequences`.
        precision: How far Keras is from the files, if it computes in another precision than float32.
        overflow_count: Inputs that were tried and left out, because the network itself is not finite in float32 there.
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
    precision: PrecisionReport | None = None
    overflow_count: int = 0

    def document(self) -> dict[str, Any]:
        """Returns the report as JSON data, without `precision` and counts that are 0 as a rule if there are none."""
        fields = dataclasses.asdict(self)
        for runtime in fields["runtimes"]:
            if not runtime["uncertified_count"]:
                del runtime["uncertified_count"]
            if not runtime["has_jumps"]:
                del runtime["has_jumps"]
        if self.precision is None:
            del fields["precision"]
        if not self.overflow_count:
            del fields["overflow_count"]
        return fields

    @property
    def passed(self) -> bool:
        """Whether everything was compared and nothing failed."""
        return bool(self.runtimes) and not self.first_problem

    @property
    def verdict(self) -> str:
        """The verdict in one sentence."""
        if not self.passed:
            return f"FAILED: {self.first_problem}"
        worst = max(self.runtimes, key=lambda runtime: runtime.worst.ratio or 0.0)
        # Where the weights expand differences, each step is proved but no label is. The verdict has to say so.
        is_decided = any(runtime.label_count or not runtime.tie_count for runtime in self.runtimes)
        return (
            f"proved: on {self.text_count} {self.unit} and {self.trap_count} made-up inputs, the largest difference "
            f"between any runtime's step and the float64 reference is {worst.worst.ratio:.3f} of the float32 rounding "
            f"bound ({worst.runtime}, layer {worst.worst.layer})"
            f"{'' if is_decided else '; rounding could change every label, so no label was compared'}"
            f"{self.uncertified}{self.overflow}"
        )

    @property
    def overflow(self) -> str:
        """On which inputs the network has no finite answer, to be added to a verdict: empty if there are none."""
        if not self.overflow_count:
            return ""
        return (
            f"; on {self.overflow_count} longer or larger inputs the network itself overflows float32, in Keras too, "
            f"so they were left out: proved are sequences of up to {self.longest} steps"
        )

    @property
    def uncertified(self) -> str:
        """What the proof does not say, to be added to a verdict: empty if every probe has a bound end to end."""
        count = max((runtime.uncertified_count for runtime in self.runtimes), default=0)
        if not count:
            return ""
        reason = "the network amplifies rounding beyond any estimate"
        if any(runtime.has_jumps for runtime in self.runtimes):
            reason += ", or rounding may decide a comparison, an argmax or another jump in it"
        return (
            f"; on {count} of the probes {reason}: each step was proved, but its decisions cannot be certified end to "
            "end"
        )

    @property
    def first_problem(self) -> str:
        """The first problem and its place; empty if there is none."""
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

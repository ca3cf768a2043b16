"""Compares two files, or one file on two devices, on the same inputs: where they first differ, and by how much.

The states are read from the files themselves (`rnnx.onnx_file.visible_states`). Needs NumPy and onnxruntime.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.bundle.labels import choose_label_ids, per_label
from rnnx.bundle.metadata import read_metadata
from rnnx.errors import ModelError, UsageError
from rnnx.onnx_file.messages import parse_model, read_properties
from rnnx.onnx_file.visible_states import with_states
from rnnx.proof.evidence import Evidence, refusing_misfits
from rnnx.proof.evidence_metadata import read_evidence
from rnnx.reference import INPUT_NAME, OUTPUT_NAME, VALUES_NAME
from rnnx.reference.streaming import zero_states
from rnnx.runtime.session import Device, Session
from rnnx.text.tokenizer import Ids, Tokenizer, to_batch, to_bytes

# The tasks that are compared, and what a model of each does.
_TASKS = {
    "classification": "gives a label",
    "multilabel": "gives several labels",
    "regression": "gives a number",
}


@dataclass(frozen=True)
class DiffInput:
    """One input: a text or ids.

    Attributes:
        name: Its name in the report.
        text: The raw bytes of the text; None for ids.
        ids: The ids, `(time,)` int32; None for a text.
    """

    name: str
    text: bytes | None
    ids: Ids | None = None


@dataclass(frozen=True)
class Parting:
    """The place where two computations of the same layers first differ.

    Attributes:
        layer: The first layer, in the order of the computation, whose states differ.
        step: The first step of this layer at which they differ, in the order of its computation.
        unit: The unit with the largest difference at this step.
        difference: That difference.
    """

    layer: str
    step: int
    unit: int
    difference: float


@dataclass(frozen=True)
class InputDifference:
    """The differences on one input.

    Attributes:
        name: The name of the input.
        labels: The labels that the two sides choose, joined by `|` if there are several; empty if they give numbers.
        max_abs_diff: The largest difference in probability, or of the numbers; None if the two sides have different
            sets of labels.
        parting: Where the states first differ; None if all bits are equal, or if the layers are not the same.
        max_state_diff: The largest difference of a state; None if the layers are not the same.
        values: The numbers that the two sides give; empty if they give labels.
    """

    name: str
    labels: tuple[str, ...]
    max_abs_diff: float | None
    parting: Parting | None
    max_state_diff: float | None
    values: tuple[float, ...] = ()

    @property
    def flips(self) -> bool:
        """Whether the two sides choose different labels."""
        return len(set(self.labels)) > 1


@dataclass(frozen=True)
class StepCurve:
    """The largest difference of a layer's states at each step, over all inputs that are long enough."""

    layer: str
    differences: tuple[float, ...]


@dataclass(frozen=True)
class DiffReport:
    """The result of a comparison.

    Attributes:
        names: The names of the two sides.
        task: What both sides do: `classification`, `multilabel` or `regression`.
        inputs: The differences on each input.
        curves: The differences over the steps, for each layer; empty if the layers are not the same.
    """

    names: tuple[str, ...]
    task: str
    inputs: tuple[InputDifference, ...]
    curves: tuple[StepCurve, ...]

    @property
    def flip_count(self) -> int:
        """The number of inputs for which the two sides choose different labels."""
        return sum(given.flips for given in self.inputs)


class Side:
    """One side of the comparison: a file whose states are outputs.

    Attributes:
        name: Its name in the report.
        task: What it does, as in `DiffReport`.
        labels: The labels, in the order of the label ids; empty if it gives a number.
        thresholds: The probability from which each of several labels is given; empty for any other task.
        vocabulary_size: The number of ids.
        evidence: The evidence in the file.
    """

    def __init__(self, name: str, data: bytes, device: Device, tokenizer: Tokenizer | None) -> None:
        """Opens a file.

        Args:
            name: Its name in the report.
            data: The content of the file.
            device: `auto`, `cpu` or `cuda`.
            tokenizer: The tokenizer of the bundle; None for a file outside a bundle.

        Raises:
            DeviceError: If the device is not available.
            ModelError: If the file is broken, was altered, or has no evidence.
        """
        model = parse_model(data)
        properties = read_properties(model)
        self.evidence: Evidence = read_evidence(properties, model)
        about = read_metadata(properties)
        if about.task not in _TASKS or [port.name for port in self.evidence.inputs] != [INPUT_NAME]:
            raise ModelError(
                f"{name}: gives no labels or number for a text or for ids; rnnx diff compares only models that do"
            )
        self.task, self.labels, self.thresholds = about.task, about.labels, about.thresholds
        self.vocabulary_size = about.vocabulary_size
        if self.task == "multilabel" and len(self.thresholds) != len(self.labels):
            raise ModelError(f"{name}: {len(self.thresholds)} thresholds for {len(self.labels)} labels")
        self._tokenizer = tokenizer
        recipe = self.evidence.states.without_cuts
        self._session = Session(with_states(data, recipe, self.evidence.ids), device=device)
        self.name = f"{name}, {self._session.provider}"

    @property
    def gives_labels(self) -> bool:
        """Whether it gives labels, not a number."""
        return self.task != "regression"

    @property
    def reads_text(self) -> bool:
        """Whether it can read a text: with the tokenizer of its bundle, or with that in its graph."""
        return self._tokenizer is not None or self.evidence.ids is not None

    def run(self, given: DiffInput) -> tuple[npt.NDArray[np.float32], dict[str, npt.NDArray[np.float32]]]:
        """Runs one input.

        Returns:
            The probabilities, `(labels,)`, or the number, `(1,)`, and the states by layer, `(time, units)`.

        Raises:
            ModelError: If it cannot read such an input, or if its outputs do not fit its evidence.
        """
        batch = {self._session.input_names[0]: self._encode(given), **zero_states(self.evidence.carried, 1)}
        outputs = self._session.run_by_name(batch)
        with refusing_misfits(self.name):
            states = {layer: outputs[value][:, 0] for layer, value in self.evidence.states.names.items()}
            if any(values.ndim != 2 for values in states.values()):
                raise ValueError("its states are not (time, batch, units)")
            answer = per_label(outputs[OUTPUT_NAME][0]) if self.gives_labels else outputs[VALUES_NAME][0]
            if answer.shape != (len(self.labels) if self.gives_labels else 1,):
                raise ValueError("its probabilities are not one for each label, or it has no single number")
        return answer, states

    def _encode(self, given: DiffInput) -> npt.NDArray[Any]:
        if self.evidence.ids is not None and given.text is not None:
            return to_batch([given.text])
        if given.ids is not None and self.evidence.ids is None:
            return given.ids[None]
        if self._tokenizer is None or given.text is None:
            raise ModelError(
                f"{self.name}: cannot read {given.name!r}: a file without its bundle has no tokenizer; give the bundle"
            )
        return self._tokenizer.pad([self._tokenizer.encode(given.text).ids])

    def label(self, probs: npt.NDArray[np.float32]) -> str:
        """Chooses the label for the probabilities, `(labels,)`; several are joined by `|`, in the order of the ids."""
        if self.task == "multilabel":
            chosen = zip(self.labels, probs.tolist(), self.thresholds, strict=True)
            return "|".join(label for label, probability, least in chosen if probability >= least)
        return self.labels[int(choose_label_ids(probs, 0.5))]


def golden_inputs(a: Side, b: Side) -> list[DiffInput]:
    """Returns the golden vectors of the first file that both sides can read.

    Each side reads a text with its own vocabulary. Ids are compared only if both vocabularies have the same size,
    because otherwise an id does not mean the same word.

    Raises:
        UsageError: If no golden vector is left.
    """
    read_texts = a.reads_text and b.reads_text
    read_ids = not (a.evidence.ids or b.evidence.ids) and a.vocabulary_size == b.vocabulary_size
    (ids,) = a.evidence.inputs
    inputs = []
    for case in a.evidence.cases:
        if case.text is not None and read_texts:
            inputs.append(DiffInput(case.name, to_bytes(case.text)))
        elif read_ids:
            with refusing_misfits(a.name):
                inputs.append(DiffInput(case.name, None, case.inputs[INPUT_NAME].read_input(ids)))
    if not inputs:
        raise UsageError(f"{a.name} and {b.name} have no golden vector that both can read; give bundles, not files")
    return inputs


def compare_sides(a: Side, b: Side, inputs: Sequence[DiffInput]) -> DiffReport:
    """Runs both sides on every input and compares them.

    Args:
        a: One side.
        b: The other side.
        inputs: Texts, which each side tokenizes as its bundle says; or ids.

    Raises:
        ModelError: If a side cannot read an input.
        UsageError: If one side gives labels and the other a number, or only one of them gives several labels.
    """
    if a.task != b.task:
        raise UsageError(f"{a.name} {_TASKS[a.task]}, and {b.name} {_TASKS[b.task]}; rnnx diff compares equal tasks")
    rows, curves = [], dict[str, npt.NDArray[np.float64]]()
    for given in inputs:
        (answer_a, states_a), (answer_b, states_b) = a.run(given), b.run(given)
        is_same_shape = {k: v.shape for k, v in states_a.items()} == {k: v.shape for k, v in states_b.items()}
        differences = {
            layer: np.abs(states_a[layer].astype(np.float64) - states_b[layer])
            for layer in (states_a if is_same_shape else ())
        }
        for layer, difference in differences.items():
            at_step = difference.max(axis=1)
            longest = np.zeros(max(len(at_step), len(curves.get(layer, ()))))
            longest[: len(curves.get(layer, ()))] = curves.get(layer, ())
            longest[: len(at_step)] = np.maximum(longest[: len(at_step)], at_step)
            curves[layer] = longest
        has_same_labels = a.labels == b.labels
        rows.append(
            InputDifference(
                given.name,
                (a.label(answer_a), b.label(answer_b)) if a.gives_labels else (),
                float(np.abs(answer_a.astype(np.float64) - answer_b).max()) if has_same_labels else None,
                _parting(differences),
                max((float(d.max()) for d in differences.values()), default=None) if is_same_shape else None,
                () if a.gives_labels else (float(answer_a[0]), float(answer_b[0])),
            )
        )
    steps = tuple(StepCurve(layer, tuple(values.tolist())) for layer, values in curves.items())
    return DiffReport((a.name, b.name), a.task, tuple(rows), steps)


def _parting(differences: dict[str, npt.NDArray[np.float64]]) -> Parting | None:
    for layer, difference in differences.items():
        steps = np.flatnonzero(difference.any(axis=1))
        if steps.size:
            step = int(steps[0])
            unit = int(difference[step].argmax())
            return Parting(layer, step, unit, float(difference[step, unit]))
    return None

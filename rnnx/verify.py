"""Proves an exported file on this machine: at export against the reference built from Keras, later from the file alone.

From the file alone: its evidence (`rnnx.evidence`) gives the network and the inputs, the file the weights, whose hashes
say that they are Keras's; then the same comparison as at export. Needs numpy and onnxruntime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnnx.errors import ModelError
from rnnx.evidence import Evidence, golden_states, read_evidence, read_reference
from rnnx.infer.session import Device, Session, available_devices
from rnnx.invariance import compare_ways
from rnnx.onnxfile import parse_model, read_properties
from rnnx.parity import Outputs, ProbeBatch, compare_runtime, trace_drift
from rnnx.propagation import Decisions, decide
from rnnx.reference import Array, Network
from rnnx.report import DriftCurve, InvarianceReport, ParityReport, RuntimeReport
from rnnx.states import StatesRecipe, with_states
from rnnx.text import Tokenizer

# The record holds sums of float64 numbers, which another NumPy may add up in another order; an early state or a
# probability is then this near, unless the weights expand: float64 drifts as float32 does, 2^-29 as far.
_REFERENCE_TOLERANCE = 1e-9
_FLOAT64_OVER_FLOAT32 = 2.0**-29


@dataclass(frozen=True, eq=False)
class Candidate:
    """A file to be compared.

    Attributes:
        name: Of the file.
        model: Its bytes.
        recipe: How its states are seen.
    """

    name: str
    model: bytes
    recipe: StatesRecipe


@dataclass(frozen=True, eq=False)
class Comparison:
    """What came out for one file on one device.

    Attributes:
        report: Beside the reference.
        invariance: Beside itself.
        drift: Along the long batch, if there was one.
        probs: What the file gave, one per batch.
    """

    report: RuntimeReport
    invariance: tuple[InvarianceReport, ...]
    drift: tuple[DriftCurve, ...]
    probs: tuple[npt.NDArray[np.float32], ...]


@dataclass(frozen=True)
class Verification:
    """What `rnnx verify` found in one file.

    Attributes:
        file: Its name.
        report: The proof, made anew.
        bits: By runtime, over the golden vectors: `same` as at the export, or `other`, within their bounds.
        max_bits_diff: By runtime, the largest difference in probability from the export's.
    """

    file: str
    report: ParityReport
    bits: dict[str, str]
    max_bits_diff: dict[str, float]


def compare_file(
    candidate: Candidate,
    device: Device,
    network: Network,
    batches: Sequence[ProbeBatch],
    decisions: Sequence[Decisions],
    long_batch: ProbeBatch | None = None,
) -> Comparison:
    """Runs a file on a device and compares it with the reference, and with itself.

    Args:
        candidate: The file.
        device: `cpu` or `cuda`.
        network: The reference.
        batches: What to run; the first one holds rows of many lengths.
        decisions: What the reference says of each batch.
        long_batch: What the drift is followed along.

    Raises:
        DeviceError: If the device is not there.
        ModelError: If onnxruntime cannot load or run the file.
    """
    session = Session(candidate.model, device=device)
    stateful = Session(with_states(candidate.model, candidate.recipe), device=device)
    name = f"{candidate.name}, {session.provider}"
    outputs = [_run(stateful, candidate.recipe.names, batch) for batch in batches]
    report = compare_runtime(name, network, batches, outputs, decisions)
    probs = [session.run(batch.ids)[0] for batch in batches]
    problems = [*report.problems]
    for batch, out, own in zip(batches, outputs, probs, strict=True):
        # The states came from a copy that puts them out: the file itself has to give the same bits.
        if not np.array_equal(own, out.probs, equal_nan=True):
            problems.append(f"the file and its copy with states differ on the batch of {batch.names[0]!r}")
    report = RuntimeReport(**{**vars(report), "problems": tuple(problems)})
    ways = compare_ways(name, network, lambda ids: session.run(ids)[0], batches[0].ids, decisions[0])
    curves: list[DriftCurve] = []
    if long_batch is not None:
        curves = trace_drift(name, network, long_batch, _run(stateful, candidate.recipe.names, long_batch))
    return Comparison(report, tuple(ways), tuple(curves), tuple(probs))


def verify_file(name: str, data: bytes, devices: Sequence[Device], tokenizer: Tokenizer | None = None) -> Verification:
    """Proves a file again, from the evidence inside it.

    Args:
        name: For the report.
        data: The file.
        devices: Where it shall run: `cpu`, `cuda`; `auto` stands for all that are there.
        tokenizer: The bundle's; checked against the golden texts. None for a file alone.

    Raises:
        DeviceError: If a device is not there.
        ModelError: If the file is broken, was altered, or carries no evidence.
    """
    model = parse_model(data)
    properties = read_properties(model)
    evidence = read_evidence(properties, model)
    network = read_reference(evidence, model)
    batches = _batches(evidence, network)
    try:
        decisions = _decide(network, batches)
    except ValueError as error:
        raise ModelError(f"{name}: the golden vectors do not fit the network: {error}") from error
    _require_golden(name, evidence, network, decisions[1:])
    if tokenizer is not None:
        _require_same_ids(name, evidence, tokenizer)
    candidate = Candidate(name, data, evidence.states)
    comparisons = [
        compare_file(candidate, place, network, batches, decisions)
        for device in devices
        for place in (available_devices() if device == "auto" else [device])
    ]
    texts = sum(case.text is not None for case in evidence.cases)
    report = ParityReport(
        texts,
        len(evidence.cases) - texts,
        max(len(case.ids) for case in evidence.cases),
        tuple(comparison.report for comparison in comparisons),
        invariance=tuple(way for comparison in comparisons for way in comparison.invariance),
    )
    bits, differences = {}, {}
    for comparison in comparisons:
        expected = np.array([case.runtime_probs for case in evidence.cases], np.float32)
        actual = np.concatenate(comparison.probs[1:])
        runtime = comparison.report.runtime
        bits[runtime] = "same" if expected.tobytes() == actual.tobytes() else "other"
        differences[runtime] = float(np.nan_to_num(np.abs(expected.astype(np.float64) - actual), nan=1e300).max())
    return Verification(name, report, bits, differences)


def _run(session: Session, states: Mapping[str, str], batch: ProbeBatch) -> Outputs:
    outputs = dict(zip(session.output_names, session.run(batch.ids), strict=True))
    return Outputs(outputs["probs"], {layer: outputs[name].transpose(1, 0, 2) for layer, name in states.items()})


def _batches(evidence: Evidence, network: Network) -> list[ProbeBatch]:
    """All cases as one batch, as far as they can stand in one, and then each alone, as they were recorded."""
    rows = [np.array(case.ids, np.int32) for case in evidence.cases]
    if (
        not rows
        or min(map(len, rows)) < 1
        or any(len(case.probs) != len(case.runtime_probs) for case in evidence.cases)
    ):
        raise ModelError("the evidence in the file holds no golden vectors, or empty ones")
    longest = max(map(len, rows))
    together = [i for i, row in enumerate(rows) if network.masks_zero or len(row) == longest]
    whole = np.stack([np.pad(rows[i], (longest - len(rows[i]), 0)) for i in together])
    names = [case.name for case in evidence.cases]
    alone = [ProbeBatch(row[None], (name,)) for row, name in zip(rows, names, strict=True)]
    return [ProbeBatch(whole, tuple(names[i] for i in together)), *alone]


def _decide(network: Network, batches: Sequence[ProbeBatch]) -> list[Decisions]:
    """Decides the whole batch once; a row of it alone is the same row."""
    whole = decide(network, batches[0].ids)
    rows = {name: i for i, name in enumerate(batches[0].names)}
    decisions = [whole]
    for batch in batches[1:]:
        i = rows.get(batch.names[0])
        decisions.append(decide(network, batch.ids) if i is None else whole.row(i))
    return decisions


def _require_golden(name: str, evidence: Evidence, network: Network, decisions: Sequence[Decisions]) -> None:
    """The reference has to come to what it came to at the export."""
    for case, decision in zip(evidence.cases, decisions, strict=True):
        drift = float(decision.logit_bounds.max()) * _FLOAT64_OVER_FLOAT32
        _require_close(f"{name}: {case.name}", np.array(case.probs), decision.probs[0], drift)
        steps = [record.step for record in case.states]
        states = {
            (record.layer, record.step): record.values
            for record in golden_states(network, np.array(case.ids, np.int32), steps)
        }
        for record in case.states:
            _require_close(
                f"{name}: {case.name}, layer {record.layer}, step {record.step}",
                np.array(record.values),
                np.array(states.get((record.layer, record.step), ())),
            )


def _require_close(what: str, recorded: Array, actual: Array, drift: float = 0.0) -> None:
    allowed = _REFERENCE_TOLERANCE + drift
    if recorded.shape != actual.shape or not np.abs(recorded - actual).max(initial=0.0) <= allowed:
        raise ModelError(f"{what}: the golden vector is not what the reference gives: the evidence is broken")


def _require_same_ids(name: str, evidence: Evidence, tokenizer: Tokenizer) -> None:
    for case in evidence.cases:
        if case.text is None:
            continue
        ids = tokenizer.pad([tokenizer.encode(case.text.encode("utf-8", "surrogateescape")).ids])[0]
        if ids.tolist() != list(case.ids):
            raise ModelError(f"{name}: {case.name}: the vocabulary beside the file gives other ids than at its export")

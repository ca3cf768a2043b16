"""Repeats the proof of an exported file on this machine, from the file alone.

The evidence in the file (`rnnx.proof.evidence`) describes the network and the inputs. The weights are read from the
file, and their hashes show that they are those of Keras. Then the file is compared as at the export
(`rnnx.proof.compare_file`). Needs NumPy and onnxruntime.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.bundle.directory import Directory
from rnnx.bundle.metadata import METADATA_KEY, read_metadata
from rnnx.errors import ModelError
from rnnx.onnx_file.admission import admit
from rnnx.onnx_file.messages import parse_model, read_properties
from rnnx.proof.compare import ProbeBatch, count_numbers
from rnnx.proof.compare_file import Candidate, compare_file
from rnnx.proof.decide_once import decide_once
from rnnx.proof.evidence import FEWEST_NUMBERS, ArrayRecord, Evidence, refusing_misfits
from rnnx.proof.evidence_metadata import read_evidence
from rnnx.proof.recorded_reference import golden_states, read_reference
from rnnx.proof.report import ParityReport
from rnnx.proof.structure import Structure, check_structure
from rnnx.proof.whole_bundle import IdsInUse, find_unused_ids, require_described
from rnnx.reference import INPUT_NAME, Array, Network
from rnnx.rounding.decisions import Decisions
from rnnx.rounding.followed_numbers import spread
from rnnx.runtime.session import Device, devices_for
from rnnx.text.ids import IdEncoder
from rnnx.text.tokenizer import to_bytes
from rnnx.text.word_encoder import WordEncoder

# Another NumPy may add float64 numbers in another order. The states of the first steps and the probabilities then
# differ by less than this. If the weights expand differences, float64 results drift as float32 results do, but 2^-29
# as far.
REFERENCE_TOLERANCE = 1e-9
_FLOAT64_OVER_FLOAT32 = 2.0**-29


@dataclass(frozen=True)
class Verification:
    """The result of `rnnx verify` for one file.

    Attributes:
        file: The name of the file.
        report: The proof, repeated.
        bits: By runtime: `same` if the outputs for the golden vectors have the same bits as at the export, or `other`.
        max_bits_diff: By runtime: the largest difference of these outputs from those at the export.
        ids: For each input of ids, how many of them no golden vector uses.
        structure: Whether every node of the file was accounted for.
        has_vocabulary: Whether the file has all words of its vocabulary, or their hash, so that each was compared.
    """

    file: str
    report: ParityReport
    bits: dict[str, str]
    max_bits_diff: dict[str, float]
    ids: tuple[IdsInUse, ...] = ()
    structure: Structure | None = None
    has_vocabulary: bool = False


def verify_file(
    name: str,
    data: bytes,
    devices: Sequence[Device],
    reader: IdEncoder | None = None,
    directory: Directory | None = None,
) -> Verification:
    """Repeats the proof of a file, from the evidence inside it.

    Args:
        name: The name of the file in the report.
        data: The content of the file.
        devices: The devices to run it on: `cpu`, `cuda`, or `auto` for all that can run it.
        reader: The encoder of the bundle, which turns its texts or words into ids; it is compared with the ids of the
            golden vectors. None for a file outside a bundle.
        directory: The bundle, whose config has to describe the file; None for a file outside a bundle.

    Raises:
        DeviceError: If a device is not available.
        ModelError: If the file is broken, was altered, has no evidence, or is not the one that the config describes.
    """
    with refusing_misfits(name):
        return _verify(name, data, devices, reader, directory)


def _verify(
    name: str, data: bytes, devices: Sequence[Device], reader: IdEncoder | None, directory: Directory | None
) -> Verification:
    data = admit(data)
    model = parse_model(data)
    properties = read_properties(model)
    evidence = read_evidence(properties, model)
    network = read_reference(evidence, model)
    structure = check_structure(name, data, evidence, reader)
    reads_text = evidence.ids is not None and not structure.has_unknown_reader
    has_vocabulary = reads_text or (METADATA_KEY in properties and bool(read_metadata(properties).vocabulary_sha256))
    batches = _batches(evidence, network)
    if directory is not None:
        require_described(name, properties, evidence, network, directory)
    try:
        decisions = decide_once(network, batches)
    except ValueError as error:
        raise ModelError(f"{name}: the golden vectors do not fit the network: {error}") from error
    _require_golden(name, evidence, network, decisions[1:])
    if reader is not None:
        _require_same_ids(name, evidence, reader)
    candidate = Candidate(name, data, evidence.states, evidence.ids, evidence.carried)
    comparisons = [
        compare_file(candidate, place, network, batches, decisions)
        for device in devices
        for place in (devices_for(data) if device == "auto" else [device])
    ]
    text_count = sum(case.text is not None for case in evidence.cases)
    report = ParityReport(
        text_count,
        len(evidence.cases) - text_count,
        max(batch.time for batch in batches),
        tuple(report for comparison in comparisons for report in (comparison.report, *comparison.chunked)),
        invariance=tuple(way for comparison in comparisons for way in comparison.invariance),
        unit=evidence.figures.unit,
        overflow_count=evidence.figures.overflow_count,
    )
    bits, differences = {}, {}
    for comparison in comparisons:
        runtime = comparison.report.runtime
        pairs = [
            (record, answers[output][0])
            for case, answers in zip(evidence.cases, comparison.answers[1:], strict=True)
            for output, record in case.runtime_answers.items()
        ]
        bits[runtime] = "same" if all(record.has_bits_of(answer) for record, answer in pairs) else "other"
        differences[runtime] = max(
            float(np.nan_to_num(np.abs(a.astype(np.float64) - b), nan=1e300).max(initial=0.0))
            for a, b in (record.pair(answer) for record, answer in pairs)
        )
    return Verification(name, report, bits, differences, find_unused_ids(evidence, network), structure, has_vocabulary)


def _batches(evidence: Evidence, network: Network) -> list[ProbeBatch]:
    """Makes one batch of all cases that fit into one, and then one batch of each case alone, as it was recorded."""
    cases = evidence.cases
    ends = network.ends.keys()
    if not cases or not all(case.answers.keys() == case.runtime_answers.keys() == ends for case in cases):
        raise ModelError("the evidence in the file holds no golden vectors, or empty ones")
    if evidence.ids is not None and any(case.text is None for case in cases):
        raise ModelError("the evidence in the file has golden vectors without a text, which it could not read")
    given = [case.given(network) for case in cases]
    names = [case.name for case in cases]
    texts = [to_bytes(case.text or "") for case in cases]
    shapes = {name: values.shape for name, values in max(given, key=count_numbers).items()}
    if network.masks_zero:
        # Each input has its own longest row: that of a decoder may be another one than that of its encoder.
        shapes = {name: max(inputs[name].shape for inputs in given) for name in shapes}
        given_wide = [{name: _widened(values, shapes[name]) for name, values in inputs.items()} for inputs in given]
    else:
        given_wide = given
    together = [i for i, inputs in enumerate(given_wide) if all(v.shape == shapes[name] for name, v in inputs.items())]
    whole = {name: np.concatenate([given_wide[i][name] for i in together]) for name in shapes}
    return [
        ProbeBatch(whole, tuple(names[i] for i in together), tuple(texts[i] for i in together)),
        *(ProbeBatch(inputs, (names[i],), (texts[i],)) for i, inputs in enumerate(given)),
    ]


def _widened(values: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Pads with zeros at the beginning, up to the time of `shape`."""
    return np.pad(values, [(0, 0), (shape[1] - values.shape[1], 0), *[(0, 0)] * (values.ndim - 2)])


def _require_golden(
    name: str, evidence: Evidence, network: Network, decisions: Sequence[Mapping[str, Decisions]]
) -> None:
    """Makes sure that the reference gives the outputs and states that it gave at the export."""
    for case, decision in zip(evidence.cases, decisions, strict=True):
        for output, decided in decision.items():
            followed = decided.logit_bounds[np.isfinite(decided.logit_bounds)]
            # Without a bound for float32 there is none for float64 either; the states of the first steps are compared.
            drift = float(followed.max(initial=0.0)) * _FLOAT64_OVER_FLOAT32 if decided.has_bound.all() else np.inf
            _require_close(f"{name}: {case.name}", *case.answers[output].pair(decided.values[0]), drift)
        if not case.states:
            continue
        steps = [record.step for record in case.states]
        states = {
            (record.layer, record.step): record.values for record in golden_states(network, case.given(network), steps)
        }
        for record in case.states:
            state = np.array(states.get((record.layer, record.step), ()))
            if FEWEST_NUMBERS <= len(record.values) < len(state):  # a sample
                state = state[spread(len(state), len(record.values))]
            _require_close(
                f"{name}: {case.name}, layer {record.layer}, step {record.step}", np.array(record.values), state
            )


def _require_close(what: str, recorded: Array, actual: Array, drift: float = 0.0) -> None:
    if recorded.shape == actual.shape:
        # States of a recurrence with relu may be large; what float64 rounds grows with them.
        allowed = REFERENCE_TOLERANCE * np.maximum(np.abs(recorded), 1.0) + drift
    if recorded.shape != actual.shape or not (np.abs(recorded - actual) <= allowed).all():
        raise ModelError(f"{what}: the golden vector is not what the reference gives: the evidence is broken")


def _require_same_ids(name: str, evidence: Evidence, reader: IdEncoder) -> None:
    for case in evidence.cases:
        if case.text is None:
            continue
        text = to_bytes(case.text)
        if isinstance(reader, WordEncoder):
            read: Mapping[str, npt.NDArray[np.int32]] = reader.encode(text.split(b"\n"))._asdict()
        else:
            read = {INPUT_NAME: reader.pad([reader.encode(text).ids])[0]}
        if {key: ArrayRecord.of(ids) for key, ids in read.items()} != case.inputs:
            raise ModelError(f"{name}: {case.name}: the vocabulary of the bundle gives other ids than at the export")

"""Proves an exported file on this machine: at export against the reference built from Keras, later from the file alone.

From the file alone: its evidence (`rnnx.evidence`) gives the network and the inputs, the file the weights, whose hashes
say that they are Keras's; then the same comparison as at export. Needs numpy and onnxruntime.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.carried import CarriedState, from_zero
from rnnx.chunks import Streamed, compare_chunks
from rnnx.errors import ModelError
from rnnx.evidence import ArrayRecord, Evidence, golden_states, read_evidence, read_reference, refusing_misfits
from rnnx.infer.session import Device, Session, devices_for
from rnnx.invariance import Answers, compare_ways
from rnnx.onnxfile import parse_model, read_properties
from rnnx.parity import Outputs, ProbeBatch, compare_runtime, trace_drift
from rnnx.propagation import Decisions, decide
from rnnx.reference import INPUT_NAME, OUTPUT_NAME, Array, Dense, Network
from rnnx.report import DriftCurve, InvarianceReport, ParityReport, RuntimeReport
from rnnx.states import StatesRecipe, with_states
from rnnx.text import Tokenizer, to_batch
from rnnx.words.encoder import WordEncoder

# The record holds sums of float64 numbers, which another NumPy may add up in another order; an early state or a
# probability is then this near, unless the weights expand: float64 drifts as float32 does, 2^-29 as far.
_REFERENCE_TOLERANCE = 1e-9
_FLOAT64_OVER_FLOAT32 = 2.0**-29
_OTHER_IDS = "ids differ"


@dataclass(frozen=True, eq=False)
class Candidate:
    """A file to be compared.

    Attributes:
        name: Of the file.
        model: Its bytes.
        recipe: How its states are seen.
        ids: For a file that reads text, the value inside that holds the ids; None for one that reads ids.
        carried: For a streaming file, the states that it takes in and puts out.
    """

    name: str
    model: bytes
    recipe: StatesRecipe
    ids: str | None = None
    carried: tuple[CarriedState, ...] = ()


@dataclass(frozen=True, eq=False)
class Comparison:
    """What came out for one file on one device.

    Attributes:
        report: Beside the reference.
        invariance: Beside itself.
        drift: Along the long batch, if there was one.
        answers: What the file gave, by output, one per batch.
        chunked: Beside the reference, in chunks of several sizes; for a streaming file.
    """

    report: RuntimeReport
    invariance: tuple[InvarianceReport, ...]
    drift: tuple[DriftCurve, ...]
    answers: tuple[Answers, ...]
    chunked: tuple[RuntimeReport, ...] = ()


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
    decisions: Sequence[Mapping[str, Decisions]],
    long_batch: ProbeBatch | None = None,
) -> Comparison:
    """Runs a file on a device and compares it with the reference, and with itself.

    Args:
        candidate: The file.
        device: `cpu` or `cuda`.
        network: The reference.
        batches: What to run; the first one holds rows of many lengths.
        decisions: What the reference says of each batch.
        long_batch: What the drift is followed along; not for a file that reads text.

    Raises:
        DeviceError: If the device is not there.
        ModelError: If onnxruntime cannot load or run the file.
    """
    session = Session(candidate.model, device=device)
    stateful = Session(with_states(candidate.model, candidate.recipe, candidate.ids), device=device)
    name = f"{candidate.name}, {session.provider}"
    inputs = [_inputs(candidate, network, batch) for batch in batches]
    run, run_with_states = (from_zero(one.run_by_name, candidate.carried) for one in (session, stateful))
    results = [run_with_states(given) for given in inputs]
    own = [run(given) for given in inputs]
    problems = []
    for batch, result, answers in zip(batches, results, own, strict=True):
        # The states came from a copy that puts them out: the file itself has to give the same bits.
        if not all(np.array_equal(values, result[key], equal_nan=True) for key, values in answers.items()):
            problems.append(f"the file and its copy with states differ on the batch of {batch.names[0]!r}")
        if candidate.ids is not None:
            problems += _text_problems(network, batch, result[candidate.ids], answers[OUTPUT_NAME])
    outputs = [_outputs(candidate, network, result) for result in results]
    if any(problem.startswith(_OTHER_IDS) for problem in problems):
        # Behind other ids no state can be the right one; the ids are what is wrong.
        report = RuntimeReport(name, (), None, 0, 0, tuple(problems))
    else:
        report = compare_runtime(name, network, batches, outputs, decisions)
        report = dataclasses.replace(report, problems=(*report.problems, *problems))

    def ask(given: Mapping[str, npt.NDArray[Any]]) -> Answers:
        return _answers(candidate, network, run(given))

    ways = compare_ways(name, network, ask, inputs[0], decisions[0])
    curves: list[DriftCurve] = []
    if long_batch is not None:
        given = _inputs(candidate, network, long_batch)
        curves = trace_drift(name, network, long_batch, _outputs(candidate, network, run_with_states(given)))
    comparison = Comparison(report, tuple(ways), tuple(curves), tuple(own))
    if not candidate.carried:
        return comparison
    file = Streamed(
        candidate.name,
        session.provider,
        candidate.carried,
        session.run_by_name,
        stateful.run_by_name,
        candidate.recipe.names,
        lambda result: _outputs(candidate, network, result),
    )
    chunked, more_ways = compare_chunks(file, network, batches[0], decisions[0])
    return dataclasses.replace(comparison, invariance=(*ways, *more_ways), chunked=tuple(chunked))


def verify_file(
    name: str, data: bytes, devices: Sequence[Device], reader: Tokenizer | WordEncoder | None = None
) -> Verification:
    """Proves a file again, from the evidence inside it.

    Args:
        name: For the report.
        data: The file.
        devices: Where it shall run: `cpu`, `cuda`; `auto` stands for all that can.
        reader: The bundle's tokenizer, or what makes ids of its words; checked against the golden texts, or sentences.
            None for a file alone.

    Raises:
        DeviceError: If a device is not there.
        ModelError: If the file is broken, was altered, or carries no evidence.
    """
    with refusing_misfits(name):
        return _verify(name, data, devices, reader)


def _verify(name: str, data: bytes, devices: Sequence[Device], reader: Tokenizer | WordEncoder | None) -> Verification:
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
    )
    bits, differences = {}, {}
    for comparison in comparisons:
        runtime = comparison.report.runtime
        pairs = [
            (record.read(np.float32), answers[output][0])
            for case, answers in zip(evidence.cases, comparison.answers[1:], strict=True)
            for output, record in case.runtime_answers.items()
        ]
        bits[runtime] = "same" if all(a.tobytes() == b.tobytes() for a, b in pairs) else "other"
        differences[runtime] = max(
            float(np.nan_to_num(np.abs(a.astype(np.float64) - b), nan=1e300).max(initial=0.0)) for a, b in pairs
        )
    return Verification(name, report, bits, differences)


def _inputs(candidate: Candidate, network: Network, batch: ProbeBatch) -> dict[str, npt.NDArray[Any]]:
    return network.named(batch.given) if candidate.ids is None else {"text": to_batch(batch.texts or ())}


def _outputs(candidate: Candidate, network: Network, result: Mapping[str, npt.NDArray[Any]]) -> Outputs:
    states = {layer: result[name].transpose(1, 0, 2) for layer, name in candidate.recipe.names.items()}
    return Outputs(_answers(candidate, network, result), states)


def _answers(candidate: Candidate, network: Network, result: Mapping[str, npt.NDArray[np.float32]]) -> Answers:
    """The network's own outputs: a file that reads text spells a sigmoid out as two probabilities."""
    if candidate.ids is not None and _ends_in_sigmoid(network):
        return {OUTPUT_NAME: result[OUTPUT_NAME][:, 1:]}
    if missing := network.ends.keys() - result.keys():
        raise ModelError(f"{candidate.name}: the file has no output {', '.join(sorted(missing))}")
    return {name: result[name] for name in network.ends}


def _ends_in_sigmoid(network: Network) -> bool:
    head = network.nodes[-1].layer
    return isinstance(head, Dense) and head.activation == "sigmoid"


def _text_problems(
    network: Network, batch: ProbeBatch, ids: npt.NDArray[np.int32], probs: npt.NDArray[np.float32]
) -> list[str]:
    """The ids have to be those of `rnnx.text`, and the first label's probability one subtraction away."""
    expected = network.named(batch.given)[INPUT_NAME]
    if ids.dtype != np.int32 or ids.shape != expected.shape:
        return [f"{_OTHER_IDS}: {ids.dtype} {ids.shape}, not int32 {expected.shape}, on {batch.names[0]!r}"]
    rows = np.flatnonzero((expected != ids).any(axis=1))
    problems = [f"{_OTHER_IDS} from those of rnnx.text on {batch.names[row]!r}" for row in rows]
    if _ends_in_sigmoid(network) and not (
        probs.shape == (len(ids), 2) and np.array_equal(np.float32(1) - probs[:, 1], probs[:, 0], equal_nan=True)
    ):
        problems.append(f"the probabilities are not 1 - p and p on the batch of {batch.names[0]!r}")
    return problems


def _batches(evidence: Evidence, network: Network) -> list[ProbeBatch]:
    """Some cases as one batch, as far as they can stand in one, and then each alone, as they were recorded."""
    cases = evidence.cases
    ends = network.ends.keys()
    if not cases or not all(case.answers.keys() == case.runtime_answers.keys() == ends for case in cases):
        raise ModelError("the evidence in the file holds no golden vectors, or empty ones")
    if evidence.ids is not None and any(case.text is None for case in cases):
        raise ModelError("the evidence in the file has golden vectors without a text, which it could not read")
    given = [case.given(network) for case in cases]
    names = [case.name for case in cases]
    texts = [(case.text or "").encode("utf-8", "surrogateescape") for case in cases]
    longest = max(given, key=lambda one: next(iter(one.values())).shape[1])
    shapes = {name: values.shape for name, values in longest.items()}
    if network.masks_zero:
        given_wide = [{name: _widened(values, shapes[name]) for name, values in one.items()} for one in given]
    else:
        given_wide = given
    together = [i for i, one in enumerate(given_wide) if all(v.shape == shapes[name] for name, v in one.items())]
    whole = {name: np.concatenate([given_wide[i][name] for i in together]) for name in shapes}
    return [
        ProbeBatch(whole, tuple(names[i] for i in together), tuple(texts[i] for i in together)),
        *(ProbeBatch(one, (names[i],), (texts[i],)) for i, one in enumerate(given)),
    ]


def _widened(values: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Zeros in front, up to a time."""
    return np.pad(values, [(0, 0), (shape[1] - values.shape[1], 0), *[(0, 0)] * (values.ndim - 2)])


def _decide(network: Network, batches: Sequence[ProbeBatch]) -> list[dict[str, Decisions]]:
    """Decides the whole batch once; a row of it alone is the same row."""
    whole = decide(network, batches[0].given)
    rows = {name: i for i, name in enumerate(batches[0].names)}
    decisions = [whole]
    for batch in batches[1:]:
        i = rows.get(batch.names[0])
        is_alike = i is not None and all(one.values.ndim == 2 for one in whole.values())
        row = {name: one.row(i) for name, one in whole.items()} if is_alike and i is not None else None
        decisions.append(row or decide(network, batch.given))
    return decisions


def _require_golden(
    name: str, evidence: Evidence, network: Network, decisions: Sequence[Mapping[str, Decisions]]
) -> None:
    """The reference has to come to what it came to at the export."""
    for case, decision in zip(evidence.cases, decisions, strict=True):
        for output, one in decision.items():
            followed = one.logit_bounds[np.isfinite(one.logit_bounds)]
            drift = float(followed.max(initial=0.0)) * _FLOAT64_OVER_FLOAT32
            _require_close(f"{name}: {case.name}", case.answers[output].read(np.float64), one.values[0], drift)
        steps = [record.step for record in case.states]
        states = {
            (record.layer, record.step): record.values for record in golden_states(network, case.given(network), steps)
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


def _require_same_ids(name: str, evidence: Evidence, reader: Tokenizer | WordEncoder) -> None:
    for case in evidence.cases:
        if case.text is None:
            continue
        text = case.text.encode("utf-8", "surrogateescape")
        if isinstance(reader, WordEncoder):
            read: Mapping[str, npt.NDArray[np.int32]] = reader.encode(text.split(b"\n"))._asdict()
        else:
            read = {INPUT_NAME: reader.pad([reader.encode(text).ids])[0]}
        if {key: ArrayRecord.of(ids) for key, ids in read.items()} != case.inputs:
            raise ModelError(f"{name}: {case.name}: the vocabulary beside the file gives other ids than at its export")

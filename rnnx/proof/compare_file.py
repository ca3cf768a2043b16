"""Runs an exported file on a device, and compares it with the reference and with itself; the core of the proof."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.errors import ModelError
from rnnx.onnx_file.admission import admit
from rnnx.onnx_file.graph_view import view_graph
from rnnx.onnx_file.visible_states import StatesRecipe, with_states
from rnnx.proof.chunked import Streamed, compare_chunks
from rnnx.proof.compare import Outputs, ProbeBatch, compare_runtime, joined_reports, trace_drift
from rnnx.proof.invariance import Answers, compare_ways
from rnnx.proof.jump_numbers import find_missing_numbers
from rnnx.proof.progress import reported, track
from rnnx.proof.report import DriftCurve, InvarianceReport, RuntimeReport
from rnnx.reference import INPUT_NAME, OUTPUT_NAME, Dense, NamedArrays, Network, is_jump
from rnnx.reference.streaming import CarriedState, from_zero
from rnnx.rounding.decisions import Decisions
from rnnx.runtime.session import Device, Session
from rnnx.text.tokenizer import to_batch


@dataclass(frozen=True)
class _Problem:
    """A problem of a file on a batch. Wrong ids make everything else wrong as well."""

    text: str
    is_of_ids: bool = False


class _WrongIdsError(Exception):
    """Raised when the ids of a file are wrong, to compare nothing more."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """An exported file that is to be compared.

    Attributes:
        name: The name of the file.
        model: The content of the file.
        recipe: How its states are made outputs.
        ids: For a file that reads text, the value in the graph that holds the ids; else None.
        carried: For a streaming file, the states that are its inputs and outputs.
    """

    name: str
    model: bytes
    recipe: StatesRecipe
    ids: str | None = None
    carried: tuple[CarriedState, ...] = ()

    @property
    def without_cuts(self) -> Candidate:
        """The same file, of which the states alone are shown."""
        return dataclasses.replace(self, recipe=self.recipe.without_cuts)


@dataclass(frozen=True, eq=False)
class Comparison:
    """The result for one file on one device.

    Attributes:
        report: The comparison with the reference.
        invariance: The comparisons of the file with itself.
        drift: The drift along the long batch, if there was one.
        answers: The outputs of the file by name, one mapping for each batch.
        chunked: For a streaming file, the comparison with the reference in chunks of several sizes.
    """

    report: RuntimeReport
    invariance: tuple[InvarianceReport, ...]
    drift: tuple[DriftCurve, ...]
    answers: tuple[Answers, ...]
    chunked: tuple[RuntimeReport, ...] = ()


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
        batches: The inputs to run; the rows of the first batch have many lengths.
        decisions: The outputs of the reference for each batch, with their bounds.
        long_batch: The long sequence along which the drift is measured; not for a file that reads text.

    Raises:
        DeviceError: If the device is not available.
        ModelError: If onnxruntime cannot load or run the file.
    """
    candidate = dataclasses.replace(candidate, model=admit(candidate.model))
    session = Session(candidate.model, device=device)
    name = f"{candidate.name}, {session.provider}"
    inputs = [_inputs(candidate, network, batch) for batch in batches]
    run = from_zero(session.run_by_name, candidate.carried)
    own = [run(given) for given in track(inputs, f"running {name}")]
    probed = _Probed(name, network, batches, inputs, own, decisions)
    copy = _Copy(candidate, _open_copy(candidate, device))
    checked = _check_copy(copy, probed)
    copies = [checked]
    if candidate.recipe.cuts and not checked.has_same_bits:
        # onnxruntime cannot fuse a node whose value is an output with the nodes that read it, and a fused operator may
        # round otherwise. So the states are also compared in a copy without cuts, whose bits must be those of the file.
        copy = _Copy(candidate.without_cuts, _open_copy(candidate.without_cuts, device))
        copies.insert(0, _check_copy(copy, probed))
    problems = copies[0].problems
    messages = tuple(problem.text for problem in problems)
    if any(is_jump(node.layer) for node in network.nodes):
        messages += tuple(find_missing_numbers(view_graph(candidate.model), network))
    reports = [checked.report for checked in copies if checked.report is not None]
    if len(reports) < len(copies):
        # With wrong ids every state is wrong, so only the ids are reported. Such a file may even mix up the rows of a
        # batch, so it is not run in other ways.
        return Comparison(RuntimeReport(name, (), None, 0, 0, messages), (), (), tuple(own))
    report = joined_reports(reports)
    report = dataclasses.replace(report, problems=(*report.problems, *messages))

    def ask(given: Mapping[str, npt.NDArray[Any]]) -> Answers:
        return _answers(candidate, network, run(given))

    with reported(f"comparing {name} with itself"):
        ways = compare_ways(name, network, ask, inputs[0], decisions[0])
    curves: list[DriftCurve] = []
    if long_batch is not None:
        given = _inputs(candidate, network, long_batch)
        with reported(f"following {name} along a long sequence"):
            long = copy.read(network, copy.run(given))
            curves = trace_drift(name, network, long_batch, long)
    comparison = Comparison(report, tuple(ways), tuple(curves), tuple(own))
    if not candidate.carried:
        return comparison
    with reported(f"comparing {name} with itself in chunks"):
        file = _streamed(session, copy, device, network)
        chunked, more_ways = compare_chunks(file, network, batches[0], decisions[0])
    return dataclasses.replace(comparison, invariance=(*ways, *more_ways), chunked=tuple(chunked))


@dataclass(frozen=True, eq=False)
class _Probed:
    """What a file is compared on, and what it gave.

    Attributes:
        name: The name of the file and its execution provider.
        network: The reference.
        batches: The inputs.
        inputs: The same as the file takes them.
        own: The outputs of the file for each batch.
        decisions: The outputs of the reference for each batch, with their bounds.
    """

    name: str
    network: Network
    batches: Sequence[ProbeBatch]
    inputs: Sequence[NamedArrays]
    own: Sequence[NamedArrays]
    decisions: Sequence[Mapping[str, Decisions]]


@dataclass(frozen=True, eq=False)
class _Copy:
    """A copy of a file that shows its states, and its cuts if the recipe has any."""

    candidate: Candidate
    session: Session

    def run(self, given: NamedArrays) -> NamedArrays:
        return from_zero(self.session.run_by_name, self.candidate.carried)(given)

    def read(self, network: Network, result: NamedArrays) -> Outputs:
        return _outputs(self.candidate, network, result)


@dataclass(frozen=True, eq=False)
class _CheckedCopy:
    """What was found about a copy.

    Attributes:
        report: The comparison with the reference; None if the ids are wrong.
        problems: The differences between the copy and the file, and wrong ids.
        has_same_bits: Whether the copy gives the outputs of the file itself, bit for bit.
    """

    report: RuntimeReport | None
    problems: Sequence[_Problem]
    has_same_bits: bool


def _check_copy(copy: _Copy, probed: _Probed) -> _CheckedCopy:
    """Runs a copy and compares it, batch by batch: the states and cuts of all batches together are large."""
    problems: list[_Problem] = []
    same_bits: list[bool] = []

    def check(index: int) -> NamedArrays:
        result = copy.run(probed.inputs[index])
        problems.extend(_problems(copy.candidate, probed.network, probed.batches[index], result, probed.own[index]))
        same_bits.append(_has_same_bits([probed.own[index]], [result]))
        return result

    def outputs() -> Iterator[Outputs]:
        for index in range(len(probed.inputs)):
            result = check(index)
            if any(problem.is_of_ids for problem in problems):
                raise _WrongIdsError
            yield copy.read(probed.network, result)
            del result  # before the next batch is run

    report = None
    try:
        report = compare_runtime(probed.name, probed.network, probed.batches, outputs(), probed.decisions)
    except _WrongIdsError:
        for index in range(len(same_bits), len(probed.inputs)):
            check(index)
    return _CheckedCopy(report, problems, all(same_bits))


def _open_copy(candidate: Candidate, device: Device) -> Session:
    return Session(with_states(candidate.model, candidate.recipe, candidate.ids), device=device)


def _streamed(session: Session, copy: _Copy, device: Device, network: Network) -> Streamed:
    """Returns a streaming file as it is run in chunks; its cuts were compared for whole sequences."""
    candidate = copy.candidate
    if candidate.recipe.cuts:
        candidate = candidate.without_cuts
        copy = _Copy(candidate, _open_copy(candidate, device))
    return Streamed(
        candidate.name,
        session.provider,
        candidate.carried,
        session.run_by_name,
        copy.session.run_by_name,
        candidate.recipe.names,
        lambda result: copy.read(network, result),
    )


def _has_same_bits(own: Sequence[NamedArrays], results: Sequence[NamedArrays]) -> bool:
    """Whether a copy of a file gives the outputs of the file itself, bit for bit."""
    return all(
        np.array_equal(values, result[key], equal_nan=True)
        for answers, result in zip(own, results, strict=True)
        for key, values in answers.items()
    )


def _inputs(candidate: Candidate, network: Network, batch: ProbeBatch) -> dict[str, npt.NDArray[Any]]:
    return network.named(batch.given) if candidate.ids is None else {"text": to_batch(batch.texts or ())}


def _outputs(candidate: Candidate, network: Network, result: Mapping[str, npt.NDArray[Any]]) -> Outputs:
    recipe = candidate.recipe
    states = {layer: result[name].transpose(1, 0, 2) for layer, name in recipe.names.items()}
    cuts = None if recipe.cuts is None else {layer: result[name] for layer, name in recipe.cuts.items()}
    return Outputs(_answers(candidate, network, result), states, cuts)


def _answers(candidate: Candidate, network: Network, result: Mapping[str, npt.NDArray[np.float32]]) -> Answers:
    """Returns the outputs of the network. A file that reads text gives two probabilities for one sigmoid."""
    if candidate.ids is not None and _has_one_sigmoid(network):
        return {OUTPUT_NAME: result[OUTPUT_NAME][:, 1:]}
    if missing := network.ends.keys() - result.keys():
        raise ModelError(f"{candidate.name}: the file has no output {', '.join(sorted(missing))}")
    return {name: result[name] for name in network.ends}


def _has_one_sigmoid(network: Network) -> bool:
    """Whether two labels share a sigmoid unit, of which a file that reads text makes two probabilities."""
    end = network.ends.get(OUTPUT_NAME)
    return (
        end is not None
        and end.head_kind == "sigmoid"
        and isinstance(end.layer, Dense)
        and end.layer.kernel.shape[-1] == 1
    )


def _problems(
    candidate: Candidate, network: Network, batch: ProbeBatch, result: NamedArrays, answers: NamedArrays
) -> list[_Problem]:
    """Compares what a file gives with what its copy gives, and for a file that reads text also checks the ids."""
    problems = []
    if not _has_same_bits([answers], [result]):
        problems.append(_Problem(f"the file and its copy with states differ on the batch of {batch.names[0]!r}"))
    if candidate.ids is not None:
        problems += _text_problems(network, batch, result[candidate.ids], answers)
    return problems


def _text_problems(
    network: Network, batch: ProbeBatch, ids: npt.NDArray[np.int32], answers: NamedArrays
) -> list[_Problem]:
    """Checks that the ids are those of `rnnx.text.tokenizer`, and the probabilities of a sigmoid 1 - p and p."""
    expected = network.named(batch.given)[INPUT_NAME]
    if ids.dtype != np.int32 or ids.shape != expected.shape:
        what = f"ids differ: {ids.dtype} {ids.shape}, not int32 {expected.shape}, on {batch.names[0]!r}"
        return [_Problem(what, is_of_ids=True)]
    rows = np.flatnonzero((expected != ids).any(axis=1))
    problems = [
        _Problem(f"ids differ from those of rnnx.text.tokenizer on {batch.names[row]!r}", is_of_ids=True)
        for row in rows
    ]
    if _has_one_sigmoid(network):
        probs = answers[OUTPUT_NAME]
        if probs.shape != (len(ids), 2) or not np.array_equal(np.float32(1) - probs[:, 1], probs[:, 0], equal_nan=True):
            problems.append(_Problem(f"the probabilities are not 1 - p and p on the batch of {batch.names[0]!r}"))
    return problems

"""Runs an exported file on a device, and compares it with the reference and with itself; the core of the proof."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.errors import ModelError
from rnnx.onnx_file.visible_states import StatesRecipe, with_states
from rnnx.proof.chunked import Streamed, compare_chunks
from rnnx.proof.compare import Outputs, ProbeBatch, compare_runtime, trace_drift
from rnnx.proof.invariance import Answers, compare_ways
from rnnx.proof.progress import reported, track
from rnnx.proof.report import DriftCurve, InvarianceReport, RuntimeReport
from rnnx.reference import INPUT_NAME, OUTPUT_NAME, Network
from rnnx.reference.streaming import CarriedState, from_zero
from rnnx.rounding.decisions import Decisions
from rnnx.runtime.session import Device, Session
from rnnx.text.tokenizer import to_batch


@dataclass(frozen=True)
class _Problem:
    """A problem of a file on a batch. Wrong ids make everything else wrong as well."""

    text: str
    is_of_ids: bool = False


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
    session = Session(candidate.model, device=device)
    stateful = Session(with_states(candidate.model, candidate.recipe, candidate.ids), device=device)
    name = f"{candidate.name}, {session.provider}"
    inputs = [_inputs(candidate, network, batch) for batch in batches]
    run, run_with_states = (from_zero(opened.run_by_name, candidate.carried) for opened in (session, stateful))
    results = [run_with_states(given) for given in track(inputs, f"running {name}")]
    own = [run(given) for given in inputs]
    problems: list[_Problem] = []
    for batch, result, answers in zip(batches, results, own, strict=True):
        # The states come from a copy of the file that returns them; the file itself must give the same bits.
        if not all(np.array_equal(values, result[key], equal_nan=True) for key, values in answers.items()):
            problems.append(_Problem(f"the file and its copy with states differ on the batch of {batch.names[0]!r}"))
        if candidate.ids is not None:
            problems += _text_problems(network, batch, result[candidate.ids], answers[OUTPUT_NAME])
    outputs = [_outputs(candidate, network, result) for result in results]
    messages = tuple(problem.text for problem in problems)
    if any(problem.is_of_ids for problem in problems):
        # With wrong ids every state is wrong, so only the ids are reported. Such a file may even mix up the rows of a
        # batch, so it is not run in other ways.
        return Comparison(RuntimeReport(name, (), None, 0, 0, messages), (), (), tuple(own))
    report = compare_runtime(name, network, batches, outputs, decisions)
    report = dataclasses.replace(report, problems=(*report.problems, *messages))

    def ask(given: Mapping[str, npt.NDArray[Any]]) -> Answers:
        return _answers(candidate, network, run(given))

    with reported(f"comparing {name} with itself"):
        ways = compare_ways(name, network, ask, inputs[0], decisions[0])
    curves: list[DriftCurve] = []
    if long_batch is not None:
        given = _inputs(candidate, network, long_batch)
        with reported(f"following {name} along a long sequence"):
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
    with reported(f"comparing {name} with itself in chunks"):
        chunked, more_ways = compare_chunks(file, network, batches[0], decisions[0])
    return dataclasses.replace(comparison, invariance=(*ways, *more_ways), chunked=tuple(chunked))


def _inputs(candidate: Candidate, network: Network, batch: ProbeBatch) -> dict[str, npt.NDArray[Any]]:
    return network.named(batch.given) if candidate.ids is None else {"text": to_batch(batch.texts or ())}


def _outputs(candidate: Candidate, network: Network, result: Mapping[str, npt.NDArray[Any]]) -> Outputs:
    states = {layer: result[name].transpose(1, 0, 2) for layer, name in candidate.recipe.names.items()}
    return Outputs(_answers(candidate, network, result), states)


def _answers(candidate: Candidate, network: Network, result: Mapping[str, npt.NDArray[np.float32]]) -> Answers:
    """Returns the outputs of the network. A file that reads text gives two probabilities for one sigmoid."""
    if candidate.ids is not None and network.ends[OUTPUT_NAME].head_kind == "sigmoid":
        return {OUTPUT_NAME: result[OUTPUT_NAME][:, 1:]}
    if missing := network.ends.keys() - result.keys():
        raise ModelError(f"{candidate.name}: the file has no output {', '.join(sorted(missing))}")
    return {name: result[name] for name in network.ends}


def _text_problems(
    network: Network, batch: ProbeBatch, ids: npt.NDArray[np.int32], probs: npt.NDArray[np.float32]
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
    if network.ends[OUTPUT_NAME].head_kind == "sigmoid" and not (
        probs.shape == (len(ids), 2) and np.array_equal(np.float32(1) - probs[:, 1], probs[:, 0], equal_nan=True)
    ):
        problems.append(_Problem(f"the probabilities are not 1 - p and p on the batch of {batch.names[0]!r}"))
    return problems

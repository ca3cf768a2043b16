"""Proves that a streaming file that gets a sequence in chunks computes the network over the whole sequence.

The states and outputs for chunks of 1, 7 and 500 positions are joined over the time, and compared as those of a whole
sequence (`rnnx.proof.compare`): every step with one float64 step from the runtime's own state before it. At the
beginning of a chunk, that is the state that was passed in. So if a state is not carried over, or comes from another
step, rounding cannot explain that step. The outputs must also equal those for the whole sequence, within both bounds.

Imports NumPy only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rnnx.proof.compare import Outputs, ProbeBatch, compare_runtime
from rnnx.proof.invariance import compare_answers
from rnnx.proof.report import InvarianceReport, RuntimeReport
from rnnx.reference import NamedArrays, Network
from rnnx.reference.streaming import CarriedState, RunFile, by_layer, from_zero, in_chunks, with_time
from rnnx.rounding.decisions import Decisions, decide, label_ids

CHUNK_SIZES = (1, 7, 500)
# Two chunks of the largest size and a part of a third.
LONG_TIME = 1203
# The blank positions of two rows: at the beginning, for more than a chunk of the largest size; and from the middle of a
# chunk on.
_BLANKS = (slice(0, 510), slice(400, 1150))
_COUNTING = 0.8  # of the positions of a mask


@dataclass(frozen=True)
class Streamed:
    """A streaming file that can be run.

    Attributes:
        name: The name of the file.
        provider: The execution provider that it runs on.
        carried: The states that are its inputs and outputs.
        run: Runs the file: takes inputs and first states, and returns outputs and last states.
        run_with_states: Runs a copy of the file that also returns the states at every step.
        names: By recurrent layer, the output with its states at every step, `(time, batch, units)`.
        read: Takes the outputs and states to be compared from everything that the copy returns.
    """

    name: str
    provider: str
    carried: tuple[CarriedState, ...]
    run: RunFile
    run_with_states: RunFile
    names: Mapping[str, str]
    read: Callable[[NamedArrays], Outputs]


def compare_chunks(
    file: Streamed, network: Network, batch: ProbeBatch, decisions: Mapping[str, Decisions]
) -> tuple[list[RuntimeReport], list[InvarianceReport]]:
    """Runs a file chunk by chunk, and compares it with the reference and with itself.

    Args:
        file: The file.
        network: The reference.
        batch: Rows of many lengths; a long batch is added.
        decisions: The outputs of the reference for `batch`, with their bounds.

    Returns:
        The comparisons with the reference, one for each chunk size, and the comparisons of the file with itself.
    """
    long_batch = make_long_batch(network)
    batches, expected = [batch, long_batch], [decisions, _decide_long(network, long_batch)]
    given = [network.named(rows.given) for rows in batches]
    timed = with_time(network)
    joined = {name: 1 for name, node in network.ends.items() if node.name in timed}
    joined |= dict.fromkeys(file.names.values(), 0)
    whole = [file.read(from_zero(file.run_with_states, file.carried)(inputs)) for inputs in given]
    reports, ways = [], []
    for size in CHUNK_SIZES:
        runtime = f"{file.name} in chunks of {size}, {file.provider}"
        run, run_with_states = (
            in_chunks(run_file, file.carried, joined, size) for run_file in (file.run, file.run_with_states)
        )
        results = [run_with_states(inputs) for inputs in given]
        outputs = [file.read(result) for result in results]
        report = compare_runtime(runtime, network, batches, outputs, expected)
        problems = [
            problem
            for inputs, result in zip(given, results, strict=True)
            for problem in _problems(file, run(inputs), result)
        ]
        reports.append(dataclasses.replace(report, problems=(*report.problems, *problems)))
        for which, chunked, all_at_once, bounds in zip(("", ", long rows"), outputs, whole, expected, strict=True):
            allowed = {name: decision.bounds for name, decision in bounds.items()}
            way = f"compared with the whole sequence{which}"
            ways.append(compare_answers(runtime, way, all_at_once.answers, chunked.answers, allowed))
    return reports, ways


def _problems(file: Streamed, own: NamedArrays, result: NamedArrays) -> list[str]:
    """Checks that the file and its copy give the same bits, and that the last state is that after the last step."""
    is_same = all(np.array_equal(values, result[name], equal_nan=True) for name, values in own.items())
    return [
        *([] if is_same else ["the file and its copy with states differ"]),
        *(
            f"{h.output} is not the state of layer {layer} after the last position"
            for layer, (h, *_) in by_layer(file.carried).items()
            if not np.array_equal(result[file.names[layer]][-1], result[h.output], equal_nan=True)
        ),
    ]


def make_long_batch(network: Network) -> ProbeBatch:
    """Makes rows that are longer than any chunk; two of them have zeros for longer than a chunk."""
    rng = np.random.default_rng(5)
    given = {}
    for port in network.inputs:
        shape = (1 + len(_BLANKS), *(LONG_TIME if size is None else size for size in port.shape))
        if port.kind == "ids":
            drawn: npt.NDArray[Any] = rng.integers(0, port.size, shape)
        elif port.kind == "mask":
            drawn = rng.random(shape) < _COUNTING
        else:
            drawn = rng.standard_normal(shape)
        given[port.name] = drawn.astype(port.dtype)
        for row, blank in enumerate(_BLANKS, 1):
            given[port.name][row, blank] = 0
    return ProbeBatch(given, ("a long row", "a long row, zeros in front", "a long row, zeros between"))


def _decide_long(network: Network, batch: ProbeBatch) -> dict[str, Decisions]:
    """Decides outputs of the whole sequence. Outputs at every position get no bound, because that takes minutes.

    The steps that lead to them are compared in any case.
    """
    if not with_time(network) & {node.name for node in network.ends.values()}:
        return decide(network, batch.given)
    decisions = {}
    for name, values in network.answers(batch.given).items():
        unknown = np.full(values.shape, np.inf)
        nothing = np.zeros(values.shape[:-1], np.bool_)
        decisions[name] = Decisions(
            "values", values, unknown, unknown, label_ids("values", values), nothing, np.ones(len(values), np.bool_)
        )
    return decisions

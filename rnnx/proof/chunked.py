"""Proves that a streaming file that reads a sequence in chunks computes the network over the whole sequence.

The states and outputs of chunks of 1, 7 and 500 steps are joined over the time, and compared like those of a whole
sequence (`rnnx.proof.compare`): every step with one float64 step from the runtime's own previous state, which at the
start of a chunk is the state that was fed in. So a state that is not carried, or that belongs to another step, gives a
step that rounding cannot explain. The outputs also have to equal those for the whole sequence, within both bounds.

Imports numpy only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from rnnx.proof.compare import Outputs, ProbeBatch, compare_runtime
from rnnx.proof.invariance import compare_answers
from rnnx.proof.report import InvarianceReport, RuntimeReport
from rnnx.reference import NamedArrays, Network
from rnnx.reference.streaming import CarriedState, RunFile, by_layer, from_zero, in_chunks, with_time
from rnnx.rounding.decisions import Decisions, decide, label_ids

CHUNK_SIZES = (1, 7, 500)
# Two whole chunks of the largest size, and part of a third.
LONG_TIME = 1203
# The zeros of two rows: at the start, for more than a whole chunk of the largest size, and from the middle of a chunk.
_BLANKS = (slice(0, 510), slice(400, 1150))


@dataclass(frozen=True)
class Streamed:
    """A streaming file that can be run.

    Attributes:
        name: The name of the file.
        provider: The execution provider.
        carried: The states that it takes in and puts out.
        run: Runs the file itself: inputs and first states in, outputs and last states out.
        run_with_states: Runs its copy that puts out the states at every step as well.
        names: By recurrent layer, the output (time, batch, units) that has its states at every step.
        read: Selects the compared outputs and states from all outputs.
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
    """Feeds a file chunk by chunk, and compares it with the reference and with itself.

    Args:
        file: The streaming file.
        network: The reference.
        batch: Rows of many lengths; a long batch is added.
        decisions: The reference's outputs for `batch`, with their bounds.

    Returns:
        A report of each kind for each chunk size.
    """
    long_batch = make_long_batch(network)
    batches, expected = [batch, long_batch], [decisions, _decide_long(network, long_batch)]
    given = [network.named(each.given) for each in batches]
    timed = with_time(network)
    joined = {name: 1 for name, node in network.ends.items() if node.name in timed}
    joined |= dict.fromkeys(file.names.values(), 0)
    whole = [file.read(from_zero(file.run_with_states, file.carried)(arrays)) for arrays in given]
    reports, ways = [], []
    for size in CHUNK_SIZES:
        runtime = f"{file.name} in chunks of {size}, {file.provider}"
        run, run_with_states = (
            in_chunks(each, file.carried, joined, size) for each in (file.run, file.run_with_states)
        )
        results = [run_with_states(arrays) for arrays in given]
        outputs = [file.read(result) for result in results]
        report = compare_runtime(runtime, network, batches, outputs, expected)
        problems = [
            problem
            for arrays, result in zip(given, results, strict=True)
            for problem in _problems(file, run(arrays), result)
        ]
        reports.append(dataclasses.replace(report, problems=(*report.problems, *problems)))
        for what, chunked, all_at_once, bounds in zip(("", ", long rows"), outputs, whole, expected, strict=True):
            allowed = {name: decision.bounds for name, decision in bounds.items()}
            way = f"beside the whole{what}"
            ways.append(compare_answers(runtime, way, all_at_once.answers, chunked.answers, allowed))
    return reports, ways


def _problems(file: Streamed, own: NamedArrays, result: NamedArrays) -> list[str]:
    """Requires the file and its copy to give the same bits, and the last state to be the state after the last step."""
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
    """Makes rows that are longer than any chunk; two of them hold runs of zeros that are longer than a chunk."""
    rng = np.random.default_rng(5)
    given = {}
    for spec in network.inputs:
        shape = (1 + len(_BLANKS), *(LONG_TIME if size is None else size for size in spec.shape))
        if spec.kind == "ids":
            given[spec.name] = rng.integers(0, spec.size, shape).astype(np.int32)
        else:
            given[spec.name] = rng.standard_normal(shape).astype(np.float32)
        for row, blank in enumerate(_BLANKS, 1):
            given[spec.name][row, blank] = 0
    return ProbeBatch(given, ("a long row", "a long row, zeros in front", "a long row, zeros between"))


def _decide_long(network: Network, batch: ProbeBatch) -> dict[str, Decisions]:
    """Decides the outputs for the whole sequence; outputs over the time are compared by steps only, to save minutes."""
    if not with_time(network) & {node.name for node in network.ends.values()}:
        return decide(network, batch.given)
    decisions = {}
    for name, values in network.answers(batch.given).items():
        unknown = np.full(values.shape, np.inf)
        nothing = np.zeros(values.shape[:-1], np.bool_)
        decisions[name] = Decisions("values", values, unknown, unknown, label_ids("values", values), nothing)
    return decisions

"""Proves that a streaming file, fed a sequence in chunks, is the network over the whole sequence.

What the file gives for chunks of 1, 7 and 500 is put together again: states and outputs over the time. From there it is
compared as a whole is (`rnnx.proof.compare`): every step against one float64 step from the runtime's own state before
it, which at the begin of a chunk is the state that was fed in. So a state that is not carried, or is that of another
step, is a step that rounding cannot explain. And the answers have to be those to the whole, within the bounds of both.

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
# Two chunks of the largest size, and some of a third.
LONG_TIME = 1203
# Where a row is blank: in front, a whole chunk of the largest size among it, and from the middle of a chunk on.
_BLANKS = (slice(0, 510), slice(400, 1150))


@dataclass(frozen=True)
class Streamed:
    """A streaming file that can be run.

    Attributes:
        name: Of the file.
        provider: What it runs on.
        carried: Its states.
        run: Runs the file itself: inputs and first states in, outputs and last states out.
        run_with_states: Runs its copy that puts out the states at every step as well.
        names: By recurrent layer, the output (time, batch, units) that has its states at every step.
        read: Takes from everything what is compared.
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
        file: What is compared.
        network: The reference.
        batch: Rows of many lengths; a long batch is added.
        decisions: What the reference says of `batch`.

    Returns:
        Both for each size of the chunks.
    """
    long_batch = make_long_batch(network)
    batches, expected = [batch, long_batch], [decisions, _decide_long(network, long_batch)]
    given = [network.named(one.given) for one in batches]
    timed = with_time(network)
    joined = {name: 1 for name, node in network.ends.items() if node.name in timed}
    joined |= dict.fromkeys(file.names.values(), 0)
    whole = [file.read(from_zero(file.run_with_states, file.carried)(one)) for one in given]
    reports, ways = [], []
    for size in CHUNK_SIZES:
        runtime = f"{file.name} in chunks of {size}, {file.provider}"
        run, run_with_states = (in_chunks(one, file.carried, joined, size) for one in (file.run, file.run_with_states))
        results = [run_with_states(one) for one in given]
        outputs = [file.read(result) for result in results]
        report = compare_runtime(runtime, network, batches, outputs, expected)
        problems = [
            problem for one, result in zip(given, results, strict=True) for problem in _problems(file, run(one), result)
        ]
        reports.append(dataclasses.replace(report, problems=(*report.problems, *problems)))
        for what, one, all_at_once, bounds in zip(("", ", long rows"), outputs, whole, expected, strict=True):
            allowed = {name: decision.bounds for name, decision in bounds.items()}
            way = f"beside the whole{what}"
            ways.append(compare_answers(runtime, way, all_at_once.answers, one.answers, allowed))
    return reports, ways


def _problems(file: Streamed, own: NamedArrays, result: NamedArrays) -> list[str]:
    """The file and its copy have to give the same bits, and the last state has to be the one after the last step."""
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
    """Rows that are longer than any chunk; zeros in two of them, longer than a chunk too."""
    rng = np.random.default_rng(5)
    given = {}
    for one in network.inputs:
        shape = (1 + len(_BLANKS), *(LONG_TIME if size is None else size for size in one.shape))
        if one.kind == "ids":
            given[one.name] = rng.integers(0, one.size, shape).astype(np.int32)
        else:
            given[one.name] = rng.standard_normal(shape).astype(np.float32)
        for row, blank in enumerate(_BLANKS, 1):
            given[one.name][row, blank] = 0
    return ProbeBatch(given, ("a long row", "a long row, zeros in front", "a long row, zeros between"))


def _decide_long(network: Network, batch: ProbeBatch) -> dict[str, Decisions]:
    """Decides answers to the whole; those at every position are held against their steps alone, or it takes minutes."""
    if not with_time(network) & {node.name for node in network.ends.values()}:
        return decide(network, batch.given)
    decisions = {}
    for name, values in network.answers(batch.given).items():
        unknown = np.full(values.shape, np.inf)
        nothing = np.zeros(values.shape[:-1], np.bool_)
        decisions[name] = Decisions("values", values, unknown, unknown, label_ids("values", values), nothing)
    return decisions

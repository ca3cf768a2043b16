"""Chooses the golden inputs that the evidence has room for: all of them, unless the sequences are very long."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from itertools import accumulate

from rnnx.errors import ModelError
from rnnx.export.probes import GoldenInputs
from rnnx.proof.evidence_metadata import MOST_TEXT_BYTES
from rnnx.proof.packed import pack
from rnnx.reference import NamedArrays, Network

# The text of one number and its comma, at most: a float32 that is written as a float64, such as
# -1.1754943508222875e-38.
_NUMBER_BYTES = 25
# The part of the evidence that golden inputs may take. The rest is for the answers, the states and the report.
_PART = 3 / 4
# So many numbers of one sequence can be recorded, whatever they are.
MOST_NUMBERS = int(_PART * MOST_TEXT_BYTES) // _NUMBER_BYTES


def require_room(name: str, network: Network) -> None:
    """Makes sure that at least one golden input fits into the evidence.

    Args:
        name: Of the model, for the message.
        network: The reference.

    Raises:
        ModelError: If the inputs of fixed sizes have too many numbers.
    """
    count = sum(math.prod(size or 1 for size in each.shape) for each in network.inputs)
    if count > MOST_NUMBERS:
        raise ModelError(
            f"model {name}: one sequence of its inputs has {count:,} numbers, and a file can record {MOST_NUMBERS:,} "
            "at most for its proof; build the model with a smaller fixed size, or with an open time, and copy the "
            "weights with set_weights"
        )


def choices_of_golden(inputs: GoldenInputs, budget_bytes: int) -> Iterator[GoldenInputs]:
    """Yields the golden inputs to record, the most first: all of them, then fewer and fewer.

    A smaller choice has a typical one, and then those that take the least room, such as zeros, which say less.

    Args:
        inputs: The golden inputs by name.
        budget_bytes: What the evidence may take when it is packed.

    Raises:
        ModelError: If no golden input can be recorded.
    """
    if sum(map(_least_bytes, inputs.values())) <= MOST_TEXT_BYTES:
        yield inputs
    most = int(_PART * MOST_TEXT_BYTES)
    texts = {name: _text(given) for name, (_, given) in inputs.items()}
    sizes = {name: len(text) for name, text in texts.items()}
    packed = {name: len(pack(text)) for name, text in texts.items() if sizes[name] <= most}
    if not packed:
        raise ModelError(
            f"each of its golden inputs takes more than {most:,} bytes, so that no file can record one for its proof; "
            "build the model with smaller inputs"
        )
    by_size = sorted(packed, key=packed.__getitem__)
    typical = by_size[len(by_size) // 2]
    order = [typical, *(name for name in by_size if name != typical)]
    packed_sums, text_sums = (list(accumulate(of[name] for name in order)) for of in (packed, sizes))
    fitting = [i for i in range(len(order)) if packed_sums[i] <= _PART * budget_bytes and text_sums[i] <= most]
    count = len(fitting) or 1
    while count:
        yield {name: inputs[name] for name in inputs if name in order[:count]}
        count //= 2


def _text(given: NamedArrays) -> str:
    return ",".join(
        json.dumps(values.astype(float).ravel().tolist(), separators=(",", ":")) for values in given.values()
    )


def _least_bytes(golden: tuple[bytes | None, NamedArrays]) -> int:
    """Returns the fewest bytes that the text of a golden input can take: four for a number, such as `0.0,`."""
    return sum(4 * values.size for values in golden[1].values())

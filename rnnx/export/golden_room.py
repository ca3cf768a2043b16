"""Makes sure that the evidence has room for golden inputs, however long the sequences are.

An input of more than `MOST_WRITTEN` numbers is not written down. A seed makes others of its shape in its place
(`rnnx.proof.made_inputs`). Of the inputs that are written down, as many are recorded as there is room for.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from itertools import accumulate

from rnnx.errors import ModelError
from rnnx.export.probes import GoldenInputs, only_finite_golden
from rnnx.proof.compare import count_numbers
from rnnx.proof.evidence_metadata import MOST_TEXT_BYTES
from rnnx.proof.made_inputs import MOST_MADE, make_input
from rnnx.proof.packed import pack
from rnnx.reference import NamedArrays, Network

# Random numbers of this many take 200 kB when they are packed, of the 256 kB that the evidence has at least.
MOST_WRITTEN = 1 << 14
# So many inputs are made, or fewer if they had more numbers than can be made.
_MADE_COUNT = 3
# The part of the evidence that golden inputs may take. The rest is for the answers, the states and the report.
_PART = 3 / 4


def require_room(name: str, network: Network) -> None:
    """Makes sure that one golden input can be recorded.

    Args:
        name: Of the model, for the message.
        network: The reference.

    Raises:
        ModelError: If the inputs of fixed sizes have too many numbers.
    """
    count = sum(math.prod(size or 1 for size in port.shape) for port in network.inputs)
    if count > MOST_MADE:
        raise ModelError(
            f"model {name}: one sequence of its inputs has {count:,} numbers, and {MOST_MADE:,} are the most of a "
            "proof; build the model with a smaller fixed size, or with an open time, and copy the weights with "
            "set_weights"
        )


def replace_large(network: Network, golden: GoldenInputs) -> tuple[GoldenInputs, dict[str, int]]:
    """Replaces the golden inputs that are too large to be written down by inputs that seeds make.

    Args:
        network: The reference.
        golden: Golden inputs by name, on which the network is finite.

    Returns:
        The golden inputs, and the seeds of those that are made, by name. They stay as they are if none is large, or if
        the network is not finite on what the seeds make.
    """
    large = {
        name: given for name, (text, given) in golden.items() if text is None and count_numbers(given) > MOST_WRITTEN
    }
    if not large:
        return golden, {}
    longest = max(large.values(), key=count_numbers)
    seeds = {f"seed {i}": i for i in range(min(_MADE_COUNT, MOST_MADE // count_numbers(longest)))}
    made: GoldenInputs = {
        name: (None, {port.name: make_input(port, longest[port.name].shape[1:], i)[None] for port in network.inputs})
        for name, i in seeds.items()
    }
    made = only_finite_golden(network, made)
    if not made:
        return golden, {}
    small = {name: row for name, row in golden.items() if name not in large}
    return small | made, {name: seeds[name] for name in made}


def choices_of_golden(inputs: GoldenInputs, made: Mapping[str, int], budget_bytes: int) -> Iterator[GoldenInputs]:
    """Yields the golden inputs to record, the most first: all of them, then fewer and fewer.

    A smaller choice has those that are made, else a typical one, and then those that take the least room, such as
    zeros, which say less.

    Args:
        inputs: The golden inputs by name.
        made: The seeds of those that are made, by name.
        budget_bytes: What the evidence may take when it is packed.

    Raises:
        ModelError: If no golden input can be recorded.
    """
    written = {name: given for name, (_, given) in inputs.items() if name not in made}
    # A number takes four characters at least, such as `0.0,`.
    if sum(4 * count_numbers(given) for given in written.values()) <= MOST_TEXT_BYTES:
        yield inputs
    most = int(_PART * MOST_TEXT_BYTES)
    texts = {name: _text(given) for name, given in written.items()}
    sizes = {name: len(text) for name, text in texts.items()}
    packed = {name: len(pack(text)) for name, text in texts.items() if sizes[name] <= most}
    if not packed and not made:
        raise ModelError(
            f"each of its golden inputs takes more than {most:,} bytes, so that no file can record one for its proof; "
            "build the model with smaller inputs"
        )
    by_size = sorted(packed, key=packed.__getitem__)
    typical = [] if made else [by_size[len(by_size) // 2]]
    order = [*typical, *(name for name in by_size if name not in typical)]
    packed_sums, text_sums = (list(accumulate(of[name] for name in order)) for of in (packed, sizes))
    fitting = [i for i in range(len(order)) if packed_sums[i] <= _PART * budget_bytes and text_sums[i] <= most]
    count = max(len(fitting), len(typical))
    while count:
        chosen = {*made, *order[:count]}
        yield {name: row for name, row in inputs.items() if name in chosen}
        count //= 2
    if made:
        yield {name: inputs[name] for name in made}


def _text(given: NamedArrays) -> str:
    return ",".join(
        json.dumps(values.astype(float).ravel().tolist(), separators=(",", ":")) for values in given.values()
    )

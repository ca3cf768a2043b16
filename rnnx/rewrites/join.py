"""Decides which recurrences of a graph run as one: two directions side by side, or layers on top of each other.

A step of a small recurrence costs more for its call than for its arithmetic. One joint recurrence of the summed width
makes fewer calls, but its number of products grows with the square of the width, and many of them are with zeros. So
joining is faster up to a certain width. Two directions that are wider share only the steps, and each has its own
product. Recurrences that run together have the same activation and read their sequence in the same order; all others
run by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rnnx.rewrites.graph import Graph, Op, Var
from rnnx.rewrites.recurrence import NOT_ZERO_AT_ZERO, Recurrence

# How many times faster one joint Scan is than one Scan for each layer (`python -m bench.speed.joined`, 300 steps,
# onnxruntime 1.32, AMD Zen 4, one thread), at batch 1, 8, 32 and 128. Two directions of 32: 1.6, 1.2, 0.85, 0.85. Two
# layers of 32: 1.8, 1.2, 0.9, 0.95, and 2 at every batch under a mask, since the sequence is moved once instead of
# twice. At twice this width, two directions: 1.2, 0.9, 0.7, 0.7; two layers: 1.3, 1.0, 0.8, 0.9; four layers of 32:
# 2.1, 1.0, 0.8, 0.7.
MAX_WIDTH = 64


@dataclass(frozen=True, eq=False)
class Joint:
    """Recurrences that run as one.

    Attributes:
        members: At least one recurrence; those of a stack from the lowest to the highest.
        is_stack: Whether each member reads all states of the one before, and is their only reader. Otherwise the
            members are independent of each other and equally long.
    """

    members: tuple[Recurrence, ...]
    is_stack: bool = False

    @property
    def has_one_matrix(self) -> bool:
        """Whether one product serves all members; otherwise each has its own, in the same steps."""
        return self.is_stack or self.width <= MAX_WIDTH

    @property
    def width(self) -> int:
        """The number of units of all members together."""
        return sum(len(r.bias) for r in self.members)


def find_joints(graph: Graph, recurrences: Sequence[Recurrence]) -> list[Joint]:
    """Divides recurrences into those that run as one: first stacks, greedily from the lowest layer, then pairs.

    Recurrences with gates always run by themselves and are not in the result.
    """
    chains = [chain for chain in _chains(graph, recurrences) if chain[0].operator == "RNN"]
    stacked = [stack for chain in chains for stack in _cut(chain)]
    joints = [joint for joint in stacked if len(joint.members) > 1]
    waiting = [joint.members[0] for joint in stacked if len(joint.members) == 1]
    while waiting:
        r = waiting.pop(0)
        partner = next((other for other in waiting if _is_pair(graph, r, other)), None)
        if partner is not None:
            waiting.remove(partner)
        joints.append(Joint((r,) if partner is None else (r, partner)))
    return joints


def _cut(chain: Sequence[Recurrence]) -> Iterator[Joint]:
    """Cuts a chain into stacks of at most `MAX_WIDTH` units; a single layer may be wider."""
    joint = Joint((chain[0],), is_stack=True)
    for r in chain[1:]:
        if joint.width + len(r.bias) > MAX_WIDTH:
            yield joint
            joint = Joint((), is_stack=True)
        joint = Joint((*joint.members, r), is_stack=True)
    yield joint


def _chains(graph: Graph, recurrences: Sequence[Recurrence]) -> list[list[Recurrence]]:
    """Divides recurrences into chains in which each can be stacked on the one before."""
    readers = _find_readers(graph, recurrences)
    loops = {r.output: r for r in recurrences}
    above: dict[Recurrence, Recurrence] = {}
    for r in recurrences:
        upper = _find_upper(r, graph, readers, loops)
        if upper is not None and _is_stackable(r, upper):
            above[r] = upper
    chains = [[r] for r in recurrences if r not in above.values()]
    for chain in chains:
        while chain[-1] in above:
            chain.append(above[chain[-1]])
    return chains


def _is_stackable(lower: Recurrence, upper: Recurrence) -> bool:
    """Whether two layers can run as a stack.

    The upper layer starts some steps later, and its state must stay at zero until then. With a sigmoid it does not.
    """
    if {lower.operator, upper.operator} != {"RNN"}:
        return False
    return lower.activation == upper.activation not in NOT_ZERO_AT_ZERO and lower.mask == upper.mask


def _is_pair(graph: Graph, r: Recurrence, other: Recurrence) -> bool:
    """Whether two recurrences read one sequence, in either direction, and can share their steps."""
    if r.activation != other.activation:
        return False
    if (r.mask is None) != (other.mask is None) or (r.mask is not None and r.activation in NOT_ZERO_AT_ZERO):
        return False
    if r.embedded is not None and other.embedded is not None:
        return r.embedded.ids == other.embedded.ids
    return any(
        _is_reverse(graph, a.x, b.x) and (a.mask is None or b.mask is None or _is_reverse(graph, a.mask, b.mask))
        for a, b in ((r, other), (other, r))
    )


def _is_reverse(graph: Graph, value: str, reverse: str) -> bool:
    return graph.match(reverse, Op("ReverseSequence", Var("value"))) == {"value": value}


def _find_readers(graph: Graph, recurrences: Sequence[Recurrence]) -> dict[str, list[str]]:
    """Maps each value to its readers: the first outputs of the nodes that read it, and "" for an output of the graph.

    A recurrence counts as a reader of its sequence and its mask alone.
    """
    loops = {r.output: r for r in recurrences}
    readers: dict[str, list[str]] = {}
    waiting = [(output.name, "") for output in graph.proto.output]
    while waiting:
        value, reader = waiting.pop()
        is_known = value in readers
        readers.setdefault(value, []).append(reader)
        node = graph.producer(value)
        if node is None or is_known:
            continue
        inputs = [loops[value].x, loops[value].mask] if value in loops else list(node.input)
        waiting += [(name, value) for name in inputs if name]
    return readers


def _find_upper(
    r: Recurrence, graph: Graph, readers: dict[str, list[str]], loops: dict[str, Recurrence]
) -> Recurrence | None:
    """Returns the recurrence that is the only reader of this one's states and reads them unchanged, or None."""
    value, is_turned = r.output, False
    while len(readers.get(value, [])) == 1:
        (reader,) = readers[value]
        if reader in loops:
            upper = loops[reader]
            return upper if upper.x == value and not is_turned else None
        node = graph.producer(reader)
        if node is None or node.op_type not in ("Transpose", "Identity"):
            return None
        if node.op_type == "Transpose":
            if node.attribute[0].ints != [1, 0, 2]:
                return None
            is_turned = not is_turned
        value = reader
    return None

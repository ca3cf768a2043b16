"""Which recurrences of a graph run as one: two directions beside each other, layers on top of each other.

A step of a small recurrence costs more for its call than for its arithmetic. One joint recurrence of the summed width
has fewer calls, and products as the square of the width, many of them with zeros: so there is a width up to which it
pays. Two directions above it share the steps alone, with a product each. What runs together has one activation and one
order of its sequence; everything else stays by itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rnnx.rewrites.graph import Graph, Op, Var
from rnnx.rewrites.recurrence import NOT_ZERO_AT_ZERO, Recurrence

# Joined over one Scan each (`python -m bench.speed.joined`, 300 steps, onnxruntime 1.32, Zen 4, one thread; above 1,
# joined is faster): two directions of 32, at batch 1, 8, 32 and 128: 1.6, 1.2, 0.85, 0.85; two layers of 32: 1.8, 1.2,
# 0.9, 0.95, and under a mask, where they are moved once instead of twice, 2 throughout. At twice this width: two
# directions 1.2, 0.9, 0.7, 0.7; two layers 1.3, 1.0, 0.8, 0.9; four layers of 32 2.1, 1.0, 0.8, 0.7.
MAX_WIDTH = 64


@dataclass(frozen=True, eq=False)
class Joint:
    """Recurrences that run as one.

    Attributes:
        members: At least one; those of a stack from the lowest on.
        is_stack: Whether each reads all states of the one before, and nobody else does; otherwise they are
            independent of each other, and as long as each other.
    """

    members: tuple[Recurrence, ...]
    is_stack: bool = False

    @property
    def has_one_matrix(self) -> bool:
        """Whether one product serves all; else each has its own, in the same steps."""
        return self.is_stack or self.width <= MAX_WIDTH

    @property
    def width(self) -> int:
        """All units."""
        return sum(len(r.bias) for r in self.members)


def find_joints(graph: Graph, recurrences: Sequence[Recurrence]) -> list[Joint]:
    """Divides recurrences into those that run as one: stacks first, greedily from below, then pairs.

    Only those without gates are looked at; the others run by themselves.
    """
    chains = [chain for chain in _chains(graph, recurrences) if chain[0].operator == "RNN"]
    stacked = [stack for chain in chains for stack in _cut(chain)]
    joints = [joint for joint in stacked if len(joint.members) > 1]
    waiting = [joint.members[0] for joint in stacked if len(joint.members) == 1]
    while waiting:
        one = waiting.pop(0)
        pair = next((other for other in waiting if _is_pair(graph, one, other)), None)
        if pair is not None:
            waiting.remove(pair)
        joints.append(Joint((one,) if pair is None else (one, pair)))
    return joints


def _cut(chain: Sequence[Recurrence]) -> Iterator[Joint]:
    joint = Joint((chain[0],), is_stack=True)
    for r in chain[1:]:
        if joint.width + len(r.bias) > MAX_WIDTH:
            yield joint
            joint = Joint((), is_stack=True)
        joint = Joint((*joint.members, r), is_stack=True)
    yield joint


def _chains(graph: Graph, recurrences: Sequence[Recurrence]) -> list[list[Recurrence]]:
    """Divides recurrences into chains in which each can be stacked upon the one before."""
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
    """Not where the state would not stay at zero until the layer starts, as with a sigmoid."""
    if {lower.operator, upper.operator} != {"RNN"}:
        return False
    return lower.activation == upper.activation not in NOT_ZERO_AT_ZERO and lower.mask == upper.mask


def _is_pair(graph: Graph, one: Recurrence, other: Recurrence) -> bool:
    if one.activation != other.activation:
        return False
    if (one.mask is None) != (other.mask is None) or (one.mask is not None and one.activation in NOT_ZERO_AT_ZERO):
        return False
    if one.embedded is not None and other.embedded is not None:
        return one.embedded.ids == other.embedded.ids
    return any(
        _is_reverse(graph, a.x, b.x) and (a.mask is None or b.mask is None or _is_reverse(graph, a.mask, b.mask))
        for a, b in ((one, other), (other, one))
    )


def _is_reverse(graph: Graph, value: str, reverse: str) -> bool:
    return graph.match(reverse, Op("ReverseSequence", Var("value"))) == {"value": value}


def _find_readers(graph: Graph, recurrences: Sequence[Recurrence]) -> dict[str, list[str]]:
    """By value, what is made of it: the first outputs of those nodes that will be left, and "" for the graph's outputs.

    Of a Loop only the sequence is left that it reads; what counts its steps, or makes its first state, is not.
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
    """The recurrence that alone reads all states of this one, as they are; None if there is none."""
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

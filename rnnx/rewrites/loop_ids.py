"""The ids that a recurrence looks up, in the order in which its loop reads them."""

from __future__ import annotations

from rnnx.rewrites.graph import Graph
from rnnx.rewrites.recurrence import Embedded

_INT64_MIN = -(2**63) + 1


def add_ids(graph: Graph, name: str, embedded: Embedded) -> str:
    """Adds the ids as (time, batch), reversed in time if the loop reads them from the end."""
    ids = graph.add("Transpose", [embedded.ids], f"{name}.ids", perm=[1, 0])
    if not embedded.is_backwards:
        return ids
    ends = [graph.shared([-1]), graph.shared([_INT64_MIN]), graph.shared([0]), graph.shared([-1])]
    return graph.add("Slice", [ids, *ends], f"{name}.ids_backwards")

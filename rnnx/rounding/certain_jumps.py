"""Finds the rows of a batch for which no rounding can change what the jumps of a network decide.

The first order of `rnnx.rounding.decisions` says nothing about a jump, as a comparison or an argmax: its derivative is
0, and a number close to the jump may be on either side. So the numbers that a layer decides by are bounded from end to
end, as outputs are. If no number within these bounds decides otherwise, the jump is certain, and the derivative of 0 is
right. Otherwise nothing that depends on it has a bound from end to end.

Each number costs a pass backwards through the network. So a jump that decides by more numbers of a row than are
followed, as one at each position does, counts as uncertain.

Imports NumPy only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from rnnx.primitives import Trace
from rnnx.reference import Array, Network, Node, Tensor, cell_state_of, is_jump, last_state_of
from rnnx.reference.jumps import Jump
from rnnx.rounding.layer_bounds import bound_of, tracked_inputs

# Returns the first-order bound of each number of a node; None if there are too many to follow.
Follow: TypeAlias = Callable[[str], Array | None]


def rows_of_certain_jumps(
    network: Network, tensors: Mapping[str, Tensor], follow: Follow
) -> dict[str, npt.NDArray[np.bool_]]:
    """Says in which rows of a batch no jump before a node may be decided by rounding.

    Args:
        network: The reference.
        tensors: Its values for the batch, from `Network.forward`.
        follow: Bounds the numbers of a node.

    Returns:
        `(batch,)` by the names of the nodes that depend on a jump.
    """
    count = len(tensors[network.inputs[0].name].values)
    owners = {of(name): name for name in network.recurrent_nodes for of in (last_state_of, cell_state_of)}
    certain: dict[str, npt.NDArray[np.bool_]] = {}
    for node in network.nodes:
        names = [owners.get(name, name) for name in node.inputs]
        rows = [certain[name] for name in names if name in certain]
        if is_jump(node.layer):
            rows.append(_rows_of(node, tensors, follow, count))
        if rows:
            certain[node.name] = np.logical_and.reduce(rows)
    return certain


def _rows_of(node: Node, tensors: Mapping[str, Tensor], follow: Follow, count: int) -> npt.NDArray[np.bool_]:
    """Says in which rows a jump is certain if the numbers that it decides by are as close as they are bounded."""
    bounds = []
    for name in node.inputs:
        if (bound := follow(name)) is None:
            return np.zeros(count, np.bool_)
        bounds.append(bound)
    assert isinstance(node.layer, Jump)  # noqa: S101  # the caller has checked it
    decided = node.layer.decide(*tracked_inputs(Trace(), [tensors[name] for name in node.inputs], bounds))
    error = bound_of(decided.values)
    # Each position of a row is a row of a layer in a TimeDistributed.
    return np.ones(count, np.bool_) if error is None else (error == 0).reshape(count, -1).all(axis=-1)

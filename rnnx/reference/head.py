"""Applies the head of a network to each position alone, to show what the states of that position mean.

The head is the part of the network after its last recurrent layers. In the article it is p_t = softmax(V h_t + c) at
every position t. A network that answers once for a whole sequence has V and c too, and applies them to a summary of the
states. The same layers can be applied to a sequence that has only the position t:

- If the head reads the last state, that is h_t, and the result is the article's p_t. At the last position it is the
  answer of the network.
- If the head reads the mean or the maximum of the states over the time, the mean and the maximum of one state are that
  state. If V and c follow a mean, the mean of the logits of all positions is the logit of the network.
- With two directions, the states are those of both layers at position t: one has read the text up to t, the other from
  the end back to t. A network that joins both last states gives its own answer at no position.
- Any other input of the head, such as an embedding, is taken at position t as well. What no recurrence has a part in,
  such as the product of each embedding with the one before it, is computed of the whole sequence first.

A network is refused if a layer of its head combines several states in another way than by a mean, a maximum or the last
one, or if the positions of a layer are not those of the input.

Imports NumPy only.

Source: the definition in Li Hang, "Machine Learning Methods", an output at every position.
"""

from __future__ import annotations

from collections.abc import Sequence

from rnnx.errors import ModelError
from rnnx.primitives import Array
from rnnx.reference.dependence import inputs_read, positions_of, reads_from_end
from rnnx.reference.network import Given, Network, Node, cell_state_of, last_state_of
from rnnx.reference.recurrent import Recurrent
from rnnx.reference.shapes import zeros
from rnnx.reference.tensor import Tensor

_TIMES = (5, 7)


class Head:
    """The part of a network after its last recurrent layers, which can be applied to single positions."""

    def __init__(self, network: Network) -> None:
        """Finds the head.

        Args:
            network: A network with one output.

        Raises:
            ModelError: If the head cannot be applied to single positions; names the layer and the reason.
        """
        if len(network.ends) > 1:
            raise ModelError(
                f"the network has {len(network.ends)} outputs; only one output can be read position by position"
            )
        (self._end,) = (node.name for node in network.ends.values())
        self._network = network
        needed = _ancestors(network, {self._end})
        recurrent = [name for name in network.recurrent_nodes if name in needed]
        if not recurrent:
            raise ModelError("the network has no recurrent layer, so there is no state at a position")
        nodes = {node.name: node for node in network.nodes}
        shifted = _aligned(network, needed)
        before = _ancestors(network, {name for layer in recurrent for name in nodes[layer].inputs} | shifted)
        self._nodes = [n for n in network.nodes if n.name in needed - before - set(recurrent)]
        own = {node.name for node in self._nodes}
        read = {self._end, *(name for node in self._nodes for name in node.inputs)} - own
        is_turned = _orders(network, needed, shifted)
        for name in sorted(read):
            if is_turned[name] is None:
                raise ModelError(f"layer {name}: its output has no position that belongs to one of the input")
        # The inputs of the head; True if their positions are in reverse order.
        self._sources = {name: bool(is_turned[name]) for name in sorted(read)}

    def answers(self, given: Given) -> Array:
        """Runs the network, and then its head at every position.

        Args:
            given: As for `Network.forward`.

        Returns:
            The output of the head at each position, `(batch, time, outputs)`; at padding it has no meaning.
        """
        tensors = self._network.forward(given)
        nodes = {node.name: node for node in self._network.nodes}
        batch, time = next(iter(self._network.named(given).values())).shape[:2]
        outputs: dict[str, Tensor] = {}
        for name, is_turned in self._sources.items():
            node = nodes.get(name)
            values = _values(node, tensors) if node else tensors[name].values
            values = values[:, ::-1] if is_turned else values
            # Each position becomes a sequence of one position.
            alone = values.reshape(batch * time, 1, *values.shape[2:])
            is_last_state = node is not None and isinstance(node.layer, Recurrent) and not node.layer.return_sequences
            outputs[name] = Tensor(alone[:, 0] if is_last_state else alone)
        for node in self._nodes:
            outputs[node.name] = node.layer(*(outputs[name] for name in node.inputs))
        return outputs[self._end].values.reshape(batch, time, -1)


def _values(node: Node, tensors: dict[str, Tensor]) -> Array:
    """Returns the output of a layer at each position; for a recurrent layer all its states."""
    if not isinstance(node.layer, Recurrent):
        return tensors[node.name].values
    x, *first = (tensors[name] for name in node.inputs)
    return node.layer.states(node.layer.in_order(x), [state.values for state in first])


def _ancestors(network: Network, names: set[str]) -> set[str]:
    """Returns the names of all nodes and inputs that the named ones depend on, and the names themselves."""
    found = set(names)
    for node in reversed(network.nodes):
        if found & {node.name, cell_state_of(node.name), last_state_of(node.name)}:
            found |= {node.name, *node.inputs}
    return found


def _aligned(network: Network, needed: set[str]) -> set[str]:
    """Finds layers without a recurrence before them that combine several positions, and give as many as there are."""
    recurrent = set(network.recurrent_nodes)
    mixing = {
        node.name
        for node in network.nodes
        if node.name in needed - recurrent
        and not recurrent & _ancestors(network, {node.name})
        and positions_of(node.layer) == "mixed"
    }
    if not mixing or any(None not in port.shape for port in network.inputs):
        return set()
    for time in _TIMES:
        try:
            tensors = network.forward(zeros(network, time))
        except (ValueError, IndexError):
            return set()
        mixing = {name for name in mixing if tensors[name].values.shape[1:2] == (time,)}
    return mixing


def _orders(network: Network, needed: set[str], aligned: set[str]) -> dict[str, bool | None]:
    """Says for each node whether its positions are those of the input in reverse order; None if they are others.

    For a recurrent layer it is the order of its states, even if its output is only the last one.

    Raises:
        ModelError: If a layer combines positions so that a single one has no meaning.
    """
    orders: dict[str, bool | None] = {port.name: False for port in network.inputs}
    states = dict(orders)
    before = _ancestors(network, aligned)
    for node in network.nodes:
        if node.name in needed & before and positions_of(node.layer) == "mixed":
            states[node.name] = orders[node.name] = False if node.name in aligned else None
        elif node.name in needed:
            states[node.name], orders[node.name] = order_after(node, [orders[name] for name in node.inputs])
            orders |= dict.fromkeys((cell_state_of(node.name), last_state_of(node.name)))
    return states


def order_after(node: Node, before: Sequence[bool | None]) -> tuple[bool | None, bool | None]:
    """Says in which order the positions are inside a layer and in its output.

    Args:
        node: The layer.
        before: The order of each of its inputs: True if the positions are those of the network's input in reverse
            order; None if they are others.

    Returns:
        The order of the states of a recurrent layer, and the order of its output; for any other layer both are equal.

    Raises:
        ModelError: If the layer combines positions so that a single one has no meaning.
    """
    layer = node.layer
    # First states have no positions.
    before = before[:1] if isinstance(layer, Recurrent) else before
    read = {before[i] for i in inputs_read(layer, len(before)) or range(len(before))}
    if len(read) > 1:
        raise ModelError(f"layer {node.name}: it combines different positions")
    order = read.pop()
    if isinstance(layer, Recurrent):
        turned = None if order is None else order != reads_from_end(layer)
        return turned, turned if layer.return_sequences else None
    positions = positions_of(layer)
    if positions == "mixed" and order is not None:
        kind = type(layer).__name__
        raise ModelError(f"layer {node.name}: a {kind} of several positions has no meaning for a single one")
    after = None if order is None or positions in ("summary", "mixed") else order != (positions == "reversed")
    return after, after

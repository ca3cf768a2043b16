"""What a network says at each position: its head applied to the states of that position alone.

The head is everything behind the last recurrences, that is behind those that no other recurrence reads from. In the
article it is p_t = softmax(V h_t + c) at every position t. A network that answers once for a whole sequence has V and
c too and applies them to a summary of the states; the same layers, given a sequence that consists of the one position
t, say what it would say if the states of t were all there is:

- Behind a last state, the last state is h_t: the article's p_t, and at the last position the network's own answer.
- Behind a mean or a maximum over the time, the mean and the maximum of one state are that state. Where V and c follow
  upon a mean, the logits of the positions have the logit of the whole as their mean.
- Of two directions, the states are those that each has at position t: one has read the text up to t, the other from
  its end back to t. So a network that joins both last states is at no position asked for what it answers in the end.
- What the head reads from beside a recurrence (an embedding, say) is taken at position t likewise.

Refused is what has no such reading: a layer that takes several positions together other than by a mean, a maximum or
the last one; states whose positions are not those of the input.

Imports numpy and the reference.

Source: the definition in Li Hang, "Machine Learning Methods", an output at every position.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from rnnx.errors import ModelError
from rnnx.reference.merging import Concatenate, Merge, TakeMask
from rnnx.reference.network import Given, Network, Node
from rnnx.reference.pointwise import (
    ELU,
    Activation,
    BatchNormalization,
    Dense,
    Embedding,
    LayerNormalization,
    LeakyReLU,
    Masking,
    Rescaling,
)
from rnnx.reference.pooling import GlobalAveragePooling1D, GlobalMaxPooling1D, LastPosition, Pooling1D
from rnnx.reference.recurrent import Recurrent
from rnnx.reference.reshaping import RepeatVector, Reshape, Reverse, ZeroPadding1D
from rnnx.reference.tensor import Array, Tensor


class Head:
    """The part of a network behind its last recurrences, ready to be given single positions."""

    def __init__(self, network: Network) -> None:
        """Finds the head.

        Args:
            network: With one output.

        Raises:
            ModelError: If nothing in it can be read position by position; names the layer and the reason.
        """
        if len(network.ends) > 1:
            raise ModelError(f"the network has {len(network.ends)} outputs; one is read position by position")
        (self._end,) = (node.name for node in network.ends.values())
        self._network = network
        needed = _behind_which(network, {self._end})
        recurrent = [name for name in network.recurrent_nodes if name in needed]
        if not recurrent:
            raise ModelError("the network has no recurrent layer, so there is no state at a position")
        nodes = {node.name: node for node in network.nodes}
        before = _behind_which(network, {name for one in recurrent for name in nodes[one].inputs})
        self._nodes = [n for n in network.nodes if n.name in needed - before - set(recurrent)]
        own = {node.name for node in self._nodes}
        read = {self._end, *(name for node in self._nodes for name in node.inputs)} - own
        is_turned = _orders(network, needed)
        for name in sorted(read):
            if is_turned[name] is None:
                raise ModelError(f"layer {name}: what it gives has no position in the input that it belongs to")
        # What the head reads: whether its positions stand in the opposite order.
        self._sources = {name: bool(is_turned[name]) for name in sorted(read)}

    def answers(self, given: Given) -> Array:
        """Runs the network, and its head over every position.

        Args:
            given: As for `Network.forward`.

        Returns:
            (batch, time, outputs): what the head says at each position; at padding, of states that mean nothing.
        """
        tensors = self._network.forward(given)
        nodes = {node.name: node for node in self._network.nodes}
        batch, time = next(iter(self._network.named(given).values())).shape[:2]
        outputs: dict[str, Tensor] = {}
        for name, is_turned in self._sources.items():
            node = nodes.get(name)
            values = _values(node, tensors) if node else tensors[name].values
            values = values[:, ::-1] if is_turned else values
            # Each position as a sequence of its own, of which it is the first and the last.
            alone = values.reshape(batch * time, 1, *values.shape[2:])
            is_last_state = node is not None and isinstance(node.layer, Recurrent) and not node.layer.return_sequences
            outputs[name] = Tensor(alone[:, 0] if is_last_state else alone)
        for node in self._nodes:
            outputs[node.name] = node.layer(*(outputs[name] for name in node.inputs))
        return outputs[self._end].values.reshape(batch, time, -1)


def _values(node: Node, tensors: dict[str, Tensor]) -> Array:
    """What a layer has at each position: a recurrence all its states, whichever of them it hands on."""
    if not isinstance(node.layer, Recurrent):
        return tensors[node.name].values
    return node.layer.states(node.layer.in_order(tensors[node.inputs[0]]))


def _behind_which(network: Network, names: set[str]) -> set[str]:
    """The nodes and inputs that some of them come from, themselves included."""
    found = set(names)
    for node in reversed(network.nodes):
        if node.name in found:
            found |= set(node.inputs)
    return found


def _orders(network: Network, needed: set[str]) -> dict[str, bool | None]:
    """For each node whether its positions are those of the input turned around; None if they are not those at all.

    Of a recurrence it is said of its states, whether or not it puts out more than the last.

    Raises:
        ModelError: If a layer takes positions together in a way that leaves single ones nothing to say.
    """
    orders: dict[str, bool | None] = {one.name: False for one in network.inputs}
    states = dict(orders)
    for node in network.nodes:
        if node.name in needed:
            states[node.name], orders[node.name] = order_after(node, [orders[name] for name in node.inputs])
    return states


def order_after(node: Node, before: Sequence[bool | None]) -> tuple[bool | None, bool | None]:
    """Says in which order the positions are inside a layer and in its output.

    Args:
        node: The layer.
        before: The order of each of its inputs: whether the positions are those of the network's input in reverse
            order; None if they are not those at all.

    Returns:
        The order of a recurrence's states, and that of what the layer puts out; the same for any other layer.

    Raises:
        ModelError: If the layer takes positions together in a way that leaves single ones nothing to say.
    """
    first, layer = before[0], node.layer
    match layer:
        case Recurrent():
            turned = None if first is None else first != layer.go_backwards
            return turned, turned if layer.return_sequences else None
        case Concatenate() | Merge():
            if len(set(before)) > 1:
                raise ModelError(f"layer {node.name}: it joins what stands at different positions")
            return first, first
        case Pooling1D() | ZeroPadding1D() | RepeatVector() | Reshape():
            if first is not None:
                kind = type(layer).__name__
                raise ModelError(f"layer {node.name}: a {kind} of several positions has no reading for a single one")
            return None, None
        case Reverse():
            after = None if first is None else not first
            return after, after
        case GlobalAveragePooling1D() | GlobalMaxPooling1D() | LastPosition():
            return None, None
        case (
            Embedding() | Masking() | TakeMask() | Dense() | Activation() | LeakyReLU() | ELU() | Rescaling()
            | BatchNormalization() | LayerNormalization()
        ):  # fmt: skip
            return first, first
    assert_never(layer)

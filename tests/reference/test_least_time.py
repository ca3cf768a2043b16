"""Tests how many positions a network needs: what slices, positions and windows take must be there."""

from __future__ import annotations

import numpy as np
import pytest

from rnnx.errors import ModelError
from rnnx.reference import CombineTensors, GetItem, Input, Join, Layer, Network, Node, Pooling1D, Selection, SimpleRNN
from rnnx.reference.shapes import inputs_by_time, least_time, least_times, name_times

RNG = np.random.default_rng(1)
RNN = SimpleRNN(RNG.normal(size=(3, 3)), RNG.normal(size=(3, 3)), RNG.normal(size=3), "tanh", return_sequences=True)


def take(start: int | None = None, stop: int | None = None, step: int | None = None) -> GetItem:
    return GetItem((Selection("slice", start, stop, step),))


def network_of(*layers: Layer) -> Network:
    nodes, before = [Node("rnn", RNN, ("x",))], "rnn"
    for i, layer in enumerate(layers):
        nodes.append(Node(f"layer{i}", layer, (before,)))
        before = f"layer{i}"
    return Network(nodes, (Input("x", "numbers", (None, 3)),))


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ((), 1),
        ((take(1),), 2),
        ((take(None, -1),), 2),
        ((take(None, None, 2),), 1),
        ((take(-3),), 1),
        ((take(2, 7),), 3),
        ((take(1), take(1), take(None, -2)), 5),
        ((GetItem((Selection("index", 3),)),), 4),
        ((GetItem((Selection("index", -3),)),), 3),
        ((take(1), Pooling1D("maximum", 3, 3, is_padded=False)), 4),
    ],
)
def test_the_least_time_has_every_position(layers: tuple[Layer, ...], expected: int) -> None:
    assert least_time(network_of(*layers)) == expected


def test_a_part_that_is_joined_with_others_must_be_there_too() -> None:
    nodes = [
        Node("rnn", RNN, ("x",)),
        Node("late", take(5), ("rnn",)),
        Node("joined", Join(1, is_stacked=False), ("rnn", "late")),
    ]
    assert least_time(Network(nodes, (Input("x", "numbers", (None, 3)),))) == 6


def test_inputs_of_different_lengths_have_their_own_least_times() -> None:
    """The last states of one input are added to those of the other after its second position."""
    last = GetItem((Selection("index", -1),))
    nodes = [
        Node("rnn", RNN, ("x",)),
        Node("last", last, ("rnn",)),
        Node("late", take(2), ("y",)),
        Node("other", last, ("late",)),
        Node("sum", CombineTensors("add"), ("last", "other")),
    ]
    inputs = (Input("x", "numbers", (None, 3)), Input("y", "numbers", (None, 3)))
    assert least_times(Network(nodes, inputs)) == {"x": 1, "y": 3}


@pytest.mark.parametrize(
    ("pairs", "single", "groups", "times"),
    [
        (["bc"], "a", [["a"], ["b", "c"]], {"a": "time", "b": "b_time", "c": "b_time"}),
        (["ac"], "b", [["b"], ["a", "c"]], {"a": "time", "b": "b_time", "c": "time"}),
        (["ab", "bc"], "", [["a", "b", "c"]], dict.fromkeys("abc", "time")),
        (["ac", "bd"], "", [["a", "c"], ["b", "d"]], {"a": "time", "b": "b_time", "c": "time", "d": "b_time"}),
    ],
)
def test_inputs_that_are_combined_have_one_time(
    pairs: list[str], single: str, groups: list[list[str]], times: dict[str, str]
) -> None:
    """The inputs of each group are added at each position, and put out."""
    nodes = [Node(f"sum_{names}", CombineTensors("add"), tuple(names)) for names in pairs]
    nodes += [Node(f"rnn_{name}", RNN, (name,)) for name in single]
    names = sorted({name for node in nodes for name in node.inputs})
    inputs = tuple(Input(name, "numbers", (None, 3)) for name in names)
    network = Network(nodes, inputs, {node.name: node.name for node in nodes})
    assert inputs_by_time(network) == groups
    assert name_times(network) == {**times, **{node.name: times[node.inputs[0]] for node in nodes}}


def test_a_network_may_need_many_positions() -> None:
    assert least_time(network_of(take(40), take(40))) == 81
    with pytest.raises(ModelError, match="no answer for up to 4,096 positions"):
        least_time(network_of(take(4000), take(4000)))


def test_an_input_of_a_fixed_time_has_no_shortest_one() -> None:
    assert least_time(Network([Node("rnn", RNN, ("x",))], (Input("x", "numbers", (4, 3)),))) == 1

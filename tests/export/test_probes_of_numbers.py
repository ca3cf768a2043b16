from __future__ import annotations

import numpy as np

from rnnx.export.probes_of_numbers import make_number_probes, make_number_traps
from rnnx.reference import Dense, Input, Network, Node, SimpleRNN

SENSITIVE = "where the first layer is most sensitive"


def sensor_network(offset: float, deviation: float) -> Network:
    """Returns a network trained on numbers around an offset; its kernel and bias contain the standardization."""
    rng = np.random.default_rng(0)
    kernel = rng.normal(0, 1, (2, 8)) / deviation
    rnn = SimpleRNN(kernel, np.eye(8) / 2, -offset * kernel.sum(axis=0), "tanh", return_sequences=False)
    nodes = [Node("rnn", rnn, ("x",)), Node("values", Dense(rng.normal(0, 1, (8, 1)), np.zeros(1), "linear"), ("rnn",))]
    return Network(nodes, (Input("x", "numbers", (None, 2)),))


def test_some_probes_lie_in_the_range_of_the_sensor() -> None:
    network = sensor_network(1000.0, 50.0)
    traps = make_number_traps(network, 40)
    x = traps[SENSITIVE]["x"]
    assert x.shape == (1, 40, 2)
    assert abs(x.mean() - 1000) < 50
    rnn = network.recurrent_nodes["rnn"]
    seen, around_zero = (
        rnn.states(network.forward(traps[name])["x"])[0, 5:].std(axis=0) for name in (SENSITIVE, "half")
    )
    # In this range the states change from step to step. Around zero they are saturated and hardly change.
    assert np.median(seen) > 20 * np.median(around_zero)
    assert (seen > around_zero).all()


def test_probes_in_the_range_of_the_sensor_run_alone_and_in_a_batch() -> None:
    batches, _ = make_number_probes(sensor_network(20.0, 3.0), 40, 4)
    assert sum(SENSITIVE in name for batch in batches for name in batch.names) == 2

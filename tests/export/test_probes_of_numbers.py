from __future__ import annotations

import numpy as np
import pytest

from rnnx.errors import ModelError
from rnnx.export.finite import finite_rows
from rnnx.export.probes import make_array_probes, only_finite, stack_by_shape
from rnnx.export.probes_of_numbers import ProbeSize, find_probe_size, make_number_probes, make_number_traps
from rnnx.reference import (
    Concatenate,
    Dense,
    Embedding,
    GlobalAveragePooling1D,
    Input,
    Masking,
    Network,
    Node,
    SimpleRNN,
)

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
    batches, _ = make_number_probes(sensor_network(20.0, 3.0), ProbeSize(40), 4)
    assert sum(SENSITIVE in name for batch in batches for name in batch.names) == 2


def growing_network(factor: float) -> Network:
    """Returns a network whose states grow at every step."""
    rnn = SimpleRNN(np.ones((2, 3)), np.full((3, 3), factor), np.full(3, 5.0), "relu", return_sequences=False)
    nodes = [Node("rnn", rnn, ("x",)), Node("values", Dense(np.ones((3, 1)), np.zeros(1), "linear"), ("rnn",))]
    return Network(nodes, (Input("x", "numbers", (None, 2)),))


def test_no_probe_is_so_long_that_the_network_overflows() -> None:
    network = growing_network(10.0)  # a factor of 30 a step
    drawn = make_array_probes(network, [])
    probes = only_finite(network, drawn)
    assert drawn.longest == 6  # 100, 50, 25 and 12 steps are too many
    assert probes.overflow_count > 12
    assert len(probes.batches[0].names) >= 16 * 16  # as a recurrent weight counts in few steps of a row
    for batch in [*probes.batches, probes.long_batch]:
        states = network.recurrent_nodes["rnn"].states(network.forward(batch.given)["x"])
        assert len(states) == len(batch.names)
        assert np.abs(states).max() < 2.0**56
    assert finite_rows(network, {"x": np.ones((2, 40, 2)) * [[[-1e30]], [[1.0]]]}).tolist() == [True, False]


def test_a_network_that_stays_finite_has_all_its_probes() -> None:
    network = growing_network(0.3)
    drawn = make_array_probes(network, [])
    assert drawn.longest == 100
    kept = only_finite(network, drawn)
    assert [batch.names for batch in kept.batches] == [batch.names for batch in drawn.batches]
    assert kept.long_batch.time == 400
    assert (kept.trap_count, kept.overflow_count) == (drawn.trap_count, 0)


def test_a_fixed_time_has_smaller_numbers_where_larger_ones_overflow() -> None:
    kernel, recurrent_kernel = np.full((2, 3), 1e10), np.ones((3, 3))  # a factor of 3 a step, and no bias
    rnn = SimpleRNN(kernel, recurrent_kernel, np.zeros(3), "relu", return_sequences=False)
    network = Network([Node("values", rnn, ("x",))], (Input("x", "numbers", (17, 2)),))
    size = find_probe_size(network, 100)
    assert size.scale in (0.1, 0.01)
    probes = only_finite(network, make_array_probes(network, []))
    assert "row 1" in probes.batches[0].names
    assert probes.overflow_count >= size.overflow_count > 0


def test_a_network_that_is_never_finite_is_refused() -> None:
    network = growing_network(1e30)
    with pytest.raises(ModelError, match=r"overflows float32 on all inputs that were tried, of 2 steps and more, so"):
        only_finite(network, make_array_probes(network, []))


def test_recorded_sequences_on_which_the_network_overflows_do_not_count() -> None:
    network = growing_network(10.0)
    rng = np.random.default_rng(0)
    real = stack_by_shape([rng.uniform(1, 2, (time, 2)).astype(np.float32) for time in (5, 100)])
    probes = only_finite(network, make_array_probes(network, real))
    assert probes.text_count == 1
    names = [name for batch in probes.batches for name in batch.names]
    assert "sequence 1" in names
    assert "sequence 2" not in names
    assert probes.text_count + probes.trap_count == len(names)


def test_a_network_that_takes_a_mean_is_given_a_position_in_each_input() -> None:
    rng = np.random.default_rng(0)
    nodes = [
        Node("embedding", Embedding(rng.normal(size=(9, 2)), mask_zero=True), ("ids",)),
        Node("masking", Masking(0.0), ("x",)),
        Node("mean", GlobalAveragePooling1D(), ("embedding",)),
        Node("other", GlobalAveragePooling1D(), ("masking",)),
        Node("values", Concatenate(), ("mean", "other")),
    ]
    network = Network(nodes, (Input("ids", "ids", (None,), size=9), Input("x", "numbers", (None, 2))))
    traps = make_number_traps(network, 20)
    assert all(np.isfinite(network.predict(given)).all() for given in traps.values())
    assert not any(values[:, 1:].any() for values in traps["zeros"].values())


def wide_network(time: int | None, width: int) -> Network:
    rnn = SimpleRNN(np.full((width, 1), 1e-6), np.zeros((1, 1)), np.zeros(1), "tanh", return_sequences=False)
    return Network([Node("values", rnn, ("x",))], (Input("x", "numbers", (time, width)),))


@pytest.mark.parametrize(
    ("time", "width", "length", "rows"), [(None, 40_000, 100, 16), (None, 60_000, 100, 11), (None, 400_000, 25, 6)]
)
def test_the_more_numbers_a_step_has_the_fewer_and_shorter_are_the_probes(
    time: int | None, width: int, length: int, rows: int
) -> None:
    size = find_probe_size(wide_network(time, width), 100)
    assert (size.length, size.row_count, size.repeats_traps) == (length, rows, rows == 16)


def test_traps_of_many_numbers_are_run_alone_only() -> None:
    network = wide_network(4, 2_000_000)  # of a fixed time
    size = find_probe_size(network, 100)
    assert (size.length, size.row_count, size.repeats_traps) == (100, 8, False)
    batches, _ = make_number_probes(network, ProbeSize(100, row_count=2, repeats_traps=False), 4)
    assert batches[0].names == ("row 1", "row 2")
    assert ("zeros, alone",) in {batch.names for batch in batches}

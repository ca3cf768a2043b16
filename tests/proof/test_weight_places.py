"""Tests where the weights of a network are found in a file."""

from __future__ import annotations

import numpy as np

from rnnx.proof.weight_places import find_weight


def test_a_weight_is_found_as_it_is_before_it_is_found_transposed() -> None:
    """A language model may have the table of its Embedding as the kernel of its head, transposed."""
    table = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    tensors = {"head": np.ascontiguousarray(table.T), "table": table}
    for weight, name in ((table, "table"), (table.T, "head")):
        record = find_weight(weight.astype(np.float64), tensors, ())
        assert record is not None
        assert (record.initializer, record.is_transposed) == (name, False)
    del tensors["table"]
    record = find_weight(table.astype(np.float64), tensors, ())
    assert record is not None
    assert (record.initializer, record.is_transposed) == ("head", True)

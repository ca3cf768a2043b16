"""Tests the removal of the nodes for negative ids: operators, numbers, checker, and patterns that are left alone."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the [train] extra")
pytest.importorskip("onnxruntime", reason="needs the [cpu] extra")

import onnx

from rnnx.rewrites.embedding import remove_negative_ids
from tests.rewrites.graphs import op_types, parse, run

pytestmark = pytest.mark.train

TABLE = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
# tf2onnx writes where(ids < 0, ids + rows, ids) of Keras like this.
TEXT = """g (int32[batch, time] ids) => (float[batch, time, 3] y) {
    shifted = Add (ids, rows)
    wide = Cast <to = 7> (ids)
    negative = Less (wide, zero)
    positive = Not (negative)
    keeps = Cast <to = 6> (positive)
    kept = Mul (ids, keeps)
    counts = Cast <to = 6> (negative)
    counted = Mul (counts, shifted)
    index = Add (counted, kept)
    y = Gather (table, index)
}"""


def converted(text: str = TEXT, *, zero: int = 0, rows: int = 5) -> onnx.ModelProto:
    return parse(text, zero=np.int64(zero), rows=np.int32(rows), table=TABLE)


def test_the_lookup_reads_the_ids_themselves() -> None:
    model = converted()
    cleaned = remove_negative_ids(model)
    assert op_types(cleaned) == ["Gather"]
    assert [tensor.name for tensor in cleaned.graph.initializer] == ["table"]
    ids = np.array([[0, 1, 4], [3, 2, 0]], np.int32)
    np.testing.assert_array_equal(run(model, ids=ids)[0], run(cleaned, ids=ids)[0])
    assert model.SerializeToString() == converted().SerializeToString()  # the given model is not changed


@pytest.mark.parametrize(
    "model",
    [
        converted(zero=1),  # no test for negative ids
        converted(rows=4),  # negative ids would count from another end
        converted(TEXT.replace("Not (negative)", "Identity (negative)")),
        converted(TEXT.replace("Gather (table", "Gather (other").replace("(int32", "(float[rows, 3] other, int32")),
    ],
    ids=["another bound", "another number of rows", "another pattern", "a table that is an input"],
)
def test_another_pattern_is_left_alone(model: onnx.ModelProto) -> None:
    assert op_types(remove_negative_ids(model)) == op_types(model)

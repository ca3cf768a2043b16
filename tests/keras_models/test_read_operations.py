"""Tests that operations of functional models which are not supported are refused by name and reason."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import onnx
from keras import layers
from keras.src.ops import core, linalg, nn
from keras.src.ops import numpy as operations
from onnx import numpy_helper

from rnnx.errors import ModelError
from rnnx.keras_models.read_network import read_network
from tests.conversions import build_forms
from tests.keras_models.compared_forms import compare, make, worst
from tests.keras_models.layer_bodies import BODIES, ids_of
from tests.keras_models.parts import Body, last, rnn, square

pytestmark = [
    pytest.mark.train,
    # Operations read no mask.
    pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask attached:UserWarning"),
]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (lambda x: operations.GetItem(name="p")(rnn()(x), (slice(None), 300)), "takes position 300, which a short"),
        (lambda x: operations.GetItem(name="p")(rnn()(x), (slice(None), slice(9, 5))), "leaves nothing of a"),
        (lambda x: operations.GetItem(name="p")(rnn()(x), (slice(1, None),)), "takes some rows of the batch"),
(lambda x: operations.Sum((1, 2), name="p")(rnn()(x)), "gives a single number of each row"),
        (lambda x: operations.Mean(0, name="p")(rnn()(x)), "reduces the batch"),
        (lambda x: operations.Average(1, name="p")(square(x), np.ones(4, np.float32)), "has weights; use ops.sum("),
        (lambda x: operations.Tensordot(1, name="p")(np.ones((2, 4), np.float32), rnn()(x)), "should multiply a comp"),
        (lambda x: operations.Einsum("btd,tde->bte", name="p")(square(x), np.ones((4, 4, 2), "f4")), "of its own"),
        (lambda x: operations.Einsum("btd->bd", name="p")(rnn()(x)), "use ops.sum or ops.transpose"),
        (lambda x: operations.Diff(4, 1, name="p")(square(x)), "leaves nothing of an axis of size 4"),
        (lambda x: operations.Add(name="p")(rnn()(x), layers.GlobalMaxPooling1D()(x)), "add an axis, as x[:, None]"),
        (lambda x: operations.Add(name="p")(square(x), np.ones((2, 4, 4), np.float32)), "not those of one row of"),
        (lambda x: operations.Transpose((1, 0, 2), name="p")(rnn()(x)), "moves the batch to another axis"),
        (lambda x: operations.Reshape((4, -1), name="p")(last(x)), "does not keep the batch"),
        (lambda x: operations.Reshape((-1, 2, 4), name="p")(square(x))[:, 0], "those of (4, 4) become rows of (2, 4)"),
        (lambda x: operations.Reshape((-1, 8), name="p")(last(x)), "those of (3,) become rows of (8,)"),
        (lambda x: operations.Matmul(name="p")(square(x), last(x)), "only a matrix of each row"),
        (lambda x: operations.Matmul(name="p")(square(x), np.ones((1, 4, 4), np.float32)), "of the shape (1, 4, 4)"),
        (lambda x: operations.Dot(name="p")(square(x), square(x))[:, 0], "use ops.matmul or ops.einsum"),
        (lambda x: operations.Einsum("btd,bsd->ts", name="p")(square(x), square(x)), "of which the batch is the"),
        (lambda x: operations.Einsum("bd,btd,btd->bt", name="p")(rnn()(x)[:, 0], x, rnn()(x)), "write several einsums"),
        (lambda x: operations.Where(name="p")(x > 0, x, np.zeros((4,), np.float32)), "constants of the shape (4,)"),
        (lambda x: operations.Greater(name="p")(keras.ops.argmax(rnn()(x), -1) + 1, 1)[:, :1], "by whole numbers"),
        (lambda x: operations.Argmax(None, True, name="p")(rnn()(x))[:, 0], "mix the rows of the batch"),
        (lambda x: operations.Argmin(0, name="p")(rnn()(x)), "works along the batch"),
        (lambda x: operations.Less(name="p")(ids_of(x), np.arange(8).reshape(2, 4)), "not those of one row of (None,"),
        (lambda x: operations.TakeAlongAxis(1, name="p")(rnn()(x), ids_of(x)[:, :, None]), "multiply by ops.one_hot("),
        (lambda x: operations.Split(2, 1, name="p")(rnn()(x))[0], "splits a variable time"),
        (lambda x: operations.Pad(((1, 0), (1, 1), (1, 1)), name="p")(rnn()(x)), "only axes of each row"),
        (lambda x: operations.Pad(((0, 0), (1, 1), (0, 0)), "reflect", name="p")(rnn()(x)), "mode='reflect'"),
        (lambda x: operations.Pad(((0, 0), (1, 1), (0, 0)), "symmetric", name="p")(square(x)), "mode='symmetric'"),
        (lambda x: operations.Tile([2, 1, 1], name="p")(rnn()(x)), "only axes of each row may be tiled"),
        (lambda x: operations.Repeat(2, None, name="p")(square(x)), "should repeat each element"),
        (lambda x: operations.Roll(1, name="p")(rnn()(x)), "give an axis"),
        (lambda x: operations.Sort(None, name="p")(rnn()(x)), "mix the rows of the batch"),
        (lambda x: nn.OneHot(3, dtype="float32", name="p")(rnn()(x))[:, 0], "drops the fractions; only ids"),
        (lambda x: nn.OneHot(3, 1, "float32", name="p")(ids_of(x))[:, 0], "an axis before the last"),
        (lambda x: operations.Take(2, name="p")(rnn()(x), [0, 4]), "takes at [0, 4], which an axis of size 4"),
        (lambda x: operations.Triu(name="p")(rnn()(x)), "matrices of a fixed size"),
        (lambda x: operations.ArraySplit(5, 2, name="p")(rnn()(x))[0], "leaves nothing of a part"),
        (lambda x: operations.Power(name="p")(rnn()(x), rnn()(x)), "has a computed exponent"),
        (lambda x: operations.Divide(name="p")(rnn()(x), np.array([1, 0, 2, 3], np.float32)), "divides by 0"),
        (lambda x: core.Cast("float16", name="p")(rnn()(x)), "numbers of type float16"),
        (lambda x: core.Cast("int32", name="p")(rnn()(x)), "turns numbers of type float32 into int32"),
        (lambda x: linalg.Norm(3, 2, name="p")(rnn()(x)), "has ord=3"),
        (lambda x: nn.Softmax((1, 2), name="p")(rnn()(x)), "only one axis is supported"),
        (lambda x: operations.Cumprod(1, name="p")(rnn()(x)), "is of an unsupported class"),
    ],
)  # fmt: skip
def test_an_unsupported_operation_is_refused_by_name_and_reason(body: Body, reason: str) -> None:
    ids = keras.Input((None,), dtype="int32")
    x = body(layers.Embedding(12, 4, mask_zero=True)(ids))
    x = x if x.dtype == "float32" else keras.ops.cast(x, "float32")
    model = keras.Model(ids, x if len(x.shape) < 3 else last(x))
    with pytest.raises(ModelError, match=rf"layer p \(.*{re.escape(reason)}.*; nothing was exported"):
        read_network(model)


@pytest.mark.parametrize(
    ("name", "operators"),
    [
        ("functions, elementary", {"Sin": "Cos", "Erf": "Tanh", "Atan": "Tanh", "Asinh": "Atan", "Sinh": "Tan"}),
        ("reductions, further", {"ReduceProd": "ReduceSum", "Max": "Min"}),
        ("jumps", {"Sign": "Floor", "Ceil": "Round", "ArgMax": "ArgMin", "Greater": "Less", "Equal": "Greater"}),
    ],
)
def test_a_wrong_operator_exceeds_the_bound(name: str, operators: dict[str, str]) -> None:
    model = make(BODIES[name](), mask_zero=True)
    network = read_network(model)
    rewritten = build_forms(model, network)["model.onnx"]
    for right, wrong in operators.items():
        mutant = onnx.ModelProto.FromString(rewritten.model.SerializeToString())
        node = next(node for node in mutant.graph.node if node.op_type == right)
        node.op_type = wrong
        if wrong == "ReduceSum":  # its axes are an input
            axes = next(attribute.ints for attribute in node.attribute if attribute.name == "axes")
            mutant.graph.initializer.append(numpy_helper.from_array(np.array(axes, np.int64), "mutant.axes"))
            node.input.append("mutant.axes")
            kept = [attribute for attribute in node.attribute if attribute.name != "axes"]
            del node.attribute[:]
            node.attribute.extend(kept)
        assert worst(compare(network, dataclasses.replace(rewritten, model=mutant))) > 1, right

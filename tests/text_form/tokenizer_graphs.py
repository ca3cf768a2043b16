"""Runs a tokenizer that is written as ONNX operators, and compares its ids with those of `rnnx.text.tokenizer`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper

from rnnx.rewrites.graph import Graph
from rnnx.runtime.session import Session
from rnnx.text.tokenizer import Ids, Tokenizer, to_batch


def make_model(add_tokenizer: Callable[[Graph], str]) -> onnx.ModelProto:
    """Makes a model of the nodes that a function adds; they read `text`, and the function returns the ids."""
    graph = Graph(onnx.GraphProto(name="tokenizer"))
    graph.proto.input.append(helper.make_tensor_value_info("text", TensorProto.UINT8, ["batch", "bytes"]))
    ids = add_tokenizer(graph)
    graph.proto.output.append(helper.make_tensor_value_info(ids, TensorProto.INT32, ["batch", "time"]))
    graph.clean()
    model = helper.make_model(graph.proto, ir_version=8, opset_imports=[helper.make_opsetid("", 13)])
    onnx.checker.check_model(model, full_check=True)
    return model


def assert_same_ids(tokenizer: Tokenizer, session: Session, texts: Sequence[bytes], more_padding: int = 0) -> None:
    expected: Ids = tokenizer.pad([tokenizer.encode(text).ids for text in texts])
    (actual,) = session.run(np.pad(to_batch(texts), ((0, 0), (0, more_padding))))
    assert actual.dtype == np.int32
    assert expected.tolist() == actual.tolist(), texts

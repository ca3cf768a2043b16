"""A copy of an exported graph that also puts its hidden states out, so that each step can be looked at.

The copy runs the same operators on the same weights as the file that ships; nothing but outputs is added.
"""

from __future__ import annotations

from collections.abc import Iterable

import onnx
from onnx import TensorProto, helper

_SUFFIX = ".states"


def with_states(proto: onnx.ModelProto, layers: Iterable[str]) -> onnx.ModelProto:
    """Copies a model and adds one output `NAME.states` (time, batch, units) per recurrent layer."""
    copy: onnx.ModelProto = onnx.ModelProto.FromString(proto.SerializeToString())
    for layer in layers:
        copy.graph.output.append(helper.make_tensor_value_info(layer + _SUFFIX, TensorProto.FLOAT, None))
    return copy


def layer_of(output_name: str) -> str | None:
    """The layer whose states an output holds; None for another output."""
    return output_name.removesuffix(_SUFFIX) if output_name.endswith(_SUFFIX) else None

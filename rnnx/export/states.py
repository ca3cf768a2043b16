"""A copy of an exported graph that also puts its hidden states out, so that each step can be looked at.

The copy runs the same operators on the same weights as the file that ships; nothing but outputs is added.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from rnnx.export.convert import find_loops, loop_body

_PREFIX = "states:"


def with_states(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Copies a model and adds one output `states:NAME` (time, batch, units) per recurrence, in order of computation."""
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for loop, index, recurrent_kernel in list(find_loops(copy.graph)):
        body, inner, outer = loop_body(loop), f"state_of_{loop.name}", _PREFIX + loop.name
        # Outputs of a body: the condition, the carried values, then what is collected over the steps.
        body.node.append(helper.make_node("Identity", [body.output[1 + index].name], [inner]))
        units = len(recurrent_kernel)
        body.output.append(helper.make_tensor_value_info(inner, TensorProto.FLOAT, [None, units]))
        loop.output.append(outer)
        copy.graph.output.append(helper.make_tensor_value_info(outer, TensorProto.FLOAT, ["time", "batch", units]))
    return copy


def layer_of(output_name: str) -> str | None:
    """The layer whose states an output holds; None for another output."""
    return output_name.removeprefix(_PREFIX) if output_name.startswith(_PREFIX) else None

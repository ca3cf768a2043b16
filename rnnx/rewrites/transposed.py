"""Writes the padding of a ConvTranspose as ONNX defines it.

If the result is longer than the last window, tf2onnx writes negative padding, which ONNX does not have, at both ends.
The places belong at the end alone, where `output_padding` adds them.

Source: the definition of ConvTranspose in ONNX.
"""

from __future__ import annotations

import onnx
from onnx import helper


def write_output_padding(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replaces negative padding of every ConvTranspose by output padding.

    Returns:
        A new model. Without such padding it is equal to the given one.
    """
    model = onnx.ModelProto.FromString(model.SerializeToString())
    for node in model.graph.node:
        pads = next((attribute for attribute in node.attribute if attribute.name == "pads"), None)
        if node.op_type != "ConvTranspose" or pads is None or min(pads.ints) >= 0:
            continue
        rank = len(pads.ints) // 2
        totals = [sum(ends) for ends in zip(pads.ints[:rank], pads.ints[rank:], strict=True)]
        kept = [0 if totals[i % rank] < 0 else pad for i, pad in enumerate(pads.ints)]
        del pads.ints[:]
        pads.ints.extend(kept)
        node.attribute.append(helper.make_attribute("output_padding", [max(-total, 0) for total in totals]))
    return model

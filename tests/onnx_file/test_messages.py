from __future__ import annotations

from rnnx.onnx_file.messages import graph_sha256, parse_model
from tests.onnx_bytes import graph, message, model, node, tensor

AXIS = message((1, "axis"), (3, 1), (20, 2))


def test_the_digest_of_a_graph_does_not_change() -> None:
    """Shipped files record their digest, which depends on the fields that the messages declare."""
    data = model(graph([node("Concat", ["x", "x"], ["y"], AXIS)], [tensor("w", [2], b"\0" * 8)]))
    assert graph_sha256(parse_model(data)) == "1650a1040e718bcc417fc7f31af82f3d79858a18fda3b9af53c126eaef455171"


def test_undeclared_fields_are_kept() -> None:
    data = model(graph([node("Concat", ["x", "x"], ["y"], AXIS)]), more=[(2, "a producer")])
    copy = parse_model(data)
    assert not hasattr(copy, "producer_name")
    assert message((2, "a producer")) in copy.SerializeToString()
    assert AXIS[len(message((1, "axis"))) :] in copy.SerializeToString()

"""Tests the admission of `.onnx` files: a small file that is admitted, and every way to make it inadmissible."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from rnnx.bundle.find_model import find_directory, shipped_names
from rnnx.bundle.metadata import METADATA_KEY, read_metadata
from rnnx.errors import ModelError
from rnnx.onnx_file import admission, wire
from rnnx.onnx_file.admission import OPERATORS, AdmittedModel, admit, require_admissible
from rnnx.onnx_file.messages import parse_model
from rnnx.onnx_file.wire import FIELDS
from rnnx.runtime.session import Session
from tests.onnx_bytes import graph, message, model, node, port, tensor

ADD = node("Add", ["x", "w"], ["y"])
ONE = struct.pack("<f", 1.0)
W = tensor("w", [1], ONE)
EXTERNAL = (13, [(1, "location"), (2, "../secret")])


def whole(*nodes: bytes, tensors: tuple[bytes, ...] = (W,), more: tuple[tuple[int, bytes], ...] = ()) -> bytes:
    return model(graph(nodes or (ADD,), tensors, more))


def int64(name: str, *values: int) -> bytes:
    return tensor(name, [len(values)], struct.pack(f"<{len(values)}q", *values), 7)


def attribute(name: str, *fields: tuple[int, int | bytes]) -> bytes:
    return message((1, name), *fields)


def scan(body: bytes) -> bytes:
    return node("Scan", ["x"], ["y"], attribute("body", (6, body), (20, 5)), attribute("num_scan_inputs", (3, 1)))


def nested(depth: int) -> bytes:
    body = graph([node("Identity", ["x"], ["y"])])
    for _ in range(depth):
        body = graph([scan(body)])
    return model(body)


def outer_products(count: int) -> bytes:
    """Makes a file that multiplies a column of 256 numbers by itself, reshapes the result into a column, and repeats.

    The columns have 256, 65 536, 2^32 numbers.
    """
    nodes, column = [], "column"
    for i in range(count):
        nodes += [
            node("Reshape", [column, "wide"], [f"row{i}"]),
            node("MatMul", [column, f"row{i}"], [f"square{i}"]),
            node("Reshape", [f"square{i}", "long"], [f"column{i}"]),
        ]
        column = f"column{i}"
    tensors = (tensor("column", [256, 1], ONE * 256), int64("wide", 1, -1), int64("long", -1, 1), W)
    return whole(*nodes, ADD, tensors=tensors)


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    # onnxruntime 1.32 crashes on this file.
    "an input left out": (
        lambda: whole(node("Max", ["x", "w", ""], ["y"]), tensors=(W,)),
        "Max: a required input is missing",
    ),
    "a weight left out": (
        lambda: whole(node("RNN", ["x", "", "w"], ["y"]), tensors=(W,)),
        "RNN: a required input is missing",
    ),
    "an output left out": (
        lambda: whole(node("Add", ["x", "w"], [""]), tensors=(W,)),
        "Add: a required output is missing",
    ),
    "external data": (
        lambda: whole(tensors=(tensor("w", [1], b"", more=[EXTERNAL, (14, 1)]),)),
        "a reference to another file",
    ),
    "an external location alone": (
        lambda: whole(tensors=(tensor("w", [1], ONE, more=[(14, 1)]),)),
        "a reference to another file",
    ),
    "external data in a body": (
        lambda: model(graph([scan(graph([ADD], [tensor("w", [1], ONE, more=[EXTERNAL])]))])),
        "a reference to another file",
    ),
    "external data in an attribute": (
        lambda: whole(node("Constant", [], ["w"], attribute("value", (5, tensor("w", [1], b"", more=[EXTERNAL]))))),
        "a reference to another file",
    ),
    "external data in a sparse tensor": (lambda: whole(more=((15, message((1, W))),)), "a sparse tensor"),
    "a sparse tensor in an attribute": (
        lambda: whole(node("Constant", [], ["w"], attribute("sparse_value", (22, b"")))),
        "sparse_tensor",
    ),
    "functions": (lambda: model(graph([ADD], [W]), [(25, message((1, "Add")))]), "functions of its own"),
    "a training": (lambda: model(graph([ADD], [W]), [(20, b"")]), "training information"),
    "a foreign domain": (lambda: whole(node("Add", ["x", "w"], ["y"], domain="com.microsoft")), "com.microsoft.Add"),
    "an imported domain": (lambda: model(graph([ADD], [W]), opsets=[("", 13), ("x", 1)]), "imported operator sets: "),
    "another operator set": (lambda: model(graph([ADD], [W]), opsets=[("", 99)]), "imported operator sets: "),
    "no operator set": (lambda: model(graph([ADD], [W]), opsets=[]), "imported operator sets: none"),
    "another IR version": (lambda: model(graph([ADD], [W]), ir_version=3), "IR version 3"),
    "an operator of the standard": (lambda: whole(node("Loop", ["", "", "x"], ["y"])), "operator 'Loop'"),
    "an operator of none": (lambda: whole(node("\x1b[31m", ["x"], ["y"])), r"operator '\\x1b\[31m'"),
    "a constant as a node": (lambda: whole(node("Constant", [], ["y"], attribute("value", (5, W)))), "'Constant'"),
    "a tensor in an attribute": (lambda: whole(node("Identity", ["x"], ["y"], attribute("t", (5, W)))), "is a tensor"),
    "a graph where none belongs": (
        lambda: whole(node("Identity", ["x"], ["y"], attribute("body", (6, graph([ADD], [W]))))),
        "is a graph",
    ),
    "graphs in graphs": (lambda: nested(2), "nested more than 2 deep"),
    "graphs in graphs without an end": (lambda: nested(500), "nested more than 2 deep"),
    "a large tensor of nothing": (
        lambda: whole(tensors=(tensor("w", [1 << 29], b""),)),
        "declares 2,147,483,648 bytes",
    ),
    "a size that overflows": (lambda: whole(tensors=(tensor("w", [1 << 62, 4], b""),)), "declares 73,786,976,294"),
    "a negative size": (lambda: whole(tensors=(tensor("w", [-1, -1], ONE),)), "unsupported shape"),
    "very many axes": (lambda: whole(tensors=(tensor("w", [1] * 9, ONE),)), "unsupported shape"),
    "a tensor of strings": (lambda: whole(tensors=(tensor("w", [1], ONE, 8),)), "data type 8"),
    "numbers as fields and as bytes": (lambda: whole(tensors=(tensor("w", [1], b"", more=[(4, ONE)]),)), "float_data"),
    "an input without an end": (lambda: whole(more=((11, port("h", 1, 1 << 40)),)), "unsupported shape"),
    "a large Expand": (
        lambda: whole(node("Expand", ["x", "s"], ["y"]), tensors=(int64("s", 1 << 20, 1 << 20),)),
        "operator Expand is given an unsupported size",
    ),
    "a Tile of a large number": (
        lambda: whole(node("Tile", ["x", "s"], ["y"]), tensors=(int64("s", 1 << 40),)),
        "holds a number beyond",
    ),
    "a large number in an attribute": (
        lambda: whole(node("MaxPool", ["x"], ["y"], attribute("pads", (8, 1 << 40)))),
        "operator MaxPool holds a number beyond",
    ),
    "outer products of constants": (lambda: outer_products(3), "numbers from constants while the file is loaded"),
    "an expanded constant": (
        lambda: whole(node("Expand", ["w", "s"], ["v"]), ADD, tensors=(W, int64("s", 1 << 24))),
        "operator Expand has constant inputs only",
    ),
    "very many nodes": (lambda: whole(*[node("Identity", ["x"], ["y"])] * 20_001), "more than 20,000 nodes"),
    "very many fields": (lambda: whole(*[node("Add", [""] * 100_000, ["y"])] * 3), "more than 200,000 fields"),
    "two graphs": (lambda: model(graph([ADD], [W]), [(7, graph([ADD], [W]))]), "occurs twice"),
    "one key twice": (lambda: model(graph([ADD], [W]), [(14, [(1, "k"), (2, "v")])] * 2), "2 entries of metadata"),
    "a large entry": (
        lambda: model(graph([ADD], [W]), [(14, [(1, "k"), (2, "v" * (1 << 23))])]),
        "a metadata entry is larger than 4 MB",
    ),
    "text that is not UTF-8": (
        lambda: whole(node("Add", ["x"], ["y"]).replace(b"Add", b"\xff\xfe\xfd")),
        "not an ONNX",
    ),
    "a field of no kind": (lambda: whole() + message((99, 1)), "ModelProto has no field 99"),
    "a group": (lambda: whole() + b"\x0b", "not an ONNX model"),
    "a number without an end": (lambda: b"\x08" + b"\xff" * 100, "a number does not end"),
    "a length beyond the end": (lambda: b"\x3a\xff\xff\xff\x7f", "cut short"),
    "nothing": (lambda: b"", "it has no graph"),
    "something else": (lambda: b"PK\x03\x04 no model at all", "not an ONNX model"),
}


def test_a_small_file_is_admitted_and_runs() -> None:
    require_admissible(whole())
    assert Session(whole(), device="cpu").input_names == ["x"]
    require_admissible(model(graph([scan(graph([ADD], [W]))])))
    require_admissible(outer_products(1))


def test_a_product_of_one_constant_is_left_to_onnxruntime() -> None:
    for operator in ("MatMul", "Gather"):
        data = whole(node(operator, ["w"], ["z"]), ADD)
        require_admissible(data)
        with pytest.raises(ModelError, match="onnxruntime cannot load the model"):
            Session(data, device="cpu")


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Counts the varints (keys, lengths and numbers) that admission reads, and the nodes that it folds."""
    counts: Counter[str] = Counter()

    def count_calls(module: ModuleType, name: str, what: str) -> None:
        function = getattr(module, name)

        def counted(*arguments: Any) -> Any:
            counts[what] += 1
            return function(*arguments)

        monkeypatch.setattr(module, name, counted)

    count_calls(wire, "_read_varint", "varints")
    count_calls(admission, "bound_result", "folds")
    return counts


@pytest.mark.parametrize("name", REFUSED)
def test_a_spoiled_file_is_refused_after_little_work(name: str, work: Counter[str]) -> None:
    """The work is counted here; `bench.speed.admission` measures the seconds."""
    make, reason = REFUSED[name]
    data = make()
    with pytest.raises(ModelError, match=reason):
        require_admissible(data)
    # No byte is read twice, and the reader gives up after 200,000 fields, each a key with its length or its number.
    assert work["varints"] <= min(len(data), 2 * 200_001)
    assert work["folds"] <= work["varints"]


@pytest.mark.parametrize("name", REFUSED)
def test_every_reader_refuses_a_spoiled_file(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is refused before onnxruntime or protobuf reads it."""
    data = REFUSED[name][0]()
    monkeypatch.setattr("onnxruntime.InferenceSession", lambda *_, **__: pytest.fail("a session was made"))
    monkeypatch.setattr("rnnx.onnx_file.messages._parse", lambda *_: pytest.fail("the file was parsed"))
    for read in (parse_model, lambda data: Session(data, device="cpu")):
        with pytest.raises(ModelError):
            read(data)


@pytest.mark.parametrize("name", shipped_names())
def test_shipped_files_are_admitted_after_little_work(name: str, work: Counter[str]) -> None:
    """It takes 1 to 4 ms on two cores of 2024, as `bench.speed.admission` measured."""
    for path in find_directory(name).glob("*.onnx"):
        work.clear()
        require_admissible(path.read_bytes())
        assert 100 < work["varints"] < 10_000  # the millions of bytes of the weights are not read
        assert work["folds"] < 100


def test_no_admitted_operator_repeats_or_branches() -> None:
    assert not OPERATORS & {"Loop", "If", "SequenceMap", "Constant", "ConstantOfShape", "OptionalGetElement"}


@pytest.mark.train
def test_the_fields_are_those_of_onnx() -> None:
    onnx = pytest.importorskip("onnx", reason="needs the [train] extra")
    nested = {"Tensor": onnx.TypeProto.Tensor, "Dimension": onnx.TensorShapeProto.Dimension}
    for kind, fields in FIELDS.items():
        descriptor = (nested.get(kind) or getattr(onnx, kind)).DESCRIPTOR
        for number, (name, type_) in fields.items():
            field = descriptor.fields_by_number[number]
            assert field.name == name
            assert field.is_repeated == type_.startswith("*")
            message_type = field.message_type and field.message_type.name
            names = {field.TYPE_FLOAT: "float", field.TYPE_STRING: "string", field.TYPE_BYTES: "bytes"}
            assert type_.lstrip("*") == (message_type or names.get(field.type, "int"))


def test_labels_in_the_metadata_have_no_control_characters() -> None:
    metadata = {
        "name": "n",
        "task": "classification",
        "labels": ["a\x1b[31m", "b"],
        "vocabulary_size": 9,
        "tokenizer": None,
    }
    with pytest.raises(ModelError, match=r"'a\\x1b\[31m' contains control characters"):
        read_metadata({METADATA_KEY: json.dumps(metadata)})


def test_only_an_admitted_model_is_not_checked_again() -> None:
    admitted = admit(whole())
    assert (admitted, type(admitted)) == (whole(), AdmittedModel)
    assert admit(admitted) is admitted
    require_admissible(admitted)
    for data in (b"\x08\x03", admitted[:-1], bytes(admitted) + b"\x08"):
        assert type(data) is bytes
        with pytest.raises(ModelError):
            admit(data)

"""Tests that `rnnx verify` accounts for every node of a file, and refuses files in which a branch is hidden."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from rnnx.bundle.directory import hash_bytes, read_directory
from rnnx.cli import run
from rnnx.errors import ModelError
from rnnx.onnx_file.messages import parse_model, read_properties
from rnnx.proof.evidence import Evidence, LayerRecord
from rnnx.proof.evidence_metadata import read_evidence, with_evidence
from rnnx.proof.structure import Structure, check_structure
from rnnx.rewrites.graph import Graph
from rnnx.text.ids import read_id_encoder
from rnnx.text_form.lookup import add_table
from tests.make_bundles import BUNDLES, EARLIER, NAMES

Mutation = Callable[["Mutant"], None]
SHIPPED = Path(__file__).parents[2] / "exported"
FORMS = ("model.onnx", "model.batch.onnx", "model.text.onnx")


def evidence_of(data: bytes) -> Evidence:
    model = parse_model(data)
    return read_evidence(read_properties(model), model)


class Mutant:
    """A file into which nodes are put that change its output, with evidence that fits again."""

    def __init__(self, data: bytes) -> None:
        self.model = onnx.ModelProto.FromString(data)
        self._evidence = evidence_of(data)
        self.ids = self._evidence.ids or "ids"
        self._count = 0

    def add(self, op_type: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node before the last one; the last one gives the output."""
        self._count += 1
        name = f"mutant_{self._count}"
        self.model.graph.node.append(helper.make_node(op_type, list(inputs), [name], **attributes))
        return name

    def constant(self, value: object, dtype: type = np.int64) -> str:
        """Adds a constant."""
        self._count += 1
        name = f"mutant_{self._count}"
        self.model.graph.initializer.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def size(self, axis: int) -> str:
        """Adds a size of the ids: 0 for the batch, 1 for the time."""
        return self.add("Gather", self.add("Shape", self.ids), self.constant(axis), axis=0)

    def hide(self, condition: str) -> None:
        """Makes the output wrong where a condition is true."""
        old = self._old_output()
        wrong = self.add("Sub", self.constant(1.0, np.float32), old)
        self._finish(self.add("Where", condition, wrong, old))

    def disturb(self, difference: str) -> None:
        """Adds a value to the output."""
        self._finish(self.add("Add", self._old_output(), difference))

    def _old_output(self) -> str:
        name = self.model.graph.output[0].name
        for node in self.model.graph.node:
            node.output[:] = [f"{name}.right" if output == name else output for output in node.output]
            node.input[:] = [f"{name}.right" if value == name else value for value in node.input]
        return f"{name}.right"

    def _finish(self, value: str) -> None:
        self.model.graph.node.append(helper.make_node("Identity", [value], [self.model.graph.output[0].name]))

    def save(self) -> bytes:
        """Returns the file with a digest that fits."""
        model = parse_model(self.model.SerializeToString())
        properties = {
            k: v for k, v in read_properties(model).items() if not k.startswith(("rnnx.evidence", "rnnx.sha"))
        }
        whole = with_evidence(properties, self._evidence, model)
        del model.metadata_props[:]
        for key, value in whole.items():
            model.metadata_props.add(key=key, value=value)
        data: bytes = model.SerializeToString()
        return data


def check(bundle: Path, form: str, data: bytes) -> Structure:
    return check_structure(form, data, evidence_of(data), read_id_encoder(read_directory(bundle)))


@pytest.mark.parametrize("name", NAMES)
def test_every_node_of_a_committed_bundle_is_accounted_for(name: str) -> None:
    for form, data in read_directory(BUNDLES / name).files.items():
        if form.endswith(".onnx"):
            structure = check(BUNDLES / name, form, data)
            assert structure.is_known, (form, structure)
            assert structure.part_count >= 3


@pytest.mark.parametrize("name", ["imdb", "imdb-article", "pos"])
def test_every_node_of_a_shipped_bundle_is_accounted_for(name: str) -> None:
    directory = read_directory(SHIPPED / name)
    reader = read_id_encoder(directory)
    for form, data in directory.files.items():
        if form.endswith(".onnx"):
            assert check_structure(form, data, evidence_of(data), reader).is_known


def test_a_bundle_of_an_earlier_version_is_verified(capsys: pytest.CaptureFixture[str]) -> None:
    """Its tables of 16 bits are uint16, and its embedding int16. A file with both ways is of no version."""
    assert run(["verify", str(BUNDLES / EARLIER)]) == 0
    assert "every node belongs to a layer of the network" in capsys.readouterr().out
    mutant = Mutant((BUNDLES / EARLIER / "model.text.onnx").read_bytes())
    stored = {tensor.name: tensor.data_type for tensor in mutant.model.graph.initializer}
    assert set(stored.values()) >= {onnx.TensorProto.UINT16, onnx.TensorProto.INT16}
    graph = Graph(mutant.model.graph)
    slots = graph.constant("rnnx.text.slots_stored")
    assert slots is not None
    graph.rename("rnnx.text.slots", "unused")
    add_table(graph, slots.astype(np.int64), "rnnx.text.slots")
    graph.clean()
    with pytest.raises(ModelError, match=r"not that of the bundle: 'rnnx\.text\.slots' is not computed by Cast"):
        check(BUNDLES / EARLIER, "model.text.onnx", mutant.save())


def batch_over_40(mutant: Mutant) -> None:
    mutant.hide(mutant.add("Greater", mutant.size(0), mutant.constant(40)))


def batch_over_40_without_a_condition(mutant: Mutant) -> None:
    number = mutant.add("Cast", mutant.size(0), to=onnx.TensorProto.FLOAT)
    mutant.disturb(mutant.add("Relu", mutant.add("Sub", number, mutant.constant(40.0, np.float32))))


def batch_over_40_by_its_last_rows(mutant: Mutant) -> None:
    limit = mutant.add("Sub", mutant.size(0), mutant.constant(40))
    rows = mutant.add("Range", mutant.constant(0), mutant.size(0), mutant.constant(1))
    mutant.hide(mutant.add("Unsqueeze", mutant.add("Less", rows, limit), mutant.constant([1])))


def batch_over_40_by_its_rows(mutant: Mutant) -> None:
    rows = mutant.add("Range", mutant.constant(0), mutant.size(0), mutant.constant(1))
    mutant.hide(mutant.add("Unsqueeze", mutant.add("Greater", rows, mutant.constant(40)), mutant.constant([1])))


def long_texts(mutant: Mutant) -> None:
    mutant.hide(mutant.add("Greater", mutant.size(1), mutant.constant(100)))


def long_texts_by_their_words(mutant: Mutant) -> None:
    there = mutant.add("Cast", mutant.ids, to=onnx.TensorProto.BOOL)
    counts = mutant.add("Cast", there, to=onnx.TensorProto.FLOAT)
    lengths = mutant.add("ReduceSum", counts, mutant.constant([1]), keepdims=1)
    mutant.hide(mutant.add("Greater", lengths, mutant.constant(100.0, np.float32)))


def one_id(mutant: Mutant) -> None:
    found = mutant.add("Cast", mutant.add("Equal", mutant.ids, mutant.constant(7, np.int32)), to=onnx.TensorProto.FLOAT)
    mutant.disturb(mutant.add("ReduceMax", found, axes=[1], keepdims=1))


def one_id_by_a_table(mutant: Mutant) -> None:
    table = mutant.constant([0.0] * 7 + [1.0] + [0.0] * 40, np.float32)
    mutant.disturb(mutant.add("ReduceMax", mutant.add("Gather", table, mutant.ids), axes=[1], keepdims=1))


def one_id_by_a_curve(mutant: Mutant) -> None:
    number = mutant.add("Cast", mutant.ids, to=onnx.TensorProto.FLOAT)
    distance = mutant.add("Sub", number, mutant.constant(7.0, np.float32))
    square = mutant.add("Mul", distance, distance)
    curve = mutant.add("Exp", mutant.add("Mul", square, mutant.constant(-50.0, np.float32)))
    mutant.disturb(mutant.add("ReduceMax", curve, axes=[1], keepdims=1))


def a_node_for_nothing(mutant: Mutant) -> None:
    mutant.add("Neg", mutant.model.graph.output[0].name)


HIDDEN = [
    batch_over_40,
    batch_over_40_without_a_condition,
    batch_over_40_by_its_last_rows,
    batch_over_40_by_its_rows,
    long_texts,
    long_texts_by_their_words,
    one_id,
    one_id_by_a_table,
    one_id_by_a_curve,
    a_node_for_nothing,
]


@pytest.mark.parametrize("bundle", [BUNDLES / "default", SHIPPED / "imdb-article"], ids=lambda path: str(path.name))
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mutate", HIDDEN)
def test_a_file_with_a_hidden_branch_is_refused(mutate: Mutation, form: str, bundle: Path) -> None:
    """The files of the first bundle are from before weights were in the bodies of Scans, and tables stored as bytes."""
    mutant = Mutant((bundle / form).read_bytes())
    mutate(mutant)
    data = mutant.save()
    onnx.checker.check_model(onnx.ModelProto.FromString(data))
    with pytest.raises(ModelError, match=r"files? of rnnx"):
        check(bundle, form, data)


def test_a_disguised_branch_is_in_no_known_part() -> None:
    """Forty times one less than the row compares with 0, as our forms do; but no part of theirs has these nodes."""
    mutant = Mutant((BUNDLES / "default" / "model.onnx").read_bytes())
    rows = mutant.add("Range", mutant.constant(0), mutant.size(0), mutant.constant(1))
    for _ in range(40):
        rows = mutant.add("Sub", rows, mutant.constant(1))
    mutant.hide(mutant.add("Unsqueeze", mutant.add("Greater", rows, mutant.constant(0)), mutant.constant([1])))
    assert check(BUNDLES / "default", "model.onnx", mutant.save()).unknown_layers == ("probs",)


@pytest.mark.parametrize("name", ["default", "texts", EARLIER])
@pytest.mark.parametrize("table", ["rnnx.text.vocabulary", "rnnx.text.slots", "rnnx.text.shifts"])
def test_a_tokenizer_with_another_table_is_refused(name: str, table: str) -> None:
    mutant = Mutant((BUNDLES / name / "model.text.onnx").read_bytes())
    names = (table, f"{table}_stored")
    tensor = next(tensor for tensor in mutant.model.graph.initializer if tensor.name in names)
    values = numpy_helper.to_array(tensor).copy()
    values[-2:] = values[-2:][::-1] + 1
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    with pytest.raises(ModelError, match="its tokenizer is not that of the bundle"):
        check(BUNDLES / name, "model.text.onnx", mutant.save())


def test_verify_refuses_it_and_says_what_it_knows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(BUNDLES / "default", bundle)
    assert run(["verify", str(bundle)]) == 0
    assert "every node belongs to a layer of the network" in capsys.readouterr().out
    mutant = Mutant((bundle / "model.batch.onnx").read_bytes())
    batch_over_40(mutant)
    data = mutant.save()
    (bundle / "model.batch.onnx").write_bytes(data)
    config = json.loads((bundle / "config.json").read_text())
    config["files"]["model.batch.onnx"] = hash_bytes(data)
    (bundle / "config.json").write_text(json.dumps(config))
    assert run(["verify", str(bundle)]) == 4
    assert "model.batch.onnx: 'mutant_5' decides by a size or an id" in capsys.readouterr().err


def test_a_text_file_without_its_bundle_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(BUNDLES / "default" / "model.text.onnx", tmp_path / "alone.onnx")
    assert run(["verify", str(tmp_path / "alone.onnx")]) == 0
    assert "the tokenizer in alone.onnx was not compared" in capsys.readouterr().out


@pytest.mark.parametrize("count", [200, 15_000])
def test_a_graph_that_is_too_large_is_not_known(count: int) -> None:
    mutant = Mutant((BUNDLES / "default" / "model.onnx").read_bytes())
    value = "probs.right"
    for _ in range(count):
        value = mutant.add("Neg", value)
    mutant.disturb(mutant.add("Sub", value, value))
    structure = check(BUNDLES / "default", "model.onnx", mutant.save())
    assert structure.part_count == 0
    assert "probs" in structure.unknown_layers


def test_layers_that_are_read_twice_each_take_no_time() -> None:
    """Sixty additions of a value to itself have 2^60 paths."""
    data = (BUNDLES / "default" / "model.onnx").read_bytes()
    evidence = evidence_of(data)
    last = evidence.layers[-1].name
    sums = []
    for i in range(60):
        name = f"sum_{i}"
        sums.append(LayerRecord(name, "Merge", (last, last), {"operation": "add"}, {}))
        last = name
    evidence = dataclasses.replace(evidence, layers=(*evidence.layers, *sums))
    assert not check_structure("model.onnx", data, evidence, None).is_known

"""The export as a whole, and the mutations that it has to catch: each ends in an error with nothing published."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import onnx
from onnx import numpy_helper

from rnnx.bundle.directory import read_directory, write_directory
from rnnx.errors import ModelError, ParityError, UsageError
from rnnx.export import pipeline
from tests.conversions import export
from tests.mutations import Mutation, change, drop_bias, exports_after, floats

pytestmark = pytest.mark.train

VOCABULARY_SIZE = 24  # of the tiny runs


def test_a_bundle_is_complete_and_proved(exported_run: Path) -> None:
    bundle = read_directory(exported_run)
    assert set(bundle.files) == {
        "model.onnx",
        "model.batch.onnx",
        "model.text.onnx",
        "model.keras",
        "vocabulary.txt",
        "history.json",
        "metrics.json",
        "curves.png",
        "golden.json",
        "parity.json",
        "parity.png",
        "README.md",
        *(f"testdata/test_data_set_{i}/{name}.pb" for i in range(3) for name in ("input_0", "output_0")),
    }
    parity = json.loads(bundle["parity.json"])
    assert parity["passed"] is True
    assert [runtime["runtime"].split()[0] for runtime in parity["runtimes"]] == [
        "keras",
        "model.onnx,",
        "model.batch.onnx,",
        "model.text.onnx,",
    ]
    assert all(layer["ratio"] < 1 for runtime in parity["runtimes"] for layer in runtime["layers"])
    assert parity["text_count"] > 13  # the run's own held-out texts among them


@pytest.mark.parametrize("form", ["model.onnx", "model.batch.onnx"])
def test_names_and_versions_are_those_of_the_contract(exported_run: Path, form: str) -> None:
    model = onnx.load_from_string((exported_run / form).read_bytes())
    recurrent = {"model.onnx": "RNN", "model.batch.onnx": "Scan"}[form]
    assert {node.op_type for node in model.graph.node} & {"Loop", "RNN", "Scan"} == {recurrent}
    onnx.checker.check_model(model, full_check=True)
    (ids,), (probs,) = model.graph.input, model.graph.output
    assert (ids.name, ids.type.tensor_type.elem_type) == ("ids", onnx.TensorProto.INT32)
    assert [dim.dim_param for dim in ids.type.tensor_type.shape.dim] == ["batch", "time"]
    assert (probs.name, probs.type.tensor_type.elem_type) == ("probs", onnx.TensorProto.FLOAT)
    assert [dim.dim_param or dim.dim_value for dim in probs.type.tensor_type.shape.dim] == ["batch", 1]
    assert (model.ir_version, [(o.domain, o.version) for o in model.opset_import]) == (8, [("", 13)])
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert set(properties) == {"rnnx", "rnnx.evidence", "rnnx.sha256"}
    assert json.loads(properties["rnnx"])["labels"] == ["neg", "pos"]
    assert len(properties["rnnx.evidence"]) < 500_000
    assert not any(tensor.external_data for tensor in model.graph.initializer)


def test_the_same_run_gives_the_same_file(tiny_run: Path, exported_run: Path, tmp_path: Path) -> None:
    again = pipeline.export(tiny_run, tmp_path / "again").path
    first, second = (onnx.load_from_string((path / "model.onnx").read_bytes()) for path in (exported_run, again))
    weights = [sorted(numpy_helper.to_array(t).tobytes() for t in m.graph.initializer) for m in (first, second)]
    assert weights[0] == weights[1]
    # tf2onnx orders and names independent nodes as its sets fall out.
    assert sorted(n.op_type for n in first.graph.node) == sorted(n.op_type for n in second.graph.node)


def test_a_bundle_can_be_exported_again(exported_run: Path, tmp_path: Path) -> None:
    again = read_directory(export(exported_run, tmp_path / "again").path)
    before = read_directory(exported_run)
    assert again["vocabulary.txt"] == before["vocabulary.txt"]
    golden, golden_before = json.loads(again["golden.json"]), json.loads(before["golden.json"])
    assert golden == golden_before


def test_a_bare_keras_file_is_exported(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.keras").write_bytes((tiny_run / "model.keras").read_bytes())
    bundle = read_directory(export(tmp_path / "mine.keras", tmp_path / "out").path)
    assert bundle.config.name == "mine"
    assert bundle.config.tokenizer is None
    assert "golden.json" not in bundle.files


def transpose_recurrent_kernel(graph: onnx.ModelProto) -> None:
    tensor = next(t for t in floats(graph, 2) if t.name.endswith((".R", ".recurrent_kernel")))
    change(tensor, lambda values: np.ascontiguousarray(np.swapaxes(values, -1, -2)))


def half_precision(graph: onnx.ModelProto) -> None:
    for tensor in floats(graph):
        change(tensor, lambda values: values.astype(np.float16).astype(np.float32))


def shift_ids(graph: onnx.ModelProto) -> None:
    """Reads each id's neighbour from the embedding."""
    table = next(tensor for tensor in floats(graph, 2) if tensor.dims[0] == VOCABULARY_SIZE)
    change(table, lambda values: np.roll(values, 1, axis=0))


@pytest.mark.parametrize("form", ["model.onnx", "model.batch.onnx"])
@pytest.mark.parametrize("mutate", [transpose_recurrent_kernel, drop_bias, half_precision, shift_ids])
def test_a_wrong_graph_is_not_published(mutate: Mutation, form: str, tiny_run: Path, tmp_path: Path) -> None:
    with pytest.raises(ParityError, match=f"{form}.*nothing was published") as caught:
        exports_after(mutate, tiny_run, tmp_path / "out", form)
    assert list(tmp_path.iterdir()) == []
    assert not caught.value.report.passed
    assert caught.value.report.runtimes[0].passed  # Keras itself is right


@pytest.mark.parametrize("which", range(16))
def test_one_corrupted_weight_is_not_published(which: int, tiny_run: Path, tmp_path: Path) -> None:
    """Any weight, off by 1e-3: three of each tensor's, drawn at random.

    One entry of a kernel behind the pooling moves a probability by less than what rounding in all steps before may do;
    that it is another one than Keras's is seen when the evidence is gathered, bit for bit.
    """

    def corrupt(graph: onnx.ModelProto) -> None:
        rng = np.random.default_rng(which)
        tensors = floats(graph)
        tensor = tensors[which // 2 % len(tensors)]

        def add(values: np.ndarray) -> np.ndarray:
            # Read by some probe are all rows of the embedding but the first, which a mask leaves out, and all of B but
            # its second half, the recurrent bias that Keras does not have.
            first = values.shape[-1] if len(values) == VOCABULARY_SIZE else 0
            end = values.size // 2 if tensor.name.endswith(".B") else values.size
            values.flat[rng.integers(first, end)] += 1e-3
            return values

        change(tensor, add)

    form = ("model.onnx", "model.batch.onnx")[which % 2]
    with pytest.raises((ParityError, ModelError)) as caught:
        exports_after(corrupt, tiny_run, tmp_path / "out", form)
    told = r"layer (detectors|probs): its kernel is not in the file"
    assert isinstance(caught.value, ParityError) or re.fullmatch(told, str(caught.value))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("source", ["run", "bundle"])
def test_swapped_labels_are_not_published(source: str, tiny_run: Path, exported_run: Path, tmp_path: Path) -> None:
    original = read_directory(tiny_run if source == "run" else exported_run)
    swapped = tmp_path / "swapped"
    config = dataclasses.replace(original.config, labels=("pos", "neg"))
    write_directory(swapped, config, original.files)
    with pytest.raises(ParityError, match=r"was recorded as '(neg|pos)'"):
        export(swapped, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_vocabulary_is_not_published(tiny_run: Path, tmp_path: Path) -> None:
    """Two words of it swapped, the hashes right: the recorded probabilities show it."""
    original = read_directory(tiny_run)
    lines = original["vocabulary.txt"].split(b"\n")
    lines[3], lines[9] = lines[9], lines[3]
    write_directory(tmp_path / "run", original.config, {**original.files, "vocabulary.txt": b"\n".join(lines)})
    with pytest.raises(ParityError, match="the labels, the vocabulary or the tokenizer were changed"):
        export(tmp_path / "run", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_file_that_is_named_is_the_one_that_is_exported(tiny_run: Path, run_copy: Path, tmp_path: Path) -> None:
    """Beside a run's own model lies another one, of a kind that is not modelled."""
    other = keras.Sequential([keras.Input((None,)), keras.layers.Embedding(9, 4), keras.layers.Conv1D(3, 1)])
    other.save(run_copy / "other.keras")
    with pytest.raises(ModelError, match="Conv1D"):
        export(run_copy / "other.keras", tmp_path / "out")
    assert export(run_copy / "model.keras", tmp_path / "out").path == tmp_path / "out"


def with_head(activation: str) -> keras.Model:
    ids = keras.Input((None,), dtype="int32")
    head = keras.layers.Dense(1, activation=activation, name="head")
    return keras.Sequential([ids, keras.layers.Embedding(VOCABULARY_SIZE, 4), keras.layers.SimpleRNN(3), head])


def test_a_run_that_should_label_texts_and_gives_no_probability_is_refused(run_copy: Path, tmp_path: Path) -> None:
    run = read_directory(run_copy)
    with_head("linear").save(tmp_path / "logits.keras")
    write_directory(run_copy, run.config, {**run.files, "model.keras": (tmp_path / "logits.keras").read_bytes()})
    with pytest.raises(ModelError, match="is not a probability per text"):
        export(run_copy, tmp_path / "out")


def test_a_softmax_over_one_unit_is_refused(tmp_path: Path) -> None:
    with_head("softmax").save(tmp_path / "one.keras")
    with pytest.raises(ModelError, match="layer head is a softmax over a single unit, which is 1 whatever it reads"):
        export(tmp_path / "one.keras", tmp_path / "out")


def contents(directory: Path) -> dict[str, bytes]:
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*.*")}


def test_a_failed_proof_leaves_the_old_bundle(tiny_run: Path, exported_copy: Path) -> None:
    before = contents(exported_copy)
    with pytest.raises(ParityError):
        exports_after(drop_bias, tiny_run, exported_copy)
    assert contents(exported_copy) == before
    assert [path.name for path in exported_copy.parent.iterdir()] == ["bundle"]


def test_a_full_disk_leaves_the_old_bundle(
    monkeypatch: pytest.MonkeyPatch, tiny_run: Path, exported_copy: Path
) -> None:
    before = contents(exported_copy)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        export(tiny_run, exported_copy)
    assert contents(exported_copy) == before
    assert [path.name for path in exported_copy.parent.iterdir()] == ["bundle"]


def test_an_altered_run_is_not_exported(run_copy: Path, tmp_path: Path) -> None:
    (run_copy / "vocabulary.txt").write_bytes((run_copy / "vocabulary.txt").read_bytes() + b"more\n")
    with pytest.raises(ModelError, match=r"altered: vocabulary\.txt"):
        export(run_copy, tmp_path / "out")


def test_a_keras_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.keras").write_bytes(b"not a zip")
    with pytest.raises(ModelError, match=r"broken\.keras: not a \.keras file, or a damaged one"):
        export(tmp_path / "broken.keras", tmp_path / "out")


def test_what_is_not_ours_is_not_overwritten(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="choose another --out"):
        export(tiny_run, tmp_path)
    assert (tmp_path / "mine.txt").read_text(encoding="utf-8") == "mine"

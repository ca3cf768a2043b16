"""Tests the whole export, and mutations that it must find: each ends in an error, and nothing is published."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import onnx
from onnx import numpy_helper

import rnnx
from rnnx.bundle.directory import hash_bytes, read_directory, write_directory
from rnnx.errors import ModelError, ParityError, UsageError
from rnnx.export import pipeline
from rnnx.proof.progress import reporting_to
from tests.conversions import export
from tests.make_bundles import BUNDLES
from tests.mutations import Mutation, change, drop_bias, exports_after, floats
from tests.progress import Recorder

pytestmark = pytest.mark.train

VOCABULARY_SIZE = 24  # the rows of the embedding in the tiny runs


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
    assert parity["text_count"] > 13  # so texts that the run held out are among them


def test_every_stage_reports_its_progress_to_the_end(tiny_run: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    with reporting_to(recorder):
        export(tiny_run, tmp_path / "out")
    recorder.require_all_done()
    forms = ["model.onnx, CPUExecutionProvider", "model.batch.onnx, CPUExecutionProvider"]
    text_form = "model.text.onnx, CPUExecutionProvider"
    keras_name = f"keras {keras.__version__}"
    assert recorder.stages[:6] == [
        "reading the model",
        "converting",
        "bounding rounding errors",
        "tracing Keras",
        f"comparing {keras_name} with the reference",
        f"following {keras_name} along a long sequence",
    ]
    for name in (*forms, text_form):
        for stage in (f"running {name}", f"comparing {name} with the reference", f"comparing {name} with itself"):
            assert stage in recorder.stages
    assert "bounding the rounding errors of model.text.onnx" in recorder.stages
    assert recorder.stages[-1] == "plotting, and writing golden vectors"


@pytest.mark.parametrize("form", ["model.onnx", "model.batch.onnx"])
def test_a_file_has_the_promised_names_and_versions(exported_run: Path, form: str) -> None:
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
    words = (exported_run / "vocabulary.txt").read_bytes()
    assert json.loads(properties["rnnx"])["vocabulary_sha256"] == hash_bytes(words)
    assert len(properties["rnnx.evidence"]) < 500_000
    assert not any(tensor.external_data for tensor in model.graph.initializer)


def test_the_same_run_gives_the_same_weights_and_operators(tiny_run: Path, exported_run: Path, tmp_path: Path) -> None:
    again = pipeline.export(tiny_run, tmp_path / "again").path
    first, second = (onnx.load_from_string((path / "model.onnx").read_bytes()) for path in (exported_run, again))
    weights = [sorted(numpy_helper.to_array(t).tobytes() for t in m.graph.initializer) for m in (first, second)]
    assert weights[0] == weights[1]
    # tf2onnx orders and names independent nodes by the order of its sets.
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
    """Moves each row of the embedding to the next id."""
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
    """Three weights of each tensor, drawn at random, are changed by 1e-3.

    One entry of a kernel after the pooling moves a probability by less than the rounding of all steps may. Such a
    change is found when the evidence is gathered, because the kernel is compared with that of Keras bit for bit.
    """

    def corrupt(graph: onnx.ModelProto) -> None:
        rng = np.random.default_rng(which)
        tensors = floats(graph)
        tensor = tensors[which // 2 % len(tensors)]

        def add(values: np.ndarray) -> np.ndarray:
            # The probes read all rows of the embedding except the first, which is masked, and all of B except its
            # second half, the recurrent bias, which Keras does not have.
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
    # The files of a bundle have the labels themselves; of a run, only the recorded probabilities show the swap.
    error, said = {
        "run": (ParityError, r"was recorded as '(neg|pos)'"),
        "bundle": (ModelError, r"labels is \('pos', 'neg'\) in config.json but \('neg', 'pos'\) in the .onnx file"),
    }[source]
    with pytest.raises(error, match=said):
        export(swapped, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_vocabulary_is_not_published(tiny_run: Path, tmp_path: Path) -> None:
    """Two words are swapped and the hashes are right, so only the recorded probabilities show it."""
    original = read_directory(tiny_run)
    lines = original["vocabulary.txt"].split(b"\n")
    lines[3], lines[9] = lines[9], lines[3]
    write_directory(tmp_path / "run", original.config, {**original.files, "vocabulary.txt": b"\n".join(lines)})
    with pytest.raises(ParityError, match="the labels, the vocabulary or the tokenizer were changed"):
        export(tmp_path / "run", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_named_keras_file_is_exported(tiny_run: Path, run_copy: Path, tmp_path: Path) -> None:
    """The folder of the run also holds another model, without a recurrent layer."""
    other = keras.Sequential([keras.Input((None,)), keras.layers.Embedding(9, 4), keras.layers.Conv1D(3, 1)])
    other.save(run_copy / "other.keras")
    with pytest.raises(
        ModelError, match=r"no recurrent layer, and rnnx exports recurrent networks; Keras itself exports it"
    ):
        export(run_copy / "other.keras", tmp_path / "out")
    assert export(run_copy / "model.keras", tmp_path / "out").path == tmp_path / "out"


def with_head(activation: str) -> keras.Model:
    ids = keras.Input((None,), dtype="int32")
    head = keras.layers.Dense(1, activation=activation, name="head")
    return keras.Sequential([ids, keras.layers.Embedding(VOCABULARY_SIZE, 4), keras.layers.SimpleRNN(3), head])


def test_a_run_of_labelled_texts_without_a_probability_is_refused(run_copy: Path, tmp_path: Path) -> None:
    run = read_directory(run_copy)
    with_head("linear").save(tmp_path / "logits.keras")
    write_directory(run_copy, run.config, {**run.files, "model.keras": (tmp_path / "logits.keras").read_bytes()})
    with pytest.raises(ModelError, match="is not a probability per text"):
        export(run_copy, tmp_path / "out")


def test_a_softmax_over_one_unit_is_refused(tmp_path: Path) -> None:
    with_head("softmax").save(tmp_path / "one.keras")
    with pytest.raises(ModelError, match="layer head is a softmax over a single unit, which is always 1"):
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


def test_a_file_that_is_not_a_keras_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.keras").write_bytes(b"not a zip")
    with pytest.raises(ModelError, match=r"broken\.keras: the file is damaged, or is not a \.keras file"):
        export(tmp_path / "broken.keras", tmp_path / "out")


def test_a_directory_with_foreign_files_is_not_overwritten(tiny_run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(UsageError, match="choose another --out"):
        export(tiny_run, tmp_path)
    assert (tmp_path / "mine.txt").read_text(encoding="utf-8") == "mine"


@pytest.mark.slow
def test_an_export_gives_the_same_bits_in_every_process(tmp_path: Path) -> None:
    """Each process has another order of sets; a tagger has layers that tf2onnx merges nodes of."""
    runs = [
        subprocess.Popen(  # noqa: S603  # our own command
            [sys.executable, "-m", "rnnx", "export", str(BUNDLES / "words"), "--out", str(tmp_path / seed / "bundle")],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(rnnx.__file__).parents[1])},
        )
        for seed in ("1", "2")
    ]
    assert [run.wait(timeout=300) for run in runs] == [0, 0]
    first, second = (
        {path.relative_to(tmp_path / seed): path.read_bytes() for path in sorted((tmp_path / seed).rglob("*.*"))}
        for seed in ("1", "2")
    )
    assert first.keys() == second.keys()
    assert [str(name) for name, data in first.items() if data != second[name]] == []

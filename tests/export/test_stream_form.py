"""Tests the streaming form: its names, what it computes in chunks, what is refused, and that mutants are found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs the [train] extra")

import keras
import onnx
from keras import layers
from onnx import numpy_helper

from rnnx.bundle.directory import read_directory
from rnnx.cli import run
from rnnx.errors import ModelError, ParityError
from rnnx.export import pipeline
from rnnx.export.pipeline import export
from rnnx.export.probes_of_numbers import ProbeSize, make_number_probes
from rnnx.keras_models.read_network import read_network
from rnnx.proof.compare_file import Candidate, compare_file
from rnnx.proof.verify import verify_file
from rnnx.reference.streaming import in_chunks
from rnnx.rewrites.replace import Rewritten
from rnnx.runtime.session import Session
from tests.conversions import build_forms, decide
from tests.mutations import exports_after
from tests.networks import build
from tests.streams import NAME, bare_networks

pytestmark = pytest.mark.train


SEQUENCES = {"return_sequences": True}
# One row each: zeros in front, at the end, between, nowhere, and everywhere.
IDS = np.array(
    [[0, 0, 3, 4, 5, 6], [3, 4, 5, 0, 0, 0], [3, 0, 0, 4, 11, 0], [7, 8, 9, 10, 11, 1], [0, 0, 0, 0, 0, 0]], np.int32
)


def with_last_position(*, mask_zero: bool) -> keras.Model:
    ids = keras.Input((None,), dtype="int32")
    states = layers.LSTM(4, **SEQUENCES)(layers.Embedding(12, 3, mask_zero=mask_zero)(ids))
    return keras.Model(ids, layers.Dense(2)(states[:, -1]))


def with_last_state(*, mask_zero: bool) -> keras.Model:
    ids = keras.Input((None,), dtype="int32")
    states, last = layers.GRU(4, return_state=True, **SEQUENCES)(layers.Embedding(12, 3, mask_zero=mask_zero)(ids))
    return keras.Model(ids, layers.Concatenate()([layers.LSTM(2)(states), layers.Dense(3)(last)]))


NETWORKS: dict[str, Callable[[bool], keras.Model]] = {
    "last state": lambda m: build(layers.SimpleRNN(4), layers.Dense(1, "sigmoid"), mask_zero=m),
    "every position": lambda m: build(layers.SimpleRNN(4, **SEQUENCES), layers.Dense(3, "softmax"), mask_zero=m),
    "stacked": lambda m: build(
        layers.SimpleRNN(4, **SEQUENCES), layers.GRU(3, **SEQUENCES), layers.LSTM(2), layers.Dense(3), mask_zero=m
    ),
    "zero outputs": lambda m: build(layers.LSTM(4, zero_output_for_mask=True, **SEQUENCES), mask_zero=m),
    "reset before": lambda m: build(layers.GRU(4, reset_after=False, **SEQUENCES), mask_zero=m),
    "softsign": lambda m: build(layers.SimpleRNN(4, activation="softsign"), mask_zero=m),
    "the last position": lambda m: with_last_position(mask_zero=m),
    "all states and the last": lambda m: with_last_state(mask_zero=m),
}


@pytest.mark.parametrize("mask_zero", [False, True])
@pytest.mark.parametrize("name", NETWORKS)
def test_chunks_of_any_size_give_what_the_reference_gives(name: str, mask_zero: bool) -> None:
    model = NETWORKS[name](mask_zero)
    network = read_network(model)
    form = build_forms(model, network, streaming=True)[NAME]
    session = Session(form.model.SerializeToString(), device="cpu")
    expected = network.predict(IDS)
    joined = {next(iter(network.ends)): 1} if expected.ndim > 2 else {}
    for size in (1, 2, 3, 6):
        result = in_chunks(session.run_by_name, form.carried, joined, size)({"ids": IDS})
        np.testing.assert_allclose(expected, result[session.output_names[0]], rtol=0, atol=1e-5)
        for carried in form.carried:
            states = network.recurrent_nodes[carried.layer].carried
            assert result[carried.output].shape == (5, carried.units)
            assert result[carried.output].dtype == np.float32
            node = next(node for node in network.nodes if node.name == carried.layer)
            after = states(network.forward(IDS)[node.inputs[0]])[carried.output.endswith("c_out")]
            np.testing.assert_allclose(after[:, -1], result[carried.output], rtol=0, atol=1e-5)


def test_the_form_has_the_promised_names() -> None:
    model = build(layers.SimpleRNN(4), layers.Dense(1, "sigmoid"))
    form = build_forms(model, read_network(model), streaming=True)[NAME].model
    onnx.checker.check_model(form, full_check=True)
    ports = [
        (value.name, [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim])
        for value in (*form.graph.input, *form.graph.output)
    ]
    assert ports == [
        ("ids", ["batch", "time"]),
        ("h_in", ["batch", 4]),
        ("probs", ["batch", 1]),
        ("h_out", ["batch", 4]),
    ]
    assert [node.op_type for node in form.graph.node if node.op_type in ("RNN", "Loop", "Scan")] == ["RNN"]
    model = bare_networks()["sensor"]
    form = build_forms(model, read_network(model), streaming=True)[NAME].model
    names = ["memory.h_in", "memory.c_in", "upper.h_in"]
    assert [value.name for value in form.graph.input] == ["x", *names]
    assert [value.name for value in form.graph.output] == ["values", *(n.replace("_in", "_out") for n in names)]
    assert [node.op_type for node in form.graph.node if node.op_type in ("LSTM", "GRU", "Loop")] == ["LSTM", "GRU"]


def test_a_name_that_is_taken_is_refused() -> None:
    h_in, other = keras.Input((None, 2), name="h_in"), keras.Input((None, 2), name="other")
    state = layers.SimpleRNN(2, name="rnn")(layers.Concatenate()([h_in, other]))
    model = keras.Model([h_in, other], layers.Dense(1)(state))
    with pytest.raises(ModelError, match="needs the name h_in for a state, and an input or output of the model has it"):
        build_forms(model, read_network(model), streaming=True)


REFUSED = {
    "backwards": (
        build(layers.SimpleRNN(4, go_backwards=True, name="rnn"), layers.Dense(1)),
        r"layer rnn \(SimpleRNN\) reads the sequence from its end",
    ),
    "both directions": (
        build(layers.Bidirectional(layers.LSTM(4), name="both"), layers.Dense(1)),
        r"layer both.backward \(LSTM\) reads the sequence from its end",
    ),
    "mean": (
        build(layers.SimpleRNN(4, **SEQUENCES), layers.GlobalAveragePooling1D(name="mean")),
        r"layer mean \(GlobalAveragePooling1D\) looks at other positions than its own",
    ),
    "fixed time": (
        keras.Sequential([keras.Input((7, 2), name="x"), layers.SimpleRNN(3), layers.Dense(1)]),
        r"input x has the fixed shape \(7, 2\); its time should be None",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_model_that_cannot_be_streamed_is_refused_before_any_work(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, reason = REFUSED[name]
    monkeypatch.setattr(pipeline, "build_forms", lambda *args, **kwargs: pytest.fail("it was converted"))
    model.save(tmp_path / "model.keras")
    with pytest.raises(ModelError, match=f"{reason}.*; this model cannot be streamed, and nothing was exported"):
        export(tmp_path / "model.keras", tmp_path / "out", streaming=True)
    assert not (tmp_path / "out").exists()


def test_a_network_that_reads_its_padding_cannot_be_streamed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["export", "imdb-article", "--streaming", "--out", str(tmp_path / "out")]) == 4
    assert "pads every text to 500 ids and reads the padding as it reads words" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_streaming_bundle_has_one_more_file_with_its_proof(streaming_bundle: Path) -> None:
    bundle = read_directory(streaming_bundle)
    runtimes = [report["runtime"] for report in json.loads(bundle["parity.json"])["runtimes"]]
    expected = [NAME, *(f"{NAME} in chunks of {size}" for size in (1, 7, 500))]
    assert [name.split(",")[0] for name in runtimes if name.startswith(NAME)] == expected
    found = verify_file(NAME, bundle[NAME], ["cpu"])
    assert found.report.passed
    assert set(found.bits.values()) == {"same"}
    assert [report.runtime.split(",")[0] for report in found.report.runtimes] == expected
    ways = {(report.runtime.split(",")[0], report.way) for report in found.report.invariance}
    assert {
        (f"{NAME} in chunks of {size}", "compared with the whole sequence, long rows") for size in (1, 7, 500)
    } <= ways
    assert f"| {NAME} in chunks of 7, CPUExecutionProvider |" in bundle["README.md"].decode()


def test_the_command_line_verifies_it_and_compares_it_with_another(
    streaming_bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["verify", str(streaming_bundle)]) == 0
    assert (
        f"{NAME}: verified: the largest difference of a step from the float64 reference is " in capsys.readouterr().out
    )
    assert run(["diff", str(streaming_bundle / "model.onnx"), str(streaming_bundle / NAME)]) == 0


def test_the_test_data_hold_a_first_chunk_and_a_later_one(stream_bundles: dict[str, Path]) -> None:
    for path in stream_bundles.values():
        session = Session((path / NAME).read_bytes(), device="cpu")
        for i in range(2):
            folder = path / "testdata" / "stream" / f"test_data_set_{i}"
            inputs, outputs = (
                [onnx.load_tensor(folder / f"{kind}_{k}.pb") for k in range(len(names))]
                for kind, names in (("input", session.input_names), ("output", session.output_names))
            )
            assert [tensor.name for tensor in inputs] == session.input_names
            assert [tensor.name for tensor in outputs] == session.output_names
            actual = session.run({tensor.name: numpy_helper.to_array(tensor) for tensor in inputs})
            for tensor, values in zip(outputs, actual, strict=True):
                np.testing.assert_allclose(numpy_helper.to_array(tensor), values, rtol=0, atol=1e-5)
            is_zero = [not numpy_helper.to_array(tensor).any() for tensor in inputs[1:]]
            assert is_zero == [i == 0] * len(is_zero)


Mutation = Callable[[onnx.GraphProto], None]


def _native(graph: onnx.GraphProto, op_type: str = "") -> onnx.NodeProto:
    wanted = (op_type,) if op_type else ("RNN", "LSTM", "GRU")
    node: onnx.NodeProto = next(node for node in graph.node if node.op_type in wanted)
    return node


def wrong_step(graph: onnx.GraphProto) -> None:
    """Makes `h_out` the state after the first position."""
    node = _native(graph)
    node.output[0] = node.output[0] or f"{node.name}.Y"
    first, last = graph.node.add(), next(n for n in graph.node if n.output[0].endswith("h_out"))
    zero = numpy_helper.from_array(np.array(0, np.int64), "first_step")
    graph.initializer.append(zero)
    first.CopyFrom(onnx.helper.make_node("Gather", [f"{node.name}.Y", "first_step"], ["of_first"], axis=0))
    squeezed = graph.node.add()
    graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), "direction"))
    squeezed.CopyFrom(onnx.helper.make_node("Squeeze", ["of_first", "direction"], ["of_first_alone"]))
    last.input[0] = "of_first_alone"
    ordered = [n for n in graph.node if n is not last]
    copies = [onnx.NodeProto.FromString(n.SerializeToString()) for n in (*ordered, last)]
    del graph.node[:]
    graph.node.extend(copies)


def not_carried(graph: onnx.GraphProto) -> None:
    """Lets the operator start at zero, so that no node reads the given state."""
    _native(graph).input[5] = ""


def no_cell_state(graph: onnx.GraphProto) -> None:
    del _native(graph, "LSTM").input[6]


def state_for_cell_state(graph: onnx.GraphProto) -> None:
    """Makes `c_out` return h."""
    memory = next(n for n in graph.node if n.output[0].endswith("c_out"))
    memory.input[0] = next(n for n in graph.node if n.output[0].endswith("h_out")).input[0]


def one_weight(graph: onnx.GraphProto) -> None:
    _shift(graph, 3e-5)


def one_weight_of_a_gate(graph: onnx.GraphProto) -> None:
    """Changes a weight by more than `one_weight` does: gates pass errors on, so the bound of an LSTM is wider."""
    _shift(graph, 1e-3)


def _shift(graph: onnx.GraphProto, amount: float) -> None:
    tensor = next(t for t in graph.initializer if t.name.endswith(".R"))
    values = numpy_helper.to_array(tensor).copy()
    values.flat[1] += amount
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def nan_in_the_bias(graph: onnx.GraphProto) -> None:
    tensor = next(t for t in graph.initializer if t.name.endswith(".B"))
    values = numpy_helper.to_array(tensor).copy()
    values.flat[0] = np.nan
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


@pytest.mark.parametrize(
    ("network", "mutation"),
    [
        ("states", wrong_step),
        ("states", not_carried),
        ("ids", not_carried),
        ("sensor", not_carried),
        ("sensor", no_cell_state),
        ("sensor", state_for_cell_state),
        ("sensor", one_weight_of_a_gate),
        ("ids", one_weight),
        ("states", nan_in_the_bias),
        ("sensor", nan_in_the_bias),
    ],
)
def test_a_mutant_is_found(network: str, mutation: Mutation) -> None:
    model = bare_networks()[network]
    reference = read_network(model)
    batches, _ = make_number_probes(reference, ProbeSize(30), 2)
    decisions = [decide(reference, batch.given) for batch in batches[:1]]

    def passes(form: Rewritten) -> bool:
        candidate = Candidate(NAME, form.model.SerializeToString(), form.recipe(), carried=form.carried)
        found = compare_file(candidate, "cpu", reference, batches[:1], decisions)
        reports = (found.report, *found.chunked)
        return all(report.passed for report in reports) and all(way.passed for way in found.invariance)

    form = build_forms(model, reference, streaming=True)[NAME]
    assert passes(form)
    mutation(form.model.graph)
    assert not passes(form)


def test_a_mutant_is_not_published(tmp_path: Path) -> None:
    bare_networks()["ids"].save(tmp_path / "model.keras")
    with pytest.raises(ParityError) as raised:
        exports_after(
            lambda model: not_carried(model.graph), tmp_path / "model.keras", tmp_path / "out", NAME, streaming=True
        )
    assert raised.value.report.first_problem.startswith(f"{NAME} in chunks of 1")
    assert not (tmp_path / "out").exists()

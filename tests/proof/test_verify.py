"""Tests verification from the file alone: what it accepts, and that every alteration is found."""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnx.bundle.directory import read_directory
from rnnx.cli import run
from rnnx.errors import ModelError
from rnnx.onnx_file.messages import parse_model, read_properties, read_tensor
from rnnx.onnx_file.visible_states import StatesRecipe, with_states
from rnnx.proof.evidence import Evidence
from rnnx.proof.evidence_metadata import DIGEST_KEY, EVIDENCE_KEY, read_evidence, with_evidence
from rnnx.proof.recorded_reference import read_reference
from rnnx.proof.verify import verify_file
from rnnx.runtime.session import Session
from rnnx.strict_json import from_json

Capture = pytest.CaptureFixture[str]
FORMS = ("model.onnx", "model.batch.onnx", "model.text.onnx")


def properties_of(data: bytes) -> dict[str, str]:
    return read_properties(parse_model(data))


def rewrite(data: bytes, change: Callable[[Any, dict[str, str]], None], *, seal: bool) -> bytes:
    """Returns a file after a change of its model or its metadata; with `seal`, its digest is updated."""
    model = parse_model(data)
    properties = read_properties(model)
    change(model, properties)
    if seal:
        properties = with_evidence(properties, from_json(Evidence, properties[EVIDENCE_KEY]), model)
    for entry in model.metadata_props:
        entry.value = properties[entry.key]
    altered: bytes = model.SerializeToString()
    return altered


@pytest.mark.parametrize("form", FORMS)
def test_a_file_alone_verifies_with_the_same_bits(tiny_bundle: Path, form: str) -> None:
    found = verify_file(form, (tiny_bundle / form).read_bytes(), ["auto"])
    assert found.report.passed
    assert found.report.first_problem == ""
    assert found.bits[f"{form}, CPUExecutionProvider"] == "same"
    assert {runtime.runtime.split(",")[0] for runtime in found.report.runtimes} == {form}
    assert len(found.report.invariance) >= 3
    assert found.report.text_count > 10
    assert found.report.trap_count > 5 or form == "model.text.onnx"  # traps are ids that no text has


@pytest.mark.parametrize("form", FORMS)
def test_one_flipped_bit_anywhere_is_refused(tiny_bundle: Path, form: str) -> None:
    """The bits are 300 of the whole file, and one in every tensor."""
    data = (tiny_bundle / form).read_bytes()
    rng = np.random.default_rng(0)
    places = [int(i) for i in rng.integers(0, len(data), 300)]
    for tensor in parse_model(data).graph.initializer:
        if tensor.raw_data:
            places.append(data.index(tensor.raw_data) + int(rng.integers(len(tensor.raw_data))))
    accepted = []
    for place in places:
        altered = bytearray(data)
        altered[place] ^= 1 << int(rng.integers(8))
        try:
            verify_file(form, bytes(altered), ["cpu"])
        except ModelError:
            continue
        accepted.append(place)
    # The name of the producer, outside graph and metadata, is not part of the computation.
    maker = data[: data.index(b"rnnx") + 20]
    assert [place for place in accepted if place >= len(maker)] == []


@pytest.mark.parametrize("name", ["kernel", "recurrent_kernel", "bias", "table"])
def test_a_weight_that_keras_did_not_have_is_named(tiny_bundle: Path, name: str) -> None:
    """It is found even if the digest of the file was updated."""

    def change(model: Any, properties: dict[str, str]) -> None:
        evidence = from_json(Evidence, properties[EVIDENCE_KEY])
        record = next(layer.weights[name] for layer in evidence.layers if name in layer.weights)
        tensor = next(t for t in model.graph.initializer if t.name == record.initializer)
        values = read_tensor(tensor).copy()
        values[tuple(0 for _ in values.shape)] += 1e-6
        tensor.raw_data = values.astype("<f4").tobytes()

    data = rewrite((tiny_bundle / "model.onnx").read_bytes(), change, seal=True)
    with pytest.raises(ModelError, match=rf"its {name} is not what Keras had at the export"):
        verify_file("model.onnx", data, ["cpu"])


def test_a_wrong_computation_with_right_weights_fails_in_its_layer(tiny_bundle: Path) -> None:
    """The graph has relu in place of tanh, and an updated digest."""

    def change(model: Any, properties: dict[str, str]) -> None:
        node = next(node for node in model.graph.node if node.op_type == "RNN")
        text = node.SerializeToString().replace(b"Tanh", b"Relu")
        node.ParseFromString(text)

    data = rewrite((tiny_bundle / "model.onnx").read_bytes(), change, seal=True)
    found = verify_file("model.onnx", data, ["cpu"])
    assert not found.report.passed
    assert "times the float32 rounding bound" in found.report.first_problem
    assert found.report.runtimes[0].worst.layer in {layer.layer for layer in found.report.runtimes[0].layers[:-2]}
    assert set(found.bits.values()) == {"other"}


def test_golden_vectors_that_do_not_fit_are_refused(tiny_bundle: Path) -> None:
    def change_probability(model: Any, properties: dict[str, str]) -> None:
        evidence = json.loads(properties[EVIDENCE_KEY])
        evidence["cases"][2]["answers"]["probs"]["values"][0] += 1e-6
        properties[EVIDENCE_KEY] = json.dumps(evidence)

    def change_state(model: Any, properties: dict[str, str]) -> None:
        evidence = json.loads(properties[EVIDENCE_KEY])
        evidence["cases"][0]["states"][1]["values"][0] += 1e-6
        properties[EVIDENCE_KEY] = json.dumps(evidence)

    for change in (change_probability, change_state):
        data = rewrite((tiny_bundle / "model.onnx").read_bytes(), change, seal=True)
        with pytest.raises(ModelError, match="the golden vector is not what the reference gives"):
            verify_file("model.onnx", data, ["cpu"])


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"activation": ["tanh"]}, "none of 'linear'"),
        ({"activation": "tanh", "go_backwards": 1}, "go_backwards should be of type bool"),
        ({"activation": "tanh", "colour": "red"}, r"unknown: settings\.colour"),
        ({"activation": "tanh", "kernel": [[1.0]]}, "kernel should be of type ndarray"),
    ],
)
def test_a_recorded_layer_is_read_by_its_schema(tiny_bundle: Path, settings: dict[str, object], reason: str) -> None:
    def change(model: Any, properties: dict[str, str]) -> None:
        evidence = json.loads(properties[EVIDENCE_KEY])
        layer = next(layer for layer in evidence["layers"] if layer["kind"] == "SimpleRNN")
        layer["settings"] = settings
        properties[EVIDENCE_KEY] = json.dumps(evidence)

    data = rewrite((tiny_bundle / "model.onnx").read_bytes(), change, seal=True)
    with pytest.raises(ModelError, match=reason):
        verify_file("model.onnx", data, ["cpu"])


def break_ids(evidence: dict[str, Any]) -> None:
    evidence["cases"][0]["inputs"]["ids"]["values"][-1] = 10**6


def break_kernel(evidence: dict[str, Any]) -> None:
    layer = next(layer for layer in evidence["layers"] if layer["kind"] == "SimpleRNN")
    layer["weights"]["recurrent_kernel"] = layer["weights"]["bias"]


def break_states(evidence: dict[str, Any]) -> None:
    evidence["states"]["names"] = dict.fromkeys(evidence["states"]["names"], "probs")


def break_order(evidence: dict[str, Any]) -> None:
    evidence["layers"][0]["inputs"] = []


def repeat_cases(evidence: dict[str, Any]) -> None:
    evidence["cases"] *= 5


def repeat_a_layer(evidence: dict[str, Any]) -> None:
    """With hundreds of copies, each of which is computed, a small file could take any time."""
    evidence["layers"][2:2] = [evidence["layers"][1]] * 500


@pytest.mark.parametrize("change", [break_ids, break_kernel, break_states, break_order, repeat_cases, repeat_a_layer])
def test_evidence_that_does_not_fit_its_file_is_refused_with_one_line(
    tiny_bundle: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], capsys: Capture
) -> None:
    def spoil(model: Any, properties: dict[str, str]) -> None:
        evidence = json.loads(properties[EVIDENCE_KEY])
        change(evidence)
        properties[EVIDENCE_KEY] = json.dumps(evidence)

    path = tmp_path / "alone.onnx"
    path.write_bytes(rewrite((tiny_bundle / "model.onnx").read_bytes(), spoil, seal=True))
    for arguments in (["verify", str(path)], ["diff", str(path), str(path)]):
        code = run(arguments)
        err = capsys.readouterr().err
        if arguments[0] == "verify" or code:  # diff does not read the layers, so it may accept the file
            assert (code, len(err.splitlines())) == (4, 1), err
        assert ("cases, and 64 are the most" in err) == (change is repeat_cases)


def test_a_file_without_evidence_is_refused(tiny_bundle: Path) -> None:
    model = parse_model((tiny_bundle / "model.onnx").read_bytes())
    del model.metadata_props[:]
    with pytest.raises(ModelError, match="carries no evidence"):
        verify_file("model.onnx", model.SerializeToString(), ["cpu"])
    for data in (b"", b"no model", b"\x08" * 100):
        with pytest.raises(ModelError):
            verify_file("model.onnx", data, ["cpu"])


@pytest.mark.train
def test_the_network_is_read_from_the_record(tiny_bundle: Path) -> None:
    """The reference that the file gives has every number of Keras."""
    pytest.importorskip("tensorflow", reason="needs the [train] extra")
    from rnnx.export.source import open_source

    source = open_source(tiny_bundle)
    for form in FORMS[:2]:  # the text form stores a rounded embedding
        model = parse_model((tiny_bundle / form).read_bytes())
        network = read_reference(read_evidence(properties_of((tiny_bundle / form).read_bytes()), model), model)
        assert [(node.name, node.inputs) for node in network.nodes] == [
            (node.name, node.inputs) for node in source.network.nodes
        ]
        for expected, actual in zip(source.network.nodes, network.nodes, strict=True):
            for field in dataclasses.fields(expected.layer):
                np.testing.assert_array_equal(
                    getattr(expected.layer, field.name), getattr(actual.layer, field.name), field.name
                )


def test_the_recipe_of_the_states_is_checked(tiny_bundle: Path) -> None:
    data = (tiny_bundle / "model.onnx").read_bytes()
    with pytest.raises(ModelError, match="which no node computes"):
        with_states(data, StatesRecipe({"rnn": "nowhere"}, ""))
    with pytest.raises(ModelError, match="not base64"):
        with_states(data, StatesRecipe({}, "%%%"))
    with pytest.raises(ModelError, match="not an ONNX model"):
        with_states(data, StatesRecipe({}, "/////w=="))


def test_the_test_data_pass_as_onnx_backend_tests(tiny_bundle: Path, tmp_path: Path) -> None:
    """ONNX's own runner reads and compares them, on the backend of onnxruntime."""
    onnx = pytest.importorskip("onnx", reason="needs the [train] extra")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the backend of onnxruntime imports parts of onnx that are deprecated
        import onnxruntime.backend
        from onnx.backend.test.runner import Runner
    model = onnxruntime.backend.prepare(str(tiny_bundle / "model.onnx"), "CPU")
    folders = sorted((tiny_bundle / "testdata").glob("test_data_set_*"))
    assert len(folders) == 3
    for folder in folders:
        inputs, outputs = (
            [onnx.numpy_helper.to_array(onnx.load_tensor(path)) for path in sorted(folder.glob(f"{kind}_*.pb"))]
            for kind in ("input", "output")
        )
        Runner.assert_similar_outputs(outputs, list(model.run(inputs)), rtol=1e-3, atol=1e-7)
        wrong = [outputs[0] + np.float32(2e-3)]
        with pytest.raises(AssertionError):
            Runner.assert_similar_outputs(wrong, list(model.run(inputs)), rtol=1e-3, atol=1e-7)


def test_the_command_line_verifies_bundles_and_files(tiny_bundle: Path, bundle_copy: Path, capsys: Capture) -> None:
    assert run(["verify", str(tiny_bundle)]) == 0
    out = capsys.readouterr().out
    for form in FORMS:
        assert f"{form}: verified: the largest difference of a step from the float64 reference is " in out
    assert "the same bits as at the export" in out
    assert run(["verify", "--json", str(tiny_bundle / "model.onnx")]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["passed"] is True
    assert found["bits"] == {"model.onnx, CPUExecutionProvider": "same"}
    data = bytearray((bundle_copy / "model.onnx").read_bytes())
    data[len(data) // 2] ^= 1
    (bundle_copy / "model.onnx").write_bytes(data)
    assert run(["verify", str(bundle_copy)]) == 4
    assert "altered: model.onnx" in capsys.readouterr().err
    alone = bundle_copy.parent / "alone.onnx"
    alone.write_bytes(data)
    assert run(["verify", str(alone)]) == 4
    assert "error: " in capsys.readouterr().err


def test_a_file_that_computes_something_else_exits_with_3(tiny_bundle: Path, tmp_path: Path, capsys: Capture) -> None:
    def change(model: Any, properties: dict[str, str]) -> None:
        node = next(node for node in model.graph.node if node.op_type == "RNN")
        node.ParseFromString(node.SerializeToString().replace(b"Tanh", b"Relu"))

    path = tmp_path / "wrong.onnx"
    path.write_bytes(rewrite((tiny_bundle / "model.onnx").read_bytes(), change, seal=True))
    assert run(["verify", str(path)]) == 3
    assert "times the float32 rounding bound" in capsys.readouterr().err


def test_a_bundle_with_another_vocabulary_is_refused(tiny_bundle: Path, capsys: Capture, tmp_path: Path) -> None:
    from rnnx.bundle.directory import write_directory

    original = read_directory(tiny_bundle)
    lines = original["vocabulary.txt"].split(b"\n")
    # The texts in the evidence of the file contain these two words.
    i, j = lines.index(b"the"), lines.index(b"and")
    lines[i], lines[j] = lines[j], lines[i]
    write_directory(tmp_path / "b", original.config, {**original.files, "vocabulary.txt": b"\n".join(lines)})
    assert run(["verify", str(tmp_path / "b")]) == 4
    assert "gives other ids than at the export" in capsys.readouterr().err


def test_shipped_models_are_verified(capsys: Capture) -> None:
    for name in ("imdb", "imdb-article"):
        assert run(["verify", name]) == 0
        assert capsys.readouterr().out.count("verified: the largest difference of a step ") == len(FORMS)


def test_the_digest_covers_all_metadata(tiny_bundle: Path) -> None:
    def change(model: Any, properties: dict[str, str]) -> None:
        properties["rnnx"] = properties["rnnx"].replace("neg", "bad")

    data = rewrite((tiny_bundle / "model.onnx").read_bytes(), change, seal=False)
    assert DIGEST_KEY in properties_of(data)
    with pytest.raises(ModelError, match="altered after its export"):
        verify_file("model.onnx", data, ["cpu"])
    Session(data, device="cpu")  # onnxruntime itself accepts the file

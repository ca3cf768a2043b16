"""Tests that `rnnx verify` compares the config, the figures and the card of a bundle with its files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rnnx.bundle.directory import hash_bytes, read_directory
from rnnx.cli import run
from rnnx.errors import ModelError
from rnnx.export.probes import IdFormat, make_id_probes
from rnnx.export.probes_of_numbers import ProbeSize, make_number_probes
from rnnx.onnx_file.messages import parse_model, read_properties
from rnnx.proof.compare import ProbeBatch
from rnnx.proof.evidence_metadata import read_evidence, with_evidence
from rnnx.proof.whole_bundle import require_figures
from rnnx.reference import Embedding, Input, Network, Node, SimpleRNN
from tests.make_bundles import BUNDLES, NAMES

Capture = pytest.CaptureFixture[str]
SHIPPED = Path(__file__).parents[2] / "exported" / "imdb-article"


def change_config(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    config = json.loads((bundle / "config.json").read_text())
    change(config)
    (bundle / "config.json").write_text(json.dumps(config))


def change_file(bundle: Path, name: str, change: Callable[[bytes], bytes]) -> None:
    """Changes a file, and its hash in the config."""
    data = change((bundle / name).read_bytes())
    (bundle / name).write_bytes(data)
    change_config(bundle, lambda config: config["files"].update({name: hash_bytes(data)}))


def change_json(bundle: Path, name: str, change: Callable[[Any], object]) -> None:
    def rewrite(data: bytes) -> bytes:
        document = json.loads(data)
        change(document)
        return json.dumps(document).encode()

    change_file(bundle, name, rewrite)


@pytest.mark.parametrize("name", NAMES)
def test_every_committed_bundle_fits_together(name: str) -> None:
    require_figures(read_directory(BUNDLES / name))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda config: config["labels"].reverse(), "labels"),
        (lambda config: config["tokenizer"].update(max_length=7), "tokenizer"),
        (lambda config: config["tokenizer"].update(truncation_side="right"), "tokenizer"),
        (lambda config: config["inputs"][0].update(name="tokens"), "inputs"),
        (lambda config: config["inputs"][0].update(size=23), "inputs"),
        (lambda config: config["outputs"][0].update(name="scores"), "outputs"),
        (
            lambda config: config["training"].update(best_validation_accuracy=0.9999),
            "the validation accuracy is 0.9999",
        ),
        (lambda config: config["training"].update(best_epoch=1), "the best epoch is 1"),
        (lambda config: config["training"].update(epochs=30), "there were 30 epochs"),
    ],
)
def test_a_config_that_does_not_fit_its_files_is_refused(
    bundle_copy: Path, change: Callable[[dict[str, Any]], object], reason: str, capsys: Capture
) -> None:
    change_config(bundle_copy, change)
    assert run(["verify", str(bundle_copy)]) == 4
    error = capsys.readouterr().err
    assert reason in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("metrics.json", lambda d: d.update(validation_accuracy=0.5), "validation accuracy"),
        ("history.json", lambda d: d[0].update(validation_accuracy=0.12345), "the card does not have epoch 1"),
        ("history.json", lambda d: d.clear(), "epochs"),
        ("evaluation.json", lambda d: d.update(accuracy=0.99), "not that of its confusion matrix"),
        ("evaluation.json", lambda d: d["confusion"][0].reverse(), "not that of its confusion matrix"),
        ("evaluation.json", lambda d: d.update(model_sha256="0" * 64), "measured on another model.onnx"),
        ("evaluation.json", lambda d: d.pop("accuracy"), "is broken"),
        ("parity.json", lambda d: d.update(passed=False), "the proof failed"),
        ("parity.json", lambda d: d.update(verdict="proved: everything"), "the card does not have the verdict"),
    ],
)
def test_a_figure_that_was_not_recorded_is_refused(
    tmp_path: Path, name: str, change: Callable[[Any], object], reason: str
) -> None:
    bundle = Path(shutil.copytree(SHIPPED, tmp_path / "bundle"))
    change_json(bundle, name, change)
    with pytest.raises(ModelError, match=reason):
        require_figures(read_directory(bundle))


def test_a_card_with_another_accuracy_is_refused(tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(SHIPPED, tmp_path / "bundle"))
    change_file(bundle, "README.md", lambda card: card.replace(b"**0.8421**", b"**0.9421**"))
    with pytest.raises(ModelError, match="the card does not have the accuracy"):
        require_figures(read_directory(bundle))


def test_a_proof_of_other_inputs_is_refused(bundle_copy: Path, capsys: Capture) -> None:
    change_json(bundle_copy, "parity.json", lambda document: document.update(text_count=10_000))
    assert run(["verify", str(bundle_copy)]) == 4
    assert "10000 in parity.json" in capsys.readouterr().err


def test_verify_says_what_it_has_proved_and_what_not(bundle_copy: Path, capsys: Capture) -> None:
    assert run(["verify", "imdb-article"]) == 0
    out = capsys.readouterr().out
    assert "19 files have the hashes in config.json" in out
    assert "model.onnx (30)" in out
    assert "no golden input uses 7,741 of 10,000 ids of model.batch.onnx" in out
    assert "cannot know who made a file" in out
    assert run(["verify", "--json", str(bundle_copy / "model.onnx")]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["ids"] == [{"input": "ids", "unused_count": 0, "size": 24}]


def ids_in(batches: Sequence[ProbeBatch]) -> list[int]:
    given = [batch.given["ids"] if isinstance(batch.given, Mapping) else batch.given for batch in batches]
    return sorted(set(np.concatenate([ids.reshape(-1) for ids in given]).tolist()))


def pad(rows: Sequence[np.ndarray]) -> np.ndarray:
    longest = max(map(len, rows))
    return np.stack([np.pad(row, (longest - len(row), 0)) for row in rows])


@pytest.mark.parametrize("size", [24, 20_000])
def test_the_probes_of_an_export_use_every_row_of_an_embedding(size: int) -> None:
    assert ids_in(make_id_probes(IdFormat(300, size, pad), {}).batches) == list(range(size))
    rnn = SimpleRNN(np.ones((1, 1)), np.ones((1, 1)), np.ones(1), "tanh", return_sequences=False)
    nodes = [
        Node("embedding", Embedding(np.ones((size, 1)), mask_zero=False), ("ids",)),
        Node("rnn", rnn, ("embedding",)),
    ]
    network = Network(nodes, (Input("ids", "ids", (None,), size),))
    assert ids_in(make_number_probes(network, ProbeSize(100), 4)[0]) == list(range(size))


def swap_last_words(vocabulary: bytes) -> bytes:
    lines = vocabulary.splitlines()
    return b"\n".join([*lines[:-2], lines[-1], lines[-2]]) + b"\n"


def record_vocabulary(model: bytes, vocabulary: bytes | None) -> bytes:
    """Returns a file with the hash of its vocabulary in the metadata, as an export writes it; None for no hash."""
    proto = parse_model(model)
    properties = read_properties(proto)
    evidence = read_evidence(properties, proto)
    metadata = json.loads(properties["rnnx"])
    metadata.pop("vocabulary_sha256", None)
    if vocabulary is not None:
        metadata["vocabulary_sha256"] = hash_bytes(vocabulary)
    whole = with_evidence({"rnnx": json.dumps(metadata)}, evidence, proto)
    del proto.metadata_props[:]
    for key, value in whole.items():
        proto.metadata_props.add(key=key, value=value)
    changed: bytes = proto.SerializeToString()
    return changed


def test_two_swapped_words_are_found_in_the_text_form(tmp_path: Path, capsys: Capture) -> None:
    """The golden texts use neither of them, and the files have no hash of the vocabulary, as earlier ones do not."""
    bundle = Path(shutil.copytree(SHIPPED, tmp_path / "bundle"))
    for form in ("model.onnx", "model.batch.onnx", "model.text.onnx"):
        change_file(bundle, form, lambda data: record_vocabulary(data, None))
    (bundle / "evaluation.json").unlink()  # it was measured on the file with the hash
    change_config(bundle, lambda config: config["files"].pop("evaluation.json"))
    change_file(bundle, "vocabulary.txt", swap_last_words)
    assert run(["verify", str(bundle)]) == 4
    assert "its tokenizer is not that of the bundle" in capsys.readouterr().err


def test_two_swapped_words_are_found_by_their_hash(tmp_path: Path, capsys: Capture) -> None:
    bundle = Path(shutil.copytree(BUNDLES / "words", tmp_path / "bundle"))
    assert run(["verify", str(bundle)]) == 0
    assert "the words of vocabulary.txt that no golden text has were not compared" in capsys.readouterr().out
    vocabulary = (bundle / "vocabulary.txt").read_bytes()
    for form in ("model.onnx", "model.batch.onnx"):
        change_file(bundle, form, lambda data: record_vocabulary(data, vocabulary))
    assert run(["verify", str(bundle)]) == 0
    assert "were not compared" not in capsys.readouterr().out
    change_file(bundle, "vocabulary.txt", swap_last_words)
    assert run(["verify", str(bundle)]) == 4
    assert (
        "vocabulary.txt of the bundle is not the vocabulary with which the file was exported" in capsys.readouterr().err
    )

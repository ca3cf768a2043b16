from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rnnx.bundle.directory import read_directory
from rnnx.bundle.samples import tagged_samples_from_json
from rnnx.export.golden_sentences import golden_sentence_rows, golden_sentences
from rnnx.onnx_file.messages import parse_model, read_properties
from rnnx.proof.evidence_metadata import read_evidence
from rnnx.proof.recorded_reference import read_reference
from rnnx.strict_json import to_json_bytes
from rnnx.text.ids import read_id_encoder
from rnnx.text.word_encoder import WordEncoder
from tests.make_bundles import BUNDLES


def strings_in(document: Any) -> Iterator[str]:
    if isinstance(document, dict):
        document = [*document, *document.values()]
    if isinstance(document, list):
        for item in document:
            yield from strings_in(item)
    elif isinstance(document, str):
        yield document


def test_every_parser_reads_the_golden_sentences_and_none_loses_a_byte() -> None:
    bundle = read_directory(BUNDLES / "words")
    encoder = read_id_encoder(bundle)
    assert isinstance(encoder, WordEncoder)
    model = parse_model(bundle["model.onnx"])
    network = read_reference(read_evidence(read_properties(model), model), model)
    data = to_json_bytes(golden_sentence_rows(network, encoder, bundle.config.labels))
    sentences = golden_sentences(encoder)
    assert any(b"\xff\xfe" in sentence for sentence in sentences)
    assert [sample.words for sample in tagged_samples_from_json(data)] == sentences
    rows = json.loads(data)
    for text in strings_in(rows):
        text.encode()  # a lone surrogate cannot be encoded
    assert all(len(row["words"]) == len(row["bytes"]) == len(row["ids"]) for row in rows)
    recorded = tagged_samples_from_json(bundle["golden.json"])  # written before there were bytes
    assert [sample.words for sample in recorded] == sentences

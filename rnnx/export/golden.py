"""The golden vectors of a model: inputs, what the float64 reference gives for them, and the files that carry both."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np
import onnx
from onnx import numpy_helper

from rnnx.bundle.config import tool_versions
from rnnx.bundle.directory import TESTDATA_NAME
from rnnx.bundle.labels import choose_label_ids, per_label
from rnnx.export.probes import make_trap_inputs, own_texts
from rnnx.export.probes_of_sentences import as_inputs, golden_sentence_rows, golden_sentences
from rnnx.export.source import Source
from rnnx.onnx_file.messages import parse_model
from rnnx.proof.evidence import ArrayRecord, Evidence, GoldenCase, golden_states, record_network, with_evidence
from rnnx.proof.report import ParityReport
from rnnx.reference import NamedArrays, Network
from rnnx.reference.streaming import zero_states
from rnnx.rewrites.replace import Rewritten
from rnnx.runtime.session import Session
from rnnx.text.tokenizer import to_batch, to_text
from rnnx.text_form.build import TextForm

# Nothing; a word that no vocabulary has; breaks, and what is none; no UTF-8; every byte; capitals; more than is read.
_TRAP_TEXTS = (
    b"",
    b"qqqqzzzz",
    b"<br /><br />",
    b"<BR />br<br/>good<br />bad<br  />br <br /",
    b"don't \xff\xfe stop",
    bytes(range(256)),
    b"GREAT Film",
    b"the film is great " * 150,
)
_STEPS = (0, 1, 4)


def golden_texts() -> list[bytes]:
    """Rnnx's own texts (a user's texts stay with the user), and traps."""
    return [*own_texts(), *_TRAP_TEXTS]


def golden_rows(source: Source) -> list[dict[str, object]]:
    """What `golden.json` holds: text, ids, label and probabilities, or the like of each word, for any language."""
    if source.encoder:
        return golden_sentence_rows(source)
    assert source.tokenizer  # noqa: S101  # the caller asked
    rows: list[dict[str, object]] = []
    for text in golden_texts():
        encoding = source.tokenizer.encode(text)
        probs = source.network.predict(source.tokenizer.pad([encoding.ids]))
        row = per_label(probs)[0]
        label_id = int(choose_label_ids(row))
        rows.append(
            {
                "text": to_text(text),
                "ids": encoding.ids.tolist(),
                "label": source.config.labels[label_id],
                "probability": float(row[label_id]),
                "probs": probs[0].tolist(),
            }
        )
    return rows


def data_sets(source: Source) -> dict[str, bytes]:
    """ONNX's own form of test data for `model.onnx`: each set the inputs and the outputs that it should give.

    Returns:
        File name (`testdata/test_data_set_0/input_0.pb`) to content.
    """
    rows = [given for _, given in _rows(source).values()]
    longest = max(_time(row) for row in rows)
    together = [row for row in rows if _time(row) == longest]
    stacked = {name: np.concatenate([row[name] for row in together]) for name in together[0]}
    files = {}
    for i, given in enumerate([rows[0], rows[-1], stacked]):
        folder = f"{TESTDATA_NAME}/test_data_set_{i}"
        answers = {name: values.astype(np.float32) for name, values in source.network.answers(given).items()}
        for kind, arrays in (("input", given), ("output", answers)):
            for k, (name, values) in enumerate(arrays.items()):
                files[f"{folder}/{kind}_{k}.pb"] = numpy_helper.from_array(values, name).SerializeToString()
    return files


def longest_row(source: Source) -> NamedArrays:
    """The longest of the golden inputs, a batch of one."""
    return max((given for _, given in _rows(source).values()), key=_time)


def finish(source: Source, form: Rewritten, report: ParityReport, properties: Mapping[str, str]) -> bytes:
    """Puts the metadata and the evidence into a form.

    Args:
        source: What it was made from.
        form: A form that was proved.
        report: The proof.
        properties: The rest of its metadata.

    Returns:
        The file as it ships.

    Raises:
        ModelError: If a weight of Keras's stands nowhere in it.
    """
    return _finish(form, source.network, _rows(source), report, properties, None)


def finish_text(source: Source, form: TextForm, report: ParityReport, properties: Mapping[str, str]) -> bytes:
    """Puts the metadata and the evidence into a text form; as `finish` otherwise."""
    inputs = {name: row for name, row in _rows(source).items() if row[0] is not None}
    return _finish(form.rewritten, form.network, inputs, report, properties, form.ids)


def _finish(
    form: Rewritten,
    network: Network,
    inputs: Mapping[str, tuple[bytes | None, NamedArrays]],
    report: ParityReport,
    properties: Mapping[str, str],
    ids_value: str | None,
) -> bytes:
    model = form.model.SerializeToString()
    session = Session(model, device="cpu")

    def run(text: bytes | None, given: NamedArrays) -> dict[str, ArrayRecord]:
        batch = given if ids_value is None else {"text": to_batch([text or b""])}
        answers = session.run_by_name({**batch, **zero_states(form.carried, 1)})
        return {name: ArrayRecord.of(answers[name][0]) for name in network.ends}

    cases = tuple(
        GoldenCase(
            name,
            None if text is None else to_text(text),
            {key: ArrayRecord.of(values[0]) for key, values in given.items()},
            {key: ArrayRecord.of(values[0]) for key, values in network.answers(given).items()},
            run(text, given),
            golden_states(network, given, _STEPS) if i < len(_STEPS) else (),
        )
        for i, (name, (text, given)) in enumerate(inputs.items())
    )
    parsed = parse_model(model)
    # The curves are for people, in the bundle.
    figures = dataclasses.replace(report, drift=())
    tools = tool_versions("numpy", "onnxruntime")
    evidence = Evidence(
        network.inputs,
        record_network(network, parsed),
        dict(network.outputs),
        form.recipe(),
        ids_value,
        cases,
        figures,
        tools,
        form.carried,
    )
    finished = onnx.ModelProto.FromString(model)
    onnx.helper.set_model_props(finished, with_evidence(properties, evidence, parsed))
    data: bytes = finished.SerializeToString(deterministic=True)
    return data


def _time(given: NamedArrays) -> int:
    return int(next(iter(given.values())).shape[1])


def _rows(source: Source) -> dict[str, tuple[bytes | None, NamedArrays]]:
    """By name: the text (or the words, one a line) where there is one, and the inputs as a batch of one, padded."""
    rows: dict[str, tuple[bytes | None, NamedArrays]] = {}
    tokenizer = source.tokenizer
    if tokenizer:
        for i, text in enumerate(golden_texts()):
            ids = tokenizer.pad([tokenizer.encode(text).ids])
            rows[f"golden text {i + 1}"] = (text, source.network.named(ids))
    if source.encoder:
        for i, words in enumerate(golden_sentences(source, every=False)):
            rows[f"golden sentence {i + 1}"] = (b"\n".join(words), as_inputs(source.encoder.encode(words)))
    for name, given in make_trap_inputs(source.network, tokenizer).items():
        rows[name] = (None, given)
    return rows

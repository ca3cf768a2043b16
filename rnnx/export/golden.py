"""The golden vectors of a model: inputs, what the float64 reference gives for them, and the files that carry both."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from rnnx.bundle import TESTDATA_NAME
from rnnx.config import tool_versions
from rnnx.evidence import Evidence, GoldenCase, golden_states, record_network, with_evidence
from rnnx.export.probes import make_traps, own_texts
from rnnx.export.source import Source
from rnnx.infer.session import Session
from rnnx.onnxfile import parse_model
from rnnx.report import ParityReport
from rnnx.rewrites.replace import Rewritten
from rnnx.text import Ids

# Beside rnnx's own texts: nothing; a word that no vocabulary has; breaks, and what is none; bytes that are no UTF-8;
# every byte; capitals; more than is read.
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
    """What `golden.json` holds: text, ids, label and probabilities, for any language."""
    assert source.tokenizer  # noqa: S101  # the caller asked
    rows: list[dict[str, object]] = []
    for text in golden_texts():
        encoding = source.tokenizer.encode(text)
        probs = source.network.predict(source.tokenizer.pad([encoding.ids]))
        row = per_label(probs)[0]
        rows.append(
            {
                "text": text.decode("utf-8", "surrogateescape"),
                "ids": encoding.ids.tolist(),
                "label": source.config.labels[int(row.argmax())],
                "probability": float(row.max()),
                "probs": probs[0].tolist(),
            }
        )
    return rows


def data_sets(source: Source) -> dict[str, bytes]:
    """ONNX's own form of test data for `model.onnx`: each set an input and the output that it should give.

    Returns:
        File name (`testdata/test_data_set_0/input_0.pb`) to content.
    """
    cases = list(_rows(source).values())
    longest = max(len(row) for row in cases)
    together = [row for row in cases if len(row) == longest]
    files = {}
    for i, ids in enumerate([cases[0][None], cases[-1][None], np.stack(together)]):
        folder = f"{TESTDATA_NAME}/test_data_set_{i}"
        probs = source.network.predict(ids).astype(np.float32)
        files[f"{folder}/input_0.pb"] = numpy_helper.from_array(ids, "ids").SerializeToString()
        files[f"{folder}/output_0.pb"] = numpy_helper.from_array(probs, "probs").SerializeToString()
    return files


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
    model = form.model.SerializeToString()
    session = Session(model, device="cpu")
    texts = dict(zip(_text_names(source), golden_texts(), strict=False))
    cases = tuple(
        GoldenCase(
            name,
            texts[name].decode("utf-8", "surrogateescape") if name in texts else None,
            tuple(ids.tolist()),
            tuple(source.network.predict(ids[None])[0].tolist()),
            tuple(session.run(ids[None])[0][0].astype(float).tolist()),
            golden_states(source.network, ids, _STEPS) if i < len(_STEPS) else (),
        )
        for i, (name, ids) in enumerate(_rows(source).items())
    )
    parsed = parse_model(model)
    figures = ParityReport(
        report.text_count, report.trap_count, report.longest, report.runtimes, decisions=report.decisions
    )
    evidence = Evidence(
        record_network(source.network, parsed), form.recipe(), cases, figures, tool_versions("numpy", "onnxruntime")
    )
    finished = onnx.ModelProto.FromString(model)
    onnx.helper.set_model_props(finished, with_evidence(properties, evidence, parsed))
    data: bytes = finished.SerializeToString(deterministic=True)
    return data


def per_label(probs: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """One probability per label: a single sigmoid is spelled out."""
    return np.hstack([1 - probs, probs]) if probs.shape[-1] == 1 else probs


def _text_names(source: Source) -> list[str]:
    return [f"golden text {i + 1}" for i in range(len(golden_texts()))] if source.tokenizer else []


def _rows(source: Source) -> dict[str, Ids]:
    """The inputs by name, padded as the model's padding has it."""
    rows: dict[str, Ids] = {}
    if source.tokenizer:
        for name, text in zip(_text_names(source), golden_texts(), strict=True):
            rows[name] = source.tokenizer.pad([source.tokenizer.encode(text).ids])[0]
    for name, ids in make_traps(source.tokenizer, source.config.vocabulary_size).items():
        rows[name] = source.tokenizer.pad([ids])[0] if source.tokenizer else ids
    return rows

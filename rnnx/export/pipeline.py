"""The export as a whole: open, convert, prove, publish; nothing is published that was not proved."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx

from rnnx.bundle import (
    BATCH_NAME,
    CARD_NAME,
    CURVES_NAME,
    EVALUATION_NAME,
    GOLDEN_NAME,
    HISTORY_NAME,
    KERAS_NAME,
    METRICS_NAME,
    MODEL_NAME,
    PARITY_NAME,
    VOCABULARY_NAME,
    require_replaceable,
    write_directory,
)
from rnnx.card import write_card
from rnnx.config import tool_versions
from rnnx.errors import ParityError
from rnnx.export.convert import OPSET
from rnnx.export.forms import build_forms, read_steps
from rnnx.export.probes import make_probes, own_texts
from rnnx.export.prove import prove
from rnnx.export.source import Source, open_source
from rnnx.metadata import METADATA_KEY, ModelMetadata
from rnnx.report import ParityReport
from rnnx.rewrites.replace import Rewritten
from rnnx.schema import to_json

_TAKEN_OVER = (KERAS_NAME, VOCABULARY_NAME, HISTORY_NAME, METRICS_NAME, CURVES_NAME)


@dataclasses.dataclass(frozen=True)
class Exported:
    """A published bundle.

    Attributes:
        path: Where it stands.
        report: Its proof.
        sizes_bytes: Of each file.
    """

    path: Path
    report: ParityReport
    sizes_bytes: dict[str, int]


def export(
    model: str | Path, out: Path | None = None, *, on_stage: Callable[[str], None] = lambda stage: None
) -> Exported:
    """Converts a model, proves the result, and publishes the bundle.

    Args:
        model: A run, a bundle, a shipped name, or a `.keras` file.
        out: Where the bundle goes; `exported/NAME` if None. A bundle there is replaced in one step.
        on_stage: Told what comes next.

    Raises:
        ModelError: If the model is broken, or of a kind that is not modelled.
        ParityError: If the proof fails; nothing is published then.
        UsageError: If something that is not rnnx's stands at `out`.
        OSError: If the bundle cannot be written; what stood there is untouched then.
    """
    if out is not None:
        require_replaceable(out)
    on_stage("reading the model")
    source = open_source(model)
    out = out or Path("exported") / source.config.name
    require_replaceable(out)
    on_stage("converting with tf2onnx, and rewriting")
    forms = build_forms(source.model, source.network)
    for form in forms.values():
        _add_metadata(form.model, source)
    on_stage("proving against the reference")
    report = prove_source(source, forms)
    if not report.passed:
        raise ParityError(f"{source.config.name}: {report.first_problem}; nothing was published", report)
    on_stage(f"publishing {out}")
    files = _bundle_files(source, forms, report)
    units, collects_states = read_steps(forms[BATCH_NAME].model)
    config = dataclasses.replace(
        source.config,
        opset=OPSET,
        recurrent_units=units,
        collects_states=collects_states,
        tools={**source.config.tools, **tool_versions("tf2onnx", "onnx")},
    )
    files[CARD_NAME] = write_card(config, files).encode()
    write_directory(out, config, files)
    return Exported(out, report, {name: len(data) for name, data in files.items()})


def prove_source(source: Source, forms: Mapping[str, Rewritten]) -> ParityReport:
    """Proves the forms of a model against a source, the labels recorded with it included."""
    texts = [sample.text for sample in source.samples]
    texts += [text for text in own_texts() if text not in texts]
    probes = make_probes(texts, source.tokenizer, source.config.vocabulary_size)
    report = prove(source.model, source.network, forms, probes)
    return dataclasses.replace(report, problems=tuple(_sample_problems(source, report.runtimes[0].max_abs_diff)))


def _sample_problems(source: Source, keras_drift: float | None) -> list[str]:
    """Compares what was recorded for each sample, label and probability, with what the reference says now.

    Keras recorded it, in a graph; `keras_drift` is how far Keras, step by step, is from the reference on these very
    texts and others. Another order of its sums may drift by a few times that; six digits were recorded.
    """
    if not source.tokenizer or not source.samples or keras_drift is None:
        return []
    allowed = 4 * keras_drift + 1e-6
    labels = source.config.labels
    ids = source.tokenizer.pad([source.tokenizer.encode(sample.text).ids for sample in source.samples])
    problems = []
    for i, (sample, row) in enumerate(zip(source.samples, _per_label(source.network.predict(ids)), strict=True)):
        probability = float(row[labels.index(sample.label)]) if sample.label in labels else 0.0
        if abs(probability - sample.probability) > allowed:
            problems.append(
                f"text {i + 1} was recorded as {sample.label!r} with {sample.probability:.6f}, and is given "
                f"{probability:.6f} now: the labels, the vocabulary or the tokenizer were changed"
            )
    return problems


def _per_label(probs: np.ndarray) -> np.ndarray:
    return np.hstack([1 - probs, probs]) if probs.shape[-1] == 1 else probs


def _add_metadata(graph: onnx.ModelProto, source: Source) -> None:
    config = source.config
    metadata = ModelMetadata(config.name, config.task, config.labels, config.vocabulary_size, config.tokenizer)
    onnx.helper.set_model_props(graph, {METADATA_KEY: to_json(metadata)})


def _bundle_files(source: Source, forms: Mapping[str, Rewritten], report: ParityReport) -> dict[str, bytes]:
    files = {name: source.files[name] for name in _TAKEN_OVER if name in source.files}
    files |= {name: form.model.SerializeToString(deterministic=True) for name, form in forms.items()}
    files[PARITY_NAME] = _json({"verdict": report.verdict, "passed": report.passed, **dataclasses.asdict(report)})
    if source.tokenizer:
        files[GOLDEN_NAME] = _json(_golden(source))
    # Figures belong to the very file that they were measured on.
    evaluation = source.files.get(EVALUATION_NAME)
    if evaluation and source.files.get(MODEL_NAME) == files[MODEL_NAME]:
        files[EVALUATION_NAME] = evaluation
    return files


def _golden(source: Source) -> list[dict[str, object]]:
    """Input and expected output for any language: rnnx's own texts (a user's texts stay with the user) and traps."""
    assert source.tokenizer  # noqa: S101  # the caller asked
    rows = []
    for text in [*own_texts(), b"", b"qqqqzzzz", b"<br /><br />", b"don't \xff\xfe stop"]:
        encoding = source.tokenizer.encode(text)
        probs = source.network.predict(source.tokenizer.pad([encoding.ids]))
        row = _per_label(probs)[0]
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


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()

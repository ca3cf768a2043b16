"""The export as a whole: open, convert, prove, publish; nothing is published that was not proved."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rnnx.bundle.config import ModelConfig, tool_versions
from rnnx.bundle.directory import (
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
    PLOT_NAME,
    STREAM_NAME,
    TEXT_NAME,
    VOCABULARY_NAME,
    require_replaceable,
    write_directory,
)
from rnnx.bundle.labels import per_label
from rnnx.bundle.metadata import METADATA_KEY, ModelMetadata
from rnnx.card.card import write_card
from rnnx.errors import ParityError
from rnnx.export.convert import OPSET, check
from rnnx.export.forms import build_forms, read_steps
from rnnx.export.golden import data_sets, finish, finish_text, golden_rows, longest_row
from rnnx.export.label_comparison import DecisionTexts, compare_decisions
from rnnx.export.plot import plot_proof
from rnnx.export.ports import describe_ports
from rnnx.export.probes import make_probes, own_texts
from rnnx.export.probes_of_sentences import sentence_batch
from rnnx.export.prove import prove
from rnnx.export.prove_text import add_text_answers, prove_text_form
from rnnx.export.recorded import sentence_problems, sequence_problems
from rnnx.export.source import Source, open_source
from rnnx.export.streams import require_streamable, stream_data_sets
from rnnx.proof.report import ParityReport
from rnnx.proof.verify import verify_file
from rnnx.rewrites.replace import Rewritten
from rnnx.strict_json import to_json, to_json_bytes
from rnnx.text_form.build import TextForm, build_text_form, can_read
from rnnx.text_form.lookup import LONGEST_WORD
from rnnx.text_form.storage import DEFAULT_STORAGE, Storage

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
    model: str | Path | Source,
    out: Path | None = None,
    *,
    storage: Storage = DEFAULT_STORAGE,
    decisions: DecisionTexts | None = None,
    streaming: bool = False,
    on_stage: Callable[[str], None] = lambda stage: None,
) -> Exported:
    """Converts a model, proves the result, and publishes the bundle.

    Args:
        model: A run, a bundle, a shipped name, or a `.keras` file; or one of them opened.
        out: Where the bundle goes; `exported/NAME` by its name if None. A bundle there is replaced in one step.
        storage: How the text form stores the embedding.
        decisions: Texts whose labels are compared too, one by one.
        streaming: Whether the bundle gets a file with the states as inputs and outputs too.
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
    source = model if isinstance(model, Source) else open_source(model)
    out = out or Path("exported") / source.config.name
    require_replaceable(out)
    if streaming:
        require_streamable(source.network, source.config)
    on_stage("converting with tf2onnx, and rewriting")
    forms = build_forms(source.model, source.network, streaming)
    on_stage("proving against the reference")
    texts = list(dict.fromkeys([*_texts(source), *(decisions.some() if decisions else ())]))
    report = prove_source(source, forms, texts)
    # The text form is made of one that was proved.
    text_form = _build_text_form(source, _last_form(forms), storage) if report.passed else None
    if text_form:
        report = _prove_text_form(source, text_form, texts, report)
    elif report.passed and source.tokenizer:
        on_stage(f"no {TEXT_NAME}: the vocabulary has words of more than {LONGEST_WORD} bytes")
    if report.passed and decisions is not None:
        on_stage(f"comparing {len(decisions.texts):,} labels")
        compared = compare_decisions(source, forms, text_form, decisions)
        report = dataclasses.replace(report, decisions=compared)
    if not report.passed:
        raise ParityError(f"{source.config.name}: {report.first_problem}; nothing was published", report)
    properties = _properties(source.config)
    finished = {file: finish(source, form, report, properties) for file, form in forms.items()}
    if text_form:
        finished[TEXT_NAME] = finish_text(source, text_form, report, properties)
    for file, data in finished.items():
        again = verify_file(file, data, ["cpu"], source.reader).report
        if not again.passed:
            raise ParityError(f"{source.config.name}: {again.first_problem}; nothing was published", again)
    on_stage(f"publishing {out}")
    files = _bundle_files(source, finished, report)
    if text_form and source.tokenizer:
        files[GOLDEN_NAME] = add_text_answers(files[GOLDEN_NAME], text_form, source.tokenizer)
    if streaming:
        files |= stream_data_sets(source.network, longest_row(source), forms[STREAM_NAME].carried)
    units, collects_states = read_steps(_last_form(forms).model)
    inputs, outputs = describe_ports(source.network)
    config = dataclasses.replace(
        source.config,
        inputs=inputs,
        outputs=outputs,
        opset=OPSET,
        recurrent_units=units,
        collects_states=collects_states,
        tools={**source.config.tools, **tool_versions("tf2onnx", "onnx")},
    )
    files[CARD_NAME] = write_card(config, files).encode()
    write_directory(out, config, files)
    return Exported(out, report, {file: len(content) for file, content in files.items()})


def prove_source(source: Source, forms: Mapping[str, Rewritten], texts: Sequence[bytes] | None = None) -> ParityReport:
    """Proves the forms of a model against a source, the labels recorded with it included.

    Args:
        source: The model.
        forms: By file name.
        texts: What it is proved on, beside traps; the source's own if None.
    """
    texts = _texts(source) if texts is None else texts
    sequences = [sample.x for sample in source.sequences]
    recorded = [sample.words for sample in source.sentences]
    sentences = sentence_batch(source.encoder, recorded) if source.encoder and recorded else None
    probes = make_probes(source.network, texts, source.tokenizer, sequences, sentences)
    report = prove(source.model, source.network, forms, probes)
    drift = report.runtimes[0].max_abs_diff
    problems = _sample_problems(source, drift) + sequence_problems(source) + sentence_problems(source, drift)
    return dataclasses.replace(report, problems=tuple(problems), unit=source.config.kind)


def _last_form(forms: Mapping[str, Rewritten]) -> Rewritten:
    """The form for batches where there is one."""
    return forms.get(BATCH_NAME, forms[MODEL_NAME])


def _build_text_form(source: Source, form: Rewritten, storage: Storage) -> TextForm | None:
    if not source.tokenizer or not can_read(source.tokenizer.vocabulary):
        return None
    text_form = build_text_form(form, source.network, source.tokenizer, storage)
    check(text_form.rewritten.model)
    return text_form


def _prove_text_form(source: Source, form: TextForm, texts: Sequence[bytes], report: ParityReport) -> ParityReport:
    """Adds the proof of the text form to that of the others."""
    assert source.tokenizer  # noqa: S101  # a text form was built
    comparisons = prove_text_form(TEXT_NAME, form, source.tokenizer, texts)
    return dataclasses.replace(
        report,
        runtimes=(*report.runtimes, *(comparison.report for comparison in comparisons)),
        invariance=(*report.invariance, *(way for comparison in comparisons for way in comparison.invariance)),
    )


def _texts(source: Source) -> list[bytes]:
    return list(dict.fromkeys([*(sample.text for sample in source.samples), *own_texts()]))


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
    for i, (sample, row) in enumerate(zip(source.samples, per_label(source.network.predict(ids)), strict=True)):
        probability = float(row[labels.index(sample.label)]) if sample.label in labels else 0.0
        if abs(probability - sample.probability) > allowed:
            problems.append(
                f"text {i + 1} was recorded as {sample.label!r} with {sample.probability:.6f}, and is given "
                f"{probability:.6f} now: the labels, the vocabulary or the tokenizer were changed"
            )
    return problems


def _properties(config: ModelConfig) -> dict[str, str]:
    metadata = ModelMetadata(
        config.name, config.task, config.labels, config.vocabulary_size, config.tokenizer, config.words
    )
    return {METADATA_KEY: to_json(metadata)}


def _bundle_files(source: Source, forms: Mapping[str, bytes], report: ParityReport) -> dict[str, bytes]:
    files = {name: source.files[name] for name in _TAKEN_OVER if name in source.files}
    files |= forms
    files[PARITY_NAME] = to_json_bytes(
        {"verdict": report.verdict, "passed": report.passed, **dataclasses.asdict(report)}
    )
    files[PLOT_NAME] = plot_proof(report)
    files |= data_sets(source)
    if source.reader:
        files[GOLDEN_NAME] = to_json_bytes(golden_rows(source))
    # Figures belong to the very file that they were measured on.
    evaluation = source.files.get(EVALUATION_NAME)
    if evaluation and source.files.get(MODEL_NAME) == files[MODEL_NAME]:
        files[EVALUATION_NAME] = evaluation
    return files

"""The whole export: opens a model, converts it, proves the forms, and publishes the bundle only if they are proved."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from functools import partial
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
    hash_bytes,
    require_replaceable,
    write_directory,
)
from rnnx.bundle.front_matter import add_front_matter
from rnnx.bundle.metadata import METADATA_KEY, ModelMetadata
from rnnx.card.card import write_card
from rnnx.errors import ParityError
from rnnx.export.convert import OPSET
from rnnx.export.forms import build_forms, read_steps
from rnnx.export.golden import GoldenVectors, data_sets, finish, finish_text, longest_row
from rnnx.export.golden_room import replace_large, require_room
from rnnx.export.label_comparison import DecisionTexts, compare_decisions
from rnnx.export.plot import plot_proof
from rnnx.export.ports import describe_ports
from rnnx.export.probes import GoldenInputs, only_finite, only_finite_golden
from rnnx.export.prove import prove
from rnnx.export.prove_text import prove_text_form
from rnnx.export.source import Source, open_source
from rnnx.export.streams import require_streamable, stream_data_sets
from rnnx.proof.progress import reported
from rnnx.proof.report import ParityReport
from rnnx.proof.verify import verify_file
from rnnx.reference import Network
from rnnx.reference.shapes import least_times
from rnnx.rewrites.replace import Rewritten
from rnnx.strict_json import to_json, to_json_bytes
from rnnx.text_form.build import TextForm
from rnnx.text_form.storage import DEFAULT_STORAGE, Storage

# Files of a run or a bundle that the new bundle copies.
_TAKEN_OVER = (KERAS_NAME, VOCABULARY_NAME, HISTORY_NAME, METRICS_NAME, CURVES_NAME)


@dataclasses.dataclass(frozen=True)
class Exported:
    """A published bundle.

    Attributes:
        path: The bundle's directory.
        report: The proof.
        sizes_bytes: The size of each file, by file name.
    """

    path: Path
    report: ParityReport
    sizes_bytes: dict[str, int]


def export(  # noqa: PLR0913  # the last two do not touch the conversion
    model: str | Path | Source,
    out: Path | None = None,
    *,
    storage: Storage = DEFAULT_STORAGE,
    decisions: DecisionTexts | None = None,
    streaming: bool = False,
    sign: Callable[[str, Mapping[str, bytes]], bytes] | None = None,
    on_stage: Callable[[str], None] = lambda stage: None,
) -> Exported:
    """Converts a model, proves the result, and publishes the bundle.

    Args:
        model: A run, a bundle, the name of a shipped model, or a `.keras` file; or a source that is already open.
        out: The directory of the bundle; `exported/NAME` if None. A bundle that is already there is replaced in one
            step.
        storage: The number format of the embedding in the text form.
        decisions: Texts whose labels are compared too, one by one.
        streaming: Whether to also write a file with the states as inputs and outputs.
        sign: Returns the signature of the bundle, given its name and its files; None for a bundle without one.
        on_stage: Called with a description of each stage when it starts.

    Returns:
        The published bundle.

    Raises:
        ModelError: If the model is broken or not supported.
        ParityError: If the proof fails. Nothing is published.
        UsageError: If there is something at `out` that rnnx did not write.
        OSError: If the bundle cannot be written. What was at `out` is unchanged.
    """
    if out is not None:
        require_replaceable(out)
    on_stage("reading the model")
    with reported("reading the model"):
        source = model if isinstance(model, Source) else open_source(model)
    for note in source.notes:
        on_stage(note)
    require_room(source.config.name, source.network)
    streaming = streaming or source.is_stateful
    out = out or Path("exported") / source.config.name
    require_replaceable(out)
    if streaming:
        require_streamable(source)
    on_stage("converting with tf2onnx, and rewriting")
    with reported("converting"):
        forms = build_forms(source.model, source.network, streaming)
    on_stage("proving against the reference")
    texts = source.kind.real_texts(decisions.some() if decisions else ())
    report = prove_source(source, forms, texts, on_stage)
    text_form = None
    if report.passed:
        # The text form is built from a form that has just been proved.
        with reported(f"building {TEXT_NAME}"):
            text_form = source.kind.build_text_form(_last_form(forms), source.network, storage, on_stage)
    if text_form:
        report = _add_text_form(report, text_form, texts)
    if decisions is None and source.config.thresholds:
        # The proof of the probabilities decides at 0.5; these models decide elsewhere.
        decisions = DecisionTexts("the probes", texts)
    if report.passed and decisions is not None:
        on_stage(f"comparing {len(decisions.texts):,} labels")
        compared = compare_decisions(source, forms, text_form, decisions)
        report = dataclasses.replace(report, decisions=compared)
    if not report.passed:
        raise ParityError(f"{source.config.name}: {report.first_problem}; nothing was published", report)
    golden = only_finite_golden(source.network, source.kind.golden_inputs(source.network))
    golden, seeds = replace_large(source.network, golden)
    finished = _finish_forms(source, forms, text_form, golden, seeds, report)
    on_stage(f"publishing {out}")
    with reported("plotting, and writing golden vectors"):
        files = _bundle_files(source, finished, text_form, golden, report)
    if streaming:
        files |= stream_data_sets(source.network, longest_row(golden), forms[STREAM_NAME].carried)
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
    files[CARD_NAME] = add_front_matter(write_card(config, files), config, files).encode()
    write_directory(out, config, files, None if sign is None else partial(sign, config.name))
    return Exported(out, report, {file: len(content) for file, content in files.items()})


def prove_source(
    source: Source,
    forms: Mapping[str, Rewritten],
    texts: Sequence[bytes],
    on_stage: Callable[[str], None] = lambda stage: None,
) -> ParityReport:
    """Compares the forms of a model with its reference, and the reference with the predictions recorded in training.

    Args:
        source: The model.
        forms: The forms by file name.
        texts: Real texts, which are probes of a text classifier.
        on_stage: Called with the reason if Keras has to run step by step.

    Raises:
        ModelError: If the network overflows float32 on all inputs that were tried.
    """
    probes = only_finite(source.network, source.kind.make_probes(source.network, texts))
    report = prove(source.model, source.network, forms, probes, on_stage, source.plain)
    problems = source.recorded_problems(report.runtimes[0].max_abs_diff)
    return dataclasses.replace(report, problems=tuple(problems), unit=source.config.kind)


def _last_form(forms: Mapping[str, Rewritten]) -> Rewritten:
    """Returns the form for batches, or `model.onnx` if there is none."""
    return forms.get(BATCH_NAME, forms[MODEL_NAME])


def _add_text_form(report: ParityReport, form: TextForm, texts: Sequence[bytes]) -> ParityReport:
    """Proves the text form, and adds the result to the report of the other forms."""
    comparisons, overflow_count = prove_text_form(TEXT_NAME, form, texts)
    return dataclasses.replace(
        report,
        runtimes=(*report.runtimes, *(comparison.report for comparison in comparisons)),
        invariance=(*report.invariance, *(way for comparison in comparisons for way in comparison.invariance)),
        overflow_count=report.overflow_count + overflow_count,
    )


def _finish_forms(
    source: Source,
    forms: Mapping[str, Rewritten],
    text_form: TextForm | None,
    golden: GoldenInputs,
    seeds: Mapping[str, int],
    report: ParityReport,
) -> dict[str, bytes]:
    """Writes the evidence into each form, and proves each finished file again from that evidence."""
    properties = _properties(source.config, source.network, source.files.get(VOCABULARY_NAME))
    with reported("writing the evidence"):
        vectors = GoldenVectors.of(source.network, golden, seeds)
        finished = {file: finish(form, source.network, vectors, report, properties) for file, form in forms.items()}
        if text_form:
            finished[TEXT_NAME] = finish_text(text_form, golden, report, properties)
    for file, data in finished.items():
        again = verify_file(file, data, ["cpu"], source.kind.id_encoder).report
        if not again.passed:
            raise ParityError(f"{source.config.name}: {again.first_problem}; nothing was published", again)
    return finished


def _properties(config: ModelConfig, network: Network, vocabulary: bytes | None) -> dict[str, str]:
    """Returns the metadata that every file of the bundle has besides its evidence."""
    metadata = ModelMetadata(
        config.name,
        config.task,
        config.labels,
        config.vocabulary_size,
        config.tokenizer,
        config.words,
        config.thresholds,
        max(least_times(network).values(), default=1),
        "" if vocabulary is None else hash_bytes(vocabulary),
    )
    return {METADATA_KEY: to_json(metadata)}


def _bundle_files(
    source: Source,
    finished: Mapping[str, bytes],
    text_form: TextForm | None,
    golden: GoldenInputs,
    report: ParityReport,
) -> dict[str, bytes]:
    """Returns the content of every file of the bundle but the config, the model card and the streams' test data."""
    files = {name: source.files[name] for name in _TAKEN_OVER if name in source.files}
    files |= finished
    files[PARITY_NAME] = to_json_bytes({"verdict": report.verdict, "passed": report.passed, **report.document()})
    files[PLOT_NAME] = plot_proof(report)
    files |= data_sets(source.network, golden)
    rows = source.kind.golden_rows(source.network, source.config.labels, text_form)
    if rows is not None:
        files[GOLDEN_NAME] = to_json_bytes(rows)
    # Figures of an evaluation are kept only if `model.onnx` is the very file that they were measured on.
    evaluation = source.files.get(EVALUATION_NAME)
    if evaluation and source.files.get(MODEL_NAME) == files[MODEL_NAME]:
        files[EVALUATION_NAME] = evaluation
    return files

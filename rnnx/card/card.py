"""The model card: the README.md of a bundle, generated from its other files. Standard library only."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnx.bundle.config import ModelConfig, TrainingConfig
from rnnx.bundle.directory import (
    CARD_NAME,
    CURVES_NAME,
    EVALUATION_NAME,
    HISTORY_NAME,
    METRICS_NAME,
    MODEL_NAME,
    PARITY_NAME,
    PLOT_NAME,
    STREAM_NAME,
    TEXT_NAME,
    hash_bytes,
    read_directory,
    write_directory,
)
from rnnx.bundle.embed import languages, read_snippet, stream_targets, targets, targets_of
from rnnx.bundle.find_model import find_directory
from rnnx.bundle.front_matter import add_front_matter, shipped_licence
from rnnx.card.card_kinds import CardKind, card_kind, code
from rnnx.card.evaluation_card import (
    describe_evaluation,
    describe_linear_part,
    describe_retraining,
    describe_temperature,
)
from rnnx.card.usage import text_session_snippet
from rnnx.errors import ModelError
from rnnx.metrics.side_by_side import MeasuredModel
from rnnx.strict_json import to_json_bytes

if TYPE_CHECKING:
    from rnnx.metrics.figures import Evaluation, ValueEvaluation
    from rnnx.metrics.several_labels import LabelSetEvaluation

# Data sets whose licence or authors ask to be named.
_SOURCES = {
    "imdb": "Large Movie Review Dataset v1.0 (Maas et al., Learning Word Vectors for Sentiment Analysis, ACL 2011), "
    "https://ai.stanford.edu/~amaas/data/sentiment/.",
    "en_ewt-ud": "Universal Dependencies English Web Treebank, https://universaldependencies.org/treebanks/en_ewt/, "
    "licensed under CC BY-SA 4.0. Whether a model made from it is under the same share-alike terms is for its user to "
    "judge.",
}
# How a recipe trains, which its command line does not show. The config.json of a bundle has no field for this text, and
# a card cannot import `rnnx.train.recipes`, which needs Keras.
_RECIPES = {
    "article": "The article's network, vocabulary, optimizer and split, to the letter.",
    "default": "A bidirectional SimpleRNN; its states are pooled by mean and by maximum. If the data set has "
    "unlabelled texts (IMDB has 50,000), the embedding and both recurrences start as a language model of all training "
    "texts, labelled or not. Then a linear model of words, pairs and triples, learned from the labelled training "
    "texts alone, predicts the label probabilities of the unlabelled texts, and the network learns from both. If it "
    "is known which film a review is about, whole films are held out for validation.",
}
# How a runtime other than onnxruntime gives the proved answers.
_OPENVINO = (
    "In OpenVINO, set `INFERENCE_PRECISION_HINT` to `f32`. By default it computes in bfloat16 or float16 on processors "
    "that have them, which the proof does not cover."
)
# Why the training ended.
_ENDINGS = {
    "whole": "",
    "stopped early": "\n\nIt stopped early, after epoch {}, because the validation figures no longer improved.",
    "interrupted": "\n\nIt was interrupted after epoch {}.",
}


def save_evaluation(
    bundle: str | Path,
    dataset: str,
    figures: Evaluation | ValueEvaluation | LabelSetEvaluation,
    beside: Sequence[tuple[str, MeasuredModel]] = (),
) -> None:
    """Writes the figures of `rnnx evaluate` into a bundle, and writes its card again.

    Args:
        bundle: The name of a shipped model, or the path of a bundle.
        dataset: The name of the data set, for the card.
        figures: The result.
        beside: The models measured on the same data, this bundle first, each with the name or path the user gave.

    Raises:
        ModelError: If the bundle is broken.
        OSError: If it cannot be written.
    """
    directory = read_directory(find_directory(bundle).resolve())
    record = {"dataset": dataset, "model_sha256": hash_bytes(directory[MODEL_NAME]), **dataclasses.asdict(figures)}
    if hasattr(figures, "macro_f1"):
        record["macro_f1"] = figures.macro_f1
    if beside:
        record["beside"] = [Path(given).name for given, _ in beside[1:]]
        record["side_by_side"] = [dataclasses.asdict(model) for _, model in beside]
    files = {**directory.files, EVALUATION_NAME: to_json_bytes(record, indent=2, allow_nan=True)}
    card = write_card(directory.config, files)
    files[CARD_NAME] = add_front_matter(card, directory.config, files, shipped_licence(directory.path)).encode()
    write_directory(directory.path, directory.config, files)


def write_card(config: ModelConfig, files: Mapping[str, bytes]) -> str:
    """Writes the card of a bundle.

    Args:
        config: The description of the bundle.
        files: Its other files; the section of a missing file is left out.

    Returns:
        Markdown.

    Raises:
        ModelError: If the history, the evaluation or the proof is broken.
    """
    try:
        return _write_card(config, files)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(f"model {config.name}: its history, evaluation or proof is broken ({error!r})") from error


def _write_card(config: ModelConfig, files: Mapping[str, bytes]) -> str:
    kind = card_kind(config)
    parts = [f"# {config.name}", kind.summary()]
    if EVALUATION_NAME in files:
        parts.append(describe_evaluation(kind, json.loads(files[EVALUATION_NAME])))
    parts += [kind.use(), _OPENVINO]
    if TEXT_NAME in files:
        parts.append(_embed(config))
    if STREAM_NAME in files:
        parts.append(_chunks(config))
    parts.append("## Network\n\n" + "\n".join(f"- {line}" for line in config.architecture))
    if config.training and HISTORY_NAME in files:
        parts.append(_training(kind, config.training, json.loads(files[HISTORY_NAME]), CURVES_NAME in files))
        metrics = json.loads(files.get(METRICS_NAME, b"{}"))
        if (part := metrics.get("linear_part", {})).get("is_used"):
            score = "F1" if config.training.best_validation_f1 is not None else "accuracy"
            parts.append(describe_linear_part(part, score, config.kind))
        if metrics.get("retrained_on"):
            parts.append(describe_retraining(metrics["retrained_on"], config.training.epochs))
        if metrics.get("temperature"):
            parts.append(describe_temperature(metrics, config.kind))
    if PARITY_NAME in files:
        parts.append(_proof(kind, json.loads(files[PARITY_NAME]), PLOT_NAME in files))
    sizes = "\n".join(f"| `{name}` | {len(data):,} |" for name, data in sorted(files.items()) if name != CARD_NAME)
    parts.append(f"## Files\n\n| file | bytes |\n|---|---:|\n{sizes}")
    tools = ", ".join(f"{name} {version}" for name, version in config.tools.items())
    parts.append(f"Made with {tools}. This page is generated; `rnnx export` writes it.")
    return "\n\n".join(parts) + "\n"


def _embed(config: ModelConfig) -> str:
    count = len(config.labels)
    out = f"`probs` float32 (batch, {count}) out, one per label" if count else "`values` float32 (batch, 1) out"
    section = (
        f"## Embed\n\n`{TEXT_NAME}` contains the tokenizer and the vocabulary: `text` uint8 (batch, bytes) in, rows "
        f"padded with zeros; {out}.\n\n```python\n{text_session_snippet(config)}\n```"
    )
    can = targets_of(config.task)
    if len(can) < len(targets()):
        return f"{section}\n\n`rnnx embed TARGET .` writes a complete project; `TARGET` is {', '.join(map(code, can))}."
    others = "\n\n".join(
        f"<details><summary>{target}</summary>\n\n```{language}\n{lines}\n```\n\n</details>"
        for target in languages()
        if target != "python"
        for language, lines in [read_snippet(target)]
    )
    return f"{section}\n\n{others}\n\n`rnnx embed TARGET .` writes a complete project for each of these languages."


def _chunks(config: ModelConfig) -> str:
    section = (
        f"## In chunks\n\n`{STREAM_NAME}` reads a sequence in chunks of any length. It takes the inputs of a chunk and "
        "the states of the recurrent layers, `NAME_in` float32 (batch, units), zeros at first; it gives the outputs, "
        "and in `NAME_out` the states for the next chunk. Skip a chunk without positions: a runtime may refuse it, and "
        "the states stay as they are. Nothing is padded, and nothing is left out of a long sequence."
    )
    if config.kind != "texts":
        return section
    start = " Only the first chunk begins with 1." if config.tokenizer and config.tokenizer.start else ""
    words = f"A word at the end of a chunk may go on: keep its bytes for the next chunk, until the text ends.{start}"
    can = ", ".join(map(code, stream_targets(config.task)))
    project = f" `rnnx embed TARGET . --streaming` writes a complete project; `TARGET` is {can}." if can else ""
    return f"{section}\n\n{words}{project}"


def _training(kind: CardKind, training: TrainingConfig, history: list[dict[str, Any]], has_curves: bool) -> str:
    config = kind.config
    titles = {"accuracy": "accuracy", "f1": "F1", "r2": "R2"}
    score, title = next((name, title) for name, title in titles.items() if name in history[0])
    has_spans = "validation_span_f1" in history[0]
    rows = "\n".join(
        f"| {epoch['epoch']}{' (kept)' if epoch['epoch'] == training.best_epoch else ''} | {epoch[score]:.4f} | "
        f"{epoch['loss']:.4f} | {epoch[f'validation_{score}']:.4f} | {epoch['validation_loss']:.4f} |"
        + (f" {epoch['validation_span_f1']:.4f} |" if has_spans else "")
        for epoch in history
    )
    spans, spans_rule = (" validation F1 of spans |", "---:|") if has_spans else ("", "")
    by = ", by the F1 of spans" if has_spans else ""
    source = f"\n\nData: {_SOURCES[training.dataset]}" if training.dataset in _SOURCES else ""
    curves = f"\n\n![{title[:1].upper()}{title[1:]} and loss over the epochs]({CURVES_NAME})" if has_curves else ""
    dataset = kind.dataset_argument(f"{training.dataset} (train part)")
    recipe = _RECIPES.get(training.recipe)
    task = f" --task {config.task}" if config.task in ("multilabel", "regression") else ""
    return (
        f"## Training\n\n`rnnx train {dataset} --recipe {training.recipe}{task} --seed {training.seed}`: "
        f"{training.train_count:,} {config.kind}, and {training.validation_count:,} more held out for validation, "
        f"which alone decided which epoch is kept{by}.{' ' + recipe if recipe else ''}\n\n"
        f"| epoch | {title} | loss | validation {title} | validation loss |{spans}\n"
        f"|---:|---:|---:|---:|---:|{spans_rule}\n"
        f"{rows}{_ENDINGS[training.ending].format(training.epochs)}{curves}{source}"
    )


def _proof(kind: CardKind, parity: dict[str, Any], has_plot: bool) -> str:
    rows = "\n".join(
        f"| {runtime['runtime']} | {layer['layer']} | {layer['ratio']:.3g} | {runtime['max_abs_diff']:.2g} |"
        for runtime in parity["runtimes"]
        for layer in runtime["layers"]
    )
    ways = "\n".join(
        f"| {way['runtime']} | {way['way']} | {'the same bits' if way['has_same_bits'] else way['max_abs_diff']} |"
        for way in parity.get("invariance", ())
    )
    long = "a long sequence" if "overflow_count" in parity else "a sequence four times as long as the model reads"
    plot = (
        f"\n\nThe states over {long}: the difference that each step adds, "
        "with its rounding bound, and how far the states have moved from the exact ones.\n\n"
        f"![Difference of the states over the steps, with the bound]({PLOT_NAME})"
        if has_plot
        else ""
    )
    return (
        f"## Proof\n\n{parity['verdict'][:1].upper()}{parity['verdict'][1:]}. `rnnx verify` repeats this proof on any "
        "machine, from the file alone.\n\n"
        "Each step of a runtime is compared with one float64 step of the NumPy reference, which starts from the "
        "runtime's own state before that step. `difference / bound` is the largest difference as a share of the bound "
        f"of that step's float32 rounding error; above 1 the proof fails. `end to end` is the largest difference "
        f"{kind.output_error}, which must stay within the first-order bound of all these roundings together.\n\n"
        f"| runtime | layer | difference / bound | end to end |\n|---|---|---:|---:|\n{rows}"
        f"{_precision(parity)}{_decisions(parity, kind.config)}\n\n"
        "The same inputs given in other ways, which should not change the outputs, and the largest difference that was "
        f"found{kind.difference_unit}:\n\n| file | given | difference |\n|---|---|---:|\n{ways}{plot}"
    )


def _precision(parity: dict[str, Any]) -> str:
    """Says how far Keras is from the files, if it computes in another precision than float32."""
    precision = parity.get("precision")
    if not precision:
        return ""
    distance = precision["max_abs_diff"]
    counts = f"{precision['differing_count']:,} of {precision['label_count']:,} labels differ"
    return (
        f"\n\nThe model was made in Keras with the precision `{precision['policy']}`. The files have its weights, and "
        "compute in float32; the reference is that float32 network. Keras itself, in its own precision, "
        + ("gives results that are not finite" if distance is None else f"is up to {distance:.2g} from it")
        + (f", and {counts}." if precision["label_count"] else ".")
    )


def _decisions(parity: dict[str, Any], config: ModelConfig) -> str:
    decisions = parity.get("decisions")
    if not decisions:
        return ""
    differing = ", ".join(f"{count:,} for `{name}`" for name, count in decisions["differing"].items())
    margin = "each label" if config.task == "multilabel" else "the label"
    share = decisions["certain_count"] / decisions["count"]
    return (
        f"\n\nLabels that differ from those of Keras over the {decisions['count']:,} texts of {decisions['dataset']}: "
        f"{differing}. For {decisions['certain_count']:,} of the texts ({share:.2%}) the margin of {margin} is larger "
        "than the first-order bound of all rounding errors together, so no float32 runtime that keeps the bound of "
        "each step can give another label."
    )

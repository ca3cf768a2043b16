"""The model card: a bundle's README.md, generated from its other files alone. Standard library only."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnnx.bundle.config import ModelConfig
from rnnx.bundle.directory import (
    CARD_NAME,
    CURVES_NAME,
    EVALUATION_NAME,
    HISTORY_NAME,
    METRICS_NAME,
    MODEL_NAME,
    PARITY_NAME,
    PLOT_NAME,
    TEXT_NAME,
    find_directory,
    hash_bytes,
    read_directory,
    write_directory,
)
from rnnx.bundle.embed import read_snippet, targets
from rnnx.card.evaluation_card import code, describe_evaluation, describe_temperature
from rnnx.card.tagger_card import summary_of_tagger, use_of_tagger
from rnnx.card.usage import describe_inputs, describe_outputs, embed_snippet, session_snippet, text_snippet
from rnnx.errors import ModelError
from rnnx.metrics.side_by_side import MeasuredModel
from rnnx.strict_json import to_json_bytes

if TYPE_CHECKING:
    from rnnx.metrics.figures import Evaluation, ValueEvaluation

# Data sets whose licence or authors ask to be named.
_SOURCES = {
    "imdb": "Large Movie Review Dataset v1.0 (Maas et al., Learning Word Vectors for Sentiment Analysis, ACL 2011), "
    "https://ai.stanford.edu/~amaas/data/sentiment/.",
    "en_ewt-ud": "Universal Dependencies English Web Treebank, https://universaldependencies.org/treebanks/en_ewt/, "
    "licensed under CC BY-SA 4.0. Whether a model made from it is under the same share-alike terms is for its user to "
    "judge.",
}
# What a recipe does that its command does not say. The config.json of a bundle has no place for it, and a card cannot
# import `rnnx.train.recipes`, which needs Keras.
_RECIPES = {
    "article": "The article's network, vocabulary, optimizer and split, to the letter.",
    "default": "Both directions of a SimpleRNN, their states pooled by mean and by maximum. Where a data set has "
    "unlabelled texts (IMDB has 50,000), the embedding and both recurrences start as a language model of all training "
    "texts, labelled or not; then a linear model of words, pairs and triples, learned from the labelled training texts "
    "alone, says how likely each label is for the unlabelled ones, and the network learns from both. Where it is known "
    "which film a review is about, whole films are held out for validation.",
}
# Why there are no more epochs in the table.
_ENDINGS = {
    "whole": "",
    "stopped early": "\n\nIt stopped early, after epoch {}: nothing had improved in validation any more.",
    "interrupted": "\n\nIt was interrupted after epoch {}.",
}


def save_evaluation(
    bundle: str | Path,
    dataset: str,
    figures: Evaluation | ValueEvaluation,
    beside: Sequence[tuple[str, MeasuredModel]] = (),
) -> None:
    """Writes the figures of `rnnx evaluate` into a bundle, and its card anew.

    Args:
        bundle: A shipped name, or a path.
        dataset: What was measured on, for the card.
        figures: The result.
        beside: What was measured on the same data, this bundle first, each with the name or path given for it.

    Raises:
        ModelError: If the bundle is broken.
        OSError: If it cannot be written.
    """
    directory = read_directory(find_directory(bundle).resolve())
    record = {"dataset": dataset, "model_sha256": hash_bytes(directory[MODEL_NAME]), **dataclasses.asdict(figures)}
    if beside:
        record["beside"] = [Path(given).name for given, _ in beside[1:]]
        record["side_by_side"] = [dataclasses.asdict(one) for _, one in beside]
    files = {**directory.files, EVALUATION_NAME: to_json_bytes(record, indent=2, allow_nan=True)}
    files[CARD_NAME] = write_card(directory.config, files).encode()
    write_directory(directory.path, directory.config, files)


def write_card(config: ModelConfig, files: Mapping[str, bytes]) -> str:
    """Writes the card.

    Args:
        config: The bundle's description.
        files: Its other files; those that are absent leave their section out.

    Raises:
        ModelError: If one of them is not what it should be.
    """
    try:
        return _write_card(config, files)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(f"model {config.name}: its history, evaluation or proof is broken ({error!r})") from error


def _write_card(config: ModelConfig, files: Mapping[str, bytes]) -> str:
    parts = [f"# {config.name}", _summary(config)]
    if EVALUATION_NAME in files:
        record = json.loads(files[EVALUATION_NAME])
        parts.append(describe_evaluation(config, record, _dataset(config, record["dataset"])))
    parts.append(_use(config))
    if TEXT_NAME in files:
        parts.append(_embed(config))
    parts.append("## Network\n\n" + "\n".join(f"- {line}" for line in config.architecture))
    if config.training and HISTORY_NAME in files:
        parts.append(_training(config, json.loads(files[HISTORY_NAME]), CURVES_NAME in files))
        if (metrics := json.loads(files.get(METRICS_NAME, b"{}"))).get("temperature"):
            parts.append(describe_temperature(metrics, config.kind))
    if PARITY_NAME in files:
        parts.append(_proof(config, json.loads(files[PARITY_NAME]), PLOT_NAME in files))
    sizes = "\n".join(f"| `{name}` | {len(data):,} |" for name, data in sorted(files.items()) if name != CARD_NAME)
    parts.append(f"## Files\n\n| file | bytes |\n|---|---:|\n{sizes}")
    tools = ", ".join(f"{name} {version}" for name, version in config.tools.items())
    parts.append(f"Made with {tools}. This page is generated; `rnnx export` writes it.")
    return "\n\n".join(parts) + "\n"


def _embed(config: ModelConfig) -> str:
    others = "\n\n".join(
        f"<details><summary>{target}</summary>\n\n```{language}\n{lines}\n```\n\n</details>"
        for target in targets()
        if target != "python"
        for language, lines in [read_snippet(target)]
    )
    return (
        f"## Embed\n\n`{TEXT_NAME}` has the tokenizer and the vocabulary in it: `text` uint8 (batch, bytes) in, rows "
        f"padded with zeros; `probs` float32 (batch, {len(config.labels)}) out, one per label.\n\n"
        f"```python\n{text_snippet(config)}\n```\n\n{others}\n\n"
        "`rnnx embed TARGET .` writes a whole project for each of them."
    )


def _summary(config: ModelConfig) -> str:
    if config.words:
        return summary_of_tagger(config)
    if not config.tokenizer:
        return _summary_of_arrays(config)
    meaning = f", the probability of {code(config.labels[1])}" if config.output_size == 1 else ""
    return (
        f"Text classifier: {', '.join(map(code, config.labels))}. "
        f"{config.parameter_count:,} parameters.\n\n"
        f"`model.onnx` (opset {config.opset}): `ids` int32 (batch, time) in, 0 to {config.vocabulary_size - 1}; "
        f"`probs` float32 (batch, {config.output_size}) out{meaning}."
    )


def _summary_of_arrays(config: ModelConfig) -> str:
    kind = {"classification": "Classifier of sequences", "tagging": "Tagger of sequences", "regression": "Regression"}
    labels = f" {', '.join(map(code, config.labels))}." if config.labels else ""
    meaning = f", the probability of {code(config.labels[1])}" if labels and config.output_size == 1 else ""
    return (
        f"{kind.get(config.task, 'Network')}:{labels} {config.parameter_count:,} parameters.\n\n"
        f"`model.onnx` (opset {config.opset}): {'; '.join(describe_inputs(config))} in; "
        f"{'; '.join(describe_outputs(config))} out{meaning}."
    )


def _use(config: ModelConfig) -> str:
    t = config.tokenizer
    if config.words:
        return use_of_tagger(config, config.words)
    if t is None:
        return (
            f"## Use\n\n```python\n{embed_snippet(config, '.')}\n```\n\nWith onnxruntime alone:\n\n"
            f"```python\n{session_snippet(config)}\n```"
        )
    kept = "last" if t.truncation_side == "left" else "first"
    padding = f"up to {t.max_length}" if t.pad_to == "max_length" else "up to the longest of the batch"
    return (
        f"## Use\n\nIn this directory:\n\n```sh\nrnnx infer --model . file.txt\n```\n\n"
        f"```python\n{embed_snippet(config, '.')}\n```\n\n"
        f"Tokenizer, on bytes: {'`<br />` becomes a space; ' if t.strip_breaks else ''}ASCII letters are lowered; "
        f"a word is a run of `[a-z0-9']` or bytes >= 0x80. Line N of `vocabulary.txt` is id N - 1; an unknown word is 2"
        f"{'; a text begins with 1' if t.start else ''}. The {kept} {t.max_length} ids are read, "
        f"padded with 0 on the {t.padding_side} {padding}."
    )


def _training(config: ModelConfig, history: list[dict[str, Any]], has_curves: bool) -> str:
    t = config.training
    assert t is not None  # noqa: S101  # the caller asked
    score, title = ("r2", "R2") if "r2" in history[0] else ("accuracy", "accuracy")
    rows = "\n".join(
        f"| {epoch['epoch']}{' (kept)' if epoch['epoch'] == t.best_epoch else ''} | {epoch[score]:.4f} | "
        f"{epoch['loss']:.4f} | {epoch[f'validation_{score}']:.4f} | {epoch['validation_loss']:.4f} |"
        for epoch in history
    )
    source = f"\n\nData: {_SOURCES[t.dataset]}" if t.dataset in _SOURCES else ""
    curves = f"\n\n![{title[:1].upper()}{title[1:]} and loss over the epochs]({CURVES_NAME})" if has_curves else ""
    data = _dataset(config, f"{t.dataset} (train part)")
    task = " --task regression" if config.task == "regression" else ""
    return (
        f"## Training\n\n`rnnx train {data} --recipe {t.recipe}{task} --seed {t.seed}`: "
        f"{t.train_count:,} {config.kind}, "
        f"{t.validation_count:,} more held out for validation, which alone chose the epoch."
        f"{' ' + _RECIPES[t.recipe] if t.recipe in _RECIPES else ''}\n\n"
        f"| epoch | {title} | loss | validation {title} | validation loss |\n|---:|---:|---:|---:|---:|\n"
        f"{rows}{_ENDINGS[t.ending].format(t.epochs)}{curves}{source}"
    )


def _dataset(config: ModelConfig, title: str) -> str:
    """A data set as the command line takes it, from its name and part (`en_ewt-ud (test part)`)."""
    name, _, part = title.partition(" ")
    if config.words:
        # A treebank is named by its training file, from which the others are found; or by one file alone.
        return f"{name}-train.conllu" if part else f"{name}.conllu"
    return f"{name}.npz" if config.kind == "sequences" else name


def _proof(config: ModelConfig, parity: dict[str, Any], has_plot: bool) -> str:
    ends, measure = (
        ("ids to probabilities", " (in probability)")
        if config.kind != "sequences"
        else ("the inputs to the outputs", "")
    )
    rows = "\n".join(
        f"| {runtime['runtime']} | {layer['layer']} | {layer['ratio']:.3g} | {runtime['max_abs_diff']:.2g} |"
        for runtime in parity["runtimes"]
        for layer in runtime["layers"]
    )
    ways = "\n".join(
        f"| {way['runtime']} | {way['way']} | {'the same bits' if way['has_same_bits'] else way['max_abs_diff']} |"
        for way in parity.get("invariance", ())
    )
    plot = (
        f"\n\nA long sequence, four times what the model reads: what each step adds, under what rounding can add (the "
        f"bound), and how far the states drift from the exact ones by then.\n\n"
        f"![Difference of the states over the steps, with the bound]({PLOT_NAME})"
        if has_plot
        else ""
    )
    return (
        f"## Proof\n\n{parity['verdict'][:1].upper()}{parity['verdict'][1:]}. `rnnx verify` makes this proof again, on "
        "any machine, from the file alone.\n\n"
        "Each step is compared with one float64 step of the NumPy reference from the runtime's own state before it; "
        f"the difference is set against what float32 rounding can do. `end to end`: from {ends}, against "
        "what all these roundings together can do to first order; the last column is that difference itself.\n\n"
        f"| runtime | layer | difference / bound | end to end |\n|---|---|---:|---:|\n{rows}{_decisions(parity)}\n\n"
        f"What must not matter, and by how much it does{measure}:\n\n| file | asked | difference |\n"
        f"|---|---|---:|\n{ways}{plot}"
    )


def _decisions(parity: dict[str, Any]) -> str:
    decisions = parity.get("decisions")
    if not decisions:
        return ""
    differing = ", ".join(f"{count:,} for `{name}`" for name, count in decisions["differing"].items())
    share = decisions["certain_count"] / decisions["count"]
    return (
        f"\n\nOver the {decisions['count']:,} texts of {decisions['dataset']}, the labels that differ from Keras's: "
        f"{differing}. For {decisions['certain_count']:,} of them ({share:.2%}) the margin exceeds what rounding can "
        "do to first order: no float32 runtime that keeps the bound of each step can come to another label."
    )

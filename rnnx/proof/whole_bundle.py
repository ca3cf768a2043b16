"""Checks that the parts of a bundle describe the same model: its config, its files, their evidence, and its card.

The hashes in `config.json` find damage to the other files. The config itself has no hash, so its entries are compared
with what the files say: the labels, the tokenizer, the inputs and outputs with the metadata and the evidence of each
`.onnx` file, which a digest covers; the figures of the training, of the evaluation and of the proof with the records
they were taken from; and the card with all of these. Imports NumPy only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rnnx.bundle.config import ModelConfig, TrainingConfig
from rnnx.bundle.directory import (
    CARD_NAME,
    EVALUATION_NAME,
    HISTORY_NAME,
    METRICS_NAME,
    MODEL_NAME,
    PARITY_NAME,
    VOCABULARY_NAME,
    Directory,
    hash_bytes,
)
from rnnx.bundle.metadata import read_metadata, require_same
from rnnx.errors import ModelError
from rnnx.proof.evidence import Evidence
from rnnx.reference import Network
from rnnx.strict_json import collector_paused

# The config has six decimals of a figure; the record has the number itself.
_SCORES = ("accuracy", "r2", "f1")  # one of them chooses the epoch that is kept
_DECIMALS = 6
_RATIO_TOLERANCE = 1e-9


@dataclass(frozen=True)
class IdsInUse:
    """How many ids of an input the golden vectors of a file use.

    Attributes:
        input: The name of the input.
        unused_count: Ids that no golden vector has.
        size: All ids.
    """

    input: str
    unused_count: int
    size: int


def find_unused_ids(evidence: Evidence, network: Network) -> tuple[IdsInUse, ...]:
    """Counts the ids of each input of a file that no golden vector uses.

    At the export, every id was in a probe; these probes are too large to be kept. In a file, the rows of an embedding
    that no golden vector uses are compared by the hash of the whole table only.

    Args:
        evidence: The evidence of the file.
        network: Its reference.
    """
    given = [case.given(network) for case in evidence.cases]
    found = []
    for port in network.inputs:
        if port.kind == "ids" and port.size:
            used = np.unique(np.concatenate([inputs[port.name].reshape(-1) for inputs in given]))
            found.append(IdsInUse(port.name, port.size - int(((used >= 0) & (used < port.size)).sum()), port.size))
    return tuple(found)


def require_described(
    name: str, properties: Mapping[str, str], evidence: Evidence, network: Network, directory: Directory
) -> None:
    """Makes sure that the config and the recorded proof of a bundle are those of one of its files.

    Args:
        name: The name of the file.
        properties: The `metadata_props` of the file, key to value.
        evidence: Its evidence.
        network: Its reference.
        directory: The bundle.

    Raises:
        ModelError: If the labels, the task, a word of the vocabulary, the tokenizer, an input, an output, or a count of
            the proof differs.
    """
    config = directory.config
    require_same(properties, config)
    metadata = read_metadata(properties)
    if metadata.task != config.task:
        _refuse(name, "task", config.task, metadata.task)
    vocabulary = directory.files.get(VOCABULARY_NAME)
    recorded_hash = metadata.vocabulary_sha256
    if recorded_hash and (vocabulary is None or hash_bytes(vocabulary) != recorded_hash):
        raise ModelError(
            f"{name}: {VOCABULARY_NAME} of the bundle is not the vocabulary with which the file was exported"
        )
    inputs = [(port.name, port.kind, port.shape, port.size) for port in config.inputs]
    if inputs != (read := [(port.name, port.kind, port.shape, port.size) for port in network.inputs]):
        _refuse(name, "inputs", inputs, read)
    outputs = {port.name: port.shape for port in config.outputs}
    shapes = {output: record.shape for output, record in evidence.cases[0].answers.items()}
    if outputs.keys() != shapes.keys() or not all(_fits(outputs[key], shape) for key, shape in shapes.items()):
        _refuse(name, "outputs", outputs, shapes)
    if PARITY_NAME in directory.files:
        recorded = _read(directory.files, PARITY_NAME)
        for field in ("text_count", "trap_count", "longest"):
            if recorded[field] != (actual := getattr(evidence.figures, field)):
                raise ModelError(f"{name}: {field}: {recorded[field]} in {PARITY_NAME}, but {actual} in the file")


def _fits(declared: tuple[int | None, ...], shape: tuple[int, ...]) -> bool:
    return len(declared) == len(shape) and all(a in (None, b) for a, b in zip(declared, shape, strict=True))


def _refuse(name: str, what: str, expected: object, actual: object) -> None:
    raise ModelError(f"{name}: {what}: {expected!r:.200} in config.json, but {actual!r:.200} in the file")


def require_figures(directory: Directory) -> None:
    """Makes sure that the figures in a bundle are those that were recorded.

    Args:
        directory: The bundle; what it does not have is not compared.

    Raises:
        ModelError: If a figure of the training, the evaluation, the proof or the card differs. The message names the
            first one.
    """
    config, files = directory.config, directory.files
    try:
        problems = [
            *(_training_problems(config.training, files) if config.training else ()),
            *_evaluation_problems(config, files),
            *_proof_problems(files),
            *_card_problems(config, files),
        ]
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise ModelError(f"{directory.path}: its history, evaluation or proof is broken ({error!r:.200})") from error
    if problems:
        raise ModelError(f"{directory.path}: {problems[0]}; get or export this model again")


def _read(files: Mapping[str, bytes], name: str) -> Any:
    with collector_paused():
        return json.loads(files[name]) if name in files else None


def _training_problems(training: TrainingConfig, files: Mapping[str, bytes]) -> list[str]:
    problems = []
    metrics, history = _read(files, METRICS_NAME), _read(files, HISTORY_NAME)
    figures = {score: getattr(training, f"best_validation_{score}") for score in _SCORES}
    if metrics is not None:
        if metrics["epoch"] != training.best_epoch:
            problems.append(f"the best epoch is {training.best_epoch} in config.json, but {metrics['epoch']} was kept")
        for score, figure in figures.items():
            recorded = metrics.get(f"validation_{score}")
            if figure is not None and (recorded is None or round(recorded, _DECIMALS) != round(figure, _DECIMALS)):
                problems.append(f"the validation {score} is {figure} in config.json, but {recorded} in {METRICS_NAME}")
    if history is not None and len(history) != training.epochs:
        problems.append(f"there were {training.epochs} epochs by config.json, but {len(history)} by {HISTORY_NAME}")
    return problems


def _evaluation_problems(config: ModelConfig, files: Mapping[str, bytes]) -> list[str]:
    evaluation = _read(files, EVALUATION_NAME)
    if evaluation is None:
        return []
    problems = []
    if evaluation["model_sha256"] != config.files.get(MODEL_NAME):
        problems.append(f"{EVALUATION_NAME} was measured on another {MODEL_NAME}")
    if "confusion" in evaluation:
        confusion = np.array(evaluation["confusion"], np.float64)
        if confusion.shape != (len(config.labels),) * 2 or list(evaluation["labels"]) != list(config.labels):
            problems.append(f"{EVALUATION_NAME} has other labels than config.json")
        elif not abs(np.trace(confusion) / confusion.sum() - evaluation["accuracy"]) <= _RATIO_TOLERANCE:
            problems.append(f"the accuracy in {EVALUATION_NAME} is not that of its confusion matrix")
    return problems


def _proof_problems(files: Mapping[str, bytes]) -> list[str]:
    parity = _read(files, PARITY_NAME)
    is_passed = parity is None or parity["passed"] is True
    return [] if is_passed else [f"{PARITY_NAME} says that the proof failed"]


def _card_problems(config: ModelConfig, files: Mapping[str, bytes]) -> list[str]:
    """Looks for the figures of the records in the card. Its wording may be that of an earlier version."""
    if CARD_NAME not in files:
        return []
    card = files[CARD_NAME].decode()
    figures = {}
    parity, evaluation, history = (_read(files, name) for name in (PARITY_NAME, EVALUATION_NAME, HISTORY_NAME))
    if parity is not None:
        figures[f"the verdict in {PARITY_NAME}"] = parity["verdict"][1:]
    if evaluation is not None and "accuracy" in evaluation:
        figures[f"the accuracy in {EVALUATION_NAME}"] = f"**{evaluation['accuracy']:.4f}**"
    for epoch in (history or ()) if config.training else ():
        score = next(score for score in _SCORES if f"validation_{score}" in epoch)
        figures[f"epoch {epoch['epoch']} in {HISTORY_NAME}"] = f"| {epoch[f'validation_{score}']:.4f} |"
    return [f"the card does not have {what}" for what, figure in figures.items() if figure not in card]

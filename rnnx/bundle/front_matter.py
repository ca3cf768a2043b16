"""The front matter of a card: the YAML block at its top, by which the Hugging Face Hub finds and filters models.

It says what the files of a bundle prove and nothing else: a licence is named only for the shipped models, and a data
set only where its name and the number of its examples are those of a known one. The keys are those of
`huggingface_hub.ModelCardData`, and of the `model-index` of
https://github.com/huggingface/hub-docs/blob/main/modelcard.md. Imports the standard library only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnx.bundle.config import ModelConfig
from rnnx.bundle.directory import EVALUATION_NAME, MODEL_NAME, hash_bytes
from rnnx.bundle.find_model import find_directory, shipped_names
from rnnx.errors import ModelError

_FENCE = "---\n"
_SHIPPED_LICENCE = "mit"
# A model made from texts under a share-alike licence, which may hold for the model too.
_OTHER_LICENCES = {"pos": "cc-by-sa-4.0"}
_PIPELINE_TAGS = {"texts": "text-classification", "sentences": "token-classification"}
_RECORDED_DATASET = re.compile(r"(?P<name>imdb|en_ewt-ud)(?:-| \()(?P<part>train|dev|test)(?: part\))?")
_SPLITS = {"train": "train", "dev": "validation", "test": "test"}
# Words that some reader of YAML 1.1 takes for a truth value or for nothing.
_NOT_PLAIN = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


@dataclass(frozen=True)
class _KnownDataset:
    """A data set that the Hub has, too.

    Attributes:
        hub_id: Its id there.
        config: The name of its configuration there.
        title: Its name for people.
        language: The ISO 639-1 code of its texts.
        train_count: The number of its labelled examples, those held out for validation among them.
        counts: The number of examples or words of each part that an evaluation counts; a missing part has any number.
    """

    hub_id: str
    config: str
    title: str
    language: str
    train_count: int
    counts: Mapping[str, int]


_DATASETS = {
    "imdb": _KnownDataset("stanfordnlp/imdb", "plain_text", "IMDB", "en", 25_000, {"train": 25_000, "test": 25_000}),
    "en_ewt-ud": _KnownDataset(
        "universal-dependencies/universal_dependencies",
        "en_ewt",
        "Universal Dependencies English Web Treebank",
        "en",
        14_545,
        {"test": 25_094},
    ),
}


def add_front_matter(card: str, config: ModelConfig, files: Mapping[str, bytes], licence: str | None = None) -> str:
    """Puts the front matter in front of a card, or in the place of the one that it has.

    Args:
        card: The card, in Markdown.
        config: The description of the bundle.
        files: Its files, by name; the evaluation is read if there is one.
        licence: The identifier of the licence; None if it is not known.

    Raises:
        ModelError: If the evaluation is broken.
    """
    try:
        fields = _describe(config, files, licence)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ModelError(f"model {config.name}: its evaluation is broken ({error!r})") from error
    return f"{_FENCE}{_to_yaml(fields)}{_FENCE}\n{without_front_matter(card)}"


def without_front_matter(card: str) -> str:
    """Returns a card without the YAML block at its top."""
    if not card.startswith(_FENCE):
        return card
    return card[len(_FENCE) :].partition(f"\n{_FENCE}")[2].lstrip("\n")


def shipped_licence(path: Path) -> str | None:
    """Returns the identifier of the licence of a shipped model; None for any other bundle.

    Args:
        path: The path of the bundle.
    """
    is_shipped = path.name in shipped_names() and find_directory(path.name).resolve() == path.resolve()
    return _OTHER_LICENCES.get(path.name, _SHIPPED_LICENCE) if is_shipped else None


def _describe(config: ModelConfig, files: Mapping[str, bytes], licence: str | None) -> dict[str, Any]:
    record = json.loads(files.get(EVALUATION_NAME, b"{}"))
    if record and record["model_sha256"] != hash_bytes(files[MODEL_NAME]):
        record = {}  # the figures of another model
    dataset = _trained_on(config)
    fields = {
        "language": [dataset.language] if dataset else [],
        "license": licence,
        "library_name": "onnx",
        "pipeline_tag": _PIPELINE_TAGS.get(config.kind),
        "tags": ["onnx", "onnxruntime", "rnnx"],
        "datasets": [dataset.hub_id] if dataset else [],
        "metrics": _metrics(config, record),
        "model-index": _model_index(config, record),
    }
    return {name: value for name, value in fields.items() if value}


def _trained_on(config: ModelConfig) -> _KnownDataset | None:
    training = config.training
    dataset = _DATASETS.get(training.dataset) if training else None
    if training is None or dataset is None:
        return None
    return dataset if training.train_count + training.validation_count == dataset.train_count else None


def _metrics(config: ModelConfig, record: Mapping[str, Any]) -> list[str]:
    """Lists the metrics that the model was validated or evaluated with, by their ids on the Hub."""
    training = config.training
    has_metric = {
        "accuracy": "accuracy" in record or (training and training.best_validation_accuracy is not None),
        "f1": bool({"micro_f1", "macro_f1", "spans"} & {name for name, value in record.items() if value is not None})
        or (training and training.best_validation_f1 is not None),
        "mae": "mae" in record,
        "r_squared": record.get("r2") is not None or (training and training.best_validation_r2 is not None),
    }
    return [name for name, has in has_metric.items() if has]


def _model_index(config: ModelConfig, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Writes the figures of an evaluation on a data set that the Hub has; a result has to name one."""
    found = _RECORDED_DATASET.fullmatch(record.get("dataset", ""))
    tag = _PIPELINE_TAGS.get(config.kind)
    if found is None or tag is None:
        return []
    dataset, part = _DATASETS[found["name"]], found["part"]
    if record["count"] != dataset.counts.get(part, record["count"]):
        return []
    names = {"accuracy": ("accuracy", "Accuracy"), "macro_f1": ("f1", "Macro F1"), "micro_f1": ("f1", "Micro F1")}
    metrics = [
        {"type": metric, "value": round(record[key], 4), "name": title}
        for key, (metric, title) in names.items()
        if record.get(key) is not None
    ]
    place = {"type": dataset.hub_id, "name": dataset.title, "config": dataset.config, "split": _SPLITS[part]}
    result = {"task": {"type": tag}, "dataset": place, "metrics": metrics}
    return [{"name": config.name, "results": [result]}] if metrics else []


def _to_yaml(value: Any, indent: str = "") -> str:
    """Writes a mapping or a list as block YAML, one line for each string or number."""
    lines = []
    for name, item in value.items() if isinstance(value, dict) else [(None, item) for item in value]:
        key = "- " if name is None else f"{name}:"
        if not isinstance(item, dict | list):
            lines.append(f"{indent}{key}{' ' if name else ''}{_scalar(item)}\n")
        elif name is None:
            lines.append(f"{indent}- {_to_yaml(item, indent + '  ').removeprefix(indent + '  ')}")
        else:
            lines.append(f"{indent}{key}\n{_to_yaml(item, indent + '  ')}")
    return "".join(lines)


def _scalar(value: str | float) -> str:
    """Writes a string or a number, quoted as in JSON unless YAML can only read it as it is."""
    is_plain = isinstance(value, str) and re.fullmatch(r"[a-z][a-z0-9_/-]*", value) and value not in _NOT_PLAIN
    return str(value) if is_plain else json.dumps(value, ensure_ascii=False)
